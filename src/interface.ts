/** Interfaces: pfsync carries names, export formats want numbers. */
import { allocate, core, memory, memoryOctets } from '../protocol/core.js';
import type { FlowRows } from '../protocol/flow-record.js';
import { ROW } from '../protocol/flow-row.js';
import { nameAt } from '../protocol/pfsync-state.js';

/** A hostile sender may invent names: this many are kept, later ones become no interface and are counted. */
const MOST_NAMES = 65_536;
const NAME_LENGTH = 16;
/** A floating state has this in place of a name: it belongs to no interface. */
const ANY = 'all';

/** What stands where in a name that the core keeps (`assembly/interface`): behind the name, what rows are given for it. */
const SHOWN_NAME = 16;
const INDEX = 32;

/** Gives the rows of states the numbers of their interfaces. The core keeps the names met lately, and asks for the others. */
export class InterfaceTable {
  /** Names beyond MOST_NAMES. */
  overflows = 0;
  readonly #map: ReadonlyMap<string, number>;
  /** Indexes by name. */
  readonly #indexes = new Map<string, number>([
    ['', 0],
    [ANY, 0],
  ]);
  /** Names by index. */
  readonly #names = new Map<number, string>();
  readonly #onCollision: (one: string, other: string, index: number) => void;
  /** Address of the names that the core keeps. The address of the newest one stands there. */
  readonly #recentNames: number;

  constructor(
    map: ReadonlyMap<string, number>,
    onCollision: (one: string, other: string, index: number) => void = () => {},
  ) {
    this.#map = map;
    this.#onCollision = onCollision;
    this.#recentNames = allocate(core.recentNamesLength(), this);
  }

  /** Fills in the interfaces of states that have just been read. */
  identify(states: FlowRows): void {
    let { row, count } = states;
    for (;;) {
      const named = core.nameInterfaces(this.#recentNames, row, count);
      if (named === count) return;
      this.#fillIn(memory.getUint32(this.#recentNames, true));
      row += named * ROW;
      count -= named;
    }
  }

  /** What rows are given for a name that the core keeps from now on. */
  #fillIn(at: number): void {
    const name = nameAt(memory, at);
    const index = this.#indexes.get(name) ?? this.#intern(name);
    memory.setUint32(at + INDEX, index ?? 0, true);
    if (index === undefined || name === ANY)
      memoryOctets.fill(0, at + SHOWN_NAME, at + SHOWN_NAME + NAME_LENGTH);
    else memoryOctets.copyWithin(at + SHOWN_NAME, at, at + NAME_LENGTH);
  }

  /** Undefined for a name too many. */
  #intern(name: string): number | undefined {
    if (this.#indexes.size > MOST_NAMES) {
      this.overflows++;
      return undefined;
    }
    const index = this.#map.get(name) ?? derivedIndex(name);
    const other = index === 0 ? undefined : this.#names.get(index);
    if (other !== undefined) this.#onCollision(other, name, index);
    else this.#names.set(index, name);
    this.#indexes.set(name, index);
    return index;
  }
}

/** An ifIndex from the name alone: the same after every restart and on every machine. 16 bits, because NetFlow v5 has no more. */
function derivedIndex(name: string): number {
  // FNV-1a, 32 bits, folded.
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return (((hash >>> 16) ^ (hash & 0xffff)) % 0xffff) + 1;
}
