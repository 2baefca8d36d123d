/** Reads a capture, pcap or pcapng, gzip-compressed or not, from a file or a stream, and passes its packets on one by one. */
import type { Readable } from 'node:stream';
import { type CaptureReader, CaptureWindow, LONGEST_RECORD, Packet } from '../../protocol/capture/packet.js';
import { PcapReader } from '../../protocol/capture/pcap.js';
import { PcapngReader } from '../../protocol/capture/pcapng.js';
import { reasonOf } from '../cli/system-error.js';
import { monotonic } from '../service/monotonic.js';
import { type CaptureFormat, identifyFormat, PCAP_FILE_HEADER, readPcapHeader } from './capture-format.js';
import type { PacketConsumer } from './consumer.js';
import {
  type DecompressedSource,
  RememberedSource,
  type RewindableSource,
  StreamSource,
} from './octet-source.js';
import { type OpenOctets, openOctets } from './open-octets.js';

export interface CaptureEnd {
  packets: number;
  /** Of the capture, decompressed. */
  octets: number;
  /** The first fault of the capture, as a clause: `ends in the middle of packet 813`. All whole packets before it were passed on. */
  damage?: string;
}

export interface CaptureProgress {
  /** Octets of input read so far: compressed ones when the input is compressed. */
  octets: number;
  /** Octets of a regular file. */
  total: number | undefined;
}

export interface CaptureOptions {
  /** Called when the file header has been read, before the first packet. */
  readonly onOpen?: (() => void) | undefined;
  readonly onProgress?: ((progress: CaptureProgress) => void) | undefined;
  /** Ends the reading, as if the input ended after its last whole packet. */
  readonly signal?: AbortSignal | undefined;
  /** How messages name a stream. */
  readonly name?: string | undefined;
  /** Milliseconds of a clock that never goes back. */
  readonly clock?: (() => number) | undefined;
}

/** The input cannot be opened or is no capture. The message is one line: `x.pcap: not a pcap or pcapng file`. */
export class CaptureOpenError extends Error {
  override readonly name = 'CaptureOpenError';
}

/** Octets of one read. */
const READ_STEP = 1 << 20;

/** After so many octets the clock is read, and after so many milliseconds the event loop turns: timers, signals and sockets get their turn. */
const CHECK_INTERVAL = 4 << 20;
const LONGEST_TURN = 20;

/** Reads the file `path`, or standard input for `-`. Throws a CaptureOpenError. */
export async function readCapture(
  path: string,
  consumer: PacketConsumer,
  options: CaptureOptions = {},
): Promise<CaptureEnd> {
  const name = path === '-' ? 'standard input' : path;
  const { source, size } = openNamed(path, name);
  return new CaptureReading(source, consumer, { ...options, name }, size).run();
}

/** Reads a stream of octets, which is destroyed at the end. Throws a CaptureOpenError. */
export async function readCaptureStream(
  stream: Readable,
  consumer: PacketConsumer,
  options: CaptureOptions = {},
): Promise<CaptureEnd> {
  const source = new RememberedSource(new StreamSource(stream));
  return new CaptureReading(source, consumer, options, undefined).run();
}

function openNamed(path: string, name: string): OpenOctets {
  try {
    return openOctets(path);
  } catch (error) {
    throw new CaptureOpenError(`${name}: ${reasonOf(error as Error)}`, { cause: error });
  }
}

class CaptureReading {
  readonly #consumer: PacketConsumer;
  readonly #options: CaptureOptions;
  readonly #clock: () => number;
  readonly #size: number | undefined;
  readonly #window = new CaptureWindow(LONGEST_RECORD + READ_STEP);
  #source: RewindableSource | DecompressedSource;
  /** Octets of the capture so far, decompressed, and at how many the clock is read next. */
  #octets = 0;
  #nextCheck = CHECK_INTERVAL;
  /** When the event loop last turned. */
  #turnedAt: number;
  /** Ends the wait for a congested consumer. */
  #stopWaiting = (): void => {};
  /** Why the input could not be read to its end. */
  #failure: Error | undefined;

  constructor(
    source: RewindableSource,
    consumer: PacketConsumer,
    options: CaptureOptions,
    size: number | undefined,
  ) {
    this.#source = source;
    this.#consumer = consumer;
    this.#options = options;
    this.#clock = options.clock ?? monotonic;
    this.#turnedAt = this.#clock();
    this.#size = size;
  }

