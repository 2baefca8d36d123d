/** Splits 64-bit counters over several records of a format whose counters have 32 bits (NetFlow v1 and v5). */
import { MOST_PARTS } from '../protocol/split';

const LARGEST: u64 = 0xffff_ffff;

/** How many records a counter takes, rounded up. */
export function partsFor(value: u64): u64 {
  return value / LARGEST + (value % LARGEST === 0 ? 0 : 1);
}

/** How many are written: what so many do not hold is clamped. */
export function writtenParts(parts: u64): u64 {
  return min<u64>(parts, MOST_PARTS);
}

/** The share of one part. Shares conserve the sum, and differ by at most one. */
export function share(value: u64, parts: u64, part: u64): u32 {
  if (partsFor(value) > parts) return <u32>LARGEST;
  return <u32>(value / parts) + (part < value % parts ? 1 : 0);
}
