/** Which ended states become flows. A state stays or goes with both of its records. */
import { NONE } from '../protocol/flow-terms.js';
import { INBOUND, OUTBOUND } from '../protocol/pf-terms.js';
import type { StateView } from '../protocol/pfsync-state.js';
import type { Direction } from './option-values.js';
import type { SelfFilter } from './self.js';

/** Why a state gave no flow; the keys of `skipped` in the summary. */
export type SkipReason = 'direction' | 'noPackets' | 'self' | 'uncounted' | 'unreadable';

export interface FilterOptions {
  readonly direction: Direction;
  /** Leave out states of unknown volume. */
  readonly noUncounted: boolean;
  /** Knows the states of our own exports; without it they are kept. */
  readonly self?: SelfFilter;
}

/** pf's number for a direction; 0 is any. */
export function directionNumber(direction: Direction): number {
  return { any: 0, in: INBOUND, out: OUTBOUND }[direction];
}

export class StateFilter {
  readonly #direction: number;
  readonly #noUncounted: boolean;
  readonly #self: SelfFilter | undefined;

  constructor({ direction, noUncounted, self }: FilterOptions) {
    this.#direction = directionNumber(direction);
    this.#noUncounted = noUncounted;
    this.#self = self;
  }

  reasonToSkip(state: StateView, provenance: number): SkipReason | undefined {
    if (this.#direction !== 0 && state.direction !== this.#direction) return 'direction';
    if (this.#self?.matches(state)) return 'self';
    if (provenance === NONE && this.#noUncounted) return 'uncounted';
    return undefined;
  }
}
