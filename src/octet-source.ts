/** Where a capture's octets come from: a regular file, a stream, or one of these decompressed. */
import { closeSync, readSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { createGunzip, type Gunzip } from 'node:zlib';

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

export interface RewindableSource extends OctetSource {
  /** Goes back to the first octet. False, and nothing is changed, when that octet is gone. */
  rewind(): boolean;
}

/** Octets of a stream that are kept for a rewind. */
const HISTORY = 1 << 20;

/** Octets that one step of decompression takes: expanded a thousandfold they still are few megabytes. */
const COMPRESSED_STEP = 4096;
const DECOMPRESSED_STEP = 65536;

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

  async #readOn(target: Uint8Array, at: number, length: number): Promise<number> {
    const read = await this.#source.read(target, at, length);
    if (this.consumed + read <= HISTORY) this.#history.set(target.subarray(at, at + read), this.consumed);
    this.consumed += read;
    return read;
  }
}

/**
 * gzip, of one or more members. zlib drops what it was about to give when it comes upon damage. So the input is then
 * decompressed once more, octet by octet where the damage lies, and what is whole before it comes out.
 */
export class GunzipSource implements OctetSource {
  readonly #source: RewindableSource;
  readonly #compressed = new Uint8Array(COMPRESSED_STEP);
  #inflater = new Inflater();
  /** Decompressed and not read yet. */
  #piece: Uint8Array = NOTHING;
  /** Octets that the steps so far have given, and octets to drop after a rewind because they were given before. */
  #given = 0;
  #surplus = 0;
  /** The compressed octet from which on a step is one octet. */
  #careful = Number.POSITIVE_INFINITY;
  #failure: Error | undefined;
  #isClosed = false;

  constructor(source: RewindableSource) {
    this.#source = source;
  }

  get consumed(): number {
    return this.#source.consumed;
  }

  async read(target: Uint8Array, at: number, length: number): Promise<number> {
    while (this.#piece.length === 0) {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#inflater.isOver) return 0;
      await this.#step();
    }
    const taken = Math.min(length, this.#piece.length);
    target.set(this.#piece.subarray(0, taken), at);
    this.#piece = this.#piece.subarray(taken);
    return taken;
  }

  close(): void {
    this.#isClosed = true;
    this.#inflater.close();
    this.#source.close();
  }

  async #step(): Promise<void> {
    const begin = this.#source.consumed;
    const isCareful = begin >= this.#careful;
    const most = isCareful ? 1 : Math.min(COMPRESSED_STEP, this.#careful - begin);
    try {
      const length = await this.#source.read(this.#compressed, 0, most);
      if (this.#isClosed) return;
      const inflater = this.#inflater;
      const compressed = this.#compressed.subarray(0, length);
      this.#give(await (length === 0 ? inflater.finish() : inflater.inflate(compressed)));
    } catch (error) {
      if (!isCareful && !isEarlyEnd(error) && this.#inflater.failed && this.#source.rewind()) {
        this.#careful = begin;
        this.#surplus = this.#given;
        this.#inflater.close();
        this.#inflater = new Inflater();
      } else {
        this.#failure = error as Error;
      }
    }
  }

  #give(octets: Uint8Array): void {
    const dropped = Math.min(this.#surplus, octets.length);
    this.#surplus -= dropped;
    this.#given += octets.length - dropped;
    this.#piece = octets.subarray(dropped);
  }
}

/** Whether the input ended before its compressed data did. */
export function isEarlyEnd(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'Z_BUF_ERROR';
}

/** zlib's stream as a function: compressed octets in, all that they give out. */
class Inflater {
  /** Nothing more comes out, whatever goes in. */
  isOver = false;
  failed = false;
  readonly #gunzip: Gunzip;
  #fail: (error: Error) => void = () => {};

  constructor() {
    // Without a bound here zlib would wait for a reader in the middle of a step; the step itself is the bound.
    const options = { chunkSize: DECOMPRESSED_STEP, readableHighWaterMark: Number.MAX_SAFE_INTEGER };
    this.#gunzip = createGunzip(options);
    this.#gunzip.on('end', () => {
      this.isOver = true;
    });
    this.#gunzip.on('error', (error) => {
      this.failed = true;
      this.#fail(error);
    });
  }

  /** The octets handed in may be changed when the promise is settled. */
  inflate(compressed: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.#fail = reject;
      this.#gunzip.write(compressed, (error) => {
        if (error) reject(error);
        else resolve(this.#gunzip.read() ?? NOTHING);
      });
    });
  }

  /** Fails when the input must not end here. */
  async finish(): Promise<Uint8Array> {
    if (this.isOver) return NOTHING;
    const rest: Uint8Array[] = [];
    await new Promise<void>((resolve, reject) => {
      this.#fail = reject;
      this.#gunzip.on('data', (octets: Uint8Array) => rest.push(octets));
      this.#gunzip.once('end', resolve);
      this.#gunzip.end();
    });
    return Buffer.concat(rest);
  }

  close(): void {
    this.isOver = true;
    this.#gunzip.destroy();
    this.#fail(new Error('closed'));
  }
}
