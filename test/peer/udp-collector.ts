/** A UDP listener for tests: keeps the datagrams as they came, and decodes them. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { Collector } from './collector.js';

export type Loopback = '127.0.0.1' | '::1';

/** The loopback addresses of this machine: a container may be without IPv6. */
export const LOOPBACKS: readonly Loopback[] = Object.values(networkInterfaces())
  .flat()
  .some((address) => address?.address === '::1')
  ? ['127.0.0.1', '::1']
  : ['127.0.0.1'];

const RECEIVE_BUFFER = 4 * 1024 * 1024;

export class UdpCollector {
  readonly datagrams: Buffer[] = [];
  readonly collector = new Collector();
  readonly #socket: Socket;
  readonly #host: Loopback;

  private constructor(socket: Socket, host: Loopback) {
    this.#socket = socket;
    this.#host = host;
    socket.on('message', (datagram) => {
      this.datagrams.push(datagram);
      this.collector.decode(datagram);
    });
  }

  /** Binds an ephemeral port. */
  static async listen(host: Loopback): Promise<UdpCollector> {
    const type = host === '::1' ? 'udp6' : 'udp4';
    const socket = createSocket({ type, recvBufferSize: RECEIVE_BUFFER });
    const listener = new UdpCollector(socket, host);
    socket.bind(0, host);
    await once(socket, 'listening');
    return listener;
  }

  get port(): number {
    return (this.#socket.address() as AddressInfo).port;
  }

  /** As the command line wants it: `127.0.0.1:2055`, `[::1]:2055`. */
  get endpoint(): string {
    return endpoint(this.#host, this.port);
  }

  /** Waits until so many datagrams have come. Fewer after the time limit are the caller's to find. */
  async received(count: number, limitMs = 5000): Promise<void> {
    for (let waited = 0; this.datagrams.length < count && waited < limitMs; waited += 10) await sleep(10);
  }

  async close(): Promise<void> {
    const closed = once(this.#socket, 'close');
    this.#socket.close();
    await closed;
  }
}

export function endpoint(host: Loopback, port: number): string {
  return host === '::1' ? `[::1]:${port}` : `${host}:${port}`;
}
