/** What encoders share: where their messages go, and what they can be asked. */
import type { FlowConsumer } from '../flow/rows.js';

/** Takes messages for one collector or file. */
export interface MessageRoom {
  /** Octets of the longest message that it takes. */
  readonly longest: number;
  /** What was announced once is known for good, as in a file or a connection: templates are not repeated. */
  readonly keepsTemplates?: boolean;
  /** It sends messages of one length with fewer calls: records may wait for others of their template. */
  readonly prefersOneLength?: boolean;
  /** Copies the first `length` of `octets` as a message of `records` flow records. */
  send(octets: Uint8Array, length: number, records: number): void;
}

/** Turns flows into the messages of one export format, filling each up. */
export interface FlowEncoder extends FlowConsumer {
  /** Writes a record of a NAT event: `natEvent` of the row is its kind. Absent where the format has none. */
  addNatEvent?(row: number): void;
  /** Sends the message that is being filled, if there is one. `now` is the data's clock in milliseconds since the epoch. */
  flush(now: number): void;
  /** Flushes, and sends the exporter's closing statistics where the format has them. */
  end(now: number): void;
  /** Announces templates and options again with the next message. Absent where a format has none. */
  refresh?(): void;
  /** A new transport session: sequence numbers and templates start again. */
  restart(): void;
  readonly losses: EncoderLosses;
}

/** What a format could not hold, counted in records. */
export interface EncoderLosses {
  /** Start further back than 32 bits of milliseconds reach. */
  readonly clippedTimes: number;
  /** Counters larger than the allowed number of parts can hold. */
  readonly clampedCounters: number;
  /** Records that it cannot carry at all: IPv6 in versions 1 and 5. */
  readonly unsupported: number;
}

/** Templates are announced this many times at the start, for a collector that misses the first datagrams. */
export const FIRST_ANNOUNCEMENTS = 3;
