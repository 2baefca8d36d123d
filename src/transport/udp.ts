/**
 * UDP to one collector: one queue, one pace, one account of what was sent and lost. A sender hands the
 * datagrams to the kernel: many in a system call where koffi is installed (udp-batch.ts), else one by one
 * (udp-dgram.ts).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { StartError } from '../cli/errors.js';
import type { Log } from '../service/log.js';
import { monotonic } from '../service/monotonic.js';
import { Delivered, type Transport } from '../sink/transport.js';
import { type CollectorName, collectorAddress, isOfThisMachine, NameWatch } from './collector-address.js';
import type { DatagramSender, OpenSender, SendReport } from './datagram-sender.js';
import { type Block, MessageQueue } from './message-queue.js';
import { type Pace, UNPACED } from './pace.js';
import { Refusals } from './refusals.js';
import { openBatch } from './udp-batch.js';
import { openDgram } from './udp-dgram.js';

export interface UdpOptions extends CollectorName {
  /** Octets of a datagram's payload; undefined: what fits an Ethernet frame. */
  readonly maxMessage: number | undefined;
  readonly pace: Pace;
  readonly log: Log;
  /**
   * Octets that may wait; what comes beyond them is lost. Undefined: no bound, for a producer that can pause.
   */
  readonly queueOctets?: number | undefined;
  /** Called when the producer pauses because of the pace. */
  readonly onSlow?: (() => void) | undefined;
  /** Look the name up again now and then and after errors: for a program that runs for months. */
  readonly follows?: 'name' | 'address';
  /** Kinds of senders, of which the first that can serve is used. */
  readonly senders?: readonly OpenSender[];
}

/** What fits an Ethernet frame of 1500 octets behind the IP and UDP headers. */
const LONGEST = { 4: 1472, 6: 1452 } as const;

/** Octets of a block of the queue. A run is a block at most. */
const BLOCK = 512 << 10;

/**
 * Octets waiting at which the producer should pause and may go on: a run and a full block behind it, so that
 * neither waits for the other.
 */
const MARKS = { high: 3 * BLOCK, low: 2 * BLOCK };
const PACED_MARKS = { high: 256 << 10, low: 64 << 10 };

/** Milliseconds in which this machine refuses a datagram to itself. */
const LAST_REFUSAL = 10;

const SENDERS = [openBatch, openDgram];

/** Looks the name up and opens the socket. Throws a StartError. */
export async function openUdp(options: UdpOptions): Promise<UdpTransport> {
  const { family, address } = await collectorAddress(options);
  const transport = new UdpTransport(options, family);
  await transport.open(address);
  return transport;
}

export class UdpTransport implements Transport {
  readonly longest: number;
  /** A conversion as fast as possible. Live, and at a pace, calls do not matter: flows go out in their order. */
  readonly prefersOneLength: boolean;
  readonly sent = new Delivered();
  readonly lost = new Delivered();
  errors = 0;
  /** Called when a datagram was lost or the address is another one: templates may be unknown there. */
  onTrouble = (): void => {};
  readonly #options: UdpOptions;
  readonly #family: 4 | 6;
  readonly #marks: typeof MARKS;
  readonly #queue = new MessageQueue(BLOCK);
  readonly #refusals = new Refusals();
  #address = '';
  /** Undefined while the address cannot be reached. */
  #sender: DatagramSender | undefined;
  #isOpening = false;
  #isClosed = false;
  /** The block whose datagrams are being sent, and the first that is not yet given to the sender. */
  #block: Block | undefined;
  #next = 0;
  #isRunning = false;
  /** Octets whose outcome is not known. */
  #waiting = 0;
  #isScheduled = false;
  #timer: NodeJS.Timeout | undefined;
  #waiters: { readonly few: number; readonly wake: () => void }[] = [];
  #watch: NameWatch | undefined;
  /** Resolved at the end of the run. */
  #runWaiter: (() => void) | undefined;

  constructor(options: UdpOptions, family: 4 | 6) {
    this.#options = options;
    this.#family = family;
    this.#marks = options.pace === UNPACED ? MARKS : PACED_MARKS;
    this.prefersOneLength = options.pace === UNPACED && options.queueOctets === undefined;
    this.longest = options.maxMessage ?? LONGEST[family];
  }

  /** An address that cannot be reached is no error: what is sent there is counted as lost. */
  async open(address: string): Promise<void> {
    await this.#openSender(address);
    const { follows, name, log } = this.#options;
    if (follows !== 'name') return;
    const found = (now: string) => void this.#isAt(now);
    const failed = (error: Error) => log.limited(`look up ${name}`, `${name}: ${error.message}`);
    this.#watch = new NameWatch(this.#options, this.#family, found, failed);
  }

  get isCongested(): boolean {
    return this.#waiting >= this.#marks.high;
  }

  get isDown(): boolean {
    return this.#sender === undefined || this.#refusals.areMany(monotonic());
  }

