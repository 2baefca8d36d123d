/** Slots of the state table by the tick at which they are to be looked at: one bucket for each tick, used again in turn. */

/** Ticks that the wheel holds; a power of two. */
const BUCKETS = 1024;
/** Room of a bucket that is kept when it has been emptied. */
const KEPT_ROOM = 1024;
const FIRST_ROOM = 16;

/** The furthest tick from the current one that a slot can stand at. */
export const FURTHEST = BUCKETS - 1;

export class TimingWheel {
  readonly #buckets: (Int32Array | undefined)[] = new Array(BUCKETS).fill(undefined);
  readonly #counts = new Int32Array(BUCKETS);
  /** The tick whose bucket was emptied last. */
  current = 0;

  /** Adds a slot at `tick`, which lies 1 to FURTHEST ticks after the current one. */
  add(slot: number, tick: number): void {
    const bucket = tick & (BUCKETS - 1);
    const count = this.#counts[bucket]!;
    let slots = this.#buckets[bucket] ?? new Int32Array(FIRST_ROOM);
    if (count === slots.length) {
      const larger = new Int32Array(2 * count);
      larger.set(slots);
      slots = larger;
    }
    slots[count] = slot;
    this.#buckets[bucket] = slots;
    this.#counts[bucket] = count + 1;
  }

  /** Empties the buckets up to that of `tick`, at most FURTHEST ticks on. `use` may add slots. */
  advance(tick: number, use: (slot: number, tick: number) => void): void {
    while (this.current < tick) {
      this.current++;
      const bucket = this.current & (BUCKETS - 1);
      const slots = this.#buckets[bucket];
      const count = this.#counts[bucket]!;
      this.#counts[bucket] = 0;
      if (slots === undefined) continue;
      for (let n = 0; n < count; n++) use(slots[n]!, this.current);
      if (slots.length > KEPT_ROOM) this.#buckets[bucket] = undefined;
    }
  }
}
