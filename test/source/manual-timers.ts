/** Timers that expire when the test says so. */
import type { StartTimer } from '../../src/source/timer.js';

interface Pending {
  readonly milliseconds: number;
  readonly action: () => void;
}

export class ManualTimers {
  readonly pending = new Set<Pending>();

  readonly start: StartTimer = (milliseconds, action) => {
    const timer = { milliseconds, action };
    this.pending.add(timer);
    return { cancel: () => this.pending.delete(timer) };
  };

  /** The milliseconds of those that are running. */
  get running(): number[] {
    return [...this.pending].map(({ milliseconds }) => milliseconds);
  }

  /** Lets the one that was started first expire. */
  expire(): void {
    const [first] = this.pending;
    if (first === undefined) throw new Error('no timer is running');
    this.pending.delete(first);
    first.action();
  }
}
