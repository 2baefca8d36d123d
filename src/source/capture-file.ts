/** Reads a capture, pcap or pcapng, gzip-compressed or not, from a file or a stream, and hands its packets on one by one. */
import { createReadStream, fstatSync, openSync, type Stats, statSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { getSystemErrorMap } from 'node:util';
import { type CaptureReader, CaptureWindow, LONGEST_RECORD, Packet } from '../../protocol/capture/packet.js';
import { PcapReader } from '../../protocol/capture/pcap.js';
import { PcapngReader } from '../../protocol/capture/pcapng.js';
import { type CaptureFormat, identifyFormat, PCAP_FILE_HEADER, readPcapHeader } from './capture-format.js';
import { LARGE } from './capture-size.js';
import { monotonic } from '../service/monotonic.js';
import {
  type DecompressedSource,
  FileSource,
  InheritedFileSource,
  type OctetSource,
  RememberedSource,
  type RewindableSource,
  StreamSource,
} from './octet-source.js';
import { STANDARD_INPUT } from '../service/standard-streams.js';
import type { StopSignal } from '../stop.js';

export interface PacketConsumer {
  /** The packet is valid during the call only. */
  packet(packet: Packet): void;
  /** Other octets are about to take the place of those of all packets so far. To who has this, packets are given whose `octetsStay`. */
  octetsLeave?(): void;
  /** True while no more packets are wanted. */
  readonly isCongested: boolean;
  /** Resolves when it is no longer congested. */
  drained(): Promise<void>;
}

export interface CaptureEnd {
  packets: number;
  /** Of the capture, decompressed. */
  octets: number;
  /** What is wrong with it, as a clause: `ends in the middle of packet 813`. All that is whole before it was handed on. */
  damage?: string;
}

export interface CaptureProgress {
  /** Octets of input read: of the compressed ones when it is compressed. */
  octets: number;
  /** The size of a regular file. */
  total: number | undefined;
}

export interface CaptureOptions {
  readonly onProgress?: ((progress: CaptureProgress) => void) | undefined;
  /** Ends the reading as if the input ended behind the last whole packet. */
  readonly signal?: StopSignal | undefined;
  /** What messages call a stream. */
  readonly name?: string | undefined;
}

/** The input cannot be opened or is no capture. The message is one line: `x.pcap: not a pcap or pcapng file`. */
export class CaptureOpenError extends Error {
  override readonly name = 'CaptureOpenError';
}

/** Octets asked for in one read. Each leaves some garbage: of steps of a third it fills the room for new objects once in five million states. */
const READ_STEP = 3 << 20;
/**
 * The same until a capture is a large one: a small one is read through little memory, of which every page is new. To read
 * 2.5 MB at once took 7 ms more in a virtual machine.
 */
const FIRST_STEP = 128 << 10;

/** After so many octets it is asked whether the event loop should turn, so that timers, signals and sockets have their say. */
const TURN = 1 << 22;
/** Milliseconds without a turn that are too many. */
const LONG = 20;

/** `path` may be `-` for standard input. Throws CaptureOpenError. */
export async function readCapture(
  path: string,
  consumer: PacketConsumer,
  options: CaptureOptions = {},
): Promise<CaptureEnd> {
  const name = path === '-' ? 'standard input' : path;
  const { source, size } = openSource(path, name);
  return new CaptureReading(source, consumer, { ...options, name }, size).run();
}

/** The same for a stream of octets, which is destroyed at the end. */
export async function readCaptureStream(
  stream: Readable,
  consumer: PacketConsumer,
  options: CaptureOptions = {},
): Promise<CaptureEnd> {
  const source = new RememberedSource(new StreamSource(stream));
  return new CaptureReading(source, consumer, options, undefined).run();
}

/** Whether everything that the path (`-` is standard input) will ever give is there already. */
export function isRegularFile(path: string): boolean {
  try {
    return statsOf(path).isFile();
  } catch {
    return false;
  }
}

class CaptureReading {
  readonly #consumer: PacketConsumer;
  readonly #options: CaptureOptions;
  readonly #size: number | undefined;
  readonly #window = new CaptureWindow(LONGEST_RECORD + READ_STEP);
  #source: RewindableSource | DecompressedSource;
  #octets = 0;
  #nextTurn = TURN;
  #turned = monotonic();
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
    this.#size = size;
  }

  async run(): Promise<CaptureEnd> {
    const { signal } = this.#options;
    const window = this.#window;
    const stop = () => {
      this.#source.close();
      this.#stopWaiting();
    };
    signal?.addEventListener('abort', stop);
    try {
      if (signal?.aborted) return { packets: 0, octets: 0 };
      const reader = await this.#open();
      if (reader !== undefined) await this.#readPackets(reader);
      this.#progress();
      const end = { packets: reader?.packets ?? 0, octets: this.#octets };
      const damage = reader?.damage ?? (signal?.aborted ? undefined : this.#cutShort(reader));
      return damage === undefined ? end : { ...end, damage };
    } finally {
      signal?.removeEventListener('abort', stop);
      this.#source.close();
      this.#consumer.octetsLeave?.();
      window.release();
    }
  }

  /** Undefined when the input ends, or is given up, in the middle of the file header. */
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
    if (this.#failure === undefined) throw new CaptureOpenError(`${name}: not a pcap or pcapng file`);
    if (!isCompressed) throw new CaptureOpenError(`${name}: ${reasonOf(this.#failure)}`);
    return undefined;
  }

  async #identify(): Promise<CaptureFormat | undefined> {
    const window = this.#window;
    while (window.end < PCAP_FILE_HEADER && (await this.#fill())) {
      // Each turn brings some octets of a slow input.
    }
    return identifyFormat(window.octets.subarray(0, window.end));
  }

  async #readPackets(reader: CaptureReader): Promise<void> {
    const window = this.#window;
    const packet = new Packet();
    packet.octetsStay = this.#consumer.octetsLeave !== undefined;
    const { signal } = this.#options;
    while (!signal?.aborted) {
      if (deliver(reader, window, packet, this.#consumer)) await this.#untilDrained();
      else if (reader.isOver) return;
      else {
        // A file answers at once: then nothing is awaited, and no garbage made.
        const filled = this.#fill();
        if (!(typeof filled === 'boolean' ? filled : await filled)) return;
      }
      if (this.#octets < this.#nextTurn) continue;
      this.#nextTurn = this.#octets + TURN;
      this.#progress();
      if (monotonic() - this.#turned < LONG) continue;
      await new Promise(turn);
      this.#turned = monotonic();
    }
  }

  /** Moves what is left to the front and reads on behind it. False at the end of the input. */
  #fill(): boolean | Promise<boolean> {
    const window = this.#window;
    this.#consumer.octetsLeave?.();
    const left = Math.max(window.end - window.at, 0);
    window.octets.copyWithin(0, window.at, window.end);
    window.at = Math.max(window.at - window.end, 0);
    window.end = left;
    try {
      const step = this.#octets < LARGE ? FIRST_STEP : READ_STEP;
      const read = this.#source.read(window.octets, left, step);
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

  #progress(): void {
    this.#options.onProgress?.({ octets: this.#source.consumed, total: this.#size });
  }
}

/** Resolves when the event loop has turned. That of node:timers/promises leaves twice the garbage. */
function turn(resolve: (value?: unknown) => void): void {
  setImmediate(resolve);
}

/** The hot loop. True when it stopped because the consumer is congested. */
function deliver(
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

function openSource(path: string, name: string): { source: RewindableSource; size: number | undefined } {
  try {
    const stats = statsOf(path);
    const size = stats.isFile() ? stats.size : undefined;
    if (path !== '-' && stats.isFile()) return { source: new FileSource(openSync(path, 'r')), size };
    return { source: new RememberedSource(openUnseekable(path, stats)), size };
  } catch (error) {
    throw new CaptureOpenError(`${name}: ${reasonOf(error as Error)}`, { cause: error });
  }
}

function openUnseekable(path: string, stats: Stats): OctetSource {
  // A named pipe is opened in the background: its writer may not be there yet.
  if (path !== '-') return new StreamSource(createReadStream(path));
  return stats.isFile() ? new InheritedFileSource(STANDARD_INPUT) : new StreamSource(process.stdin);
}

function statsOf(path: string): Stats {
  return path === '-' ? fstatSync(STANDARD_INPUT) : statSync(path);
}

function reasonOf(error: Error): string {
  const { code, errno, message } = error as NodeJS.ErrnoException;
  // zlib's error numbers are its own.
  if (code === undefined || code.startsWith('Z_')) return message;
  return getSystemErrorMap().get(errno ?? 0)?.[1] ?? message;
}
