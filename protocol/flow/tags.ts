/** Tags that rules give to states (pf.conf, `tag`), by number: rows carry the number. */

/** A hostile sender may invent tags: this many are kept, states of later ones have none. */
const MOST_TAGS = 65_536;
const LONGEST = 64;

export const NO_TAG = 0;

export class TagTable {
  /** Tags by number; number 0 is none. */
  readonly names: string[] = [''];
  readonly #numbers = new Map<string, number>([['', NO_TAG]]);

  /** The number of the tag (64 octets, ended by a NUL if shorter) at `at`. */
  numberAt(view: DataView, at: number): number {
    if (view.getUint8(at) === 0) return NO_TAG;
    let name = '';
    for (let i = 0; i < LONGEST; i++) {
      const octet = view.getUint8(at + i);
      if (octet === 0) break;
      name += String.fromCharCode(octet);
    }
    return this.#numbers.get(name) ?? this.#add(name);
  }

  #add(name: string): number {
    if (this.names.length > MOST_TAGS) return NO_TAG;
    const number = this.names.length;
    this.names.push(name);
    this.#numbers.set(name, number);
    return number;
  }
}
