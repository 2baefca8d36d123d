/**
 * Memory of the state table: rows in slabs of typed arrays. A state has a hot row (key, links, times, sequence numbers),
 * touched by every message that names it, and a record: a pfsync state in a layout of our own, read through `StateView`
 * like any other. Slabs come and go with the number of states.
 */
import { PEER_STATE } from '../protocol/pf-terms.js';
import { layout } from '../protocol/pfsync-layout.js';
import type { StateView } from '../protocol/pfsync-state.js';
import {
  DIRECTION,
  OCTETS_HIGH,
  OCTETS_LOW,
  PACKETS_HIGH,
  PACKETS_LOW,
  type Volume,
} from '../protocol/volume.js';
import {
  CREATOR,
  HOT_FLOATS,
  HOT_WORDS,
  ID_HIGH,
  ID_LOW,
  NEXT_FREE,
  PEERS,
  RECORD_ADDRESSES,
  RECORD_COUNTED,
  RECORD_CREATOR,
  RECORD_DESTINATION_STATE,
  RECORD_DIRECTION,
  RECORD_FAMILY,
  RECORD_INTERFACE,
  RECORD_LENGTH,
  RECORD_OCTETS,
  RECORD_PACKETS,
  RECORD_PEER_STATES,
  RECORD_PORTS,
  RECORD_PROTOCOL,
  RECORD_REPORTED,
  RECORD_RULE,
  RECORD_SOURCE_STATE,
  RECORD_TIMEOUT,
  RECORD_TRANSLATED_FAMILY,
  RECORD_TRANSLATED_PROTOCOL,
  ROW_MASK,
  ROW_SHIFT,
  ROWS,
} from './state-row.js';

const ENDS = Int32Array.from([0, 16, 32, 48, 64, 66, 68, 70], (offset) => RECORD_ADDRESSES + offset);

/** The record as a layout. It has no peers, age or expiry: what becomes of those stands in the hot row. */
const TABLE_FIELDS = {
  size: RECORD_LENGTH,
  interfaceName: RECORD_INTERFACE,
  sourcePeer: RECORD_SOURCE_STATE - PEER_STATE,
  destinationPeer: RECORD_DESTINATION_STATE - PEER_STATE,
  rule: RECORD_RULE,
  creation: RECORD_COUNTED,
  expire: RECORD_COUNTED,
  packets: RECORD_PACKETS,
  octets: RECORD_OCTETS,
  creatorId: RECORD_CREATOR,
  family: RECORD_FAMILY,
  protocol: RECORD_PROTOCOL,
  direction: RECORD_DIRECTION,
  timeout: RECORD_TIMEOUT,
  stackFamily: RECORD_TRANSLATED_FAMILY,
  stackProtocol: RECORD_TRANSLATED_PROTOCOL,
};
const TABLE_ENDS = { inbound: ENDS, outbound: ENDS, inboundAfTo: ENDS, outboundAfTo: ENDS };
const TABLE_LAYOUT = layout('table', TABLE_FIELDS, TABLE_ENDS);

/** The same record, read with the counters that were told before. */
const REPORTED_LAYOUT = layout(
  'table, reported',
  { ...TABLE_FIELDS, packets: RECORD_REPORTED, octets: RECORD_REPORTED + 16 },
  TABLE_ENDS,
);

/** `ROWS` states. Who touches more than one word of a row fetches its slab once. */
export class Slab {
  readonly hot = new Int32Array(ROWS * HOT_WORDS);
  readonly floats = new Float64Array(this.hot.buffer);
  readonly records = new DataView(new ArrayBuffer(ROWS * RECORD_LENGTH));
  used = 0;
  free = 0;

  constructor() {
    for (let row = 0; row < ROWS; row++) this.hot[row * HOT_WORDS + NEXT_FREE] = row + 1;
  }
}

export class StateRows {
  readonly #slabs: (Slab | undefined)[] = [];
  /** No slab before this one has a free row. */
  #lowestFree = 0;
  #allocated = 0;

  /** Octets that the slabs take. */
  get octets(): number {
    return this.hotOctets + this.#allocated * ROWS * RECORD_LENGTH;
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
    return (number << ROW_SHIFT) | row;
  }

