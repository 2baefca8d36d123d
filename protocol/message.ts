/** Where encoders send their messages, and what they have in common. */
import type { FlowRecord, FlowRows } from './flow-record.js';
import type { MessagePlaces } from './message-place.js';

export interface MessageRoom {
  /** Octets of the longest message that it takes. */
  readonly longest: number;
  /** Messages of one length leave faster behind each other, and records may wait for others of their kind. */
  readonly likesRuns?: boolean;
  /** What is announced once in it is known for good: templates are not repeated. */
  readonly keepsTemplates?: boolean;
  /** Takes the first `length` of `octets`, which are `longest` at most, as a message of `records` flow records. They are copied. */
  send(octets: Uint8Array, length: number, records: number): void;
  /** Where messages can be made that are not copied. What `send` takes goes there too: not while one is being made. */
  readonly places?: MessagePlaces;
}

/** Turns flow records into the messages of one export format, filling each up. */
export interface FlowEncoder {
  /**
   * Writes the flows among the rows; the answer is how many records they became: fewer than they have where the format cannot
   * carry them, more where counters had to be split.
   */
  add(flows: FlowRows): number;
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
  /** Records that it cannot carry at all. */
  unsupported: number;
}

/** Templates are announced this many times at the start, for a collector that misses the first datagrams. */
export const FIRST_ANNOUNCEMENTS = 3;
