/** States of the program's own exports: to or from the address and port of one of its collectors. */
import { allocate, core, memory } from '../../protocol/core.js';
import type { StateRow } from '../../protocol/pfsync/state.js';
import { isIPv4 } from '../cli/ip-address.js';

/** What stands where in the core's memory: the number of ends and the address of the first, and of each end these. */
const COUNT = 0;
const FIRST = 4;
const LENGTH = 8;
const END_FAMILY = 0;
const END_PORT = 4;
const END_ADDRESS = 8;
const END_LENGTH = 24;
/** Ends there is room for: collectors have few addresses. */
const MOST_ENDS = 1024;

export class SelfFilter {
  /** Address of what the core knows of it. */
  readonly at: number;
  readonly #first: number;
  readonly #known = new Set<string>();

  constructor() {
    this.at = allocate(LENGTH, this);
    this.#first = allocate(MOST_ENDS * END_LENGTH, this);
    memory.setUint32(this.at + FIRST, this.#first, true);
  }

  /** An address literal. What is known already is not added again. */
  add(address: string, port: number): void {
    const plain = address.replace(/%.*$/, '').replace(/^::ffff:(?=\d+\.)/i, '');
    const family = isIPv4(plain) ? 4 : 6;
    const words = family === 4 ? [wordOfIpv4(plain)] : wordsOfIpv6(plain);
    const end = [family, port, ...words].join();
    const count = this.#known.size;
    if (this.#known.has(end) || count === MOST_ENDS) return;
    const at = this.#first + count * END_LENGTH;
    memory.setUint32(at + END_FAMILY, family, true);
    memory.setUint16(at + END_PORT, port);
    for (const [i, word] of words.entries()) memory.setInt32(at + END_ADDRESS + 4 * i, word);
    this.#known.add(end);
    memory.setUint32(this.at + COUNT, this.#known.size, true);
  }

  matches(state: StateRow): boolean {
    return core.isOwn(this.at, state.row) !== 0;
  }
}

function wordOfIpv4(address: string): number {
  return address.split('.').reduce((word, octet) => (word << 8) | Number(octet), 0);
}

/** RFC 4291, section 2.2: groups of 16 bits, `::` for as many zeros as are missing, an IPv4 address at the end. */
function wordsOfIpv6(address: string): number[] {
  const [head = '', tail] = address.split('::');
  const before = groupsOf(head);
  const after = tail === undefined ? [] : groupsOf(tail);
  const zeros = new Array<number>(8 - before.length - after.length).fill(0);
  const groups = [...before, ...zeros, ...after];
  return [0, 2, 4, 6].map((n) => (groups[n]! << 16) | groups[n + 1]!);
}

function groupsOf(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const word = wordOfIpv4(group);
    return [word >>> 16, word & 0xffff];
  });
}
