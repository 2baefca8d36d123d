/**
 * Memory of the state table: rows in slabs of typed arrays. A state has a hot row (key, times, sequence numbers),
 * touched by every message that names it, and a record: what a flow row tells of the state, as it stands there. Long flows
 * have a report beside it, of what has been told of them. Slabs come and go with the number of states.
 */
import {
  DESTINATION_STATE,
  KEPT,
  OCTETS,
  PACKETS,
  REPLY_COUNTERS,
  SOURCE_STATE,
} from '../../protocol/flow/row.js';
import { readCounter, type StateRow, writeCounter } from '../../protocol/pfsync/state.js';
import { DIRECTION, OCTETS_HIGH, PACKETS_HIGH, type Volume } from '../../protocol/flow/volume.js';
import {
  CREATOR,
  FREE,
  HEARD,
  HOT_FLOATS,
  HOT_WORDS,
  ID_HIGH,
  ID_LOW,
  NEXT_FREE,
  NO_SLOT,
  PEERS,
  RECORD_LENGTH,
  REPORT_COUNTERS,
  REPORT_LENGTH,
  REPORT_TIME,
  ROW_MASK,
  ROW_SHIFT,
  ROWS,
} from './hot-row.js';

const KEPT_WORDS = KEPT / 4;
const RECORD_WORDS = RECORD_LENGTH / 4;

/** `ROWS` states. Who touches more than one word of a row fetches its slab once. */
export class Slab {
  readonly hot = new Int32Array(ROWS * HOT_WORDS);
  readonly floats = new Float64Array(this.hot.buffer);
  readonly records = new DataView(new ArrayBuffer(ROWS * RECORD_LENGTH));
  readonly recordWords = new Int32Array(this.records.buffer);
  /** Made for the first long flow. */
  reports: DataView | undefined;
  used = 0;
  free = 0;

