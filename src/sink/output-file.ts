/** A file or standard output, written in blocks and synchronously: what is flushed is out, and memory stays bounded. */
import { closeSync, fstatSync, openSync, writeSync } from 'node:fs';
import { getSystemErrorMap } from 'node:util';
import { pause } from '../pause.js';
import { STANDARD_OUTPUT } from '../service/standard-streams.js';

/** Writes `length` octets from `offset`; the answer is how many went out. */
export type WriteSync = (descriptor: number, bytes: Uint8Array, offset: number, length: number) => number;

export interface OutputFileOptions {
  /** Called once when the reader of a pipe went away: the program ends quietly, as cat does before head. */
  readonly onReaderGone?: () => void;
  /** In place of the system's write. */
  readonly write?: WriteSync;
}

const BLOCK = 65536;
/** A UTF-16 unit never needs more octets than this in UTF-8. */
const OCTETS_PER_UNIT = 3;
/** Milliseconds between two tries on a full pipe that does not block. */
const FULL_PIPE_WAIT = 5;

export class OutputFile {
  /** True after `close`, when the reader has gone, or after an error: what is written then is dropped. */
  isClosed = false;
  readonly #path: string;
  readonly #onReaderGone: () => void;
  readonly #write: WriteSync;
  readonly #block = Buffer.allocUnsafe(BLOCK);
  #descriptor: number;
  #filled = 0;

  /** `path` is the name of a file, which is emptied, or `-` for standard output. Throws an Error `FILE: reason`. */
  constructor(path: string, options: OutputFileOptions = {}) {
    this.#path = path;
    this.#onReaderGone = options.onReaderGone ?? (() => {});
    this.#write = options.write ?? writeSync;
    this.#descriptor = path === '-' ? STANDARD_OUTPUT : this.#open('w');
  }

  write(data: string | Uint8Array): void {
    if (this.isClosed) return;
    const most = typeof data === 'string' ? data.length * OCTETS_PER_UNIT : data.length;
    if (most > BLOCK - this.#filled) this.flush();
    if (most > BLOCK) {
      const bytes = typeof data === 'string' ? Buffer.from(data) : data;
      this.#writeOut(bytes, bytes.length);
    } else if (typeof data === 'string') {
      this.#filled += this.#block.write(data, this.#filled);
    } else {
      this.#block.set(data, this.#filled);
      this.#filled += data.length;
    }
  }

  /** Everything written so far leaves. Throws an Error `FILE: reason`, once: the file is closed then. */
  flush(): void {
    const length = this.#filled;
    this.#filled = 0;
    this.#writeOut(this.#block, length);
  }

  /** Opens the file anew after it was rotated away. The answer is true when it is empty and wants its header again. */
  reopen(): boolean {
    if (this.#path === '-') return false;
    // First the new one: when it cannot be opened, the old one goes on.
    const descriptor = this.#open('a');
    try {
      this.close();
    } finally {
      this.#descriptor = descriptor;
      this.isClosed = false;
    }
    return fstatSync(descriptor).size === 0;
  }

  close(): void {
    if (this.isClosed) return;
    this.flush();
    this.#release();
  }

  #open(flags: 'w' | 'a'): number {
    try {
      return openSync(this.#path, flags);
    } catch (error) {
      throw this.#explained(error);
    }
  }

  #writeOut(bytes: Uint8Array, length: number): void {
    for (let at = 0; at < length && !this.isClosed; ) {
      try {
        at += this.#write(this.#descriptor, bytes, at, length - at);
      } catch (error) {
        this.#refused(error);
      }
    }
  }

  /** Returns when it is worth another try. */
  #refused(error: unknown): void {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EINTR') return;
    if (code === 'EAGAIN') {
      pause(FULL_PIPE_WAIT);
      return;
    }
    this.#release();
    if (code !== 'EPIPE') throw this.#explained(error);
    this.#onReaderGone();
  }

  #release(): void {
    this.isClosed = true;
    this.#filled = 0;
    if (this.#descriptor !== STANDARD_OUTPUT) closeSync(this.#descriptor);
  }

  #explained(error: unknown): Error {
    const { errno, message } = error as NodeJS.ErrnoException;
    const reason = getSystemErrorMap().get(errno ?? 0)?.[1] ?? message;
    const name = this.#path === '-' ? 'standard output' : this.#path;
    return new Error(`${name}: ${reason}`, { cause: error });
  }
}
