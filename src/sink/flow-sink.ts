/** Where flows go: collectors, files, standard output, and whatever else takes them. */
import type { FlowConsumer } from '../../protocol/flow/rows.js';
import type { OutputResult, SinkResult } from '../observe/summary.js';

/**
 * Back-pressure: `add` never waits. When `isCongested` is true the producer pauses until `drained` resolves, if it can; a
 * sink that is full all the same drops records and counts them in its result.
 */
export interface FlowSink extends FlowConsumer {
  /** Takes a row that tells of a translation; absent where there is no place for one. */
  addNatEvent?(row: number): void;
  /** Sends what waits to be filled up. `now` is the data's clock, in milliseconds since the epoch. */
  flush(now: number): void;
  /** True while the sink is up and has taken as much as it can hold for now. */
  readonly isCongested: boolean;
  /** Resolves when it is no longer congested. Never rejects. */
  drained(): Promise<void>;
  /** Log rotation: opens files again. Throws an Error `FILE: reason` when that fails; the file that is open stays in use. */
  reopen?(now: number): void;
  /** Resolves when everything is delivered or counted as lost, and resources are closed. Never rejects. */
  close(now: number): Promise<void>;
  /** What became of the flows so far; absent where nothing can be lost. */
  readonly result?: SinkResult;
}

/** What `--format` asks for: a file or standard output. */
export interface Output extends FlowSink {
  /**
   * Empties the file where it is to be replaced, and begins it. To be called once, before flows are added, and when nothing
   * else can fail any more: a start that fails leaves the file as it was. Throws a StartError.
   */
  begin(): void;
  /** The start has failed: takes a file away that was made for it. */
  withdraw(): void;
  /** The reader of a pipe went away. Records since then are among the lost ones. */
  readonly isGone: boolean;
  readonly result: OutputResult;
}