  async run(): Promise<CaptureEnd> {
    const { signal } = this.#options;
    const stop = () => {
      this.#source.close();
      this.#stopWaiting();
    };
    signal?.addEventListener('abort', stop);
    try {
      if (signal?.aborted) return { packets: 0, octets: 0 };
      const reader = await this.#open();
      this.#options.onOpen?.();
      if (reader !== undefined) await this.#readPackets(reader);
      this.#reportProgress();
      const end = { packets: reader?.packets ?? 0, octets: this.#octets };
      const damage = reader?.damage ?? (signal?.aborted ? undefined : this.#cutShort(reader));
      return damage === undefined ? end : { ...end, damage };
    } finally {
      signal?.removeEventListener('abort', stop);
      this.#source.close();
    }
  }

  /** Undefined when the input ends, or the reading is aborted, in the middle of the file header. */
  async #open(): Promise<CaptureReader | undefined> {
    const window = this.#window;
    const { name = 'capture', signal } = this.#options;
    let format = await this.#identify();
    const isCompressed = format === 'gzip';
    if (isCompressed && 'rewind' in this.#source && this.#source.rewind()) {
      const { GunzipSource } = await import('./gunzip-source.js');
      this.#source = new GunzipSource(this.#source);
      this.#octets = window.end = 0;
      format = await this.#identify();
    }
    if (signal?.aborted) return undefined;
    if (format === 'pcapng') return new PcapngReader();
    if (format === 'pcap') {
      const header = await readPcapHeader(window.octets.subarray(0, window.end));
      if (header === undefined) return undefined;
      window.at = PCAP_FILE_HEADER;
      return new PcapReader(header);
    }
    if (this.#failure !== undefined && isCompressed) return undefined;
    const reason = this.#failure === undefined ? this.#refusal(format) : reasonOf(this.#failure);
    throw new CaptureOpenError(`${name}: ${reason}`);
  }

  async #identify(): Promise<CaptureFormat | undefined> {
    const window = this.#window;
    while (window.end < PCAP_FILE_HEADER && (await this.#fill())) {
      // A slow input may take several reads.
    }
    return identifyFormat(window.octets.subarray(0, window.end));
  }

  /** Why a file of this format is not read, and what to do. */
  #refusal(format: CaptureFormat | undefined): string {
    if (format === undefined || format === 'gzip' || 'endsEarly' in this.#source)
      return 'not a pcap or pcapng file';
    const remedy =
      this.#size === undefined
        ? `decompress it with ${format} -dc first`
        : `${format} -dc ${this.#options.name} | pfflowd -r -`;
    return `compressed with ${format}: ${remedy}`;
  }

  async #readPackets(reader: CaptureReader): Promise<void> {
    const window = this.#window;
    const packet = new Packet();
    const { signal } = this.#options;
    while (!signal?.aborted) {
      if (passOn(reader, window, packet, this.#consumer)) await this.#untilDrained();
      else if (reader.isOver) return;
      else {
        // A file is read without a promise, which would be garbage for each read.
        const filled = this.#fill();
        if (!(typeof filled === 'boolean' ? filled : await filled)) return;
      }
      if (this.#octets >= this.#nextCheck) await this.#check();
    }
  }

  /** Moves the rest to the front of the window and reads on behind it. False at the end of the input. */
  #fill(): boolean | Promise<boolean> {
    const window = this.#window;
    const rest = Math.max(window.end - window.at, 0);
    window.octets.copyWithin(0, window.at, window.end);
    window.at = Math.max(window.at - window.end, 0);
    window.end = rest;
    try {
      const read = this.#source.read(window.octets, rest, READ_STEP);
      return typeof read === 'number' ? this.#filled(read) : this.#filledLater(read);
    } catch (error) {
      return this.#failed(error);
    }
  }

  async #filledLater(read: Promise<number>): Promise<boolean> {
    try {
      return this.#filled(await read);
    } catch (error) {
      return this.#failed(error);
    }
  }

  #filled(octets: number): boolean {
    this.#window.end += octets;
    this.#octets += octets;
    return octets > 0;
  }

  #failed(error: unknown): false {
    this.#failure = error as Error;
    return false;
  }

  async #check(): Promise<void> {
    this.#nextCheck = this.#octets + CHECK_INTERVAL;
    this.#reportProgress();
    if (this.#clock() - this.#turnedAt < LONGEST_TURN) return;
    await new Promise((resolve) => setImmediate(resolve));
    this.#turnedAt = this.#clock();
  }

  #untilDrained(): Promise<void> {
    if (this.#options.signal?.aborted) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#stopWaiting = resolve;
      this.#consumer.drained().then(resolve, reject);
    });
  }

  #cutShort(reader: CaptureReader | undefined): string | undefined {
    const failure = this.#failure;
    const window = this.#window;
    const last = `after packet ${reader?.packets ?? 0}`;
    if (failure === undefined) {
      if (reader === undefined) return 'ends in the middle of its file header';
      return window.at === window.end ? undefined : `ends in the middle of ${reader.unfinished(window)}`;
    }
    if (!('endsEarly' in this.#source)) return `cannot be read ${last}: ${reasonOf(failure)}`;
    if (this.#source.endsEarly(failure)) return `ends in the middle of its gzip data, ${last}`;
    return `has corrupt gzip data ${last}: ${reasonOf(failure)}`;
  }

  #reportProgress(): void {
    this.#options.onProgress?.({ octets: this.#source.consumed, total: this.#size });
  }
}

/** The hot loop. True when it ended because the consumer is congested, false when the window has no more whole packets. */
function passOn(
  reader: CaptureReader,
  window: CaptureWindow,
  packet: Packet,
  consumer: PacketConsumer,
): boolean {
  while (reader.next(window, packet)) {
    consumer.packet(packet);
    if (consumer.isCongested) return true;
  }
  return false;
}
