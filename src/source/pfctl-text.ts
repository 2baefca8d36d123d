/**
 * Parses the state table as `pfctl -vvss` prints it: octets in as they come, counters out.
 * Facts: pf_print_state.c of OpenBSD (2002 to 2011), FreeBSD 6 to 15, pfSense and OPNsense, and what macOS' pfctl prints. A
 * state is a block of lines: a first line without indent, for TCP its windows, then the two lines that are read here. Other
 * indented lines are skipped, and so are words that a release adds.
 *
 *     all tcp 192.0.2.1:49152 -> 198.51.100.7:443       ESTABLISHED:ESTABLISHED
 *        [2318 + 65535] wscale 6  [877 + 131072] wscale 7
 *        age 00:01:02, expires in 23:59:58, 12:10 pkts, 1423:9120 bytes, rule 7
 *        id: 5f00000000000101 creatorid: a1b2c3d4
 */
import { LineScanner } from './line-scanner.js';

/** What one block tells. The object is reused: valid during the call only. */
export interface StateCounters {
  /** The digits as printed, most significant first. That is the order on the wire, unless the id is mirrored (`id-order.ts`). */
  idHigh: number;
  idLow: number;
  creatorId: number;
  /** Seconds since the state was made. */
  age: number;
  /** Seconds until the state expires without further traffic; 0 is overdue, -1 not printed. */
  expire: number;
  /** High word and low word of index 0, then of index 1. */
  readonly packets: Uint32Array;
  readonly octets: Uint32Array;
}

/** A longer line is not pf's. It is dropped together with the block that it stands in. */
const LONGEST_LINE = 4096;

const NEWLINE = 0x0a;
const RETURN = 0x0d;
const AGE = encode('age ');
const EXPIRES = encode('expires in ');
const PACKETS = encode(' pkts');
const OCTETS = encode(' bytes');
const ID = encode('id: ');
const CREATOR_ID = encode(' creatorid: ');

export class StateListParser {
  /** Blocks that were read, and blocks or lines that were not. `end` resets both. */
  states = 0;
  unparsed = 0;

  readonly #onCounters: (counters: StateCounters) => void;
  readonly #counters: StateCounters = {
    idHigh: 0,
    idLow: 0,
    creatorId: 0,
    age: 0,
    expire: -1,
    packets: new Uint32Array(4),
    octets: new Uint32Array(4),
  };
  readonly #scanner = new LineScanner();
  /** The beginning of a line whose end has not come yet. */
  readonly #line = new Uint8Array(LONGEST_LINE);
  #length = 0;
  #isTooLong = false;
  /** A block has begun and is not reported yet; its line of counters has been read. */
  #isOpen = false;
  #hasCounters = false;

  constructor(onCounters: (counters: StateCounters) => void) {
    this.#onCounters = onCounters;
  }

  /** Parses the next piece of the output, which may end anywhere in a line. */
  feed(piece: Uint8Array | string): void {
    const octets = typeof piece === 'string' ? encode(piece) : piece;
    let from = 0;
    for (;;) {
      const newline = octets.indexOf(NEWLINE, from);
      if (newline < 0) break;
      if (this.#length === 0 && !this.#isTooLong) {
        this.#readLine(octets, from, newline);
      } else {
        this.#keep(octets, from, newline);
        this.#readKept();
      }
      from = newline + 1;
    }
    this.#keep(octets, from, octets.length);
  }

  /** Ends the output. A last line without its newline is read if it is whole. */
  end(): { states: number; unparsed: number } {
    if (this.#length > 0 || this.#isTooLong) this.#readKept();
    this.#close();
    const { states, unparsed } = this;
    this.states = 0;
    this.unparsed = 0;
    return { states, unparsed };
  }

  #keep(octets: Uint8Array, from: number, to: number): void {
    if (this.#isTooLong) return;
    if (this.#length + to - from > LONGEST_LINE) {
      this.#isTooLong = true;
      return;
    }
    this.#line.set(octets.subarray(from, to), this.#length);
    this.#length += to - from;
  }

  #readKept(): void {
    const length = this.#isTooLong ? LONGEST_LINE + 1 : this.#length;
    this.#length = 0;
    this.#isTooLong = false;
    this.#readLine(this.#line, 0, length);
  }

  #readLine(octets: Uint8Array, from: number, to: number): void {
    if (to - from > LONGEST_LINE) {
      // What was dropped may be the end of one block and the start of the next: their lines must not be joined.
      this.#isOpen = true;
      this.#close();
      return;
    }
    const scanner = this.#scanner;
    scanner.start(octets, from, to > from && octets[to - 1] === RETURN ? to - 1 : to);
    scanner.skipBlanks();
    if (scanner.isAtEnd) return;
    if (scanner.at === from) this.#readFirst();
    else if (scanner.readText(AGE)) this.#readCounters();
    else if (scanner.readText(ID)) this.#readId();
  }

  /** The line without indent begins a block. Lines without the arrow are messages in between. */
  #readFirst(): void {
    if (!this.#scanner.hasArrow()) {
      this.unparsed++;
      return;
    }
    this.#close();
    this.#isOpen = true;
  }

  /**
   * `HH:MM:SS, expires in HH:MM:SS, P0:P1 pkts, B0:B1 bytes`, and whatever clauses a release has before, between and
   * after. The first clause of each kind counts.
   */
  #readCounters(): void {
    // Lists that were cut down to their two useful lines have no first line.
    if (this.#hasCounters) this.#close();
    this.#isOpen = true;
    const scanner = this.#scanner;
    const counters = this.#counters;
    const age = scanner.readTime();
    if (age < 0) return;
    let expire = -1;
    let hasPackets = false;
    let hasOctets = false;
    while (scanner.skipClause()) {
      const clause = scanner.at;
      if (expire < 0 && scanner.readText(EXPIRES)) expire = scanner.readTime();
      scanner.at = clause;
      if (!hasPackets && scanner.readPair(counters.packets, PACKETS)) {
        hasPackets = true;
        continue;
      }
      scanner.at = clause;
      if (!hasOctets && scanner.readPair(counters.octets, OCTETS)) hasOctets = true;
    }
    counters.age = age;
    counters.expire = expire;
    this.#hasCounters = hasPackets && hasOctets;
  }

  /** `16 digits creatorid: 8 digits`, then ` (no-sync)`, a gateway, a routing table or nothing. */
  #readId(): void {
    const scanner = this.#scanner;
    const counters = this.#counters;
    if (this.#hasCounters && scanner.isHex(16)) {
      counters.idHigh = scanner.readHexWord();
      counters.idLow = scanner.readHexWord();
      if (scanner.readText(CREATOR_ID) && scanner.isHex(8)) {
        counters.creatorId = scanner.readHexWord();
        this.#report();
        return;
      }
    }
    this.#isOpen = true;
    this.#close();
  }

  #report(): void {
    this.#isOpen = false;
    this.#hasCounters = false;
    this.states++;
    this.#onCounters(this.#counters);
  }

  /** Ends the block. One that is still open could not be read. */
  #close(): void {
    if (this.#isOpen) this.unparsed++;
    this.#isOpen = false;
    this.#hasCounters = false;
  }
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
