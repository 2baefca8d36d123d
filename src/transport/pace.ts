/** Pacing: a token bucket that spreads what is sent evenly, so that a collector's socket buffer is never flooded. */

/** As many as a default nfcapd takes without loss. */
const DEFAULT_DATAGRAMS = 8000;

/** How much may be sent at once after a pause, in seconds of the rate. */
const BURST = 0.01;

export interface Pace {
  /** Whether a datagram may leave now. */
  allows(now: number): boolean;
  spent(records: number): void;
}

export const UNPACED: Pace = { allows: () => true, spent: () => {} };

/** Flow records a second. 0 is no limit; undefined is the default for a conversion, which counts datagrams. */
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

  spent(records: number): void {
    this.#tokens -= this.#cost(records);
  }
}
