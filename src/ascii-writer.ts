/**
 * Text in ASCII, written where it will leave from: no string is made of it on the way. Several octets are written at a
 * time, and what is written too much lies behind the end: a loop over single octets takes five times as long.
 */
import { decimal, milliseconds, threeDigits, writeIpv6 } from '../protocol/address.js';

/** What a piece or a number may write beyond its end. */
const EXCESS = 8;

const LITTLE_ENDIAN = true;

/** A piece of text that is written again and again, in portions of eight octets. ASCII is never a NaN. */
export interface Piece {
  readonly length: number;
  readonly portions: Float64Array;
}

export function piece(text: string): Piece {
  const octets = new Uint8Array((text.length + 7) & ~7);
  for (let i = 0; i < text.length; i++) octets[i] = text.charCodeAt(i);
  const view = new DataView(octets.buffer);
  const portions = Float64Array.from({ length: octets.length / 8 }, (_, i) =>
    view.getFloat64(8 * i, LITTLE_ENDIAN),
  );
  return { length: text.length, portions };
}

/** Up to four characters as a word whose least octet comes first. */
function packed(text: string): number {
  let word = 0;
  for (let i = 0; i < text.length; i++) word |= text.charCodeAt(i) << (8 * i);
  return word;
}

/** 0 to 999 without and with leading zeros, and 0 to 255 with a dot behind. */
const DIGITS = Int32Array.from({ length: 1000 }, (_, number) => packed(`${number}`));
const THREE_DIGITS = Int32Array.from({ length: 1000 }, (_, number) => packed(threeDigits(number)));
const DOTTED = Int32Array.from({ length: 256 }, (_, number) => packed(`${number}.`));
const HEX = Int32Array.from({ length: 256 }, (_, octet) => packed(octet.toString(16).padStart(2, '0')));

export class AsciiWriter {
  /** Those before `length` are written. */
  readonly octets: Uint8Array;
  length = 0;
  readonly #view: DataView;

  constructor(size: number) {
    this.#view = new DataView(new ArrayBuffer(size + EXCESS));
    this.octets = new Uint8Array(this.#view.buffer);
  }

  clear(): void {
    this.length = 0;
  }

  piece({ length, portions }: Piece): void {
    const view = this.#view;
    const at = this.length;
    for (let i = 0; i < portions.length; i++) view.setFloat64(at + 8 * i, portions[i]!, LITTLE_ENDIAN);
    this.length = at + length;
  }

  text(text: string): void {
    for (let i = 0; i < text.length; i++) this.octets[this.length++] = text.charCodeAt(i);
  }

  /** A signed word. */
  integer(word: number): void {
    if (word < 0) this.text(`${word}`);
    else this.length = writeDigits(this.#view, this.length, word);
  }

  /** An unsigned 64-bit integer in two words, each signed or unsigned. */
  decimal(high: number, low: number): void {
    if (high === 0 && low >= 0 && low <= 0x7fff_ffff) this.length = writeDigits(this.#view, this.length, low);
    else this.text(decimal(high, low));
  }

  /** Milliseconds as an integer, rounded down. */
  milliseconds(time: number): void {
    const seconds = Math.floor(time / 1000);
    if (seconds > 0 && seconds < 2 ** 31) {
      const at = writeDigits(this.#view, this.length, seconds);
      this.#view.setInt32(at, THREE_DIGITS[(time - 1000 * seconds) | 0]!, LITTLE_ENDIAN);
      this.length = at + 3;
    } else {
      this.text(milliseconds(time));
    }
  }

  /** The eight hexadecimal digits of a word. */
  hexWord(word: number): void {
    const view = this.#view;
    const at = this.length;
    view.setInt16(at, HEX[word >>> 24]!, LITTLE_ENDIAN);
    view.setInt16(at + 2, HEX[(word >>> 16) & 0xff]!, LITTLE_ENDIAN);
    view.setInt16(at + 4, HEX[(word >>> 8) & 0xff]!, LITTLE_ENDIAN);
    view.setInt16(at + 6, HEX[word & 0xff]!, LITTLE_ENDIAN);
    this.length = at + 8;
  }

  /** The address at `at`; `family` is 4 or 6. */
  address(from: DataView, at: number, family: number): void {
    if (family === 4) this.#ipv4(from.getInt32(at));
    else this.text(writeIpv6(from, at));
  }

  #ipv4(address: number): void {
    const view = this.#view;
    let at = this.length;
    for (let shift = 24; shift > 0; shift -= 8) {
      const octet = (address >>> shift) & 0xff;
      view.setInt32(at, DOTTED[octet]!, LITTLE_ENDIAN);
      at += 1 + digitsOf(octet);
    }
    const last = address & 0xff;
    view.setInt32(at, DIGITS[last]!, LITTLE_ENDIAN);
    this.length = at + digitsOf(last);
  }
}

/** Writes 0 to 2^31 - 1; the answer is where its digits end. */
function writeDigits(view: DataView, at: number, number: number): number {
  if (number < 1000) {
    view.setInt32(at, DIGITS[number]!, LITTLE_ENDIAN);
    return at + digitsOf(number);
  }
  const thousands = (number / 1000) | 0;
  const end = writeDigits(view, at, thousands);
  view.setInt32(end, THREE_DIGITS[number - 1000 * thousands]!, LITTLE_ENDIAN);
  return end + 3;
}

/** Of 0 to 999. */
function digitsOf(number: number): number {
  return number < 10 ? 1 : number < 100 ? 2 : 3;
}
