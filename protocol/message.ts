/** What encoders write into, and what they have in common. */
import type { FlowRecord } from './flow-record.js';

export interface MessageRoom {
  /** Room for the message to come; its length is the longest message allowed. */
  readonly view: DataView;
  /** The same memory in machine words, for formats whose fields lie at multiples of four. */
  readonly words: Int32Array;
  /** Messages of one length leave faster behind each other, and records may wait for others of their kind. */
  readonly likesRuns?: boolean;
  /** What is announced once in it is known for good: templates are not repeated. */
  readonly keepsTemplates?: boolean;
  /** Takes the first `length` octets of `view`, which hold `records` flow records; `view` and `words` are fresh room afterwards. */
  send(length: number, records: number): void;
}

export function wordsOf({ buffer, byteOffset, byteLength }: DataView): Int32Array {
  return new Int32Array(buffer, byteOffset, byteLength >> 2);
}

/** Turns flow records into the messages of one export format, filling each up. */
export interface FlowEncoder {
  /**
   * Writes the record; the answer is how many records it became: 0 when the format cannot carry it,
   * more than 1 when its counters had to be split.
   */
  add(flow: FlowRecord): number;
  /** Sends the message that is being filled, if there is one. `now` is the data's clock in milliseconds. */
  flush(now: number): void;
  /** Sends what is told at the end, after everything else. */
  end(now: number): void;
  /** Writes a record that tells of a translation: `flow.natEvent` is its kind. Absent where the format has none. */
  addNatEvent?(flow: FlowRecord): void;
  /** Announces everything again with the next message. Absent where a format announces nothing. */
  refresh?(): void;
  /** A new transport session: sequence numbers and templates start again. */
  restart(): void;
  readonly losses: EncoderLosses;
}

/** What a format could not hold, counted. */
export interface EncoderLosses {
  /** Records whose start lay further back than 32 bits of milliseconds reach. */
  clippedTimes: number;
  /** Records whose counters were larger than the allowed number of parts can hold. */
  clampedCounters: number;
}

/** Templates are announced this many times at the start, for a collector that misses the first datagrams. */
export const FIRST_ANNOUNCEMENTS = 3;
