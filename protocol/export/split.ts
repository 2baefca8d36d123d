/** Splits 64-bit counters over several records of a format whose counters have 32 bits (NetFlow v1 and v5). */
import { swapOctets } from '../flow/byte-order.js';

/** A hostile counter of 2^64-1 would make four thousand million records: this many are written, and no more. */
export const MOST_PARTS = 4096;

const WORD = 2 ** 32;
const LARGEST = WORD - 1;

/** Records that the counter takes; more than MOST_PARTS where they cannot hold it. `high` and `low` are in wire order. */
export function partsFor(high: number, low: number): number {
  const highPart = swapOctets(high) >>> 0;
  // A counter below 2^44 is an exact number, and so is its quotient.
  if (highPart >= MOST_PARTS) return MOST_PARTS + 1;
  return Math.ceil((highPart * WORD + (swapOctets(low) >>> 0)) / LARGEST);
}

/**
 * The share of one of `parts` records, in wire order; `high` and `low` are so too. Shares conserve the sum and differ by at
 * most one. A counter that the records cannot hold has the largest share in each.
 */
export function shareOf(high: number, low: number, parts: number, part: number): number {
  if (partsFor(high, low) > parts) return -1;
  const value = (swapOctets(high) >>> 0) * WORD + (swapOctets(low) >>> 0);
  return swapOctets((Math.floor(value / parts) + (part < value % parts ? 1 : 0)) | 0);
}
