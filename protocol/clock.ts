/** A time in the core's memory: as a property it would be an allocation each time that it is set. */
import { allocate, doublesAt } from './core.js';

export class Clock {
  /** Seconds and milliseconds. The time is their sum. */
  readonly parts = doublesAt(allocate(16, this), 2);

  /** Milliseconds since the epoch. */
  get time(): number {
    return this.parts[0]! * 1000 + this.parts[1]!;
  }

  set time(time: number) {
    this.set(0, time);
  }

  /** Sets the time in two parts, as captures tell it. In one, V8 makes two objects of 16 octets for each packet. */
  set(seconds: number, milliseconds: number): void {
    this.parts[0] = seconds;
    this.parts[1] = milliseconds;
  }
}
