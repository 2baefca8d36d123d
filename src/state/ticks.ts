/** Times as ticks, whole numbers from 0 on: what a timing wheel counts. Where the clock is set, they go on as they were. */

/** Ticks that the clock may seem to go back without having been set: times of messages come from elsewhere. */
const JITTER = 10;

export class Ticks {
  readonly #length: number;
  readonly #furthest: number;
  #current = 0;
  /** Milliseconds since the epoch of tick 0. */
  readonly #origin = Float64Array.of(Number.NaN);

  /** A tick is `length` milliseconds; the clock is followed for up to `furthest` ticks at a time. */
  constructor(length: number, furthest: number) {
    this.#length = length;
    this.#furthest = furthest;
  }

  /** The tick of a time in milliseconds since the epoch. Times further than `furthest` from the current tick are taken for that. */
  of(time: number): number {
    if (Number.isNaN(this.#origin[0]!)) this.#origin[0] = time;
    const tick = Math.floor((time - this.#origin[0]!) / this.#length);
    const current = this.#current;
    return Math.min(Math.max(tick, current - this.#furthest), current + this.#furthest);
  }

  /** Goes on to `now`, in milliseconds since the epoch, and returns its tick: never one before the current. */
  advance(now: number): number {
    const tick = this.of(now);
    const isSet = tick < this.#current - JITTER || tick === this.#current + this.#furthest;
    this.#current = Math.max(this.#current, tick);
    if (isSet) this.#origin[0] = now - this.#length * this.#current;
    return this.#current;
  }
}
