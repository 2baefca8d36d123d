/** UDP to one collector: paced, with a bounded queue, every datagram accounted for. */
import { createSocket, type Socket } from 'node:dgram';
import { setImmediate } from 'node:timers/promises';
import { StartError } from '../cli/errors.js';
import { monotonic } from '../service/monotonic.js';
import { Delivered, type Transport, takeBack } from '../sink/transport.js';
import {
  collectorAddress,
  LARGEST,
  Refusals,
  resolveName,
  SEND_BUFFER,
  type UdpOptions,
} from './udp-collector.js';

/** Datagrams that wait or are on their way when the reader is asked to pause, and when it may go on. */
const MANY_WAITING = 256;
const FEW_WAITING = 64;

/** Datagrams whose memory is asked for at once. */
const DATAGRAMS = 64;

/** Milliseconds from one look-up of the name to the next, and the least of that after errors. */
const LOOK_UP_INTERVAL = 300_000;
const LOOK_UP_AFTER_ERROR = 10_000;

/** A datagram's memory, used again and again. */
class Datagram {
  readonly #whole: Uint8Array;
  readonly #release: (datagram: Datagram, error: Error | null) => void;
  /** As many octets as are sent. */
  octets: Uint8Array;
  records = 0;

  constructor(whole: Uint8Array, release: (datagram: Datagram, error: Error | null) => void) {
    this.#whole = whole;
    this.#release = release;
    this.octets = whole;
  }

  fill(octets: Uint8Array, length: number): void {
    this.#whole.set(octets);
    if (this.octets.length !== length) this.octets = this.#whole.subarray(0, length);
  }

  /** Bound once: a callback for each send would be garbage for each send. */
  readonly done = (error: Error | null): void => this.#release(this, error);
}

/** Resolves the name and opens the socket. Throws a StartError. */
export async function openUdp(options: UdpOptions): Promise<UdpTransport> {
  const { family, address } = await collectorAddress(options);
  const transport = new UdpTransport(options, family);
  await transport.open(address);
  if (options.follows === 'name') transport.follow();
  return transport;
}

export class UdpTransport implements Transport {
  readonly sent = new Delivered();
  readonly lost = new Delivered();
  errors = 0;
  /** Called when a datagram was lost, or the collector's address changed: whoever listens now may know nothing yet. */
  onTrouble = (): void => {};
  readonly #options: UdpOptions;
  readonly #family: 4 | 6;
  readonly longest: number;
  readonly #socket: Socket;
  readonly #free: Datagram[] = [];
  #queue: Datagram[] = [];
  /** The queue's first datagram stands here; those before it have left. */
  #head = 0;
  #inFlight = 0;
  #isConnected = false;
  #isConnecting = false;
  #address = '';
  #lookedUp = 0;
  #lookUps: NodeJS.Timeout | undefined;
  #timer: NodeJS.Timeout | undefined;
  #waiters: (() => void)[] = [];
  #lastRecords = 0;
  #lastOctets = 0;
  readonly #refusals = new Refusals();

