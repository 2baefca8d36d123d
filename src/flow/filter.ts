/** Which ended states become flows. A state stays or goes with both of its records. The core looks at each (`assembly/filter`). */
import { allocate, core, writeWords } from '../../protocol/core.js';
import { INBOUND, OUTBOUND } from '../../protocol/flow/pf-terms.js';
import type { StateRow } from '../../protocol/pfsync/state.js';
import type { Direction } from '../cli/option-values.js';
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

/** By the core's numbers. */
const REASONS = [undefined, 'direction', 'self', 'uncounted'] as const satisfies (SkipReason | undefined)[];

const FILTER_LENGTH = 16;

/** pf's number for a direction; 0 is any. */
export function directionNumber(direction: Direction): number {
  return { any: 0, in: INBOUND, out: OUTBOUND }[direction];
}

export class StateFilter {
  /** Address of what the core knows of it. */
  readonly at: number;
  /** Must live as long as this: the core looks at its ends. */
  readonly self: SelfFilter | undefined;

  constructor({ direction, noUncounted, self }: FilterOptions) {
    this.self = self;
    this.at = allocate(FILTER_LENGTH, this);
    writeWords(this.at, [directionNumber(direction), noUncounted ? 1 : 0, self?.at ?? 0]);
  }

  reasonToSkip(state: StateRow, provenance: number): SkipReason | undefined {
    return REASONS[core.reasonToSkip(this.at, state.row, provenance)];
  }
}
