/** Interface names that were met lately, found again by their octets: a firewall has few, and every state names one. */
import { IF_INDEX, INTERFACE_NAME, ROW } from '../protocol/flow-row';
import { internInterface } from './imports';

/** A name as a record has it, and the name and the IF_INDEX that the row is given for it. No name at all is index 0. */
@unmanaged
class RecentName {
  first: u64;
  second: u64;
  shownFirst: u64;
  shownSecond: u64;
  index: u32;
}

/** A power of two: as many as `placeOf` tells apart. */
export const RECENT: u32 = 64;

/** Where a name belongs among RECENT of them. */
export function placeOf(first: u64, second: u64): u32 {
  const mixed = first ^ second;
  return ((<u32>mixed ^ <u32>(mixed >> 32)) * 0x9e3779b1) >> 26;
}

/** Octets of the memory that the owner of a table of names keeps for this. */
export function recentNamesLength(): usize {
  return RECENT * offsetof<RecentName>();
}

/** Fills in the interfaces of rows that have just been read. */
export function nameInterfaces(recent: usize, row: usize, count: i32): void {
  for (let i = 0; i < count; i++, row += ROW) {
    const first = load<u64>(row, INTERFACE_NAME);
    const second = load<u64>(row, INTERFACE_NAME + 8);
    const entry = changetype<RecentName>(recent + placeOf(first, second) * offsetof<RecentName>());
    if (entry.first !== first || entry.second !== second) {
      internInterface(row);
      entry.first = first;
      entry.second = second;
      entry.shownFirst = load<u64>(row, INTERFACE_NAME);
      entry.shownSecond = load<u64>(row, INTERFACE_NAME + 8);
      entry.index = load<u32>(row, IF_INDEX);
    } else {
      store<u64>(row, entry.shownFirst, INTERFACE_NAME);
      store<u64>(row, entry.shownSecond, INTERFACE_NAME + 8);
      store<u32>(row, entry.index, IF_INDEX);
    }
  }
}
