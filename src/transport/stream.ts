/**
 * IPFIX over connections: what TCP and TLS have in common. Each connection is a transport session (RFC 7011,
 * 10.4).
 *
 * One block of messages is written at a time; it counts as sent when the kernel has taken all of it. When the
 * connection breaks before that, the whole block counts as lost and no part of it is sent again: some of its
 * messages may have arrived, and no flow may be reported twice. IPFIX has no acknowledgements: what the
 * kernel has taken counts as sent, whether or not the collector reads it.
 */
import type { Duplex } from 'node:stream';
import type { Log } from '../service/log.js';
import { monotonic } from '../service/monotonic.js';
import { Delivered, type Transport } from '../sink/transport.js';
import { CLOSED, type Connection, Dialer } from './dialer.js';
import { type Block, MessageQueue } from './message-queue.js';
import type { Pace } from './pace.js';
import { SessionMessages } from './session-messages.js';
import type { StreamPolicy } from './stream-policy.js';

/** Octets of a message and of a block at most: blocks are filled to 48 KiB and more. */
const MESSAGE = 16 << 10;
const BLOCK = 64 << 10;

/** With a pace, a block is one message that would fit a datagram, so that records are sent evenly. */
const PACED_MESSAGE = 1472;

export interface StreamOptions {
  /** For messages: the collector as the operator named it. */
  readonly name: string;
  readonly dial: () => Connection;
  readonly policy: StreamPolicy;
  /** Undefined: as fast as the collector reads. */
  readonly pace: Pace | undefined;
  readonly log: Log;
  /** A monotonic clock in milliseconds, in place of the system's. */
  readonly now?: () => number;
}

export class StreamTransport implements Transport {
  readonly sent = new Delivered();
  readonly lost = new Delivered();
  errors = 0;
  readonly longest: number;
  readonly keepsTemplates = true;
  readonly #options: StreamOptions;
  readonly #policy: StreamPolicy;
  readonly #now: () => number;
  /** A copy of the message at hand, whose sequence number is changed. */
  readonly #octets: Uint8Array;
  readonly #view: DataView;
  readonly #queue: MessageQueue;
  readonly #messages = new SessionMessages();
  readonly #dialer: Dialer;
  #socket: Duplex | undefined;
  #isEstablished = false;
  /** The block that the kernel has not taken yet, and when it was written. */
  #writing: Block | undefined;
  #writtenAt = 0;
  #paceTimer: NodeJS.Timeout | undefined;
  #patienceTimer: NodeJS.Timeout | undefined;
  #closeTimer: NodeJS.Timeout | undefined;
  /** `close` was called; the session is ended; nothing more is sent. */
  #isClosing = false;
  #isEnding = false;
  #isOver = false;
  #waiters: (() => void)[] = [];
  readonly #closed: Promise<void>;
  #resolveClosed = () => {};

