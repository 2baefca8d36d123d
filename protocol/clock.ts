/** A time that the core reads: in a call a number beyond 32 bits would be an allocation. */
import { allocate, memory } from './core.js';

export class Clock {
  /** Address of the time. */
  readonly at = allocate(8, this);

  /** Milliseconds since the epoch. */
  get time(): number {
    return memory.getFloat64(this.at, true);
  }

  set time(time: number) {
    memory.setFloat64(this.at, time, true);
  }
}
