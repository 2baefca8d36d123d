/** Which ended states become flows. A state stays or goes with both of its records. */
import { INBOUND, OUTBOUND } from '../../protocol/flow/pf-terms.js';
import { ROW, STATE } from '../../protocol/flow/row.js';
import type { FlowRows } from '../../protocol/flow/rows.js';
import { NONE } from '../../protocol/flow/terms.js';
import type { SelfFilter } from './self.js';

/** Why a state gave no flow; the keys of `skipped` in the summary. */
export type SkipReason = 'direction' | 'noPackets' | 'self' | 'uncounted' | 'unreadable';

export interface FilterOptions {
  readonly direction: 'any' | 'in' | 'out';
  /** Leave out states of unknown counters. */
  readonly noUncounted: boolean;
  /** Recognizes the states of our own exports; without it they are kept. */
  readonly self?: SelfFilter;
}

/** pf's number for a direction; 0 is any. */
export function directionNumber(direction: FilterOptions['direction']): number {
  return { any: 0, in: INBOUND, out: OUTBOUND }[direction];
}

export class StateFilter {
  /** It skips no state. */
  readonly takesAll: boolean;
  readonly #words: Int32Array;
  readonly #direction: number;
  readonly #noUncounted: boolean;
  readonly #self: SelfFilter | undefined;

  constructor({ words }: FlowRows, { direction, noUncounted, self }: FilterOptions) {
    this.#words = words;
    this.#direction = directionNumber(direction);
    this.#noUncounted = noUncounted;
    this.#self = self;
    this.takesAll = this.#direction === 0 && !noUncounted && self === undefined;
  }

  /** `provenance` is that of the state's counters (terms). */
  reasonToSkip(row: number, provenance: number): SkipReason | undefined {
    const direction = this.#words[row * ROW + STATE]! & 255;
    if (this.#direction !== 0 && direction !== this.#direction) return 'direction';
    if (this.#self?.matches(this.#words, row * ROW)) return 'self';
    return this.#noUncounted && provenance === NONE ? 'uncounted' : undefined;
  }
}
