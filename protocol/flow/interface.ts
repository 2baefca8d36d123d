/** Interfaces: pfsync carries names, rows carry numbers, export formats want an ifIndex. */
import { swapOctets } from './byte-order.js';

/** A hostile sender may invent names: this many are kept, later ones become no interface and are counted. */
const MOST_NAMES = 65_536;
const NAME_LENGTH = 16;
/** A floating state has this in place of a name: it belongs to no interface. */
const ANY = 'all';
/** Names that are found by their octets: a firewall has few. A power of two. */
const RECENT = 64;
const RECENT_WORDS = 5;

/** No interface, and a floating state's. */
export const NO_INTERFACE = 0;

export interface InterfaceEvents {
  /** Two names share the ifIndex that was derived from them. */
  collision?(one: string, other: string, index: number): void;
  /** The table is full: states of further interfaces have none. */
  full?(names: number): void;
}

export class InterfaceTable {
  /** Names beyond MOST_NAMES. */
  overflows = 0;
  /** Names by number; number 0 has none. */
  readonly names: string[] = [''];
  /** Wire: ifIndex by number, two for each: that of inbound states and that of outbound states. */
  indexes = new Int32Array(2 * RECENT);
  readonly #map: ReadonlyMap<string, number>;
  readonly #events: InterfaceEvents;
  readonly #numbers = new Map<string, number>([
    ['', NO_INTERFACE],
    [ANY, NO_INTERFACE],
  ]);
  /** Names by derived ifIndex. */
  readonly #derived = new Map<number, string>();
  /** A name as it stands in a record, four words, and its number. */
  readonly #recent = new Int32Array(RECENT_WORDS * RECENT);

  /** `map` gives the ifIndex of a name, or of `NAME/in` and `NAME/out`; the others are derived from the name. */
  constructor(map: ReadonlyMap<string, number> = new Map(), events: InterfaceEvents = {}) {
    this.#map = map;
    this.#events = events;
    this.#setIndexes(NO_INTERFACE, ANY, 0);
  }

  /** The number of the interface whose name (16 octets, ended by a NUL if shorter) stands at `at`. */
  numberAt(view: DataView, at: number): number {
    const first = view.getInt32(at, true);
    const second = view.getInt32(at + 4, true);
    const third = view.getInt32(at + 8, true);
    const fourth = view.getInt32(at + 12, true);
    const recent = this.#recent;
    const entry = RECENT_WORDS * (Math.imul(first ^ second ^ third ^ fourth, 0x9e3779b1) >>> 26);
    const differ =
      (recent[entry]! ^ first) |
      (recent[entry + 1]! ^ second) |
      (recent[entry + 2]! ^ third) |
      (recent[entry + 3]! ^ fourth);
    return differ === 0 ? recent[entry + 4]! : this.#lookUp(view, at, entry);
  }

  /** The number of a name; `undefined` when no message has named it. */
  find(name: string): number | undefined {
    return this.#numbers.get(name);
  }

  /** The number of a name, which is taken up if it is new. */
  numberOf(name: string): number {
    return this.#numbers.get(name) ?? this.#add(name);
  }

  /** The ifIndex of an interface as states of this direction (pf-terms) show it; 0 is no interface. */
  indexOf(number: number, direction: number): number {
    return swapOctets(this.indexes[2 * number + direction - 1]!) >>> 0;
  }

  #lookUp(view: DataView, at: number, entry: number): number {
    const number = this.numberOf(nameAt(view, at));
    const recent = this.#recent;
    for (let word = 0; word < 4; word++) recent[entry + word] = view.getInt32(at + 4 * word, true);
    recent[entry + 4] = number;
    return number;
  }

  #add(name: string): number {
    if (this.names.length > MOST_NAMES) {
      if (this.overflows++ === 0) this.#events.full?.(MOST_NAMES);
      return NO_INTERFACE;
    }
    const number = this.names.length;
    this.names.push(name);
    this.#numbers.set(name, number);
    this.#setIndexes(number, name, this.#map.get(name) ?? this.#derive(name));
    return number;
  }

  #derive(name: string): number {
    const index = derivedIndex(name);
    const other = this.#derived.get(index);
    if (other !== undefined) this.#events.collision?.(other, name, index);
    else this.#derived.set(index, name);
    return index;
  }

  #setIndexes(number: number, name: string, index: number): void {
    if (2 * number + 2 > this.indexes.length) {
      const larger = new Int32Array(2 * this.indexes.length);
      larger.set(this.indexes);
      this.indexes = larger;
    }
    const usual = this.#map.get(name) ?? index;
    this.indexes[2 * number] = swapOctets(this.#map.get(`${name}/in`) ?? usual);
    this.indexes[2 * number + 1] = swapOctets(this.#map.get(`${name}/out`) ?? usual);
  }
}

/** A name of at most 16 octets. It ends at its first NUL: kernels leave old memory behind it. */
export function nameAt(view: DataView, at: number): string {
  let name = '';
  for (let i = 0; i < NAME_LENGTH; i++) {
    const octet = view.getUint8(at + i);
    if (octet === 0) break;
    name += String.fromCharCode(octet);
  }
  return name;
}

/** An ifIndex from the name alone: the same after every restart and on every machine. 16 bits, because NetFlow v5 has no more. */
function derivedIndex(name: string): number {
  // FNV-1a, 32 bits, folded.
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return (((hash >>> 16) ^ (hash & 0xffff)) % 0xffff) + 1;
}
