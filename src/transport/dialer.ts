/** Connects to a collector, and again after pauses that double. */
import type { Duplex } from 'node:stream';
import type { Log } from '../service/log.js';
import { reasonOf } from './connection-error.js';
import type { StreamPolicy } from './stream-policy.js';

export interface Connection {
  readonly socket: Duplex;
  /** Resolves when messages may be written, rejects with the reason why not. */
  readonly established: Promise<void>;
}

export interface DialerOptions {
  /** For messages: the collector as the operator named it. */
  readonly name: string;
  readonly dial: () => Connection;
  readonly policy: StreamPolicy;
  readonly log: Log;
  /** A monotonic clock in milliseconds. */
  readonly now: () => number;
}

export interface DialerEvents {
  /** A session begins. */
  begun(socket: Duplex): void;
  /** The session has ended, for this cause. */
  ended(cause: string): void;
  /** An attempt of `dialAgain` or `dialLater` failed. */
  failed(cause: string): void;
}

/** The cause of an end that is no error. */
export const CLOSED = 'closed by the collector';

export class Dialer {
  readonly #options: DialerOptions;
  readonly #events: DialerEvents;
  #socket: Duplex | undefined;
  #begunAt = 0;
  /** Pauses since the last steady session. */
  #pauses = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: DialerOptions, events: DialerEvents) {
    this.#options = options;
    this.#events = events;
  }

  /** Waiting for the next attempt. */
  get isPausing(): boolean {
    return this.#timer !== undefined;
  }

  get mayTryAgain(): boolean {
    return this.#pauses < this.#options.policy.mostAttempts;
  }

  /** Connects. Resolves to the reason when that fails. */
  async dial(): Promise<string | undefined> {
    const { dial, policy } = this.#options;
    const { socket, established } = dial();
    this.#socket = socket;
    let cause = CLOSED;
    socket.on('error', (error) => {
      cause = reasonOf(error);
    });
    const tooLate = setTimeout(() => socket.destroy(new Error('no answer')), policy.connectLimit);
    try {
      await established;
    } catch (error) {
      socket.destroy();
      return reasonOf(error as Error);
    } finally {
      clearTimeout(tooLate);
    }
    if (socket.destroyed) return cause;
    // Collectors send nothing: one that ends its side has ended the session. Without reading its end would
    // not be seen.
    socket.on('end', () => socket.destroy());
    socket.on('close', () => this.#ended(cause));
    socket.resume();
    this.#begin(socket);
    return undefined;
  }

  async dialAgain(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const failure = await this.dial();
    if (failure !== undefined) this.#events.failed(failure);
  }

  dialLater(cause: string): void {
    const { name, log, policy } = this.#options;
    const pause = Math.min(policy.firstPause * 2 ** this.#pauses, policy.longestPause);
    this.#pauses++;
    log.limited(`connect ${name}`, `${name}: ${cause}; next attempt in ${pause / 1000} s`);
    this.#timer = setTimeout(() => void this.dialAgain(), pause);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#socket?.destroy();
  }

  #begin(socket: Duplex): void {
    const { name, log, now } = this.#options;
    if (this.#pauses > 0) log.info(`${name}: connected`);
    this.#begunAt = now();
    this.#events.begun(socket);
  }

  #ended(cause: string): void {
    const { policy, now } = this.#options;
    if (now() - this.#begunAt >= policy.steadyAfter) this.#pauses = 0;
    this.#events.ended(cause);
  }
}
