/** Where a capture's octets come from: a regular file or a stream. */
import { closeSync, readSync } from 'node:fs';
import type { Readable } from 'node:stream';

export interface OctetSource {
  /** Octets of input consumed so far: of the compressed ones when it is compressed. */
  readonly consumed: number;
  /**
   * Puts at most `length` octets into `target` from `at` on; the answer is how many, 0 at the end or when it was closed.
   * Fails when the input does.
   */
  read(target: Uint8Array, at: number, length: number): number | Promise<number>;
  close(): void;
}

/** Compressed octets, decompressed. */
export interface DecompressedSource extends OctetSource {
  /** Whether the input ended before its compressed data did. */
  endsEarly(error: Error): boolean;
}

export interface RewindableSource extends OctetSource {
  /** Goes back to the first octet. False, and nothing is changed, when that octet is gone. */
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

  /** Takes the open file over and reads it from its first octet. */
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

/** A regular file that somebody else opened, from where they left it; it stays open. */
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

/** Anything that arrives in pieces. What is not asked for stays where it is, so that a fast sender has to wait. */
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
      // Closing it while it waits ends the waiting with an error, which is none.
      if (this.#isClosed) return undefined;
      throw error;
    }
  }
}

/** Keeps the first megabyte of what cannot be read twice. */
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

  /** A first read must not be longer than what is kept. */
  async #readOn(target: Uint8Array, at: number, length: number): Promise<number> {
    const read = await this.#source.read(target, at, Math.min(length, HISTORY));
    if (this.consumed + read <= HISTORY) this.#history.set(target.subarray(at, at + read), this.consumed);
    this.consumed += read;
    return read;
  }
}
