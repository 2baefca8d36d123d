/** A hash index over (creatorid, id): open addressing in one Int32Array that grows and shrinks by powers of two. */
import type { StateRows } from './state-slab.js';
import { CREATOR, ID_HIGH, ID_LOW, NO_SLOT } from './state-slab.js';

const SMALLEST = 1024;
const EMPTY = 0;

export class StateIndex {
  readonly #rows: StateRows;
  /** Slot + 1, or EMPTY. */
  #buckets = new Int32Array(SMALLEST);
  #mask = SMALLEST - 1;
  size = 0;

  constructor(rows: StateRows) {
    this.#rows = rows;
  }

  get octets(): number {
    return this.#buckets.byteLength;
  }

  find(idHigh: number, idLow: number, creatorId: number): number {
    if (this.size === 0) return NO_SLOT;
    const buckets = this.#buckets;
    for (let bucket = hash(idHigh, idLow, creatorId) & this.#mask; ; bucket = (bucket + 1) & this.#mask) {
      const slot = buckets[bucket]! - 1;
      if (slot === NO_SLOT) return NO_SLOT;
      if (this.#rows.hasKey(slot, idHigh, idLow, creatorId)) return slot;
    }
  }

  /** Adds a slot whose key is in its row and not in the index. */
  add(slot: number): void {
    this.size++;
    if (this.size > this.#buckets.length * 0.6) this.#resize(this.#buckets.length * 2);
    this.#place(slot);
  }

  /** Takes a slot out; the entries behind it move up, so that no tombstone is left. */
  remove(slot: number): void {
    const buckets = this.#buckets;
    const mask = this.#mask;
    let hole = this.#home(slot);
    while (buckets[hole] !== slot + 1) hole = (hole + 1) & mask;
    for (let next = (hole + 1) & mask; buckets[next] !== EMPTY; next = (next + 1) & mask) {
      const home = this.#home(buckets[next]! - 1);
      const fills = ((next - home) & mask) >= ((next - hole) & mask);
      if (fills) {
        buckets[hole] = buckets[next]!;
        hole = next;
      }
    }
    buckets[hole] = EMPTY;
    this.size--;
    if (buckets.length > SMALLEST && this.size < buckets.length * 0.1) this.#resize(buckets.length / 2);
  }

  #place(slot: number): void {
    let bucket = this.#home(slot);
    while (this.#buckets[bucket] !== EMPTY) bucket = (bucket + 1) & this.#mask;
    this.#buckets[bucket] = slot + 1;
  }

  #home(slot: number): number {
    const rows = this.#rows;
    return hash(rows.word(slot, ID_HIGH), rows.word(slot, ID_LOW), rows.word(slot, CREATOR)) & this.#mask;
  }

  #resize(buckets: number): void {
    const old = this.#buckets;
    this.#buckets = new Int32Array(buckets);
    this.#mask = buckets - 1;
    for (const entry of old) {
      if (entry !== EMPTY) this.#place(entry - 1);
    }
  }
}

/** Mixes the key's words; ids are counters in most kernels, so that neighbours must scatter. */
function hash(idHigh: number, idLow: number, creatorId: number): number {
  let mixed = Math.imul(idLow ^ Math.imul(idHigh, 0x9e3779b1) ^ creatorId, 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
