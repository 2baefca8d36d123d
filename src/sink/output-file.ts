/**
 * A file or standard output for flow records. Nothing here waits: octets that the system does not take are queued, up to a
 * bound, and written from a timer. A full pipe is back-pressure. A file that cannot be written (disk full, quota, an error
 * of the device) is tried again every now and then, and records that find no room in the queue meanwhile are lost.
 */
import { closeSync, fstatSync, ftruncateSync, unlinkSync, writeSync } from 'node:fs';
import { StartError } from '../cli/errors.js';
import { printable } from '../cli/printable.js';
import { reasonOf } from '../cli/system-error.js';
import type { OutputResult } from '../observe/summary.js';
import type { Log } from '../service/log.js';
import { STANDARD_OUTPUT } from '../service/standard-streams.js';
import { makeFile, type OpenMode, openFile, openOnceRead, openStandardOutput } from './open-output.js';
import { Delivered } from './transport.js';

/** Writes `length` octets from `offset`. Returns how many were taken. */
export type WriteSync = (descriptor: number, octets: Uint8Array, offset: number, length: number) => number;

export interface OutputFileOptions {
  /** `lines`: one record each. `messages`: of records that are lost together when an octet of their message is missing. */
  readonly framing: 'lines' | 'messages';
  readonly log: Pick<Log, 'limited'>;
  /** Called once when the reader of a pipe went away. */
  readonly onReaderGone?: () => void;
  /** In place of the system's write. */
  readonly write?: WriteSync;
  /** Milliseconds from an error to the next try. */
  readonly retryDelay?: number;
}

/** What was sent in one call, as far as it is not written. */
interface Queued {
  readonly octets: Uint8Array;
  readonly records: number;
  /** How many of the octets are written. */
  written: number;
}

/** Octets in the queue from which on the producer should pause, and beyond which records are lost. */
const CONGESTED = 1 << 20;
const MOST_QUEUED = 16 << 20;
const RETRY_DELAY = 1000;
/** Milliseconds between tries on a full pipe: at first, and while it stays full. */
const SHORTEST_WAIT = 1;
const LONGEST_WAIT = 64;
const LINE_END = 0x0a;

export class OutputFile {
  /** The reader of a pipe went away: what is sent since then is lost. */
  isGone = false;
  /** What the file did not get. */
  readonly lost = new Delivered();
  readonly #path: string;
  readonly #mode: OpenMode;
  readonly #options: OutputFileOptions;
  readonly #write: WriteSync;
  /** It was made for this run. */
  readonly #isNew: boolean;
  #descriptor: number;
  #isOpen = true;
  #isFailing = false;
  #queue: Queued[] = [];
  #queuedOctets = 0;
  #timer: NodeJS.Timeout | undefined;
  #wait = SHORTEST_WAIT;
  /** Called after the next try. */
  #waiting: (() => void)[] = [];
  #records = 0;
  #errors = 0;

  private constructor(path: string, mode: OpenMode, options: OutputFileOptions) {
    this.#path = path;
    this.#mode = mode;
    this.#options = options;
    this.#write = options.write ?? writeSync;
    this.#isNew = path !== '-' && makeFile(path);
    this.#descriptor = path === '-' ? openStandardOutput(mode) : openOnceRead(path, mode);
  }

  /** `path` is the name of a file, or `-` for standard output. A file stays as it is until `begin`. Throws a StartError. */
  static open(path: string, mode: OpenMode, options: OutputFileOptions): OutputFile {
    try {
      return new OutputFile(path, mode, options);
    } catch (error) {
      throw new StartError(explained(path, error));
    }
  }

