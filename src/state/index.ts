/**
 * A hash index over (creatorid, id): open addressing in one Int32Array that grows and shrinks by powers of two.
 * A bucket holds the hash beside the slot, so that only rows with the right hash are looked at: with a million states a
 * row is a cache miss.
 */
import { swapOctets } from '../../protocol/flow/byte-order.js';
import { CREATOR, EMPTY, ID_FIRST, ID_SECOND, NO_SLOT } from './hot-row.js';
import type { StateRows } from './slab.js';

/** Keys that can be expected at once. */
export const MOST_EXPECTED = 64;

const SMALLEST = 1024;
const EXPECTED_WORDS = 5;

export class StateIndex {
  readonly #rows: StateRows;
  /** Two words each: slot + 1 or EMPTY, and the hash. */
  #buckets = new Int32Array(2 * SMALLEST);
  #mask = SMALLEST - 1;
  /** Expected keys: their words, their hash, and the entry in their bucket. */
  readonly #expected = new Int32Array(EXPECTED_WORDS * MOST_EXPECTED);
  size = 0;

  constructor(rows: StateRows) {
    this.#rows = rows;
  }

  get octets(): number {
    return this.#buckets.byteLength;
  }

  find(idFirst: number, idSecond: number, creatorId: number): number {
    return this.#search(hash(idFirst, idSecond, creatorId), idFirst, idSecond, creatorId);
  }

  /** Prepares for the search of a key, which will be the `n`th. */
  expect(n: number, idFirst: number, idSecond: number, creatorId: number): void {
    const expected = this.#expected;
    const key = hash(idFirst, idSecond, creatorId);
    const at = EXPECTED_WORDS * n;
    expected[at] = idFirst;
    expected[at + 1] = idSecond;
    expected[at + 2] = creatorId;
    expected[at + 3] = key;
    expected[at + 4] = this.#buckets[2 * (key & this.#mask)]!;
  }

  /** What stood first where the expected key belongs: mostly its slot; NO_SLOT: nothing did. */
  guess(n: number): number {
    return this.#expected[EXPECTED_WORDS * n + 4]! - 1;
  }

  findExpected(n: number): number {
    const expected = this.#expected;
    const at = EXPECTED_WORDS * n;
    return this.#search(expected[at + 3]!, expected[at]!, expected[at + 1]!, expected[at + 2]!);
  }

  /** Adds a slot whose key is not in the index. */
  add(slot: number, idFirst: number, idSecond: number, creatorId: number): void {
    this.size++;
    if (this.size > (this.#mask + 1) * 0.6) this.#resize(2 * (this.#mask + 1));
    this.#place(slot + 1, hash(idFirst, idSecond, creatorId));
  }

  /** Takes a slot out; the entries behind it move up, so that no tombstone is left. */
  remove(slot: number): void {
    const buckets = this.#buckets;
    const mask = this.#mask;
    let hole = this.#hashOf(slot) & mask;
    while (buckets[2 * hole] !== slot + 1) hole = (hole + 1) & mask;
    for (let next = (hole + 1) & mask; buckets[2 * next] !== EMPTY; next = (next + 1) & mask) {
      const home = buckets[2 * next + 1]! & mask;
      const fills = ((next - home) & mask) >= ((next - hole) & mask);
      if (fills) {
        buckets[2 * hole] = buckets[2 * next]!;
        buckets[2 * hole + 1] = buckets[2 * next + 1]!;
        hole = next;
      }
    }
    buckets[2 * hole] = EMPTY;
    this.size--;
    if (mask >= SMALLEST && this.size < (mask + 1) * 0.1) this.#resize((mask + 1) / 2);
  }

  #search(key: number, idFirst: number, idSecond: number, creatorId: number): number {
    const buckets = this.#buckets;
    const mask = this.#mask;
    for (let bucket = key & mask; ; bucket = (bucket + 1) & mask) {
      const entry = buckets[2 * bucket]!;
      if (entry === EMPTY) return NO_SLOT;
      if (buckets[2 * bucket + 1] !== key) continue;
      if (this.#rows.hasKey(entry - 1, idFirst, idSecond, creatorId)) return entry - 1;
    }
  }

  #place(entry: number, key: number): void {
    const buckets = this.#buckets;
    const mask = this.#mask;
    let bucket = key & mask;
    while (buckets[2 * bucket] !== EMPTY) bucket = (bucket + 1) & mask;
    buckets[2 * bucket] = entry;
    buckets[2 * bucket + 1] = key;
  }

  #hashOf(slot: number): number {
    const { hot } = this.#rows.slab(slot);
    const at = this.#rows.hotAt(slot);
    return hash(hot[at + ID_FIRST]!, hot[at + ID_SECOND]!, hot[at + CREATOR]!);
  }

  #resize(buckets: number): void {
    const old = this.#buckets;
    this.#buckets = new Int32Array(2 * buckets);
    this.#mask = buckets - 1;
    for (let at = 0; at < old.length; at += 2) {
      if (old[at] !== EMPTY) this.#place(old[at]!, old[at + 1]!);
    }
  }
}

/**
 * Mixes the key's words. Ids are counters in most kernels: four that follow each other stay together, as they are often reported
 * together and a cache line holds their buckets; any more must scatter.
 */
function hash(idFirst: number, idSecond: number, creatorId: number): number {
  const number = swapOctets(idSecond);
  let mixed = Math.imul((number >>> 2) ^ Math.imul(idFirst, 0x9e3779b1) ^ creatorId, 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0xc2b2ae35);
  return ((mixed ^ (mixed >>> 16)) << 2) | (number & 3);
}
