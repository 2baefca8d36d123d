/**
 * States that were given up while the firewall still had them: the table was full, or no message had named them for too long.
 * Their counters were reported then, and must not be reported again when such a state comes back.
 */
import {
  ADDRESS,
  ADDRESSES,
  CREATOR,
  ID,
  OCTETS,
  PORTS,
  PROTOCOLS,
  ROW,
  ROW_OCTETS,
  TRANSLATED_PORTS,
} from '../../protocol/flow/row.js';
import type { FlowRows } from '../../protocol/flow/rows.js';
import { COUNTERS_OCTETS, copyCounters } from './counters.js';

/** The oldest are forgotten beyond this. */
const MOST = 100_000;

/** What was reported of a state, as rows have counters, and up to when in milliseconds since the epoch. */
export interface GivenUp {
  readonly counters: DataView;
  readonly time: number;
  /** A hash of its addresses, ports and protocols: a firewall that has started anew uses its ids again. */
  readonly connection: number;
}

export class GivenUpStates {
  readonly #rows: FlowRows;
  readonly #states = new Map<string, GivenUp>();

  constructor(rows: FlowRows) {
    this.#rows = rows;
  }

  get size(): number {
    return this.#states.size;
  }

  /** Keeps the counters of the state in a row, all of which have been reported by `time`. */
  add(row: number, time: number): void {
    const key = this.#keyOf(row);
    const counters = new DataView(new ArrayBuffer(COUNTERS_OCTETS));
    copyCounters(this.#rows.view, row * ROW_OCTETS + 4 * OCTETS, counters, 0);
    this.#states.delete(key);
    this.#states.set(key, { counters, time, connection: this.#connectionOf(row) });
    if (this.#states.size > MOST) this.#states.delete(this.#states.keys().next().value!);
  }

  /** What was reported of the state in a row, which is back; undefined where it is new. */
  take(row: number): GivenUp | undefined {
    if (this.#states.size === 0) return undefined;
    const key = this.#keyOf(row);
    const known = this.#states.get(key);
    this.#states.delete(key);
    return known?.connection === this.#connectionOf(row) ? known : undefined;
  }

  /** The state with this key, words as rows have them, has ended. Returns whether it had been given up. */
  forget(idFirst: number, idSecond: number, creatorId: number): boolean {
    return this.#states.size > 0 && this.#states.delete(keyOf(idFirst, idSecond, creatorId));
  }

  #connectionOf(row: number): number {
    const { words } = this.#rows;
    const at = row * ROW;
    const protocols = words[at + PROTOCOLS]!;
    const wordsOfAddress = (protocols & 0xffff) === 0x0404 ? 1 : ADDRESS;
    let hash = protocols;
    const add = (word: number) => {
      hash = Math.imul(hash ^ word, 0x85ebca6b);
      hash ^= hash >>> 13;
    };
    for (let end = 0; end < 4; end++) {
      for (let word = 0; word < wordsOfAddress; word++) add(words[at + ADDRESSES + ADDRESS * end + word]!);
    }
    add(words[at + PORTS]!);
    add(words[at + TRANSLATED_PORTS]!);
    return hash;
  }

  #keyOf(row: number): string {
    const { words } = this.#rows;
    return keyOf(words[row * ROW + ID]!, words[row * ROW + ID + 1]!, words[row * ROW + CREATOR]!);
  }
}

function keyOf(idFirst: number, idSecond: number, creatorId: number): string {
  return `${idFirst} ${idSecond} ${creatorId}`;
}