  /** Empties a file that is to be replaced. Returns true when the output is at its beginning. Throws a StartError. */
  begin(): boolean {
    if (this.#path === '-') return true;
    try {
      const stats = fstatSync(this.#descriptor);
      if (this.#mode === 'append') return stats.size === 0;
      if (stats.isFile()) ftruncateSync(this.#descriptor);
      return true;
    } catch (error) {
      throw new StartError(explained(this.#path, error));
    }
  }

  /** The start has failed: takes the file away if it was made for it. */
  withdraw(): void {
    this.#release();
    if (!this.#isNew) return;
    try {
      unlinkSync(this.#path);
    } catch {
      // Somebody else took it away.
    }
  }

  /** Writes or queues the first `length` of `octets`: whole lines or a whole message, and how many records that is. */
  send(octets: Uint8Array, length: number, records: number): void {
    if (this.isGone || this.#queuedOctets + length > MOST_QUEUED) {
      this.lost.add(records, length);
      return;
    }
    const written = this.#queue.length > 0 ? 0 : this.#writeFrom(octets, 0, length);
    if (written === length) {
      this.#records += records;
      return;
    }
    this.#queue.push({ octets: new Uint8Array(octets.subarray(0, length)), records, written });
    this.#queuedOctets += length - written;
    if (this.isGone) this.#end();
  }

  get isCongested(): boolean {
    return this.#queuedOctets >= CONGESTED && !this.#isFailing;
  }

  async drained(): Promise<void> {
    while (this.isCongested) await this.#nextTry();
  }

  get result(): OutputResult {
    return {
      kind: 'output',
      output: this.#path,
      records: this.#records,
      lostRecords: this.lost.records,
      errors: this.#errors,
    };
  }

  /**
   * Opens the file anew after it was rotated away. Returns true when it is empty. Throws an Error `FILE: reason` when it
   * cannot be opened: the old one stays in use.
   */
  reopen(): boolean {
    if (this.#path === '-') return false;
    let descriptor: number;
    try {
      descriptor = openFile(this.#path, 'append');
    } catch (error) {
      throw new Error(explained(this.#path, error));
    }
    this.#tryAgain();
    if (this.#isFailing) this.#giveUp();
    this.#release();
    this.#descriptor = descriptor;
    this.#isOpen = true;
    this.#isFailing = false;
    this.isGone = false;
    const isEmpty = fstatSync(descriptor).size === 0;
    // What a full pipe did not take stays in order.
    this.#tryAgain();
    return isEmpty;
  }

  /** Waits for the reader of a full pipe, and tries once more to write a file that could not be written. */
  async close(): Promise<void> {
    this.#tryAgain();
    while (this.#queue.length > 0 && !this.#isFailing) await this.#nextTry();
    this.#giveUp();
    this.#release();
  }

  /** Writes on from `at` until all is written or the system takes no more. Returns where that was. */
  #writeFrom(octets: Uint8Array, at: number, length: number): number {
    while (at < length) {
      try {
        at += this.#write(this.#descriptor, octets, at, length - at);
        this.#isFailing = false;
        this.#wait = SHORTEST_WAIT;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === 'EINTR') continue;
        this.#refused(error, code);
        break;
      }
    }
    return at;
  }

  #refused(error: unknown, code: string | undefined): void {
    if (code === 'EAGAIN') {
      this.#isFailing = false;
      this.#tryIn(this.#wait);
      this.#wait = Math.min(2 * this.#wait, LONGEST_WAIT);
    } else if (code === 'EPIPE') {
      this.isGone = true;
    } else {
      if (this.#isFailing) this.#errors++;
      else this.#report(error);
      this.#isFailing = true;
      this.#tryIn(this.#options.retryDelay ?? RETRY_DELAY);
    }
  }

  #tryIn(milliseconds: number): void {
    this.#timer ??= setTimeout(() => this.#tryAgain(), milliseconds);
  }

  #tryAgain(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    let done = 0;
    for (const piece of this.#queue) {
      const { octets, written } = piece;
      piece.written = this.#writeFrom(octets, written, octets.length);
      this.#queuedOctets -= piece.written - written;
      if (piece.written < octets.length) break;
      this.#records += piece.records;
      done++;
    }
    this.#queue.splice(0, done);
    if (this.isGone) this.#end();
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** The reader is gone. */
  #end(): void {
    if (!this.#isOpen) return;
    this.#giveUp();
    this.#release();
    this.#options.onReaderGone?.();
  }

  #nextTry(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  /** Counts the queue as lost, and takes the beginning of a record that will not be finished out of the file. */
  #giveUp(): void {
    const queue = this.#queue;
    this.#queue = [];
    this.#queuedOctets = 0;
    if (queue[0] !== undefined) this.#cutBack(queue[0]);
    for (const piece of queue) this.#lose(piece);
  }

  /** A line ends a record; of a message all records are lost. */
  #lose({ octets, records, written }: Queued): void {
    let lost = records;
    if (this.#options.framing === 'lines' && written > 0) {
      const lines = octets
        .subarray(written)
        .reduce((count, octet) => count + (octet === LINE_END ? 1 : 0), 0);
      lost = Math.min(lines, records);
    }
    this.lost.add(lost, octets.length - written);
    this.#records += records - lost;
  }

  #cutBack({ octets, written }: Queued): void {
    const whole =
      this.#options.framing === 'lines' ? octets.subarray(0, written).lastIndexOf(LINE_END) + 1 : 0;
    if (whole === written || this.#path === '-') return;
    try {
      const stats = fstatSync(this.#descriptor);
      if (stats.isFile()) ftruncateSync(this.#descriptor, stats.size - (written - whole));
    } catch (error) {
      this.#report(error);
    }
  }

  #release(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#descriptor === STANDARD_OUTPUT) return;
    try {
      closeSync(this.#descriptor);
    } catch (error) {
      // Over a network, the file's server may have been full all along.
      this.#report(error);
    }
  }

  #report(error: unknown): void {
    this.#errors++;
    this.#options.log.limited('output', explained(this.#path, error));
  }
}

/** `FILE: reason`, in one line. */
function explained(path: string, error: unknown): string {
  return `${path === '-' ? 'standard output' : printable(path)}: ${reasonOf(error)}`;
}
