/**
 * IPFIX over connections: what TCP and TLS have in common. Each connection is a transport session, in which templates and
 * sequence numbers start again (RFC 7011, 10.4).
 *
 * One block of messages is on its way at a time; it counts as sent when the kernel has taken all of it. When the connection
 * breaks before that, the whole block counts as lost, and no part of it is sent again: some of its messages may have
 * arrived, and a flow must not be told twice. What the kernel has taken and the collector not read by then is gone too,
 * but IPFIX has no acknowledgement: that part cannot be known, and counts as sent.
 */
import type { Duplex } from 'node:stream';
import { getSystemErrorMap } from 'node:util';
import { messageLength, SessionSequence, TemplateStore } from '../../protocol/export/session.js';
import { printable } from '../cli/printable.js';
import type { Log } from '../service/log.js';
import { monotonic } from '../service/monotonic.js';
import { Delivered, type Transport } from '../sink/transport.js';
import { type Block, MessageQueue } from './message-queue.js';
import type { Pace } from './pace.js';

/** Octets of a message at most, and of a write: blocks are filled to 48 KiB and more. */
const MESSAGE = 16 << 10;
const WRITE = 64 << 10;

/** With a pace, a write is one message that would fit a datagram, so that records leave evenly. */
const PACED_MESSAGE = 1472;

export interface Connection {
  readonly socket: Duplex;
  /** Resolves when messages may be written, rejects with the reason why not. */
  readonly established: Promise<void>;
}

/** Times are milliseconds. */
export interface StreamPolicy {
  /** A full queue makes the reader wait, or it drops what comes. */
  readonly whenFull: 'wait' | 'drop';
  readonly queueOctets: number;
  /** The pause after a session or an attempt that failed; it doubles up to `longestPause`. */
  readonly firstPause: number;
  readonly longestPause: number;
  /** After so long a session the pauses start again from the first. */
  readonly steadyAfter: number;
  /** How long a connection may take to be established. */
  readonly connectLimit: number;
  /** Attempts in a row before all is given up. */
  readonly mostAttempts: number;
  /** How long a connected collector may take nothing before all is given up. */
  readonly patience: number;
  /** How long the end may take: of the session, and when live of what is left in the queue, too. */
  readonly farewell: number;
}

const EITHER = {
  firstPause: 1000,
  longestPause: 60_000,
  steadyAfter: 10_000,
  connectLimit: 10_000,
  farewell: 10_000,
};

/** A capture can wait for its collector, but not for ever. */
export const CONVERSION: StreamPolicy = {
  ...EITHER,
  whenFull: 'wait',
  queueOctets: 1 << 20,
  mostAttempts: 10,
  patience: 120_000,
};

/** The firewall does not wait. A peer that is gone is for the kernel to find out: keep-alive, retransmissions. */
export const LIVE: StreamPolicy = {
  ...EITHER,
  whenFull: 'drop',
  queueOctets: 16 << 20,
  mostAttempts: Number.POSITIVE_INFINITY,
  patience: Number.POSITIVE_INFINITY,
};

export interface StreamOptions {
  /** For messages: the collector as the operator named it. */
  readonly name: string;
  readonly dial: () => Connection;
  readonly policy: StreamPolicy;
  /** Undefined: as fast as the collector reads. */
  readonly pace: Pace | undefined;
  readonly log: Log;
}

export class StreamTransport implements Transport {
  readonly sent = new Delivered();
  readonly lost = new Delivered();
  errors = 0;
  readonly longest: number;
  readonly keepsTemplates = true;
  readonly #options: StreamOptions;
  readonly #policy: StreamPolicy;
  /** The message at hand. */
  readonly #octets: Uint8Array;
  readonly #view: DataView;
  readonly #queue: MessageQueue;
  readonly #sequence = new SessionSequence();
  /** Templates of messages that have left the queue: a new session has to hear them again. */
  readonly #told = new TemplateStore();
  /** Templates of messages that were dropped: they go before the next message that is not. */
  readonly #owed = new TemplateStore();
  /** Established, or on its way to be. */
  #socket: Duplex | undefined;
  #isEstablished = false;
  #since = 0;
  /** What the kernel has not yet taken. */
  #writing: Block | undefined;
  #progress = 0;
  /** Pauses since the last steady session. */
  #pauses = 0;
  #pause: NodeJS.Timeout | undefined;
  #paceTimer: NodeJS.Timeout | undefined;
  #patienceTimer: NodeJS.Timeout | undefined;
  #farewellTimer: NodeJS.Timeout | undefined;
  #isClosing = false;
  #isLeaving = false;
  #isOver = false;
  #waiters: (() => void)[] = [];
  readonly #closed: Promise<void>;
  #resolveClosed = () => {};

