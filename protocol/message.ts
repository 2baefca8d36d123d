/** What encoders write into: the place of one message, given anew by whoever sends it. */

export interface MessageRoom {
  /** Room for the message to come; its length is the longest message allowed. */
  readonly view: DataView;
  /** Takes the first `length` octets of `view`, which hold `records` flow records; `view` is fresh room afterwards. */
  send(length: number, records: number): void;
}

/** Turns flow records into the messages of one export format. */
export interface FlowEncoder {
  /** Writes the record. The answer is how many records it became: 0 when the format cannot carry it, more when counters had to be split. */
  add(flow: FlowRecord, now: number): number;
  /** Sends the message that is being filled, if there is one. `now` is the data's clock in milliseconds. */
  flush(now: number): void;
}

import type { FlowRecord } from './flow-record.js';
