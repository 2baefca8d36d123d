/** From pfsync messages to flows, without a program around: the reader, the state tracker and the flow mapper. */
import { expect } from 'chai';
import { InterfaceTable } from '../../protocol/flow/interface.js';
import { type FlowConsumer, type FlowMemory, FlowRows, RowRange } from '../../protocol/flow/rows.js';
import { TagTable } from '../../protocol/flow/tags.js';
import { PfsyncReader } from '../../protocol/pfsync/message.js';
import { type FilterOptions, StateFilter } from '../../src/flow/filter.js';
import { flowMapper } from '../../src/flow/mapper.js';
import { outlet } from '../../src/flow/outlet.js';
import { Statistics } from '../../src/observe/statistics.js';
import { type StateObserver, StateTracker, type TrackerOptions } from '../../src/state/tracker.js';
import { type FlowJson, recordsOf } from './flow-json.js';

const NO_LIMITS: TrackerOptions = { maxStates: 10_000_000, stateTimeout: 0, activeTimeout: 0 };

export interface ConverterOptions extends Partial<TrackerOptions>, Partial<FilterOptions> {
  /** Rows that states are read into, and that they leave in. */
  readonly batch?: number;
  /** Whether states end that cannot live any more. */
  readonly endsOverdue?: boolean;
  /** Makes a stage between the mapper and the outlet. */
  readonly stage?: (memory: FlowMemory, statistics: Statistics, next: FlowConsumer) => FlowConsumer;
  /** Gets what the tracker reports of states, with the memory that rows stand in. */
  readonly observer?: (memory: FlowMemory) => StateObserver;
}

export class StateConverter {
  readonly statistics = new Statistics();
  readonly records: FlowJson[] = [];
  readonly memory: FlowMemory;
  readonly tracker: StateTracker;
  readonly #reader: PfsyncReader;
  readonly #endsOverdue: boolean;

  constructor({ batch = 128, endsOverdue = false, stage, observer, ...options }: ConverterOptions = {}) {
    const memory = {
      rows: new FlowRows(2 * batch),
      interfaces: new InterfaceTable(),
      tags: new TagTable(),
    };
    const filter = new StateFilter(memory.rows, { direction: 'any', noUncounted: false, ...options });
    const last = outlet(memory, this.statistics, {
      add: (first, count) => {
        for (let row = first; row < first + count; row++) this.records.push(...recordsOf(memory, row));
      },
    });
    const next = stage === undefined ? last : stage(memory, this.statistics, last);
    const mapper = flowMapper(memory, filter, this.statistics, next);
    this.memory = memory;
    this.#endsOverdue = endsOverdue;
    this.tracker = new StateTracker(
      memory,
      new RowRange(memory.rows, batch, batch),
      mapper,
      this.statistics,
      { ...NO_LIMITS, ...options },
      observer?.(memory),
    );
    this.#reader = new PfsyncReader(memory, new RowRange(memory.rows, 0, batch), this.tracker);
  }

  set time(timeMs: number) {
    this.#reader.clock[0] = 0;
    this.#reader.clock[1] = timeMs;
  }

  /** A whole message, captured at `timeMs`. `sender` is a number of its firewall. */
  message(message: Buffer, timeMs: number, sender = 0): this {
    this.time = timeMs;
    expect(this.read(message, sender)).to.equal('whole');
    if (this.tracker.expires) this.tracker.expire(timeMs);
    if (this.#endsOverdue && this.tracker.isOverdueDue(Float64Array.of(0, timeMs))) {
      this.tracker.beginOverdue(timeMs);
      this.tracker.finishEnding();
    }
    return this;
  }

  read(message: Buffer, sender = 0): string {
    const view = new DataView(message.buffer, message.byteOffset, message.length);
    const verdict = this.#reader.read(view, 0, message.length, message.length, sender);
    this.#reader.handOn();
    return verdict;
  }

  /** Ends what is open, as at the end of a run. */
  flush(timeMs: number): this {
    this.tracker.beginFlush(timeMs);
    this.tracker.finishEnding();
    return this;
  }

  /** Every ended state is accounted for, and every flow has its provenance. */
  expectSums(): void {
    const { states, skipped, counters, flows } = this.statistics;
    expect(states.ended).to.equal(states.exported + states.joined + skipped.total);
    expect(flows).to.equal(counters.exact + counters.partial + counters.tcpseq + counters.none);
    const sum = (of: (record: FlowJson) => bigint | undefined) =>
      this.records.reduce((total, record) => total + (of(record) ?? 0n), 0n);
    expect(flows).to.equal(this.records.length);
    expect(this.statistics.octets.value).to.equal(sum(({ octetDeltaCount }) => octetDeltaCount));
    expect(this.statistics.packetsCounted.value).to.equal(sum(({ packetDeltaCount }) => packetDeltaCount));
  }
}