  send(octets: Uint8Array, length: number, records: number): void {
    const { queueOctets } = this.#options;
    if (queueOctets !== undefined && this.#waiting + length > queueOctets) {
      this.#drop(length, records);
      return;
    }
    this.#queue.push(octets, length, records);
    this.#waiting += length;
    if (this.#queue.hasFullBlock) this.#pump();
    else if (!this.#isScheduled) this.#schedule();
  }

  drained(): Promise<void> {
    if (!this.isCongested) return Promise.resolve();
    const { pace, onSlow } = this.#options;
    if (pace !== UNPACED) onSlow?.();
    return this.#until(this.#marks.low);
  }

  async close(): Promise<void> {
    this.#watch?.stop();
    await this.#until(0);
    this.#isClosed = true;
    await this.#awaitRefusal();
    this.#sender?.close();
  }

  /** Resolves when no more than `few` octets wait. */
  #until(few: number): Promise<void> {
    if (this.#waiting <= few) return Promise.resolve();
    return new Promise((wake) => this.#waiters.push({ few, wake }));
  }

  /** What does not fill a block is sent when the event loop turns. */
  #schedule(): void {
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#pump();
    });
  }

  /** Begins the next run, if there is something to send and nothing holds it back. */
  #pump(): void {
    if (this.#isRunning || this.#isOpening || this.#timer !== undefined) return;
    this.#block ??= this.#queue.take();
    const block = this.#block;
    if (block === undefined) return;
    const first = this.#next;
    const count = this.#allowed(block, first);
    if (count === 0) return;
    this.#next += count;
    this.#isRunning = true;
    if (this.#sender === undefined) this.#failRun(first, count);
    else this.#sender.send(block, first, count);
  }

  /** How many datagrams the pace allows now. When it is none, asks again a millisecond later. */
  #allowed(block: Block, first: number): number {
    const { pace } = this.#options;
    if (pace === UNPACED) return block.count - first;
    let end = first;
    for (; end < block.count && pace.allows(monotonic()); end++) pace.spend(block.records[end]!);
    if (end > first) return end - first;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#pump();
    }, 1);
    return 0;
  }

  readonly #report: SendReport = {
    taken: (first, count) => {
      const octets = this.#block!.octetsOf(first, count);
      const records = this.#block!.recordsOf(first, count);
      this.sent.add(records, octets, count);
      this.#refusals.sent(count, records, octets);
      this.#waiting -= octets;
    },
    failed: (first, count, code) => {
      const octets = this.#block!.octetsOf(first, count);
      this.lost.add(this.#block!.recordsOf(first, count), octets, count);
      this.#waiting -= octets;
      this.#failed(code);
    },
    refused: (code) => {
      this.#refusals.refuse(this.sent, this.lost, monotonic());
      this.#failed(code);
    },
    ended: () => this.#runEnded(),
  };

  #runEnded(): void {
    const block = this.#block!;
    this.#isRunning = false;
    if (this.#next === block.count) {
      this.#queue.release(block);
      this.#block = undefined;
      this.#next = 0;
    }
    this.#runWaiter?.();
    this.#runWaiter = undefined;
    // The next run first: it goes on while those that wait are busy.
    this.#pump();
    if (this.#waiters.length > 0) this.#wake();
  }

  #failRun(first: number, count: number): void {
    process.nextTick(() => {
      this.#report.failed(first, count, 'not connected');
      this.#report.ended();
    });
  }

  #wake(): void {
    const ready = this.#waiters.filter(({ few }) => this.#waiting <= few);
    this.#waiters = this.#waiters.filter(({ few }) => this.#waiting > few);
    for (const { wake } of ready) wake();
  }

  #drop(length: number, records: number): void {
    const { name, log } = this.#options;
    this.lost.add(records, length);
    log.limited(`drop ${name}`, `${name}: the queue is full: flow records are lost`);
  }

  #failed(code: string): void {
    const { name, log } = this.#options;
    this.errors++;
    log.limited(`send ${name}`, `${name}: send ${code}`);
    this.onTrouble();
    this.#watch?.afterError();
  }

  /** The name's address now. */
  async #isAt(address: string): Promise<void> {
    const isNew = address !== this.#address;
    if (this.#isOpening || this.#isClosed || (!isNew && this.#sender !== undefined)) return;
    const { name, log } = this.#options;
    if (isNew) log.info(`${name}: its address is ${address} now`);
    try {
      await this.#openSender(address);
    } catch (error) {
      log.limited(`send ${name}`, `${name}: ${(error as Error).message}`);
    }
    this.onTrouble();
  }

  /** Rejects with a StartError when the source address is not to be had. */
  async #openSender(address: string): Promise<void> {
    const { endpoint, source, name, log, senders = SENDERS } = this.#options;
    const to = { family: this.#family, address, port: endpoint.port, source };
    this.#isOpening = true;
    if (this.#isRunning) await new Promise<void>((wake) => (this.#runWaiter = wake));
    this.#address = address;
    this.#sender?.close();
    this.#sender = undefined;
    try {
      for (const open of senders) this.#sender ??= await open(to, this.#report);
    } catch (error) {
      if (error instanceof StartError) throw error;
      log.limited(`send ${name}`, `${name}: ${(error as Error).message}`);
    } finally {
      this.#isOpening = false;
      if (this.#isClosed) this.#sender?.close();
      else this.#pump();
    }
  }

  /** The last datagram may be refused: by this machine soon, by another at a time that nobody knows. */
  async #awaitRefusal(): Promise<void> {
    const deadline = monotonic() + (isOfThisMachine(this.#address) ? LAST_REFUSAL : 0);
    for (;;) {
      this.#sender?.poll();
      if (!this.#refusals.isLatestOpen || monotonic() >= deadline) return;
      await sleep(1);
    }
  }
}
