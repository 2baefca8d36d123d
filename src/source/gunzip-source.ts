/** A capture's octets out of gzip. Loaded for compressed captures only: zlib costs start-up time. */
import { createGunzip, type Gunzip } from 'node:zlib';
import type { DecompressedSource, RewindableSource } from './octet-source.js';

/** Octets that one step of decompression takes: expanded a thousandfold they still are few megabytes. */
const COMPRESSED_STEP = 4096;
const DECOMPRESSED_STEP = 65536;

const NOTHING = new Uint8Array(0);

/**
 * gzip, of one or more members. zlib drops what it was about to give when it comes upon damage. So the input is then
 * decompressed once more, octet by octet where the damage lies, and what is whole before it comes out.
 */
export class GunzipSource implements DecompressedSource {
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
function isEarlyEnd(error: unknown): boolean {
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
        else resolve(this.#decompressed());
      });
    });
  }

  /** All that waits. Node.js 26 gives it in pieces. */
  #decompressed(): Uint8Array {
    const pieces: Uint8Array[] = [];
    for (let piece = this.#gunzip.read(); piece !== null; piece = this.#gunzip.read()) pieces.push(piece);
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
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