  constructor(options: UdpOptions, family: 4 | 6) {
    this.#options = options;
    this.#family = family;
    this.longest = options.maxMessage ?? LARGEST[family];
    // Its addresses are known already: the system's resolver need not be loaded.
    this.#socket = createSocket({
      type: family === 6 ? 'udp6' : 'udp4',
      lookup: (address, _options, found) => found(null, address, family),
    });
  }

  /** An address that cannot be reached is no reason not to start: what is sent there is counted as lost. */
  async open(address: string): Promise<void> {
    const { source } = this.#options;
    const socket = this.#socket;
    if (source !== undefined) {
      await once(socket, (done) => socket.bind({ address: source, exclusive: true }, done)).catch(
        (error: Error) => {
          throw new StartError(`-s ${source}: ${error.message}`);
        },
      );
    }
    await this.#connect(address);
    socket.on('error', (error) => this.#refusedLater(error));
  }

  /** From now on the name's address is looked up again, every five minutes and after errors. */
  follow(): void {
    this.#lookUps = setInterval(() => this.#lookUpAgain(), LOOK_UP_INTERVAL).unref();
  }

  get isCongested(): boolean {
    return this.#waiting >= MANY_WAITING;
  }

  get isDown(): boolean {
    if (!this.#isConnected) return true;
    return this.#refusals.areMany(monotonic());
  }

  get #waiting(): number {
    return this.#queue.length - this.#head + this.#inFlight;
  }

  send(octets: Uint8Array, length: number, records: number): void {
    if (this.#free.length === 0) this.#addDatagrams();
    const datagram = this.#free.pop()!;
    datagram.fill(octets, length);
    datagram.records = records;
    this.#queue.push(datagram);
    if (this.#timer === undefined) this.#pump();
  }

  drained(): Promise<void> {
    return this.#until(FEW_WAITING);
  }

  async close(): Promise<void> {
    clearInterval(this.#lookUps);
    await this.#until(0);
    // A refusal of the last datagram by this machine is here by now.
    for (let turn = 0; turn < 2; turn++) await setImmediate();
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

  async #connect(address: string): Promise<void> {
    const { endpoint, name, log } = this.#options;
    const socket = this.#socket;
    this.#lookedUp = monotonic();
    this.#isConnecting = true;
    try {
      if (this.#isConnected) socket.disconnect();
      this.#isConnected = false;
      await once(socket, (done) => socket.connect(endpoint.port, address, done));
      this.#isConnected = true;
      this.#address = address;
      socket.setSendBufferSize(SEND_BUFFER);
    } catch (error) {
      log.limited(`send ${name}`, `${name}: ${(error as Error).message}`);
    }
    this.#isConnecting = false;
    this.#pump();
  }

  async #lookUpAgain(): Promise<void> {
    const { endpoint, name, log, resolve = resolveName } = this.#options;
    if (this.#isConnecting) return;
    this.#lookedUp = monotonic();
    try {
      const { address } = await resolve(endpoint.host, this.#family);
      if (this.#isConnected && address === this.#address) return;
      if (address !== this.#address) log.info(`${name}: its address is ${address} now`);
      await this.#connect(address);
      this.onTrouble();
    } catch (error) {
      log.limited(`look up ${name}`, `${name}: ${(error as Error).message}`);
    }
  }

  /** Sends as much of the queue as the pace allows; the rest a millisecond later. */
  #pump(): void {
    this.#timer = undefined;
    if (this.#isConnecting) return;
    const { pace } = this.#options;
    while (this.#head < this.#queue.length) {
      if (!pace.allows(monotonic())) {
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

  #addDatagrams(): void {
    const { longest } = this;
    const memory = new Uint8Array(DATAGRAMS * longest);
    for (let end = memory.length; end > 0; end -= longest) {
      this.#free.push(new Datagram(memory.subarray(end - longest, end), this.#release));
    }
  }

  readonly #release = (datagram: Datagram, error: Error | null): void => {
    this.#inFlight--;
    const { records } = datagram;
    const octets = datagram.octets.length;
    if (error === null) {
      this.sent.add(records, octets);
      this.#lastRecords = records;
      this.#lastOctets = octets;
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
  };

  /** A refusal that comes while nothing is being sent is of the datagram that was sent last. */
  #refusedLater(error: NodeJS.ErrnoException): void {
    if (this.#lastOctets > 0) takeBack(this.sent, this.lost, this.#lastRecords, this.#lastOctets);
    this.#lastOctets = 0;
    this.#failed(error);
  }

  #failed(error: NodeJS.ErrnoException): void {
    const { name, log, lookUpAfterError = LOOK_UP_AFTER_ERROR } = this.#options;
    this.errors++;
    log.limited(`send ${name}`, `${name}: ${error.message}`);
    this.onTrouble();
    const now = monotonic();
    if (error.code === 'ECONNREFUSED') this.#refusals.count(now);
    if (this.#lookUps !== undefined && now - this.#lookedUp > lookUpAfterError) void this.#lookUpAgain();
  }
}

/** Runs an operation of a socket that ends in `done`, which connect hands its error to, or in an `error` event. */
function once(socket: Socket, start: (done: (error?: Error) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    start((error) => {
      socket.off('error', reject);
      if (error instanceof Error) reject(error);
      else resolve();
    });
  });
}
