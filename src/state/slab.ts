/**
 * Memory of the state table: rows in slabs of typed arrays. A state has a hot row (key, times, sequence numbers), touched by
 * every message that names it, and a record: what a flow row tells of the state, as it stands there, and what the last report
 * of its counters said. Long flows have a report beside it, of what earlier records told. Slabs come and go with the number
 * of states.
 */
import { copyWords } from '../../protocol/flow/copy-words.js';
import { KEPT, ROW, STATE } from '../../protocol/flow/row.js';
import type { FlowRows } from '../../protocol/flow/rows.js';
import { COUNTERS_OCTETS, copyCounters } from './counters.js';
import {
  CREATOR,
  FLAGS,
  FREE,
  HEARD,
  HOT_DOUBLES,
  HOT_WORDS,
  ID_FIRST,
  ID_SECOND,
  NEXT_FREE,
  NO_SLOT,
  PEER_WORDS,
  PEERS,
  RECORD_WORDS,
  ROW_MASK,
  ROW_SHIFT,
  ROWS,
  TIMEOUT_TOLD,
} from './hot-row.js';
import { UNTOLD } from './overdue.js';

/** A report: counters, and up to when, in milliseconds since the epoch. Octets. */
const REPORT_TIME = COUNTERS_OCTETS;
const REPORT_OCTETS = COUNTERS_OCTETS + 8;

/** `ROWS` states. Code that touches more than one word of a row fetches its slab once. */
export class Slab {
  readonly hot = new Int32Array(ROWS * HOT_WORDS);
  readonly doubles = new Float64Array(this.hot.buffer);
  readonly records = new Int32Array(ROWS * RECORD_WORDS);
  readonly recordDoubles = new Float64Array(this.records.buffer);
  readonly recordView = new DataView(this.records.buffer);
  /** Made for the first long flow. */
  reports: DataView | undefined;
  /** Made for the first state that a second firewall reports. */
  peers: PeerReports | undefined;
  used = 0;
  free = 0;

  constructor() {
    for (let row = 0; row < ROWS; row++) {
      this.doubles[row * HOT_DOUBLES + HEARD] = FREE;
      this.hot[row * HOT_WORDS + NEXT_FREE] = row + 1;
    }
  }
}

/** What a second firewall has reported of the states of a slab. */
export class PeerReports {
  readonly words = new Int32Array(ROWS * PEER_WORDS);
  readonly doubles = new Float64Array(this.words.buffer);
  readonly view = new DataView(this.words.buffer);
}

export class StateRows {
  readonly #slabs: (Slab | undefined)[] = [];
  /** No slab before this one has a free row. */
  #lowestFree = 0;
  #allocated = 0;
  /** States. */
  size = 0;

  /** Octets that the slabs take. */
  get octets(): number {
    const reporting = this.#slabs.filter((slab) => slab?.reports !== undefined).length;
    const paired = this.#slabs.filter((slab) => slab?.peers !== undefined).length;
    const records = 4 * RECORD_WORDS * this.#allocated;
    return this.hotOctets + ROWS * (records + REPORT_OCTETS * reporting + 4 * PEER_WORDS * paired);
  }

  /** Octets of the hot rows among them. */
  get hotOctets(): number {
    return this.#allocated * ROWS * 4 * HOT_WORDS;
  }

