/**
 * Joins the two states of a forwarded connection, in on one interface and out on another, into one flow. pf gives both the
 * same key on the stack: the in-state's translated view is the out-state's original view. A state whose other half does not
 * come within a while is a flow by itself.
 */
import { copyWords } from '../../protocol/flow/copy-words.js';
import { countsBothDirections, INBOUND } from '../../protocol/flow/pf-terms.js';
import {
  ADDRESS,
  ADDRESSES,
  COUNTERS_AGE,
  CREATOR,
  END,
  FACTS,
  FLOW,
  ID,
  IDENTIFIERS,
  INTERFACE,
  JOINED,
  OBSERVED,
  OCTETS,
  ORIGIN,
  OTHER_ID,
  OTHER_INTERFACE,
  PORTS,
  PROTOCOLS,
  REPLY_COUNTERS,
  ROW,
  ROW_DOUBLES,
  ROW_OCTETS,
  START,
  START_WIRE,
  STATE,
  TRANSLATED_PORTS,
  TRANSLATED_REPLY_PORTS,
} from '../../protocol/flow/row.js';
import { type FlowConsumer, type FlowMemory, FlowRows, type RowRange } from '../../protocol/flow/rows.js';
import { ACTIVE_TIMEOUT, EXACT } from '../../protocol/flow/terms.js';
import type { Statistics } from '../observe/statistics.js';

/** Milliseconds of the data's clock that a half waits for the other. */
export const LONGEST_WAIT = 30_000;
/** Halves that wait at most. */
const MOST_WAITING = 65_536;
const BUCKETS = 65_536;
const NONE = -1;

export interface JoinStage extends FlowConsumer {
  /** Sends on the halves that have waited long enough at `now`, in milliseconds since the epoch. */
  expire(now: number): void;
  /** Sends on all that wait. */
  flush(): void;
}

