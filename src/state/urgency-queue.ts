/** Slots of the state table, the most urgent first: a binary heap. */

const FIRST_ROOM = 64;

export class UrgencyQueue {
  /** Two words each: the tick by which it is too late, and the slot. */
  #entries = new Int32Array(2 * FIRST_ROOM);
  size = 0;

  /** `tick`: the earliest leaves first. */
  add(slot: number, tick: number): void {
    if (2 * this.size === this.#entries.length) this.#resize(2 * this.size);
    const entries = this.#entries;
    let at = this.size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (entries[2 * parent]! <= tick) break;
      entries[2 * at] = entries[2 * parent]!;
      entries[2 * at + 1] = entries[2 * parent + 1]!;
      at = parent;
    }
    entries[2 * at] = tick;
    entries[2 * at + 1] = slot;
  }

  /** Takes out the most urgent slot; there must be one. */
  take(): number {
    const entries = this.#entries;
    const slot = entries[1]!;
    const last = --this.size;
    const tick = entries[2 * last]!;
    let at = 0;
    for (let child = 1; child < last; child = 2 * at + 1) {
      if (child + 1 < last && entries[2 * child + 2]! < entries[2 * child]!) child++;
      if (tick <= entries[2 * child]!) break;
      entries[2 * at] = entries[2 * child]!;
      entries[2 * at + 1] = entries[2 * child + 1]!;
      at = child;
    }
    entries[2 * at] = tick;
    entries[2 * at + 1] = entries[2 * last + 1]!;
    if (last >= FIRST_ROOM && 8 * last < entries.length) this.#resize(2 * last);
    return slot;
  }

  #resize(room: number): void {
    const entries = new Int32Array(2 * room);
    entries.set(this.#entries.subarray(0, 2 * this.size));
    this.#entries = entries;
  }
}
