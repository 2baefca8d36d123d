/** States of the program's own exports: to or from the address and port of one of its collectors. */
import { TCP, UDP } from '../../protocol/flow/pf-terms.js';
import {
  ADDRESS,
  ADDRESSES,
  PORTS,
  PROTOCOLS,
  REPLY_PORTS,
  TRANSLATED_PORTS,
  TRANSLATED_REPLY_PORTS,
} from '../../protocol/flow/row.js';

/** A collector's address and port as they stand in a row. */
interface OwnEnd {
  readonly family: number;
  readonly port: number;
  readonly address: Int32Array;
}

/** Collectors have few addresses. */
const MOST_ENDS = 1024;

export class SelfFilter {
  readonly #ends: OwnEnd[] = [];

  /** An address literal and a port. What is known already is not added again. */
  add(address: string, port: number): void {
    const plain = address.replace(/%.*$/, '').replace(/^::ffff:(?=\d+\.)/i, '');
    const family = plain.includes(':') ? 6 : 4;
    const octets = Uint8Array.from(family === 4 ? octetsOfIpv4(plain) : octetsOfIpv6(plain));
    const end = { family, port: ((port & 255) << 8) | (port >>> 8), address: new Int32Array(octets.buffer) };
    if (this.#ends.length < MOST_ENDS && !this.#ends.some((known) => isSame(known, end)))
      this.#ends.push(end);
  }

  /** Whether the state is one of ours. `row` is where its words begin. */
  matches(words: Int32Array, row: number): boolean {
    const protocols = words[row + PROTOCOLS]!;
    return (
      (carriesExports((protocols >>> 16) & 255) &&
        (this.#has(words, row + ADDRESSES, protocols & 255, words[row + PORTS]!) ||
          this.#has(words, row + ADDRESSES + ADDRESS, protocols & 255, words[row + REPLY_PORTS]!))) ||
      (carriesExports(protocols >>> 24) &&
        (this.#has(
          words,
          row + ADDRESSES + 2 * ADDRESS,
          (protocols >>> 8) & 255,
          words[row + TRANSLATED_PORTS]!,
        ) ||
          this.#has(
            words,
            row + ADDRESSES + 3 * ADDRESS,
            (protocols >>> 8) & 255,
            words[row + TRANSLATED_REPLY_PORTS]!,
          )))
    );
  }

  /** `ports` has the end's port first. */
  #has(words: Int32Array, at: number, family: number, ports: number): boolean {
    for (const end of this.#ends) {
      if (end.port !== (ports & 0xffff) || end.family !== family) continue;
      if (end.address.every((word, n) => words[at + n] === word)) return true;
    }
    return false;
  }
}

function carriesExports(protocol: number): boolean {
  return protocol === UDP || protocol === TCP;
}

function isSame(one: OwnEnd, other: OwnEnd): boolean {
  return (
    one.port === other.port && one.family === other.family && one.address.join() === other.address.join()
  );
}

function octetsOfIpv4(address: string): number[] {
  return address.split('.').map(Number);
}

/** RFC 4291, section 2.2: groups of 16 bits, `::` for as many zeros as are missing, an IPv4 address at the end. */
function octetsOfIpv6(address: string): number[] {
  const [head = '', tail] = address.split('::');
  const before = octetsOfGroups(head);
  const after = tail === undefined ? [] : octetsOfGroups(tail);
  const zeros = new Array<number>(16 - before.length - after.length).fill(0);
  return [...before, ...zeros, ...after];
}

function octetsOfGroups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (group.includes('.')) return octetsOfIpv4(group);
    const value = Number.parseInt(group, 16);
    return [value >>> 8, value & 255];
  });
}
