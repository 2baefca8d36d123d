/** States of the program's own exports: to or from the address and port of one of its collectors. */
import { isIPv4 } from 'node:net';
import { ORIGINAL_SOURCE, TCP, TRANSLATED_SOURCE } from '../protocol/pf-terms.js';
import type { StateView } from '../protocol/pfsync-state.js';

const UDP = 17;

/** The four words of an address, the first alone in IPv4. */
interface End {
  readonly family: 4 | 6;
  readonly port: number;
  readonly words: readonly number[];
}

export class SelfFilter {
  readonly #ends: End[] = [];

  /** An address literal. What is known already is not added again. */
  add(address: string, port: number): void {
    const plain = address.replace(/%.*$/, '').replace(/^::ffff:(?=\d+\.)/i, '');
    const family = isIPv4(plain) ? 4 : 6;
    const words = family === 4 ? [wordOfIpv4(plain)] : wordsOfIpv6(plain);
    const isKnown = this.#ends.some(
      (end) => end.family === family && end.port === port && end.words.every((word, n) => word === words[n]),
    );
    if (!isKnown) this.#ends.push({ family, port, words });
  }

  matches(state: StateView): boolean {
    const isOriginal = carriesExports(state.protocol);
    const isTranslated = carriesExports(state.translatedProtocol);
    if (!isOriginal && !isTranslated) return false;
    const ends = this.#ends;
    for (let i = 0; i < ends.length; i++) {
      if (isOriginal && isAnEnd(state, ORIGINAL_SOURCE, state.family, ends[i]!)) return true;
      if (isTranslated && isAnEnd(state, TRANSLATED_SOURCE, state.translatedFamily, ends[i]!)) return true;
    }
    return false;
  }
}

/** Whether it is the source or the destination of a pair of ends. Asked of every state: nearly all have other ports. */
function isAnEnd(state: StateView, source: number, family: number, end: End): boolean {
  const destination = source ^ 1;
  return (
    (state.port(destination) === end.port && hasAddress(state, destination, family, end)) ||
    (state.port(source) === end.port && hasAddress(state, source, family, end))
  );
}

function carriesExports(protocol: number): boolean {
  return protocol === UDP || protocol === TCP;
}

function hasAddress(state: StateView, which: number, family: number, end: End): boolean {
  if (end.family !== family) return false;
  const at = state.addressAt(which);
  return end.words.every((word, n) => state.view.getInt32(at + 4 * n) === word);
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
