/** Keys of states to which something happened a short while ago: a table of fixed size, in which a newer key may replace another. */
const ENTRIES = 65_536;
const WORDS = 4;

export class RecentKeys {
  /** Key and time in seconds, by a hash of the key; made with the first. */
  #entries: Int32Array | undefined;
  readonly #seconds: number;

  /** A key is recent for so many seconds. */
  constructor(seconds: number) {
    this.#seconds = seconds;
  }

  /** It happened to this state at `now`, in milliseconds since the epoch. */
  add(idFirst: number, idSecond: number, creatorId: number, now: number): void {
    this.#entries ??= new Int32Array(ENTRIES * WORDS);
    const entries = this.#entries;
    const at = placeOf(idFirst, idSecond, creatorId);
    entries[at] = idFirst;
    entries[at + 1] = idSecond;
    entries[at + 2] = creatorId;
    entries[at + 3] = secondsOf(now);
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
    return isKey && Math.abs((secondsOf(now) - entries[at + 3]!) | 0) <= this.#seconds;
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

/** 32 bits, of which only differences count: they wrap around in 2038. Never 0, which is no time. */
function secondsOf(time: number): number {
  return (time / 1000) | 1;
}

function placeOf(idFirst: number, idSecond: number, creatorId: number): number {
  let mixed = Math.imul(idSecond ^ Math.imul(idFirst, 0x9e3779b1) ^ creatorId, 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0xc2b2ae35);
  return WORDS * ((mixed ^ (mixed >>> 16)) & (ENTRIES - 1));
}
