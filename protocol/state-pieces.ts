/**
 * Records of states as they lie in messages: they are noted, and those of several messages are then read in one call. A function
 * of the core that is called a thousand times gets a way into it of its own from V8, which takes 1.6 ms of a short run.
 */
import type { Clock } from './clock.js';
import { allocate, core, doublesAt, isInCore, memoryOctets, takeMemory, wordsAt } from './core.js';
import type { StateLayout } from './pfsync-layout.js';
import { MOST_RECORDS } from './pfsync-record.js';

/** A piece as the core knows it (`assembly/state-record`): the two doubles of its time, and two words. */
const DOUBLES = 3;
const WORDS = 6;
const AT = 4;
const COUNT = 5;

/** Octets of MOST_RECORDS records of the longest stride that version 6 can tell. */
const MOST_OCTETS = MOST_RECORDS * 255 * 4;
/** Where records are copied to that lie outside the core's memory; undefined as long as none did. */
let outside: number | undefined;

/** Up to MOST_RECORDS records of one layout and one stride. */
export class StatePieces {
  readonly #at = allocate(MOST_RECORDS * WORDS * 4, this);
  readonly #words = wordsAt(this.#at, MOST_RECORDS * WORDS);
  readonly #doubles = doublesAt(this.#at, MOST_RECORDS * DOUBLES);
  #layout: StateLayout | undefined;
  #stride = 0;
  #pieces = 0;
  /** How many are noted. */
  records = 0;

  /** Whether records of this layout can be noted with those that are noted already. */
  takes(layout: StateLayout, stride: number): boolean {
    return this.records === 0 || (layout === this.#layout && stride === this.#stride);
  }

  /**
   * Notes records that lie `stride` octets apart from `at` on. The caller has checked that they are there, and that `stride` is not
   * less than the layout's size. `clock` tells the time of their message. The answer is whether they can wait to be read, until
   * other octets take the place of theirs: those that lie outside the core's memory cannot.
   */
  note(
    view: DataView,
    at: number,
    stride: number,
    count: number,
    layout: StateLayout,
    clock: Clock,
  ): boolean {
    let from = view.byteOffset + at;
    const canWait = isInCore(view);
    if (!canWait) {
      outside ??= takeMemory(MOST_OCTETS);
      memoryOctets.set(new Uint8Array(view.buffer, from, (count - 1) * stride + layout.size), outside);
      from = outside;
    }
    this.#layout = layout;
    this.#stride = stride;
    const piece = this.#pieces++;
    const { parts } = clock;
    this.#doubles[DOUBLES * piece] = parts[0]!;
    this.#doubles[DOUBLES * piece + 1] = parts[1]!;
    this.#words[WORDS * piece + AT] = from;
    this.#words[WORDS * piece + COUNT] = count;
    this.records += count;
    return canWait;
  }

  /** Reads what is noted into the rows from the address `row` on. The answer is how many of the records could not be read. */
  read(row: number): number {
    const pieces = this.#pieces;
    if (pieces === 0) return 0;
    this.#pieces = 0;
    this.records = 0;
    return core.readStates(this.#layout!.address, this.#stride, this.#at, pieces, row);
  }
}