  allocate(): number {
    let number = this.#lowestFree;
    while (this.#slabs[number]?.used === ROWS) number++;
    this.#lowestFree = number;
    let slab = this.#slabs[number];
    if (slab === undefined) {
      slab = new Slab();
      this.#slabs[number] = slab;
      this.#allocated++;
    }
    const row = slab.free;
    slab.free = slab.hot[row * HOT_WORDS + NEXT_FREE]!;
    slab.used++;
    this.size++;
    return (number << ROW_SHIFT) | row;
  }

  release(slot: number): void {
    const number = slot >>> ROW_SHIFT;
    const row = slot & ROW_MASK;
    const slab = this.#slabs[number]!;
    slab.doubles[row * HOT_DOUBLES + HEARD] = FREE;
    slab.hot[row * HOT_WORDS + NEXT_FREE] = slab.free;
    slab.free = row;
    slab.used--;
    this.size--;
    if (number < this.#lowestFree) this.#lowestFree = number;
    // One empty slab is kept, so that a table which breathes around a boundary does not allocate with each breath.
    if (slab.used === 0 && number !== this.#lowestFree) {
      this.#slabs[number] = undefined;
      this.#allocated--;
    }
  }

  slab(slot: number): Slab {
    return this.#slabs[slot >>> ROW_SHIFT]!;
  }

  /** Where a state's row begins in its slab: in `hot`, in `doubles`, and in `records`. */
  hotAt(slot: number): number {
    return (slot & ROW_MASK) * HOT_WORDS;
  }

  doublesAt(slot: number): number {
    return (slot & ROW_MASK) * HOT_DOUBLES;
  }

  recordAt(slot: number): number {
    return (slot & ROW_MASK) * RECORD_WORDS;
  }

  word(slot: number, word: number): number {
    return this.#slabs[slot >>> ROW_SHIFT]!.hot[(slot & ROW_MASK) * HOT_WORDS + word]!;
  }

  setWord(slot: number, word: number, value: number): void {
    this.#slabs[slot >>> ROW_SHIFT]!.hot[(slot & ROW_MASK) * HOT_WORDS + word] = value;
  }

  double(slot: number, double: number): number {
    return this.#slabs[slot >>> ROW_SHIFT]!.doubles[(slot & ROW_MASK) * HOT_DOUBLES + double]!;
  }

  recordWord(slot: number, word: number): number {
    return this.#slabs[slot >>> ROW_SHIFT]!.records[(slot & ROW_MASK) * RECORD_WORDS + word]!;
  }

  /** Milliseconds since the epoch when a message last named the state; FREE where there is none. */
  heard(slot: number): number {
    const doubles = this.#slabs[slot >>> ROW_SHIFT]?.doubles;
    return doubles === undefined ? FREE : doubles[(slot & ROW_MASK) * HOT_DOUBLES + HEARD]!;
  }

  /** The first state from `slot` on that was last named by `latest`; NO_SLOT behind the last one. */
  next(slot: number, latest = Number.MAX_VALUE): number {
    for (let number = slot >>> ROW_SHIFT; number < this.#slabs.length; number++) {
      const doubles = this.#slabs[number]?.doubles;
      if (doubles === undefined) continue;
      for (let row = number === slot >>> ROW_SHIFT ? slot & ROW_MASK : 0; row < ROWS; row++) {
        if (doubles[row * HOT_DOUBLES + HEARD]! <= latest) return (number << ROW_SHIFT) | row;
      }
    }
    return NO_SLOT;
  }

  /**
   * The first state from `slot` on that was last named before the limit of its timeout (overdue.ts); NO_SLOT behind the last
   * one. One loop: all states are looked at, while nothing else is done.
   */
  nextOverdue(slot: number, limits: Float64Array): number {
    for (let number = slot >>> ROW_SHIFT; number < this.#slabs.length; number++) {
      const slab = this.#slabs[number];
      if (slab === undefined) continue;
      const { hot, doubles } = slab;
      for (let row = number === slot >>> ROW_SHIFT ? slot & ROW_MASK : 0; row < ROWS; row++) {
        const at = row * HOT_WORDS;
        const isTold = (hot[at + FLAGS]! & TIMEOUT_TOLD) !== 0;
        const timeout = isTold ? (hot[at + PEERS]! >>> 16) & 255 : UNTOLD;
        if (doubles[row * HOT_DOUBLES + HEARD]! < limits[timeout]!) return (number << ROW_SHIFT) | row;
      }
    }
    return NO_SLOT;
  }

  /** Whether the hot row of `slot` has this key. */
  hasKey(slot: number, idFirst: number, idSecond: number, creatorId: number): boolean {
    const { hot } = this.#slabs[slot >>> ROW_SHIFT]!;
    const at = (slot & ROW_MASK) * HOT_WORDS;
    return (
      hot[at + ID_SECOND] === idSecond && hot[at + ID_FIRST] === idFirst && hot[at + CREATOR] === creatorId
    );
  }

  /** Copies the state of a flow row into the record. */
  write(slot: number, { words }: FlowRows, row: number): void {
    const { records } = this.slab(slot);
    const to = this.recordAt(slot);
    const from = row * ROW;
    copyWords(words, from, records, to, KEPT);
  }

  /** Copies the record into a flow row, with the peers' states as the last message had them. */
  read(slot: number, { words }: FlowRows, row: number): void {
    const { hot, records } = this.slab(slot);
    const from = this.recordAt(slot);
    const to = row * ROW;
    copyWords(records, from, words, to, KEPT);
    const peers = hot[this.hotAt(slot) + PEERS]!;
    words[to + STATE] = (words[to + STATE]! & 255) | ((peers >>> 8) & 0xff00) | (peers << 16);
  }

  /** Keeps counters that have been reported, as rows have them, and the time in milliseconds since the epoch. */
  setReported(slot: number, counters: DataView, time: number): void {
    const { reports, at } = this.#reportOf(slot);
    copyCounters(counters, 0, reports, at);
    reports.setFloat64(at + REPORT_TIME, time);
  }

  /** The counters of the last report and its time; there must be one. */
  reported(slot: number): { readonly view: DataView; readonly at: number; readonly time: number } {
    const { reports, at } = this.#reportOf(slot);
    return { view: reports, at, time: reports.getFloat64(at + REPORT_TIME) };
  }

  /** Peer reports of the slot's slab. */
  peersOf(slot: number): PeerReports {
    const slab = this.slab(slot);
    slab.peers ??= new PeerReports();
    return slab.peers;
  }

  #reportOf(slot: number): { reports: DataView; at: number } {
    const slab = this.slab(slot);
    slab.reports ??= new DataView(new ArrayBuffer(ROWS * REPORT_OCTETS));
    return { reports: slab.reports, at: (slot & ROW_MASK) * REPORT_OCTETS };
  }
}
