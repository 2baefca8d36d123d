/** From states that ended to flows, which the core makes of their rows (`assembly/flow`). */
import { core } from '../../protocol/core.js';
import { FlowRecord, type FlowRows } from '../../protocol/flow/flow-record.js';
import type { StateFilter } from './filter.js';
import type { Stats } from '../observe/statistics.js';

export class FlowMapper {
  /** A row for a state of the table: its owner fills it in, and then calls `ended` or `lives`. */
  readonly flow = new FlowRecord();
  readonly #filter: StateFilter;
  readonly #stats: Stats;
  readonly #emit: (flows: FlowRows) => void;

  constructor(filter: StateFilter, stats: Stats, emit: (flows: FlowRows) => void) {
    this.#filter = filter;
    this.#stats = stats;
    this.#emit = emit;
  }

  /** The states of these rows ended. Of continued ones earlier records told a part of the volume, and the row has what came since. */
  ended(states: FlowRows): void {
    const { flowCounts, halves } = this.#stats;
    if (core.endStates(this.#filter.at, flowCounts, halves.at, states.row, states.count) > 0)
      this.#emit(states);
  }

  /** The same of full deletes, whose rows are as they were read but for their interfaces. */
  deleted(states: FlowRows): void {
    const { flowCounts, halves } = this.#stats;
    if (core.endDeleted(this.#filter.at, flowCounts, halves.at, states.row, states.count) > 0)
      this.#emit(states);
  }

  /** The state of `flow` lives on, and what it gathered is told now. */
  lives(): void {
    const { flow } = this;
    if (core.tellLiving(this.#filter.at, this.#stats.flowCounts, flow.row) > 0) this.#emit(flow);
  }
}
