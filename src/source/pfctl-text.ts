/**
 * The state table as `pfctl -vvss` prints it: octets in as they come, counters out.
 * Facts: pf_print_state.c of OpenBSD (2002 to 2011), FreeBSD 6 to 15, pfSense and OPNsense, and what macOS' pfctl prints. A state is a
 * block of lines: a first line without indent, for TCP its windows, then the two lines that are read here; other indented lines are
 * passed over, and so are words that a release adds.
 *
 *     all tcp 192.0.2.1:49152 -> 198.51.100.7:443       ESTABLISHED:ESTABLISHED
 *        [2318 + 65535] wscale 6  [877 + 131072] wscale 7
 *        age 00:01:02, expires in 23:59:58, 12:10 pkts, 1423:9120 bytes, rule 7
 *        id: 5f00000000000101 creatorid: a1b2c3d4
 */
import { swapOctets } from '../../protocol/flow/byte-order.js';
import { DIRECTION, OCTETS_HIGH, PACKETS_HIGH, type Volume } from '../../protocol/flow/volume.js';

/** What one block tells. The object is reused: valid during the call only. */
export interface StateCounters {
  /** The digits as printed: most significant first, which is the order on the wire but for `mirrorId`. */
  idHigh: number;
  idLow: number;
  creatorId: number;
  /** Seconds since the state was made. */
  age: number;
  /** High word and low word of index 0, then of index 1. */
  readonly packets: Uint32Array;
  readonly octets: Uint32Array;
}

/** Copies the counters of both directions. */
export function readPrinted({ octets, packets }: StateCounters, volume: Volume): void {
  for (let direction = 0; direction < 2; direction++) {
    volume.set(octets.subarray(2 * direction, 2 * direction + 2), DIRECTION * direction + OCTETS_HIGH);
    volume.set(packets.subarray(2 * direction, 2 * direction + 2), DIRECTION * direction + PACKETS_HIGH);
  }
}

/** A line beyond this is no state's: it is dropped, and the block it stands in with it. */
const LONGEST_LINE = 4096;

const NEWLINE = 0x0a;
const RETURN = 0x0d;
const TAB = 0x09;
const SPACE = 0x20;
const COMMA = 0x2c;
const MINUS = 0x2d;
const COLON = 0x3a;
const LESS = 0x3c;
const GREATER = 0x3e;
const AGE = encode('age ');
const ID = encode('id: ');
const CREATOR_ID = encode('creatorid: ');
const PACKETS = encode(' pkts');
const OCTETS = encode(' bytes');

/** Digits that a double holds exactly. */
const EXACT_DIGITS = 15;
const WORD = 2 ** 32;

export class StateListParser {
  /** Blocks handed on, and blocks or lines that gave nothing. `end` starts both anew. */
  states = 0;
  unparsed = 0;