/** Makes the stage. Flows leave in rows of `out`; what comes out of it goes to `next`. */
export function joinStage(
  memory: FlowMemory,
  out: RowRange,
  statistics: Statistics,
  next: FlowConsumer,
  longestWait = LONGEST_WAIT,
  mostWaiting = MOST_WAITING,
): JoinStage {
  const { words, doubles, view } = memory.rows;
  const waiting = new WaitingHalves(mostWaiting);

  function add(first: number, count: number): void {
    for (let row = first; row < first + count; row++) {
      if ((words[row * ROW + FLOW]! & 0xff00) === 0) continue;
      expire(doubles[row * ROW_DOUBLES + OBSERVED]!);
      const protocols = words[row * ROW + PROTOCOLS]!;
      // An af-to state carries its connection alone.
      if (countsBothDirections(protocols)) sendRow(memory.rows, row);
      else pair(row);
    }
    sendOut();
  }

  function pair(row: number): void {
    const other = waiting.take(memory.rows, row);
    if (other !== NONE) {
      sendJoined(row, other);
      waiting.release(other);
      return;
    }
    if (waiting.isFull) {
      statistics.joins.early++;
      sendOldest();
    }
    waiting.add(memory.rows, row);
  }

  function expire(now: number): void {
    while (waiting.oldest !== NONE && now - waiting.since(waiting.oldest) > longestWait) {
      statistics.joins.alone++;
      sendOldest();
    }
  }

  function sendOldest(): void {
    const slot = waiting.oldest;
    waiting.remove(slot);
    sendRow(waiting.rows, slot);
    waiting.release(slot);
  }

  function sendRow(rows: FlowRows, from: number): void {
    const to = nextOut();
    copyRow(rows, from, memory.rows, to);
  }

  function nextOut(): number {
    if (out.count === out.capacity) sendOut();
    return out.first + out.count++;
  }

  function sendOut(): void {
    const { first, count } = out;
    if (count === 0) return;
    out.count = 0;
    next.add(first, count);
  }

  /** The half in `row`, and the one that waits in `slot`. */
  function sendJoined(row: number, slot: number): void {
    const isIn = (words[row * ROW + STATE]! & 255) === INBOUND;
    const to = nextOut();
    copyRow(isIn ? memory.rows : waiting.rows, isIn ? row : slot, memory.rows, to);
    const outRows = isIn ? waiting.rows : memory.rows;
    const outRow = isIn ? slot : row;
    joinInto(to, outRows, outRow);
    statistics.states.exported--;
    statistics.states.joined++;
  }

  /** Adds the out-state to the in-state in row `to`. */
  function joinInto(to: number, rows: FlowRows, from: number): void {
    const at = to * ROW;
    const other = from * ROW;
    const outWords = rows.words;
    for (let word = ADDRESSES + 2 * ADDRESS; word < ADDRESSES + 4 * ADDRESS; word++) {
      words[at + word] = outWords[other + word]!;
    }
    words[at + TRANSLATED_PORTS] = outWords[other + TRANSLATED_PORTS]!;
    words[at + TRANSLATED_REPLY_PORTS] = outWords[other + TRANSLATED_REPLY_PORTS]!;
    words[at + PROTOCOLS] =
      (words[at + PROTOCOLS]! & 0x00ff_00ff) | (outWords[other + PROTOCOLS]! & 0xff00_ff00);
    words[at + FACTS] = (words[at + FACTS]! & ~255) | (differ(at) ? 1 : 0);
    words[at + OTHER_INTERFACE] = outWords[other + INTERFACE]!;
    words[at + OTHER_ID] = outWords[other + ID]!;
    words[at + OTHER_ID + 1] = outWords[other + ID + 1]!;
    takeBetterCounters(to, rows, from);
    words[at + ORIGIN]! |= JOINED;
    const double = to * ROW_DOUBLES;
    const otherDouble = from * ROW_DOUBLES;
    doubles[double + START] = Math.min(doubles[double + START]!, rows.doubles[otherDouble + START]!);
    doubles[double + END] = Math.max(doubles[double + END]!, rows.doubles[otherDouble + END]!);
    doubles[double + OBSERVED] = Math.max(doubles[double + OBSERVED]!, rows.doubles[otherDouble + OBSERVED]!);
  }

  /** Whether the original view of a row is another than its translated one. */
  function differ(at: number): boolean {
    const wordsOfAddress = (words[at + PROTOCOLS]! & 255) === 4 ? 1 : ADDRESS;
    for (let end = 0; end < 2; end++) {
      const one = at + ADDRESSES + ADDRESS * end;
      for (let word = one; word < one + wordsOfAddress; word++) {
        if (words[word] !== words[word + 2 * ADDRESS]) return true;
      }
    }
    return words[at + PORTS] !== words[at + TRANSLATED_PORTS];
  }

  /** The in-state's counters, unless the out-state's are better known: exact, or a higher lower bound. */
  function takeBetterCounters(to: number, rows: FlowRows, from: number): void {
    const flow = words[to * ROW + FLOW]!;
    const otherFlow = rows.words[from * ROW + FLOW]!;
    const isExact = (flow & 255) === EXACT;
    const isOtherExact = (otherFlow & 255) === EXACT;
    if (isExact && isOtherExact && !equalCounters(to, rows, from)) statistics.joins.differing++;
    const isBetter = isOtherExact ? !isExact : !isExact && octetsOf(rows.view, from) > octetsOf(view, to);
    if (!isBetter) return;
    for (let word = 0; word < 2 * REPLY_COUNTERS; word++) {
      words[to * ROW + OCTETS + word] = rows.words[from * ROW + OCTETS + word]!;
    }
    words[to * ROW + FLOW] = (flow & ~0xffff) | (otherFlow & 0xffff);
    words[to * ROW + ORIGIN] = rows.words[from * ROW + ORIGIN]!;
    words[to * ROW + COUNTERS_AGE] = rows.words[from * ROW + COUNTERS_AGE]!;
  }

  function equalCounters(to: number, rows: FlowRows, from: number): boolean {
    for (let word = OCTETS; word < OCTETS + 2 * REPLY_COUNTERS; word++) {
      if (words[to * ROW + word] !== rows.words[from * ROW + word]) return false;
    }
    return true;
  }

  function flush(): void {
    while (waiting.oldest !== NONE) {
      statistics.joins.alone++;
      sendOldest();
    }
    sendOut();
  }

  return {
    add,
    flush,
    expire(now) {
      expire(now);
      sendOut();
    },
  };
}

/** Octets of both directions, to be compared: rounded beyond 2^53. */
function octetsOf(view: DataView, row: number): number {
  let octets = 0;
  for (const reply of [0, REPLY_COUNTERS]) {
    const at = row * ROW_OCTETS + 4 * (OCTETS + reply);
    octets += view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);
  }
  return octets;
}

/** What stands behind is prepared later. */
function copyRow(from: FlowRows, row: number, to: FlowRows, toRow: number): void {
  copyWords(from.words, row * ROW, to.words, toRow * ROW, START_WIRE);
}

/** Halves that wait, in the order in which they came, and by a hash of their key on the stack. */
class WaitingHalves {
  readonly rows: FlowRows;
  oldest = NONE;
  #newest = NONE;
  #free: number;
  readonly #buckets = new Int32Array(BUCKETS).fill(NONE);
  /** By slot: the next of its bucket, of the free ones; the next and the one before in order of arrival; the hash. */
  readonly #chain: Int32Array;
  readonly #later: Int32Array;
  readonly #earlier: Int32Array;
  readonly #hashes: Int32Array;

  constructor(most: number) {
    this.rows = new FlowRows(most);
    this.#chain = Int32Array.from({ length: most }, (_, slot) => (slot + 1 < most ? slot + 1 : NONE));
    this.#later = new Int32Array(most);
    this.#earlier = new Int32Array(most);
    this.#hashes = new Int32Array(most);
    this.#free = 0;
  }

  get isFull(): boolean {
    return this.#free === NONE;
  }

