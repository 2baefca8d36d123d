/** Interfaces: pfsync carries names, export formats want numbers. */
import type { NetworkInterface } from '../protocol/flow-record.js';
import { NO_INTERFACE } from '../protocol/flow-record.js';

/** A hostile sender may invent names: this many are kept, later ones become NO_INTERFACE and are counted. */
const MOST_NAMES = 65_536;
const NAME_LENGTH = 16;
/** A floating state has this in place of a name: it belongs to no interface. */
const ANY = 'all';

/** Names met lately, found again by their words: a firewall has few interfaces. A power of two. */
const RECENT = 64;

/** Interns interface names as they stand in a state record, so that a name costs four comparisons a state. */
export class InterfaceTable {
  /** Names beyond MOST_NAMES, and pairs of names whose derived index is the same. */
  overflows = 0;
  readonly #map: ReadonlyMap<string, number>;
  readonly #byName = new Map<string, number>();
  readonly #entries: NetworkInterface[] = [NO_INTERFACE];
  readonly #onCollision: (one: string, other: string, index: number) => void;
  readonly #names = new Map<number, string>();
  /** Four words of a name and its number, RECENT times. No name at all is number 0. */
  readonly #recent = new Int32Array(RECENT * 5);

  constructor(
    map: ReadonlyMap<string, number>,
    onCollision: (one: string, other: string, index: number) => void = () => {},
  ) {
    this.#map = map;
    this.#onCollision = onCollision;
  }

  /** Number of the interface whose name stands at `at` (16 octets, NUL padded); 0 is no interface. */
  number(view: DataView, at: number): number {
    const word0 = view.getInt32(at);
    const word1 = view.getInt32(at + 4);
    const word2 = view.getInt32(at + 8);
    const word3 = view.getInt32(at + 12);
    const recent = this.#recent;
    const place = 5 * (Math.imul(word0 ^ word1 ^ word2 ^ word3, 0x9e3779b1) >>> 26);
    if (
      word0 === recent[place] &&
      word1 === recent[place + 1] &&
      word2 === recent[place + 2] &&
      word3 === recent[place + 3]
    ) {
      return recent[place + 4]!;
    }
    const number = this.#intern(nameAt(view, at));
    recent.set([word0, word1, word2, word3, number], place);
    return number;
  }

  entry(number: number): NetworkInterface {
    return this.#entries[number]!;
  }

  /** The interfaces seen so far. */
  get all(): readonly NetworkInterface[] {
    return this.#entries.slice(1);
  }

  #intern(name: string): number {
    if (name === '') return 0;
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    if (this.#entries.length > MOST_NAMES) {
      this.overflows++;
      return 0;
    }
    const index = name === ANY ? 0 : (this.#map.get(name) ?? derivedIndex(name));
    const other = index === 0 ? undefined : this.#names.get(index);
    if (other !== undefined) this.#onCollision(other, name, index);
    else this.#names.set(index, name);
    this.#byName.set(name, this.#entries.length);
    this.#entries.push(name === ANY ? NO_INTERFACE : { name, index });
    return this.#entries.length - 1;
  }
}

/** An ifIndex from the name alone: the same after every restart and on every machine. 16 bits, because NetFlow v5 has no more. */
function derivedIndex(name: string): number {
  // FNV-1a, 32 bits, folded.
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return (((hash >>> 16) ^ (hash & 0xffff)) % 0xffff) + 1;
}

function nameAt(view: DataView, at: number): string {
  let name = '';
  for (let i = 0; i < NAME_LENGTH; i++) {
    const octet = view.getUint8(at + i);
    if (octet === 0) break;
    name += String.fromCharCode(octet);
  }
  return name;
}