  constructor(options: StreamOptions) {
    this.#options = options;
    this.#policy = options.policy;
    this.#now = options.now ?? monotonic;
    this.#dialer = new Dialer(
      { ...options, now: this.#now },
      {
        begun: (socket) => this.#begin(socket),
        ended: (cause) => this.#ended(cause),
        failed: (cause) => this.#failed(cause),
      },
    );
    const isPaced = options.pace !== undefined;
    this.longest = isPaced ? PACED_MESSAGE : MESSAGE;
    this.#octets = new Uint8Array(this.longest);
    this.#view = new DataView(this.#octets.buffer);
    this.#queue = new MessageQueue(isPaced ? PACED_MESSAGE : BLOCK);
    this.#closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  /** Connects, once. Rejects with the reason when that fails; the transport is of no use then. */
  async open(): Promise<void> {
    const failure = await this.#dialer.dial();
    if (failure !== undefined) throw new Error(failure);
  }

  /** Connects in the background, again and again. */
  start(): void {
    void this.#dialer.dialAgain();
  }

  get isDown(): boolean {
    return !this.#isEstablished;
  }

  /**
   * When live a producer is asked to wait only for a collector that is up, and early: it may not be able to.
   * A conversion waits for one that is down, too.
   */
  get isCongested(): boolean {
    const { whenFull, queueOctets } = this.#policy;
    const { octets } = this.#queue;
    if (whenFull === 'wait') return octets >= queueOctets;
    return this.#isEstablished && octets > queueOctets / 2;
  }

  /** Also resolves when the connection comes or goes: a producer that has another collector asks again. */
  drained(): Promise<void> {
    if (!this.isCongested) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  send(octets: Uint8Array, length: number, records: number): void {
    this.#octets.set(octets);
    const { whenFull, queueOctets } = this.#policy;
    const isFull = whenFull === 'drop' && this.#queue.octets + length > queueOctets;
    if (isFull || this.#isOver) {
      this.#drop(length, records);
      return;
    }
    const templates = this.#messages.queue(this.#view);
    if (templates !== undefined) this.#queue.push(templates, templates.length, 0);
    this.#queue.push(this.#octets, length, records);
    this.#pump();
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    if (this.#isOver) return;
    const { whenFull, closeLimit } = this.#policy;
    if (whenFull === 'drop') {
      this.#closeTimer = setTimeout(() => this.#giveUp('does not take what is left'), closeLimit);
    }
    if (this.#queue.isEmpty && !this.#isEstablished) {
      this.#finish();
    } else if (whenFull === 'drop' && this.#dialer.isPausing) {
      // One last attempt, now.
      void this.#dialer.dialAgain();
    } else {
      this.#pump();
    }
    await this.#closed;
  }

  #begin(socket: Duplex): void {
    const { patience } = this.#policy;
    this.#socket = socket;
    this.#isEstablished = true;
    this.#messages.restart();
    if (patience < Number.POSITIVE_INFINITY) {
      this.#patienceTimer = setInterval(() => this.#checkProgress(), patience / 4);
    }
    this.#wake();
    this.#pump();
  }

  /** Writes the next block, if there is one and the kernel has taken the one before. */
  #pump(): void {
    if (!this.#isEstablished || this.#writing !== undefined || this.#isEnding) return;
    if (this.#queue.isEmpty) {
      if (this.#isClosing) this.#endSession();
      return;
    }
    if (this.#mayWrite()) this.#write(this.#queue.take()!);
  }

  #mayWrite(): boolean {
    const { pace } = this.#options;
    if (pace === undefined || pace.allows(this.#now())) return true;
    this.#paceTimer ??= setTimeout(() => {
      this.#paceTimer = undefined;
      this.#pump();
    }, 1);
    return false;
  }

  #write(block: Block): void {
    const socket = this.#socket!;
    this.#writing = block;
    this.#writtenAt = this.#now();
    const templates = this.#messages.number(block);
    socket.cork();
    for (const message of templates) socket.write(message);
    socket.write(block.octets.subarray(0, block.length), (error) => {
      if (!error && this.#writing === block) this.#taken(block, templates);
    });
    socket.uncork();
    this.#options.pace?.spend(block.recordsOf(0, block.count));
  }

  #taken(block: Block, templates: readonly Uint8Array[]): void {
    for (const { length } of templates) this.sent.add(0, length);
    this.sent.add(block.recordsOf(0, block.count), block.length, block.count);
    this.#writing = undefined;
    this.#queue.release(block);
    if (this.#queue.octets <= this.#policy.queueOctets / 4) this.#wake();
    this.#pump();
  }

  #ended(cause: string): void {
    clearInterval(this.#patienceTimer);
    this.#isEstablished = false;
    if (this.#isOver) return;
    this.#loseWriting();
    if (!this.#isEnding) {
      this.#failed(cause);
      return;
    }
    if (cause !== CLOSED) {
      this.errors++;
      this.#options.log.warn(`${this.#options.name}: ${cause} at the end: it may not have read everything`);
    }
    this.#finish();
  }

  /** A session or an attempt has failed. */
  #failed(cause: string): void {
    if (this.#isOver) return;
    this.errors++;
    const { name, log } = this.#options;
    if (this.#isClosing && this.#queue.isEmpty) {
      log.warn(`${name}: ${cause}`);
      this.#finish();
    } else if (!this.#dialer.mayTryAgain || (this.#isClosing && this.#policy.whenFull === 'drop')) {
      this.#giveUp(cause);
    } else {
      this.#dialer.dialLater(cause);
      this.#wake();
    }
  }

  #checkProgress(): void {
    const { patience } = this.#policy;
    if (this.#writing === undefined || this.#now() - this.#writtenAt < patience) return;
    this.errors++;
    this.#giveUp(`takes nothing for ${patience / 1000} s`);
  }

  /** What waits is lost, and what comes will be. */
  #giveUp(cause: string): void {
    const { name, log } = this.#options;
    log.error(`${name}: ${cause}; given up`);
    this.#loseWriting();
    for (let block = this.#queue.take(); block !== undefined; block = this.#queue.take()) this.#lose(block);
    this.#finish();
  }

  /** Everything is written: our side of the connection ends, and the collector has time to read. */
  #endSession(): void {
    this.#isEnding = true;
    clearTimeout(this.#closeTimer);
    this.#closeTimer = setTimeout(() => this.#finish(), this.#policy.closeLimit);
    this.#socket!.end();
  }

  #finish(): void {
    this.#isOver = true;
    clearTimeout(this.#paceTimer);
    clearTimeout(this.#closeTimer);
    clearInterval(this.#patienceTimer);
    this.#isEstablished = false;
    this.#dialer.stop();
    this.#wake();
    this.#resolveClosed();
  }

  #drop(length: number, records: number): void {
    this.#messages.drop(this.#view);
    this.lost.add(records, length);
    const { name, log } = this.#options;
    if (!this.#isOver) log.limited(`drop ${name}`, `${name}: the queue is full: flow records are lost`);
  }

  #loseWriting(): void {
    if (this.#writing !== undefined) this.#lose(this.#writing);
    this.#writing = undefined;
  }

  #lose(block: Block): void {
    this.lost.add(block.recordsOf(0, block.count), block.length, block.count);
    this.#queue.release(block);
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }
}
