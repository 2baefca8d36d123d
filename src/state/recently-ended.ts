/**
 * Keys of states that ended a short while ago. Records of such a state may still come: an answer or a bulk update that was on
 * its way, the delete of the other firewall of a pair, updates of the dead after a flush. They must not open it again.
 */
const ENTRIES = 65_536;
const WORDS = 4;
/** Seconds. A bulk update of a large table takes 45. */
const LATE = 300;

export class RecentlyEnded {
  /** Key and time in seconds, by a hash of the key; made with the first. */
  #entries: Int32Array | undefined;

  /** The state with this key ended at `now`, in milliseconds since the epoch. */
  add(idFirst: number, idSecond: number, creatorId: number, now: number): void {
    this.#entries ??= new Int32Array(ENTRIES * WORDS);
    const entries = this.#entries;
    const at = placeOf(idFirst, idSecond, creatorId);
    entries[at] = idFirst;
    entries[at + 1] = idSecond;
    entries[at + 2] = creatorId;
    entries[at + 3] = now / 1000;
  }

  has(idFirst: number, idSecond: number, creatorId: number, now: number): boolean {
    const entries = this.#entries;
    if (entries === undefined) return false;
    const at = placeOf(idFirst, idSecond, creatorId);
    const isKey =
      entries[at] === idFirst &&
      entries[at + 1] === idSecond &&
      entries[at + 2] === creatorId &&
      entries[at + 3] !== 0;
    return isKey && Math.abs(now / 1000 - entries[at + 3]!) <= LATE;
  }

  /** The key belongs to a new state. */
  forget(idFirst: number, idSecond: number, creatorId: number): void {
    const entries = this.#entries;
    if (entries === undefined) return;
    const at = placeOf(idFirst, idSecond, creatorId);
    if (entries[at] === idFirst && entries[at + 1] === idSecond && entries[at + 2] === creatorId)
      entries[at + 3] = 0;
  }
}

function placeOf(idFirst: number, idSecond: number, creatorId: number): number {
  let mixed = Math.imul(idSecond ^ Math.imul(idFirst, 0x9e3779b1) ^ creatorId, 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0xc2b2ae35);
  return WORDS * ((mixed ^ (mixed >>> 16)) & (ENTRIES - 1));
}
