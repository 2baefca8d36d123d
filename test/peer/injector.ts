/**
 * Sends frames out of an interface of a namespace: socat writes each UDP datagram that it receives as one frame, to a TUN
 * device that it makes or to an interface that exists; `feed.ts` sends the datagrams, inside the same namespace, at a
 * steady rate.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Namespace } from './namespace.js';

const FEED = fileURLToPath(new URL('./feed.js', import.meta.url));

/** setsockopt(2): SOL_SOCKET, SO_RCVBUFFORCE. */
const LARGE_BUFFER = 'setsockopt-listen=1:33:i16777216';

/** The header in front of a packet for a TUN device: no flags, and an ethertype that is not IP (88b5 is for experiments). */
const TUN_HEADER = Buffer.from('000088b5', 'hex');

let nextPort = 20_000;

export class Injector {
  readonly #namespace: Namespace;
  readonly #port = nextPort++;
  readonly #socat: ChildProcess;
  readonly #header: Buffer;

  private constructor(namespace: Namespace, address: string, header: Buffer) {
    this.#namespace = namespace;
    this.#header = header;
    const from = `UDP-RECV:${this.#port},bind=127.0.0.1,${LARGE_BUFFER}`;
    this.#socat = namespace.spawn(['socat', '-u', '-b', '65536', from, address], { stdio: 'inherit' });
  }

  /** Makes a TUN device of this name, on which bare messages arrive, as on pfsync(4). */
  static async ofTun(namespace: Namespace, name: string): Promise<Injector> {
    const injector = new Injector(namespace, `TUN,tun-name=${name}`, TUN_HEADER);
    await injector.#ready(name);
    namespace.setUp(name);
    return injector;
  }

  /** Sends Ethernet frames out of an interface. */
  static async ofInterface(namespace: Namespace, name: string): Promise<Injector> {
    const injector = new Injector(namespace, `INTERFACE:${name}`, Buffer.alloc(0));
    await injector.#ready(name);
    return injector;
  }

  /** Sends `count` frames, `rate` a second, from the first to the last and again. `folder` is for the feed's file. */
  async feed(frames: readonly Uint8Array[], count: number, rate: number, folder: string): Promise<void> {
    const datagrams = frames.map((frame) => Buffer.concat([this.#header, frame]));
    await feed(this.#namespace, this.#port, datagrams, count, rate, folder);
  }

  /** Ends socat, and with it its TUN device. */
  async close(): Promise<void> {
    if (this.#socat.exitCode !== null || this.#socat.signalCode !== null) return;
    const closed = once(this.#socat, 'close');
    this.#socat.kill('SIGTERM');
    await closed;
  }

  async #ready(name: string): Promise<void> {
    const isOpen = `:${this.#port.toString(16).toUpperCase().padStart(4, '0')} `;
    const inside = (file: string) => this.#output(['cat', file]);
    while (this.#socat.exitCode === null && this.#socat.signalCode === null) {
      const [sockets, links] = await Promise.all([inside('/proc/net/udp'), this.#output(['ip', 'link'])]);
      if (sockets.includes(isOpen) && links.includes(name)) return;
      await sleep(25);
    }
    throw new Error(`socat did not open ${name}`);
  }

  async #output(command: readonly string[]): Promise<string> {
    const child = this.#namespace.spawn(command, { stdio: ['ignore', 'pipe', 'inherit'] });
    const parts: Buffer[] = [];
    child.stdout!.on('data', (part: Buffer) => parts.push(part));
    await once(child, 'close');
    return Buffer.concat(parts).toString();
  }
}

/** Sends datagrams to a port of 127.0.0.1 inside the namespace, or of this machine. */
export async function feed(
  namespace: Pick<Namespace, 'spawn'>,
  port: number,
  datagrams: readonly Uint8Array[],
  count: number,
  rate: number,
  folder: string,
): Promise<void> {
  const file = `${folder}/feed-${port}`;
  const parts = datagrams.flatMap((datagram) => {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(datagram.length);
    return [length, datagram];
  });
  writeFileSync(file, Buffer.concat(parts));
  const args = [FEED, file, String(port), String(count), String(rate)];
  const child = namespace.spawn([process.execPath, ...args], { stdio: ['ignore', 'inherit', 'inherit'] });
  const [status] = (await once(child, 'close')) as [number | null];
  if (status !== 0) throw new Error(`the feed ended with ${status}`);
}
