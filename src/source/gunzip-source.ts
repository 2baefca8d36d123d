/** Decompresses captures that are compressed with gzip (RFC 1952). Loaded for those only. */
import { createGunzip, type Gunzip } from 'node:zlib';
import type { DecompressedSource, RewindableSource } from './octet-source.js';

/** Compressed octets of one step: deflate expands them a thousandfold at most, which is few megabytes. */
const COMPRESSED_STEP = 4096;
const DECOMPRESSED_STEP = 65536;

const NOTHING = new Uint8Array(0);

/**
 * One or more gzip members. zlib discards the output of a step in which it finds damage. So the input is then decompressed
 * once more, octet by octet where the damage is, and everything before it is read.
 */
export class GunzipSource implements DecompressedSource {
  readonly #source: RewindableSource;
  readonly #compressed = new Uint8Array(COMPRESSED_STEP);
  #inflater = new Inflater();
  /** Decompressed octets that are not read yet. */
  #piece: Uint8Array = NOTHING;
  /** Decompressed octets so far, and how many of them come once more after a rewind and are to be skipped. */
  #decompressed = 0;
  #repeated = 0;
  /** Position in the compressed input from which on a step is one octet. */
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

  endsEarly(error: Error): boolean {
    return isEarlyEnd(error);
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
      this.#add(await (length === 0 ? inflater.finish() : inflater.inflate(compressed)));
    } catch (error) {
      if (!isCareful && !isEarlyEnd(error) && this.#inflater.failed && this.#source.rewind()) {
        this.#careful = begin;
        this.#repeated = this.#decompressed;
        this.#inflater.close();
        this.#inflater = new Inflater();
      } else {
        this.#failure = error as Error;
      }
    }
  }

  #add(octets: Uint8Array): void {
    const skipped = Math.min(this.#repeated, octets.length);
    this.#repeated -= skipped;
    this.#decompressed += octets.length - skipped;
    this.#piece = octets.subarray(skipped);
  }
}

/** Whether the input ended before its compressed data did. */
function isEarlyEnd(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'Z_BUF_ERROR';
}

/** zlib's stream as a function of compressed octets that returns all that they decompress to. */
class Inflater {
  /** The compressed data has ended, or it was closed. */
  isOver = false;
  failed = false;
  readonly #gunzip: Gunzip;
  #fail: (error: Error) => void = () => {};

  constructor() {
    // zlib must not wait for a reader in the middle of a step. The length of the step bounds its output.
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

  /** The caller may overwrite `compressed` once the promise is settled. */
  inflate(compressed: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.#fail = reject;
      this.#gunzip.write(compressed, (error) => {
        if (error) reject(error);
        else resolve(this.#output());
      });
    });
  }

  /** All output so far. Node.js 26 returns it in pieces. */
  #output(): Uint8Array {
    const pieces: Uint8Array[] = [];
    for (let piece = this.#gunzip.read(); piece !== null; piece = this.#gunzip.read()) pieces.push(piece);
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  }

  /** Ends the input. Rejects when the compressed data is not complete. */
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
