/** Whether most states are halves of forwarded connections; the core looks at a sample of them (`assembly/halves`). */
import { allocate, core, memory } from '../../protocol/core.js';
import type { StateRow } from '../../protocol/pfsync/state.js';

/** What stands where in the core's memory. */
const STATES = 0;
const PAIRS = 4;

/** Fewer states than this prove nothing. */
const LEAST = 20;

export class HalfDetector {
  /** Address of what the core knows of it. */
  readonly at = allocate(core.halfDetectorLength(), this);

  /** States looked at, and how many of them found their other half among those before. */
  get states(): number {
    return memory.getInt32(this.at + STATES, true);
  }

  get pairs(): number {
    return memory.getInt32(this.at + PAIRS, true);
  }

  note(state: StateRow): void {
    core.noteHalves(this.at, state.row, 1);
  }

  get areMost(): boolean {
    return this.states >= LEAST && 2 * this.pairs > this.states / 2;
  }
}