  readonly #onCounters: (counters: StateCounters) => void;
  readonly #counters: StateCounters = {
    idHigh: 0,
    idLow: 0,
    creatorId: 0,
    age: 0,
    packets: new Uint32Array(4),
    octets: new Uint32Array(4),
  };
  /** A line whose end has not come yet. */
  readonly #line = new Uint8Array(LONGEST_LINE);
  #length = 0;
  #isTooLong = false;
  /** A block has begun and is not handed on yet; its age line has been read. */
  #isOpen = false;
  #hasCounters = false;
  /** Where the next field of the line is read. */
  #at = 0;

  constructor(onCounters: (counters: StateCounters) => void) {
    this.#onCounters = onCounters;
  }

  feed(chunk: Uint8Array | string): void {
    const bytes = typeof chunk === 'string' ? encode(chunk) : chunk;
    let from = 0;
    for (;;) {
      const newline = bytes.indexOf(NEWLINE, from);
      if (newline < 0) break;
      if (this.#length === 0 && !this.#isTooLong) {
        this.#read(bytes, from, newline);
      } else {
        this.#keep(bytes, from, newline);
        this.#readKept();
      }
      from = newline + 1;
    }
    this.#keep(bytes, from, bytes.length);
  }

  /** The output is over. A last line without its end is read if it is whole. */
  end(): { states: number; unparsed: number } {
    if (this.#length > 0 || this.#isTooLong) this.#readKept();
    this.#close();
    const { states, unparsed } = this;
    this.states = 0;
    this.unparsed = 0;
    return { states, unparsed };
  }

  #keep(bytes: Uint8Array, from: number, to: number): void {
    if (this.#isTooLong) return;
    if (this.#length + to - from > LONGEST_LINE) {
      this.#isTooLong = true;
      return;
    }
    this.#line.set(bytes.subarray(from, to), this.#length);
    this.#length += to - from;
  }

  #readKept(): void {
    const length = this.#isTooLong ? LONGEST_LINE + 1 : this.#length;
    this.#length = 0;
    this.#isTooLong = false;
    this.#read(this.#line, 0, length);
  }

  #read(bytes: Uint8Array, from: number, to: number): void {
    if (to - from > LONGEST_LINE) {
      // What was lost may be the end of one block and the start of the next: neither may lend its counters to the other.
      this.#isOpen = true;
      this.#close();
      return;
    }
    const end = to > from && bytes[to - 1] === RETURN ? to - 1 : to;
    const start = skipBlanks(bytes, from, end);
    if (start === end) return;
    if (start === from) this.#readFirst(bytes, start, end);
    else if (startsWith(bytes, start, end, AGE)) this.#readCounters(bytes, start + AGE.length, end);
    else if (startsWith(bytes, start, end, ID)) this.#readId(bytes, start + ID.length, end);
  }

  /** The line without indent: what counts is only that a block starts. Others are messages that got into the output. */
  #readFirst(bytes: Uint8Array, from: number, end: number): void {
    if (!hasArrow(bytes, from, end)) {
      this.unparsed++;
      return;
    }
    this.#close();
    this.#isOpen = true;
  }

  /** `HH:MM:SS, expires in HH:MM:SS, P0:P1 pkts, B0:B1 bytes`, and whatever a release says before, between and after. */
  #readCounters(bytes: Uint8Array, from: number, end: number): void {
    // Lists that were cut down to their two useful lines have no first line.
    if (this.#hasCounters) this.#close();
    this.#isOpen = true;
    this.#at = from;
    if (!this.#readAge(bytes, end)) return;
    const { packets, octets } = this.#counters;
    let hasPackets = false;
    let hasOctets = false;
    while (!(hasPackets && hasOctets)) {
      const comma = commaFrom(bytes, this.#at, end);
      if (comma === end) return;
      this.#at = skipBlanks(bytes, comma + 1, end);
      const field = this.#at;
      if (!hasPackets && this.#readPair(bytes, end, packets, PACKETS)) {
        hasPackets = true;
        continue;
      }
      this.#at = field;
      if (!hasOctets && this.#readPair(bytes, end, octets, OCTETS)) hasOctets = true;
    }
    this.#hasCounters = true;
  }

  #readAge(bytes: Uint8Array, end: number): boolean {
    let seconds = 0;
    for (let part = 0; part < 3; part++) {
      if (part > 0 && !this.#skip(bytes, end, COLON)) return false;
      const first = this.#at;
      let value = 0;
      let digit = digitAt(bytes, this.#at, end);
      for (; digit >= 0; digit = digitAt(bytes, this.#at, end)) {
        value = value * 10 + digit;
        this.#at++;
      }
      if (this.#at === first) return false;
      seconds = seconds * 60 + value;
    }
    this.#counters.age = Math.min(seconds, WORD - 1);
    return true;
  }

  /** `N:N unit` into four words. */
  #readPair(bytes: Uint8Array, end: number, words: Uint32Array, unit: Uint8Array): boolean {
    return (
      this.#readNumber(bytes, end, words, 0) &&
      this.#skip(bytes, end, COLON) &&
      this.#readNumber(bytes, end, words, 2) &&
      startsWith(bytes, this.#at, end, unit)
    );
  }

  #readNumber(bytes: Uint8Array, end: number, words: Uint32Array, index: number): boolean {
    const first = this.#at;
    let value = 0;
    let at = first;
    let digit = digitAt(bytes, at, end);
    for (; digit >= 0 && at - first < EXACT_DIGITS; digit = digitAt(bytes, ++at, end))
      value = value * 10 + digit;
    if (at === first) return false;
    let high = Math.floor(value / WORD);
    let low = value % WORD;
    for (; digit >= 0; digit = digitAt(bytes, ++at, end)) {
      low = low * 10 + digit;
      high = high * 10 + Math.floor(low / WORD);
      low %= WORD;
      if (high >= WORD) return false;
    }
    words[index] = high;
    words[index + 1] = low;
    this.#at = at;
    return true;
  }

  #skip(bytes: Uint8Array, end: number, octet: number): boolean {
    if (this.#at >= end || bytes[this.#at] !== octet) return false;
    this.#at++;
    return true;
  }

  /** `16 digits creatorid: 8 digits`, then ` (no-sync)`, a gateway, a routing table or nothing. */
  #readId(bytes: Uint8Array, from: number, end: number): void {
    const creator = from + 17;
    const digits = creator + CREATOR_ID.length;
    const isWhole =
      this.#hasCounters &&
      isHex(bytes, from, end, 16) &&
      bytes[from + 16] === SPACE &&
      startsWith(bytes, creator, end, CREATOR_ID) &&
      isHex(bytes, digits, end, 8);
    if (!isWhole) {
      this.#isOpen = true;
      this.#close();
      return;
    }
    const counters = this.#counters;
    counters.idHigh = hexWord(bytes, from);
    counters.idLow = hexWord(bytes, from + 8);
    counters.creatorId = hexWord(bytes, digits);
    this.#isOpen = false;
    this.#hasCounters = false;
    this.states++;
    this.#onCounters(counters);
  }

  /** A block that is still open gave nothing. */
  #close(): void {
    if (this.#isOpen) this.unparsed++;
    this.#isOpen = false;
    this.#hasCounters = false;
  }
}

/**
 * Turns the octets of an id round. An id is eight opaque octets. OpenBSD, macOS and FreeBSD to 12 print them in their order (betoh64);
 * FreeBSD from 13 on prints the number that they are to its machine, so on a little-endian one the last octet comes first
 * (libpfctl hands the id on as it is; `6694fa6200000003` is octets 03 00 00 00 62 fa 94 66). The creatorid is always in order.
 */
export function mirrorId(counters: StateCounters): void {
  const high = counters.idHigh;
  counters.idHigh = swapOctets(counters.idLow);
  counters.idLow = swapOctets(high);
}

/** After so many matches in one order the other one is not tried any more. */
const CERTAIN = 16;

/**
 * Finds out in which order a firewall prints its ids: nothing in the text says so, but only one order names states that are known.
 * `offer` is told of each block and says whether it knows such a state.
 */
export class IdOrder {
  /** Blocks whose state is known, and not, since `startList`. */
  known = 0;
  unknown = 0;
  #isMirrored = false;
  /** Matches in this order since it last changed. */
  #matches = 0;

  startList(): void {
    // A list in which nothing was known may be another machine's.
    if (this.known === 0 && this.unknown > 0) this.#matches = 0;
    this.known = 0;
    this.unknown = 0;
  }

  offer(counters: StateCounters, offer: (counters: StateCounters) => boolean): void {
    if (this.#isMirrored) mirrorId(counters);
    if (offer(counters)) {
      this.known++;
      this.#matches++;
      return;
    }
    if (this.#matches < CERTAIN) {
      const { idHigh, idLow } = counters;
      mirrorId(counters);
      const isOther = counters.idHigh !== idHigh || counters.idLow !== idLow;
      if (isOther && offer(counters)) {
        this.known++;
        this.#isMirrored = !this.#isMirrored;
        this.#matches = 1;
        return;
      }
    }
    this.unknown++;
  }
}

function skipBlanks(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end && (bytes[at] === SPACE || bytes[at] === TAB)) at++;
  return at;
}

function commaFrom(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end && bytes[at] !== COMMA) at++;
  return at;
}

function startsWith(bytes: Uint8Array, from: number, end: number, text: Uint8Array): boolean {
  if (end - from < text.length) return false;
  for (let i = 0; i < text.length; i++) if (bytes[from + i] !== text[i]) return false;
  return true;
}

/** `->` or `<-` between the two ends of a state. */
function hasArrow(bytes: Uint8Array, from: number, end: number): boolean {
  for (let at = from + 1; at < end; at++) {
    if (bytes[at] === GREATER && bytes[at - 1] === MINUS) return true;
    if (bytes[at] === MINUS && bytes[at - 1] === LESS) return true;
  }
  return false;
}

/** -1 where no decimal digit stands. */
function digitAt(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end) return -1;
  const digit = bytes[at] - 0x30;
  return digit >= 0 && digit <= 9 ? digit : -1;
}

/** Exactly `count` hexadecimal digits, followed by a blank or the end. */
function isHex(bytes: Uint8Array, from: number, end: number, count: number): boolean {
  if (end - from < count) return false;
  for (let i = 0; i < count; i++) if (hexValue(bytes[from + i]) < 0) return false;
  return end - from === count || bytes[from + count] === SPACE || bytes[from + count] === TAB;
}

function hexWord(bytes: Uint8Array, from: number): number {
  let word = 0;
  for (let i = 0; i < 8; i++) word = (word << 4) | hexValue(bytes[from + i]);
  return word;
}

function hexValue(octet: number): number {
  if (octet >= 0x30 && octet <= 0x39) return octet - 0x30;
  const letter = octet | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