  constructor(options: StreamOptions) {
    this.#options = options;
    this.#policy = options.policy;
    const isPaced = options.pace !== undefined;
    this.longest = isPaced ? PACED_MESSAGE : MESSAGE;
    this.#octets = new Uint8Array(this.longest);
    this.#view = new DataView(this.#octets.buffer);
    this.#queue = new MessageQueue(isPaced ? PACED_MESSAGE : WRITE);
    this.#closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  /** One attempt. Rejects with the reason when it fails; the transport is of no use then. */
  async open(): Promise<void> {
    const failure = await this.#connect();
    if (failure !== undefined) throw new Error(failure);
  }

  /** Connects in the background, again and again. */
  start(): void {
    void this.#tryAgain();
  }

  get isDown(): boolean {
    return !this.#isEstablished;
  }

  get isCongested(): boolean {
    const { whenFull, queueOctets } = this.#policy;
    return whenFull === 'wait' && this.#queue.octets >= queueOctets;
  }

  /** Also resolves when the connection comes or goes: whoever has another collector to turn to asks again. */
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
    this.#sequence.closeGap(this.#view, 0);
    const owed = this.#owed.announcement(this.#view, 0);
    if (owed !== undefined) {
      this.#queue.push(owed, owed.length, 0);
      this.#owed.forget(this.#view, 0);
    }
    this.#queue.push(this.#octets, length, records);
    this.#pump();
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    if (this.#isOver) return;
    const { whenFull, farewell } = this.#policy;
    if (whenFull === 'drop') {
      this.#farewellTimer = setTimeout(() => this.#giveUp('does not take what is left'), farewell);
    }
    if (this.#queue.isEmpty && !this.#isEstablished) {
      this.#finish();
    } else if (whenFull === 'drop' && this.#pause !== undefined) {
      // One last attempt, now.
      clearTimeout(this.#pause);
      void this.#tryAgain();
    } else {
      this.#pump();
    }
    await this.#closed;
  }

  async #tryAgain(): Promise<void> {
    this.#pause = undefined;
    const failure = await this.#connect();
    if (failure !== undefined) this.#failed(failure);
  }

  /** Resolves to the reason when it fails. */
  async #connect(): Promise<string | undefined> {
    const { socket, established } = this.#options.dial();
    this.#socket = socket;
    let cause = 'closed by the collector';
    socket.on('error', (error) => {
      cause = reasonOf(error);
    });
    const tooLate = setTimeout(() => socket.destroy(new Error('no answer')), this.#policy.connectLimit);
    try {
      await established;
    } catch (error) {
      socket.destroy();
      return reasonOf(error as Error);
    } finally {
      clearTimeout(tooLate);
    }
    if (socket.destroyed) return cause;
    // A collector says nothing in IPFIX: one that ends its side has ended the session. What it says is read and forgotten,
    // or its end would not be seen.
    socket.on('end', () => socket.destroy());
    socket.on('close', () => this.#ended(cause));
    socket.resume();
    this.#begin();
    return undefined;
  }

  #begin(): void {
    const { name, log } = this.#options;
    const { patience } = this.#policy;
    if (this.#pauses > 0) log.info(`${name}: connected`);
    this.#isEstablished = true;
    this.#since = monotonic();
    this.#sequence.restart();
    if (patience < Number.POSITIVE_INFINITY) {
      this.#patienceTimer = setInterval(() => this.#checkProgress(), patience / 4);
    }
    this.#wake();
    this.#pump();
  }

  /** Writes the next block, if there is one and nothing is on its way. */
  #pump(): void {
    if (!this.#isEstablished || this.#writing !== undefined || this.#isLeaving) return;
    if (this.#queue.isEmpty) {
      if (this.#isClosing) this.#leave();
      return;
    }
    if (this.#mayWrite()) this.#write(this.#queue.take()!);
  }

  #mayWrite(): boolean {
    const { pace } = this.#options;
    if (pace === undefined || pace.allows(monotonic())) return true;
    this.#paceTimer ??= setTimeout(() => {
      this.#paceTimer = undefined;
      this.#pump();
    }, 1);
    return false;
  }

  #write(block: Block): void {
    const socket = this.#socket!;
    this.#writing = block;
    this.#progress = monotonic();
    socket.cork();
    let announced = 0;
    for (let at = 0; at < block.length; at += messageLength(block.view, at)) {
      if (this.#sequence.number(block.view, at)) {
        const announcement = this.#told.announcement(block.view, at);
        if (announcement !== undefined) socket.write(announcement);
        announced += announcement?.length ?? 0;
      }
      this.#told.keep(block.view, at);
    }
    socket.write(block.octets.subarray(0, block.length), (error) => {
      if (!error && this.#writing === block) this.#taken(block, announced);
    });
    socket.uncork();
    let records = 0;
    for (const count of block.records) records += count;
    this.#options.pace?.spent(records);
  }

  #taken(block: Block, announced: number): void {
    if (announced > 0) this.sent.add(0, announced);
    account(this.sent, block);
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
    if (monotonic() - this.#since >= this.#policy.steadyAfter) this.#pauses = 0;
    if (!this.#isLeaving) {
      this.#failed(cause);
      return;
    }
    if (cause !== 'closed by the collector') {
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
    const { whenFull, firstPause, longestPause, mostAttempts } = this.#policy;
    if (this.#isClosing && this.#queue.isEmpty) {
      log.warn(`${name}: ${cause}`);
      this.#finish();
    } else if (this.#pauses >= mostAttempts || (this.#isClosing && whenFull === 'drop')) {
      this.#giveUp(cause);
    } else {
      const pause = Math.min(firstPause * 2 ** this.#pauses, longestPause);
      this.#pauses++;
      log.limited(`connect ${name}`, `${name}: ${cause}; next attempt in ${pause / 1000} s`);
      this.#pause = setTimeout(() => void this.#tryAgain(), pause);
      this.#wake();
    }
  }

  #checkProgress(): void {
    const { patience } = this.#policy;
    if (this.#writing === undefined || monotonic() - this.#progress < patience) return;
    this.errors++;
    this.#giveUp(`takes nothing for ${patience / 1000} s`);
  }

  /** What waits is lost, and what comes will be. */
  #giveUp(cause: string): void {
    const { name, log } = this.#options;
    log.error(`${name}: ${cause}; given up`);
    this.#loseWriting();
    for (let block = this.#queue.take(); block !== undefined; block = this.#queue.take()) {
      account(this.lost, block);
    }
    this.#finish();
  }

  /** Everything is written: the collector is told so, and given time to read it. */
  #leave(): void {
    this.#isLeaving = true;
    clearTimeout(this.#farewellTimer);
    this.#farewellTimer = setTimeout(() => this.#finish(), this.#policy.farewell);
    this.#socket!.end();
  }

  #finish(): void {
    this.#isOver = true;
    clearTimeout(this.#pause);
    clearTimeout(this.#paceTimer);
    clearTimeout(this.#farewellTimer);
    clearInterval(this.#patienceTimer);
    this.#isEstablished = false;
    this.#socket?.destroy();
    this.#wake();
    this.#resolveClosed();
  }

  #drop(length: number, records: number): void {
    this.#sequence.leaveOut(this.#view, 0);
    this.#owed.keep(this.#view, 0);
    this.lost.add(records, length);
    const { name, log } = this.#options;
    if (!this.#isOver) log.limited(`drop ${name}`, `${name}: the queue is full: flow records are lost`);
  }

  #loseWriting(): void {
    if (this.#writing === undefined) return;
    account(this.lost, this.#writing);
    this.#queue.release(this.#writing);
    this.#writing = undefined;
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }
}

function account(to: Delivered, block: Block): void {
  let at = 0;
  for (const records of block.records) {
    const length = messageLength(block.view, at);
    to.add(records, length);
    at += length;
  }
}

interface SocketError extends Error {
  readonly code?: string;
  readonly errno?: number;
  /** OpenSSL's words; the message has more lines than one. */
  readonly reason?: string;
  /** Of an AggregateError: one for each address of a name. */
  readonly errors?: readonly SocketError[];
}

/** One line in the system's words: `connection refused`. */
export function reasonOf(error: SocketError): string {
  const { code, errno, errors, message, reason } = error;
  if (errors?.[0] !== undefined) return reasonOf(errors[0]);
  if (code?.startsWith('ERR_SSL_') && reason !== undefined) return `TLS: ${reason}`;
  const known = errno === undefined ? undefined : getSystemErrorMap().get(errno)?.[1];
  return printable(known ?? reason ?? message);
}
