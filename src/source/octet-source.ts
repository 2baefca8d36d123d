/** Where a capture's octets come from: a regular file or a stream. */
import { closeSync, readSync } from 'node:fs';
import type { Readable } from 'node:stream';

export interface OctetSource {
  /** Octets of input read so far: compressed ones when the input is compressed. */
  readonly consumed: number;
  /**
   * Writes at most `length` octets into `target` from `at` on and returns how many, 0 at the end of the input and after
   * `close`. Throws, or rejects, when the input cannot be read.
   */
  read(target: Uint8Array, at: number, length: number): number | Promise<number>;
  close(): void;
}

/** Decompresses its input. */
export interface DecompressedSource extends OctetSource {
  /** Whether `error` says that the input ended before its compressed data did. */
  endsEarly(error: Error): boolean;
}

export interface RewindableSource extends OctetSource {
  /** Goes back to the first octet. False, without effect, when that octet is not kept any more. */
  rewind(): boolean;
}

/** Octets of a stream that are kept for a rewind. */
const HISTORY = 1 << 20;

const NOTHING = new Uint8Array(0);

/** A regular file. */
export class FileSource implements RewindableSource {
  consumed = 0;
  readonly #descriptor: number;
  #isClosed = false;

  /** Reads the open file from its first octet, and owns the descriptor from now on. */
  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  read(target: Uint8Array, at: number, length: number): number {
    if (this.#isClosed) return 0;
    const read = readSync(this.#descriptor, target, at, length, this.consumed);
    this.consumed += read;
    return read;
  }

  rewind(): boolean {
    this.consumed = 0;
    return true;
  }

  close(): void {
    if (!this.#isClosed) closeSync(this.#descriptor);
    this.#isClosed = true;
  }
}

/** A regular file that is open already, as standard input: read from its current position, and not closed. */
export class InheritedFileSource implements OctetSource {
  consumed = 0;
  readonly #descriptor: number;
  #isClosed = false;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  read(target: Uint8Array, at: number, length: number): number {
    if (this.#isClosed) return 0;
    const read = readSync(this.#descriptor, target, at, length, null);
    this.consumed += read;
    return read;
  }

  close(): void {
    this.#isClosed = true;
  }
}

/** A stream. It is read only as octets are requested, so a fast sender has to wait. */
export class StreamSource implements OctetSource {
  consumed = 0;
  readonly #stream: Readable;
  readonly #pieces: AsyncIterator<Uint8Array>;
  #piece: Uint8Array = NOTHING;
  #isClosed = false;

  constructor(stream: Readable) {
    this.#stream = stream;
    this.#pieces = stream[Symbol.asyncIterator]();
  }

  async read(target: Uint8Array, at: number, length: number): Promise<number> {
    while (this.#piece.length === 0) {
      const piece = await this.#next();
      if (piece === undefined) return 0;
      this.#piece = piece;
    }
    const taken = Math.min(length, this.#piece.length);
    target.set(this.#piece.subarray(0, taken), at);
    this.#piece = this.#piece.subarray(taken);
    this.consumed += taken;
    return taken;
  }

  close(): void {
    this.#isClosed = true;
    this.#stream.destroy();
  }

  async #next(): Promise<Uint8Array | undefined> {
    if (this.#isClosed) return undefined;
    try {
      const { done, value } = await this.#pieces.next();
      return done ? undefined : value;
    } catch (error) {
      // A stream that is destroyed during the read rejects it: no fault of the input.
      if (this.#isClosed) return undefined;
      throw error;
    }
  }
}

/** Keeps the first megabyte of a source that cannot be read twice. */
export class RememberedSource implements RewindableSource {
  consumed = 0;
  readonly #source: OctetSource;
  readonly #history = new Uint8Array(HISTORY);
  #isClosed = false;

  constructor(source: OctetSource) {
    this.#source = source;
  }

  read(target: Uint8Array, at: number, length: number): number | Promise<number> {
    const again = Math.min(this.#source.consumed - this.consumed, length);
    if (again === 0 || this.#isClosed) return this.#readOn(target, at, length);
    target.set(this.#history.subarray(this.consumed, this.consumed + again), at);
    this.consumed += again;
    return again;
  }

  rewind(): boolean {
    if (this.#source.consumed > HISTORY) return false;
    this.consumed = 0;
    return true;
  }

  close(): void {
    this.#isClosed = true;
    this.#source.close();
  }

  /** Reads no more than the history holds at once, so that the first read is kept whole. */
  async #readOn(target: Uint8Array, at: number, length: number): Promise<number> {
    const read = await this.#source.read(target, at, Math.min(length, HISTORY));
    if (this.consumed + read <= HISTORY) this.#history.set(target.subarray(at, at + read), this.consumed);
    this.consumed += read;
    return read;
  }
}
