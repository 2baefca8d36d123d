/**
 * States whose end no message tells: killed by the other firewall of a pair, carried by its backup, older than a change of
 * hostid, or with a delete that was lost. Each packet of a state leads to a message, so that a state which no message has named
 * for longer than any timeout it can have has ended.
 */
import { longestTimeout } from './timeouts.js';

/** In place of a timeout's number: no full record has told of the state's timeout, which a rule may have made longer than usual. */
export const UNTOLD = 256;
/** Seconds: pf's longest default. */
const LONGEST_USUAL = 86_400;

/** Milliseconds for what a kernel and a network may delay. */
const MARGIN = 60_000;
/** Milliseconds of the data's clock between two searches. */
const INTERVAL = 60_000;
/** Silence is meant only while the firewall speaks: after a longer gap in all messages, or a jump of the clock, nothing is overdue. */
const LONGEST_GAP = 600_000;

export class OverdueStates {
  /** By pf's number of the timeout: seconds that a state with it lives at most without a packet. */
  readonly #longest = Float64Array.from({ length: UNTOLD + 1 }, (_, timeout) =>
    timeout === UNTOLD ? LONGEST_USUAL : longestTimeout(timeout),
  );
  readonly #limits = new Float64Array(UNTOLD + 1);
  /** Milliseconds since the epoch: the last message and the next search. */
  readonly #times = new Float64Array(2);

  /** A record said that a state with this timeout has `remaining` seconds left to live: the firewall's timeout is no shorter. */
  learn(timeout: number, remaining: number): void {
    if (remaining > this.#longest[timeout]!) this.#longest[timeout] = remaining;
  }

  /** Whether it is time to search for overdue states. `clock` is that of the message at hand: a number would be an object for each. */
  isDue(clock: Float64Array): boolean {
    const now = clock[0]! * 1000 + clock[1]!;
    const times = this.#times;
    const gap = now - times[0]!;
    times[0] = now;
    // A clock that was ahead for a while has put off the next search.
    if (gap < 0) times[1] = Math.min(times[1]!, now + INTERVAL);
    if (now < times[1]!) return false;
    times[1] = now + INTERVAL;
    return gap >= 0 && gap <= LONGEST_GAP;
  }

  /**
   * By pf's number of the timeout, or UNTOLD: a state with it that no message has named since then, in milliseconds since the
   * epoch, has ended by `now`. What was silent while messages were lost, until `lastLoss`, may have spoken.
   */
  limits(now: number, lastLoss: number): Float64Array {
    const limits = this.#limits;
    for (let timeout = 0; timeout <= UNTOLD; timeout++) {
      const limit = now - 1000 * this.#longest[timeout]! - MARGIN;
      limits[timeout] = lastLoss < limit ? limit : Number.NEGATIVE_INFINITY;
    }
    return limits;
  }
}
