/** UDP to one collector: paced, with a bounded queue, every datagram accounted for. */
import { createSocket, type Socket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import type { Log } from './log.js';
import type { Endpoint } from './option-values.js';
import type { Pace } from './pace.js';
import { Delivered, StartError, type Transport } from './transport.js';

/** What fits an Ethernet frame of 1500 octets behind the IP and UDP headers. */
const LARGEST = { 4: 1472, 6: 1452 } as const;

/** Datagrams that wait or are on their way when the reader is asked to pause, and when it may go on. */
const MANY_WAITING = 256;
const FEW_WAITING = 64;

const SEND_BUFFER = 4 << 20;

/** So many datagrams refused (ICMP port unreachable) mean that nobody listens, for so many milliseconds after the last. */
const MANY_REFUSALS = 3;
const DOWN_TIME = 30_000;
/** Refusals further apart do not belong together. */
const REFUSALS_APART = 60_000;

export interface UdpOptions {
  readonly endpoint: Endpoint;
  readonly source: string | undefined;
  /** Octets of a datagram's payload; undefined: what fits an Ethernet frame. */
  readonly maxMessage: number | undefined;
  readonly pace: Pace;
  readonly log: Log;
  /** For messages: the collector as the operator named it. */
  readonly name: string;
}

/** A datagram's memory, used again and again. */
class Datagram {
  readonly view: DataView;
  octets: Uint8Array;
  records = 0;
  readonly #release: (datagram: Datagram, error: Error | null) => void;

  constructor(length: number, release: (datagram: Datagram, error: Error | null) => void) {
    this.view = new DataView(new ArrayBuffer(length));
    this.octets = new Uint8Array(this.view.buffer);
    this.#release = release;
  }

  setLength(length: number): void {
    if (this.octets.length !== length) this.octets = new Uint8Array(this.view.buffer, 0, length);
  }

  /** Bound once: a callback for each send would be garbage for each send. */
  readonly done = (error: Error | null): void => this.#release(this, error);
}

/** Resolves the name and opens the socket. Throws a StartError. */
export async function openUdp(options: UdpOptions): Promise<UdpTransport> {
  const { endpoint, source, name } = options;
  const family = endpoint.family || (source === undefined ? 0 : source.includes(':') ? 6 : 4);
  const found = await lookup(endpoint.host, { family }).catch((error: Error) => {
    throw new StartError(`-n ${name}: ${error.message}`);
  });
  const transport = new UdpTransport(options, found.family === 6 ? 6 : 4);
  await transport.connect(found.address);
  return transport;
}

export class UdpTransport implements Transport {
  readonly sent = new Delivered();
  readonly lost = new Delivered();
  errors = 0;
  readonly #options: UdpOptions;
  readonly #length: number;
  readonly #socket: Socket;
  readonly #free: Datagram[] = [];
  #filling: Datagram;
  #queue: Datagram[] = [];
  /** The queue's first datagram stands here; those before it have left. */
  #head = 0;
  #inFlight = 0;
  #isConnected = false;
  #timer: NodeJS.Timeout | undefined;
  #waiters: (() => void)[] = [];
  #refusals = 0;
  #refused = Number.NEGATIVE_INFINITY;

  constructor(options: UdpOptions, family: 4 | 6) {
    this.#options = options;
    this.#length = options.maxMessage ?? LARGEST[family];
    this.#filling = this.#newDatagram();
    this.#socket = createSocket(family === 6 ? 'udp6' : 'udp4');
  }

  /** An address that cannot be reached is no reason not to start: what is sent there is counted as lost. */
  async connect(address: string): Promise<void> {
    const { endpoint, source, name } = this.#options;
    const socket = this.#socket;
    if (source !== undefined) {
      await once(socket, (done) => socket.bind({ address: source, exclusive: true }, done)).catch(
        (error: Error) => {
          throw new StartError(`-s ${source}: ${error.message}`);
        },
      );
    }
    await once(socket, (done) => socket.connect(endpoint.port, address, done)).then(
      () => {
        this.#isConnected = true;
        socket.setSendBufferSize(SEND_BUFFER);
      },
      (error: Error) => this.#options.log.warn(`${name}: ${error.message}`),
    );
    socket.on('error', (error) => this.#failed(error));
  }

  get view(): DataView {
    return this.#filling.view;
  }

  get isCongested(): boolean {
    return this.#waiting >= MANY_WAITING;
  }

  get isDown(): boolean {
    if (!this.#isConnected) return true;
    return this.#refusals >= MANY_REFUSALS && performance.now() - this.#refused < DOWN_TIME;
  }

  get #waiting(): number {
    return this.#queue.length - this.#head + this.#inFlight;
  }

  send(length: number, records: number): void {
    const datagram = this.#filling;
    datagram.setLength(length);
    datagram.records = records;
    this.#filling = this.#free.pop() ?? this.#newDatagram();
    this.#queue.push(datagram);
    if (this.#timer === undefined) this.#pump();
  }

  drained(): Promise<void> {
    return this.#until(FEW_WAITING);
  }

  async close(): Promise<void> {
    await this.#until(0);
    this.#socket.close();
  }

  #until(few: number): Promise<void> {
    if (this.#waiting <= few) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiters.push(() => {
        if (this.#waiting <= few) resolve();
        else this.#until(few).then(resolve);
      });
    });
  }

  /** Sends as much of the queue as the pace allows; the rest a millisecond later. */
  #pump(): void {
    this.#timer = undefined;
    const { pace } = this.#options;
    while (this.#head < this.#queue.length) {
      if (!pace.allows(performance.now())) {
        this.#timer = setTimeout(() => this.#pump(), 1);
        return;
      }
      const datagram = this.#queue[this.#head++]!;
      pace.spent(datagram.records);
      this.#transmit(datagram);
    }
    this.#queue.length = 0;
    this.#head = 0;
  }

  #transmit(datagram: Datagram): void {
    this.#inFlight++;
    if (this.#isConnected) this.#socket.send(datagram.octets, datagram.done);
    else process.nextTick(datagram.done, new Error('not connected'));
  }

  #newDatagram(): Datagram {
    return new Datagram(this.#length, (datagram, error) => this.#release(datagram, error));
  }

  #release(datagram: Datagram, error: Error | null): void {
    this.#inFlight--;
    const { records } = datagram;
    const octets = datagram.octets.length;
    if (error === null) {
      this.sent.add(records, octets);
    } else {
      this.lost.add(records, octets);
      this.#failed(error);
    }
    this.#free.push(datagram);
    if (this.#waiters.length > 0 && this.#waiting <= FEW_WAITING) {
      const waiters = this.#waiters;
      this.#waiters = [];
      for (const wake of waiters) wake();
    }
  }

  #failed(error: NodeJS.ErrnoException): void {
    this.errors++;
    if (error.code === 'ECONNREFUSED') this.#countRefusal(performance.now());
    const { name, log } = this.#options;
    log.limited(`send ${name}`, `${name}: ${error.message}`);
  }

  #countRefusal(now: number): void {
    this.#refusals = now - this.#refused < REFUSALS_APART ? this.#refusals + 1 : 1;
    this.#refused = now;
  }
}

/** Runs an operation of a socket that ends in `done` or in an `error` event. */
function once(socket: Socket, start: (done: () => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    start(() => {
      socket.off('error', reject);
      resolve();
    });
  });
}
