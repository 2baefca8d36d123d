/** Interface names that were met lately, found again by their octets: a firewall has few, and every state names one. */
import { IF_INDEX, INTERFACE_NAME, ROW } from '../protocol/flow-row';

/**
 * A name as a record has it, and the name and the IF_INDEX that a row is given for it: those, their owner fills in
 * (`src/interface`). No name at all is index 0.
 */
@unmanaged
class RecentName {
  first: u64;
  second: u64;
  shownFirst: u64;
  shownSecond: u64;
  index: u32;
}

/** What the owner of a table of names keeps for this: RECENT names follow. */
@unmanaged
class RecentNames {
  /** The one that was met for the first time. */
  newest: usize;
  names: u64;
}

/** A power of two: as many as `placeOf` tells apart. */
export const RECENT: u32 = 64;

/** Where a name belongs among RECENT of them. */
export function placeOf(first: u64, second: u64): u32 {
  const mixed = first ^ second;
  return ((<u32>mixed ^ <u32>(mixed >> 32)) * 0x9e3779b1) >> 26;
}

/** Octets of the memory for them. */
export function recentNamesLength(): usize {
  return offsetof<RecentNames>('names') + RECENT * offsetof<RecentName>();
}

/**
 * Fills in the interfaces of rows that have just been read, up to a name that was not met lately. The answer is how many of the
 * rows are done: for the others the call is made again, when the owner has filled in the newest name.
 */
export function nameInterfaces(recent: RecentNames, row: usize, count: i32): i32 {
  const names = changetype<usize>(recent) + offsetof<RecentNames>('names');
  for (let i = 0; i < count; i++, row += ROW) {
    const first = load<u64>(row, INTERFACE_NAME);
    const second = load<u64>(row, INTERFACE_NAME + 8);
    const entry = changetype<RecentName>(names + placeOf(first, second) * offsetof<RecentName>());
    if (entry.first !== first || entry.second !== second) {
      entry.first = first;
      entry.second = second;
      recent.newest = changetype<usize>(entry);
      return i;
    }
    store<u64>(row, entry.shownFirst, INTERFACE_NAME);
    store<u64>(row, entry.shownSecond, INTERFACE_NAME + 8);
    store<u32>(row, entry.index, IF_INDEX);
  }
  return count;
}