  /** Milliseconds since the epoch when the state of the slot ended, as far as the data's clock says. */
  since(slot: number): number {
    return this.rows.doubles[slot * ROW_DOUBLES + OBSERVED]!;
  }

  /** Takes up the half in a row; there is room. */
  add(rows: FlowRows, row: number): void {
    const slot = this.#free;
    this.#free = this.#chain[slot]!;
    copyRow(rows, row, this.rows, slot);
    const hash = hashOf(rows.words, row * ROW);
    this.#hashes[slot] = hash;
    this.#chain[slot] = this.#buckets[hash]!;
    this.#buckets[hash] = slot;
    this.#earlier[slot] = this.#newest;
    this.#later[slot] = NONE;
    if (this.#newest === NONE) this.oldest = slot;
    else this.#later[this.#newest] = slot;
    this.#newest = slot;
  }

  /** Takes out the other half of the state in a row, which started nearest to it. NONE where there is none; else release it. */
  take(rows: FlowRows, row: number): number {
    let found = NONE;
    let nearest = Number.POSITIVE_INFINITY;
    const start = rows.doubles[row * ROW_DOUBLES + START]!;
    for (let slot = this.#buckets[hashOf(rows.words, row * ROW)]!; slot !== NONE; slot = this.#chain[slot]!) {
      if (!areHalves(rows.words, row * ROW, this.rows.words, slot * ROW)) continue;
      const distance = Math.abs(this.rows.doubles[slot * ROW_DOUBLES + START]! - start);
      if (distance < nearest) {
        nearest = distance;
        found = slot;
      }
    }
    if (found !== NONE) this.remove(found);
    return found;
  }

  remove(slot: number): void {
    const hash = this.#hashes[slot]!;
    if (this.#buckets[hash] === slot) {
      this.#buckets[hash] = this.#chain[slot]!;
    } else {
      let before = this.#buckets[hash]!;
      while (this.#chain[before] !== slot) before = this.#chain[before]!;
      this.#chain[before] = this.#chain[slot]!;
    }
    const earlier = this.#earlier[slot]!;
    const later = this.#later[slot]!;
    if (earlier === NONE) this.oldest = later;
    else this.#later[earlier] = later;
    if (later === NONE) this.#newest = earlier;
    else this.#earlier[later] = earlier;
  }

  /** The slot, which was taken out, may be used again. */
  release(slot: number): void {
    this.#chain[slot] = this.#free;
    this.#free = slot;
  }
}

/** 1 where the stack sees the translated view of a state, as of an inbound one; 0 where it sees the original one. */
function stackSide(words: Int32Array, row: number): 0 | 1 {
  return (words[row + STATE]! & 255) === INBOUND ? 1 : 0;
}

function hashOf(words: Int32Array, row: number): number {
  const side = stackSide(words, row);
  const ends = row + ADDRESSES + 2 * ADDRESS * side;
  const ports = words[row + PORTS + 2 * side]! ^ identifier(words, row, side);
  let hash = Math.imul(words[ends]! ^ Math.imul(words[ends + ADDRESS]!, 0x9e3779b1) ^ ports, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 15), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) & (BUCKETS - 1);
}

function identifier(words: Int32Array, row: number, side: 0 | 1): number {
  return (words[row + IDENTIFIERS]! >>> (16 * side)) & 0xffff;
}

/** Whether two states are those of one connection: one in, one out, of one firewall, with the same key on the stack. */
function areHalves(one: Int32Array, row: number, other: Int32Array, otherRow: number): boolean {
  if (((one[row + STATE]! ^ other[otherRow + STATE]!) & 255) !== 3) return false;
  if (one[row + CREATOR] !== other[otherRow + CREATOR]) return false;
  if (isLiving(one[row + FLOW]!) !== isLiving(other[otherRow + FLOW]!)) return false;
  const side = stackSide(one, row);
  const otherSide = stackSide(other, otherRow);
  const protocols = one[row + PROTOCOLS]! >>> (8 * side);
  if (((protocols ^ (other[otherRow + PROTOCOLS]! >>> (8 * otherSide))) & 0x00ff_00ff) !== 0) return false;
  if (one[row + PORTS + 2 * side] !== other[otherRow + PORTS + 2 * otherSide]) return false;
  if (identifier(one, row, side) !== identifier(other, otherRow, otherSide)) return false;
  const wordsOfAddress = (protocols & 255) === 4 ? 1 : ADDRESS;
  for (let end = 0; end < 2; end++) {
    const at = row + ADDRESSES + ADDRESS * (2 * side + end);
    const otherAt = otherRow + ADDRESSES + ADDRESS * (2 * otherSide + end);
    for (let word = 0; word < wordsOfAddress; word++)
      if (one[at + word] !== other[otherAt + word]) return false;
  }
  return true;
}

/** Whether a row's FLOW is a report of a state that lives on. */
function isLiving(flow: number): boolean {
  return ((flow >>> 16) & 255) === ACTIVE_TIMEOUT;
}
