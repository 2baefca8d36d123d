import { Clock } from '../protocol/clock.js';
import type { StateLayout } from '../protocol/pfsync-layout.js';
import type { StateRow } from '../protocol/pfsync-state.js';
import { StatePieces } from '../protocol/state-pieces.js';

const PIECES = new StatePieces();
const CLOCK = new Clock();

/** Reads records, `stride` octets apart, into rows. The answer is how many of them could not be read. */
export function readStates(
  view: DataView,
  at: number,
  stride: number,
  count: number,
  layout: StateLayout,
  row: number,
): number {
  PIECES.note(view, at, stride, count, layout, CLOCK);
  return PIECES.read(row);
}

/** The same of one record: whether it says something. */
export function readState(state: StateRow, record: Uint8Array, layout: StateLayout): boolean {
  const view = new DataView(record.buffer, record.byteOffset, record.length);
  return readStates(view, 0, layout.size, 1, layout, state.row) === 0;
}
