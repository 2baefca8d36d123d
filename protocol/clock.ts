/** A time in the core's memory: as a property it would be an allocation each time that it is set. */
import { allocate, memory } from './core.js';

/** Octets: seconds and milliseconds, each a double. The time is their sum. */
const LENGTH = 16;
const MILLISECONDS = 8;

export class Clock {
  /** Address of the time. */
  readonly at = allocate(LENGTH, this);

  /** Milliseconds since the epoch. */
  get time(): number {
    return memory.getFloat64(this.at, true) * 1000 + memory.getFloat64(this.at + MILLISECONDS, true);
  }

  set time(time: number) {
    this.set(0, time);
  }

  /** Writes both parts where the core will read them. */
  copyTo(at: number): void {
    memory.setFloat64(at, memory.getFloat64(this.at, true), true);
    memory.setFloat64(at + MILLISECONDS, memory.getFloat64(this.at + MILLISECONDS, true), true);
  }

  /** Sets the time in two parts, as captures tell it. In one, V8 makes two objects of 16 octets for each packet. */
  set(seconds: number, milliseconds: number): void {
    memory.setFloat64(this.at, seconds, true);
    memory.setFloat64(this.at + MILLISECONDS, milliseconds, true);
  }
}
