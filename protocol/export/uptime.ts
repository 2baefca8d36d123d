/** The virtual boot that the uptimes of a message are counted from: what the core knows of it (`assembly/uptime`). */
import { allocate, core, viewOf } from '../core.js';

/** What stands where in the core's memory: 64-bit floats, and what the core alone has use for. */
const BOOT = 0;
const HOLDS_UNTIL = 8;
const CLIPPED = 24;
const LENGTH = 48;

export class UptimeClock {
  /** Address of what the core knows. */
  readonly at: number;
  readonly #view: DataView;

  constructor() {
    this.at = allocate(LENGTH, this);
    this.#view = viewOf(this.at, LENGTH);
  }

  /** Milliseconds since the epoch at which uptime is 0. */
  get boot(): number {
    return this.#view.getFloat64(BOOT, true);
  }

  /** Records written whose start lay before the boot. */
  get clipped(): number {
    return this.#view.getFloat64(CLIPPED, true);
  }

  /** Opens a message: what happens in the hour after `now` has a place in it. */
  open(now: number): void {
    core.openClock(this.at, now);
  }

  /** The last moment that has a place in the message. */
  get holdsUntil(): number {
    return this.#view.getFloat64(HOLDS_UNTIL, true);
  }

  /** Whether a record seen now still has a place in the message. */
  holds(now: number): boolean {
    return now <= this.holdsUntil;
  }

  /** The time for the message's header: `now`, or the latest end in the message where the clock was set back. */
  headerTime(now: number): number {
    return core.headerTime(this.at, now);
  }
}
