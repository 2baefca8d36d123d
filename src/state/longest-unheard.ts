/**
 * Which open states no message has named for the longest time. No order is kept: a message that names a state writes the time
 * into the state's row, and the oldest are searched among all when they are needed, many at once.
 */
import { NO_SLOT } from './hot-row.js';
import type { StateRows } from './slab.js';

/** A search finds about this part of the states: each found one costs a look at 64 rows, and the memory is small. */
const SHARE = 1 / 64;
/** Rows from which the time of that part is estimated. */
const SAMPLE = 1024;

export class LongestUnheard {
  readonly #rows: StateRows;
  /** Slots that the last search found, the oldest first; those before `#next` are used up. */
  #found: readonly number[] = [];
  /** When they had last been named then. */
  #heard: readonly number[] = [];
  #next = 0;
  /** No state was last named before this, unless the clock of the messages went back. */
  #earliest = Number.NEGATIVE_INFINITY;

  constructor(rows: StateRows) {
    this.#rows = rows;
  }

  /** NO_SLOT where there are no states. */
  oldest(): number {
    if (this.#rows.size === 0) return NO_SLOT;
    const found = this.#nextFound();
    if (found !== NO_SLOT) return found;
    this.#search();
    return this.#nextFound();
  }

  /** The oldest, when it was last named before `limit` in milliseconds since the epoch; NO_SLOT otherwise. */
  oldestBefore(limit: number): number {
    if (limit <= this.#earliest) return NO_SLOT;
    const slot = this.oldest();
    if (slot === NO_SLOT) return NO_SLOT;
    this.#earliest = this.#rows.heard(slot);
    return this.#earliest < limit ? slot : NO_SLOT;
  }

  /** Passes over those that were named, or ended, since they were found. */
  #nextFound(): number {
    for (; this.#next < this.#found.length; this.#next++) {
      const slot = this.#found[this.#next]!;
      if (this.#rows.heard(slot) === this.#heard[this.#next]) return slot;
    }
    return NO_SLOT;
  }

  #search(): void {
    const rows = this.#rows;
    const latest = this.#latestOfShare();
    const found: number[] = [];
    for (let slot = rows.next(0, latest); slot !== NO_SLOT; slot = rows.next(slot + 1, latest))
      found.push(slot);
    found.sort((one, other) => rows.heard(one) - rows.heard(other));
    this.#found = found;
    this.#heard = found.map((slot) => rows.heard(slot));
    this.#next = 0;
  }

  /** About SHARE of the states were last named by then. There is one state at least. */
  #latestOfShare(): number {
    const rows = this.#rows;
    const step = Math.ceil(rows.size / SAMPLE);
    const sample: number[] = [];
    let n = 0;
    for (let slot = rows.next(0); slot !== NO_SLOT; slot = rows.next(slot + 1)) {
      if (n++ % step === 0) sample.push(rows.heard(slot));
    }
    sample.sort((one, other) => one - other);
    return sample[Math.floor(sample.length * SHARE)]!;
  }
}