  release(slot: number): void {
    const number = slot >>> ROW_SHIFT;
    const row = slot & ROW_MASK;
    const slab = this.#slabs[number]!;
    slab.hot[row * HOT_WORDS + NEXT_FREE] = slab.free;
    slab.free = row;
    slab.used--;
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

  /** Whether the hot row of `slot` has this key. */
  hasKey(slot: number, idHigh: number, idLow: number, creatorId: number): boolean {
    const { hot } = this.#slabs[slot >>> ROW_SHIFT]!;
    const at = (slot & ROW_MASK) * HOT_WORDS;
    return hot[at + ID_LOW] === idLow && hot[at + ID_HIGH] === idHigh && hot[at + CREATOR] === creatorId;
  }

  recordAt(slot: number): number {
    return (slot & ROW_MASK) * RECORD_LENGTH;
  }

  /** Points `view` at the record. It stays right until the row is released and used again. */
  read(slot: number, view: StateView): void {
    const { hot, records } = this.slab(slot);
    const at = this.recordAt(slot);
    records.setUint16(at + RECORD_PEER_STATES, hot[this.hotAt(slot) + PEERS]!, true);
    const families = records.getInt32(at + RECORD_FAMILY);
    view.view = records;
    view.at = at;
    view.layout = TABLE_LAYOUT;
    view.endpoints = ENDS;
    view.direction = records.getUint8(at + RECORD_DIRECTION);
    view.family = families >>> 24;
    view.translatedFamily = (families >> 16) & 255;
    view.protocol = (families >> 8) & 255;
    view.translatedProtocol = families & 255;
  }

  /** Copies a state and its counters into the record. */
  write(slot: number, state: StateView, interfaceNumber: number, counters: Volume): void {
    const to = this.slab(slot).records;
    const at = this.recordAt(slot);
    to.setInt32(at, state.idHigh);
    to.setInt32(at + 4, state.idLow);
    to.setInt32(at + RECORD_CREATOR, state.creatorId);
    to.setInt32(at + RECORD_RULE, state.rule);
    to.setInt32(at + RECORD_INTERFACE, interfaceNumber);
    const { family, translatedFamily, protocol, translatedProtocol } = state;
    to.setInt32(
      at + RECORD_FAMILY,
      (family << 24) | (translatedFamily << 16) | (protocol << 8) | translatedProtocol,
    );
    to.setInt16(at + RECORD_DIRECTION, (state.direction << 8) | state.timeout);
    writeCounters(to, at, 0, counters);
    writeCounters(to, at, 1, counters);
    for (let end = 0; end < 4; end++) {
      to.setInt32(at + RECORD_ADDRESSES + 16 * end, state.view.getInt32(state.addressAt(end)));
      to.setUint16(at + RECORD_PORTS + 2 * end, state.port(end));
    }
    if (family !== 4 || translatedFamily !== 4) writeRest(to, at, state);
  }

  /**
   * Keeps one direction's counters if they are news, which is what counters that went back are not. The answer is below 0
   * when they are old, 0 when they are the same, above 0 when they have moved.
   */
  raiseCounters(slot: number, told: Volume, direction: number): number {
    const { records } = this.slab(slot);
    const record = this.recordAt(slot);
    const at = record + 8 * direction;
    const toldAt = DIRECTION * direction;
    const packetsHigh = told[toldAt + PACKETS_HIGH]! >>> 0;
    const packetsLow = told[toldAt + PACKETS_LOW]! >>> 0;
    const octetsHigh = told[toldAt + OCTETS_HIGH]! >>> 0;
    const octetsLow = told[toldAt + OCTETS_LOW]! >>> 0;
    const morePackets =
      packetsHigh - records.getUint32(at + RECORD_PACKETS) ||
      packetsLow - records.getUint32(at + RECORD_PACKETS + 4);
    const moreOctets =
      octetsHigh - records.getUint32(at + RECORD_OCTETS) ||
      octetsLow - records.getUint32(at + RECORD_OCTETS + 4);
    if (morePackets < 0 || moreOctets < 0) return -1;
    if (morePackets === 0 && moreOctets === 0) return 0;
    writeCounters(records, record, direction, told);
    return 1;
  }

  /** Points `view` at the record with the counters of the last report. */
  readReported(slot: number, view: StateView): void {
    this.read(slot, view);
    view.layout = REPORTED_LAYOUT;
  }

  copyCountersToReported(slot: number): void {
    const { records } = this.slab(slot);
    const at = this.recordAt(slot);
    for (let offset = 0; offset < 32; offset += 4) {
      records.setInt32(at + RECORD_REPORTED + offset, records.getInt32(at + RECORD_PACKETS + offset));
    }
  }
}

/** `at` is where the record begins. */
function writeCounters(records: DataView, at: number, direction: number, counters: Volume): void {
  const packets = at + RECORD_PACKETS + 8 * direction;
  const octets = at + RECORD_OCTETS + 8 * direction;
  const from = DIRECTION * direction;
  records.setInt32(packets, counters[from + PACKETS_HIGH]!);
  records.setInt32(packets + 4, counters[from + PACKETS_LOW]!);
  records.setInt32(octets, counters[from + OCTETS_HIGH]!);
  records.setInt32(octets + 4, counters[from + OCTETS_LOW]!);
}

/** What IPv6 addresses have behind their first words. */
function writeRest(records: DataView, at: number, state: StateView): void {
  const { view } = state;
  for (let end = 0; end < 4; end++) {
    const from = state.addressAt(end);
    const address = at + RECORD_ADDRESSES + 16 * end;
    for (let offset = 4; offset < 16; offset += 4) {
      records.setInt32(address + offset, view.getInt32(from + offset));
    }
  }
}
