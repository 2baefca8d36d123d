/**
 * Notices forwarded connections: each has two states, in on one interface and out on another, and so gives two flows.
 * Both states show the same addresses and ports on the inside of the firewall (the stack key). A sample of the states
 * that end is enough to find out whether most of them are such halves.
 */
import { INBOUND } from '../../protocol/flow/pf-terms.js';
import {
  ADDRESS,
  ADDRESSES,
  PORTS,
  PROTOCOLS,
  ROW,
  STATE,
  TRANSLATED_PORTS,
} from '../../protocol/flow/row.js';
import type { FlowRows } from '../../protocol/flow/rows.js';
import type { HalfCounts } from '../observe/statistics.js';

const SAMPLE = 65_536;
const BUCKETS = 16_384;

export class HalfDetector {
  readonly #words: Int32Array;
  readonly #counts: HalfCounts;
  /** A hash of the stack key and the direction of the state that has no other half yet; 0 is empty. */
  readonly #buckets = new Int32Array(BUCKETS);

  constructor({ words }: FlowRows, counts: HalfCounts) {
    this.#words = words;
    this.#counts = counts;
  }

  /** Looks at the states of these rows, as long as the sample is not full. */
  add(first: number, count: number): void {
    for (let n = first; n < first + count && this.#counts.states < SAMPLE; n++) {
      if (this.#words[n * ROW + PROTOCOLS] !== 0) this.#look(n * ROW);
    }
  }

  #look(row: number): void {
    this.#counts.states++;
    const direction = this.#words[row + STATE]! & 255;
    const key = this.#stackKey(row, direction);
    const bucket = (key >>> 8) & (BUCKETS - 1);
    const isFound = this.#buckets[bucket] === (key | (3 - direction));
    if (isFound) this.#counts.pairs++;
    this.#buckets[bucket] = isFound ? 0 : key | direction;
  }

  /** Hashes the translated view of an inbound state, the original one of an outbound state. Its last two bits are 0. */
  #stackKey(row: number, direction: number): number {
    const words = this.#words;
    const side = direction === INBOUND ? 1 : 0;
    const protocols = words[row + PROTOCOLS]! >>> (8 * side);
    const wordsOfAddress = (protocols & 255) === 4 ? 1 : ADDRESS;
    let key = (protocols >>> 16) & 255;
    for (let end = 0; end < 2; end++) {
      const address = row + ADDRESSES + ADDRESS * (2 * side + end);
      for (let word = 0; word < wordsOfAddress; word++) {
        key = Math.imul(key ^ words[address + word]!, 0x85ebca6b);
        key ^= key >>> 13;
      }
    }
    key = Math.imul(key ^ words[row + (side === 0 ? PORTS : TRANSLATED_PORTS)]!, 0xc2b2ae35);
    return (key ^ (key >>> 16)) & ~3;
  }
}
