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
  /** Records whose start lay before the boot. */
  clipped = 0;
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

  /**
   * Writes the uptimes of a start and an end, 8 octets. The header's time will not be before the end.
   * It takes the record, not its times: a number beyond 32 bits costs an allocation wherever a call is not inlined.
   */
  write(to: DataView, at: number, { start, end }: TimeSpan): void {
    const { boot } = this;
    if (end > this.#latest) this.#latest = Math.min(end, boot + REACH - ROUNDING);
    if (start < boot) this.clipped++;
    const first = Math.min(Math.max(start - boot, 0), REACH);
    const last = Math.min(Math.max(end - boot, 0), REACH);
    to.setUint32(at, first);
    to.setUint32(at + 4, last);
  }

  /** The time for the message's header: `now`, or the latest end in the message where the clock was set back. */
  headerTime(now: number): number {
    return now > this.#latest && this.holds(now) ? now : this.#latest;
  }
}
