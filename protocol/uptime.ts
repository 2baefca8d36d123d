/**
 * Times as milliseconds since a virtual boot (NetFlow v1, v5 and v9). Each message chooses its boot anew, as far back as
 * 32 bits reach: a state's start is never clipped to the start of the program, and nothing wraps at 49.7 days of running.
 */

/** How long the data's clock may run on while one message is filled. */
const MESSAGE_SPAN = 3_600_000;
const REACH = 0xffff_ffff;
/** Room for a header whose time is rounded up to a second. */
const ROUNDING = 1000;

/** Milliseconds since the epoch. */
export interface TimeSpan {
  readonly start: number;
  readonly end: number;
}

export class UptimeClock {
  /** Milliseconds since the epoch at which uptime is 0. */
  boot = 0;
  /** Records written whose start lay before the boot. */
  clipped = 0;
  /** What was set last: the uptimes of its start and end, as signed words, and whether the start lay before the boot. */
  first = 0;
  last = 0;
  isClipped = false;
  #latest = 0;

  /** Opens a message: what happens until MESSAGE_SPAN after `now` has a place in it. */
  open(now: number): void {
    this.boot = now + MESSAGE_SPAN + ROUNDING - REACH;
    this.#latest = now;
  }

  /** Whether a record seen now still has a place in the message. */
  holds(now: number): boolean {
    return now <= this.boot + REACH - ROUNDING;
  }

  /** Takes up the times of the record to be written. The header's time will not be before its end. */
  set({ start, end }: TimeSpan): void {
    const { boot } = this;
    if (end > this.#latest) this.#latest = Math.min(end, boot + REACH - ROUNDING);
    this.isClipped = start < boot;
    this.first = uptime(start - boot);
    this.last = uptime(end - boot);
  }

  /** A record is written with the times that were set last. It is compared, as V8 takes longer over a bare condition. */
  written(): void {
    if (this.isClipped === true) this.clipped++;
  }

  /** The time for the message's header: `now`, or the latest end in the message where the clock was set back. */
  headerTime(now: number): number {
    return now > this.#latest && this.holds(now) ? now : this.#latest;
  }
}

/** Math.min and Math.max would look for NaN and -0, for each record. */
function uptime(time: number): number {
  if (time < 0) return 0;
  return time < REACH ? time | 0 : -1;
}