  constructor() {
    for (let row = 0; row < ROWS; row++) {
      this.floats[row * HOT_FLOATS + HEARD] = FREE;
      this.hot[row * HOT_WORDS + NEXT_FREE] = row + 1;
    }
  }
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
    return this.hotOctets + ROWS * (this.#allocated * RECORD_LENGTH + reporting * REPORT_LENGTH);
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
    slab.floats[row * HOT_FLOATS + HEARD] = FREE;
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

  /** Where a state's row begins: in the slab's `hot`, in its `floats`, and in octets in its `records`. */
  hotAt(slot: number): number {
    return (slot & ROW_MASK) * HOT_WORDS;
  }

  floatsAt(slot: number): number {
    return (slot & ROW_MASK) * HOT_FLOATS;
  }

  word(slot: number, word: number): number {
    return this.#slabs[slot >>> ROW_SHIFT]!.hot[(slot & ROW_MASK) * HOT_WORDS + word]!;
  }

  setWord(slot: number, word: number, value: number): void {
    this.#slabs[slot >>> ROW_SHIFT]!.hot[(slot & ROW_MASK) * HOT_WORDS + word] = value;
  }

  float(slot: number, float: number): number {
    return this.#slabs[slot >>> ROW_SHIFT]!.floats[(slot & ROW_MASK) * HOT_FLOATS + float]!;
  }

  /** Milliseconds since the epoch when the state was last heard of; FREE where there is none. */
  heard(slot: number): number {
    const floats = this.#slabs[slot >>> ROW_SHIFT]?.floats;
    return floats === undefined ? FREE : floats[(slot & ROW_MASK) * HOT_FLOATS + HEARD]!;
  }

  /** The first state from `slot` on that was last heard of by `latest`; NO_SLOT behind the last one. */
  next(slot: number, latest = Number.MAX_VALUE): number {
    for (let number = slot >>> ROW_SHIFT; number < this.#slabs.length; number++) {
      const floats = this.#slabs[number]?.floats;
      if (floats === undefined) continue;
      for (let row = number === slot >>> ROW_SHIFT ? slot & ROW_MASK : 0; row < ROWS; row++) {
        if (floats[row * HOT_FLOATS + HEARD]! <= latest) return (number << ROW_SHIFT) | row;
      }
    }
    return NO_SLOT;
  }

  /** Whether the hot row of `slot` has this key. */
  hasKey(slot: number, idHigh: number, idLow: number, creatorId: number): boolean {
    const { hot } = this.#slabs[slot >>> ROW_SHIFT]!;
    const at = (slot & ROW_MASK) * HOT_WORDS;
    return hot[at + ID_LOW] === idLow && hot[at + ID_HIGH] === idHigh && hot[at + CREATOR] === creatorId;
  }

  /** Any word of the slot's record: who wants the record in the processor's caches reads it. */
  wordOfRecord(slot: number): number {
    return this.#slabs[slot >>> ROW_SHIFT]!.recordWords[(slot & ROW_MASK) * RECORD_WORDS]!;
  }

  recordAt(slot: number): number {
    return (slot & ROW_MASK) * RECORD_LENGTH;
  }

  /** Copies a state into the record. */
  write(slot: number, { words }: StateRow): void {
    const { recordWords } = this.slab(slot);
    const at = (slot & ROW_MASK) * RECORD_WORDS;
    copyKept(recordWords, at, words, 0);
  }

  /** Copies the record into the row of a state. */
  read(slot: number, { words, view }: StateRow): void {
    const { hot, recordWords } = this.slab(slot);
    const at = (slot & ROW_MASK) * RECORD_WORDS;
    copyKept(words, 0, recordWords, at);
    const peers = hot[this.hotAt(slot) + PEERS]!;
    view.setUint8(SOURCE_STATE, peers);
    view.setUint8(DESTINATION_STATE, peers >> 8);
  }

  /**
   * Keeps one direction's counters if they are news, which is what counters that went back are not. The answer is below 0
   * when they are old, 0 when they are the same, above 0 when they have moved.
   */
  raiseCounters(slot: number, told: Volume, direction: number): number {
    const { records } = this.slab(slot);
    const at = this.recordAt(slot) + REPLY_COUNTERS * direction;
    const toldAt = DIRECTION * direction;
    const morePackets = moreAt(records, at + PACKETS, told, toldAt + PACKETS_HIGH);
    const moreOctets = moreAt(records, at + OCTETS, told, toldAt + OCTETS_HIGH);
    if (morePackets < 0 || moreOctets < 0) return -1;
    if (morePackets === 0 && moreOctets === 0) return 0;
    writeCounter(records, at + PACKETS, told, toldAt + PACKETS_HIGH);
    writeCounter(records, at + OCTETS, told, toldAt + OCTETS_HIGH);
    return 1;
  }

  /** Notes the counters as they stand now, and the time. */
  report(slot: number, time: number): void {
    const slab = this.slab(slot);
    slab.reports ??= new DataView(new ArrayBuffer(ROWS * REPORT_LENGTH));
    const { records, reports } = slab;
    const from = this.recordAt(slot) + OCTETS;
    const to = reportAt(slot);
    for (let octet = 0; octet < 2 * REPLY_COUNTERS; octet += 4) {
      reports.setInt32(to + REPORT_COUNTERS + octet, records.getInt32(from + octet));
    }
    reports.setFloat64(to + REPORT_TIME, time);
  }

  /** The time of the last report; there must be one. */
  reportTime(slot: number): number {
    return this.slab(slot).reports!.getFloat64(reportAt(slot) + REPORT_TIME);
  }

  /** The counters of the last report; there must be one. */
  readReported(slot: number, volume: Volume): void {
    const reports = this.slab(slot).reports!;
    const reported = reportAt(slot) + REPORT_COUNTERS - OCTETS;
    for (let direction = 0; direction < 2; direction++) {
      const at = reported + REPLY_COUNTERS * direction;
      readCounter(reports, at + OCTETS, volume, DIRECTION * direction + OCTETS_HIGH);
      readCounter(reports, at + PACKETS, volume, DIRECTION * direction + PACKETS_HIGH);
    }
  }
}

function reportAt(slot: number): number {
  return (slot & ROW_MASK) * REPORT_LENGTH;
}

/** Whether a counter as it stands in rows is exceeded: below 0 where it is not reached. `high` is the place of the high word in a volume. */
function moreAt(records: DataView, at: number, told: Volume, high: number): number {
  return (told[high]! >>> 0) - records.getUint32(at) || (told[high + 1]! >>> 0) - records.getUint32(at + 4);
}

/**
 * Copies what is kept of a row, as far as possible 19 words at a turn of the loop: word by word the insert and the delete of a
 * state took 7 % longer with a million open, and 14 % with ten thousand.
 */
function copyKept(to: Int32Array, toAt: number, from: Int32Array, fromAt: number): void {
  let word = 0;
  for (; word + 19 <= KEPT_WORDS; word += 19) {
    to[toAt + word] = from[fromAt + word]!;
    to[toAt + word + 1] = from[fromAt + word + 1]!;
    to[toAt + word + 2] = from[fromAt + word + 2]!;
    to[toAt + word + 3] = from[fromAt + word + 3]!;
    to[toAt + word + 4] = from[fromAt + word + 4]!;
    to[toAt + word + 5] = from[fromAt + word + 5]!;
    to[toAt + word + 6] = from[fromAt + word + 6]!;
    to[toAt + word + 7] = from[fromAt + word + 7]!;
    to[toAt + word + 8] = from[fromAt + word + 8]!;
    to[toAt + word + 9] = from[fromAt + word + 9]!;
    to[toAt + word + 10] = from[fromAt + word + 10]!;
    to[toAt + word + 11] = from[fromAt + word + 11]!;
    to[toAt + word + 12] = from[fromAt + word + 12]!;
    to[toAt + word + 13] = from[fromAt + word + 13]!;
    to[toAt + word + 14] = from[fromAt + word + 14]!;
    to[toAt + word + 15] = from[fromAt + word + 15]!;
    to[toAt + word + 16] = from[fromAt + word + 16]!;
    to[toAt + word + 17] = from[fromAt + word + 17]!;
    to[toAt + word + 18] = from[fromAt + word + 18]!;
  }
  for (; word < KEPT_WORDS; word++) to[toAt + word] = from[fromAt + word]!;
}
