/** Where flow records go: a collector, a text writer, an IPFIX file. */
import type { FlowRecord, FlowRows } from '../protocol/flow-record.js';

export interface FlowSink {
  /** Takes the flows among the rows, which the caller uses again afterwards. */
  add(flows: FlowRows): void;
  /** Takes a record that tells of a translation; absent where there is no place for one. */
  addNatEvent?(event: FlowRecord): void;
  /** What waits to be filled up leaves now. `now` is the data's clock, in milliseconds since the epoch. */
  flush(now: number): void;
  /** True when the reader should pause until `drained` resolves. */
  readonly isCongested: boolean;
  drained(): Promise<void>;
  /** Everything out, resources closed. */
  close(now: number): Promise<void>;
}
