/**
 * Pacing: a token bucket that spreads what is sent evenly, so that a collector's socket buffer does not
 * overflow.
 */

/** Datagrams a second of a conversion without `--rate`: common collectors keep up with that. */
export const DEFAULT_DATAGRAMS = 2000;

/** How much may be sent at once after a pause, in seconds of the rate. */
const BURST = 0.01;

/** Times are milliseconds of a monotonic clock. */
export interface Pace {
  /** Whether a message may be sent now. */
  allows(now: number): boolean;
  /** A message of so many flow records is sent. */
  spend(records: number): void;
}

export const UNPACED: Pace = { allows: () => true, spend: () => {} };

/**
 * `rate` is flow records a second; 0 is no limit; undefined is the default of a conversion, which counts
 * datagrams.
 */
export function paceOf(rate: number | undefined): Pace {
  if (rate === 0) return UNPACED;
  return rate === undefined
    ? new TokenBucket(DEFAULT_DATAGRAMS, () => 1)
    : new TokenBucket(rate, (records) => records);
}

class TokenBucket implements Pace {
  readonly #perMillisecond: number;
  readonly #most: number;
  readonly #cost: (records: number) => number;
  #tokens: number;
  #time: number | undefined;

  constructor(perSecond: number, cost: (records: number) => number) {
    this.#perMillisecond = perSecond / 1000;
    this.#most = Math.max(perSecond * BURST, 1);
    this.#cost = cost;
    this.#tokens = this.#most;
  }

  allows(now: number): boolean {
    const gained = this.#time === undefined ? 0 : Math.max(0, now - this.#time) * this.#perMillisecond;
    this.#tokens = Math.min(this.#most, this.#tokens + gained);
    this.#time = now;
    return this.#tokens > 0;
  }

  spend(records: number): void {
    this.#tokens -= this.#cost(records);
  }
}
