/** Numbers as digits in ASCII, up to three at a time from tables. Up to three octets behind what is written are of no meaning. */

/** By number: its three digits, the first of them in the lowest octet of the word. */
const THREE = Int32Array.from({ length: 1000 }, (_, number) => wordOf(`${number}`.padStart(3, '0')));
/** The same without leading zeros. */
const FIRST = Int32Array.from({ length: 1000 }, (_, number) => wordOf(`${number}`));
/** By octet: its digits and a dot. */
const DOTTED = Int32Array.from({ length: 256 }, (_, octet) => wordOf(`${octet}.`));
/** By octet: its two hexadecimal digits. */
const HEX = Int32Array.from({ length: 256 }, (_, octet) => wordOf(octet.toString(16).padStart(2, '0')));

function wordOf(digits: string): number {
  return Array.from(digits).reduceRight((word, digit) => (word << 8) | digit.charCodeAt(0), 0);
}

/** How many characters a word holds. */
function lengthOf(word: number): number {
  return (39 - Math.clz32(word)) >> 3;
}

/** Writes 0 to 2^31 - 1; the answer is where its digits end. */
export function writeDigits(view: DataView, at: number, number: number): number {
  if (number < 1e6) return writeShort(view, at, number);
  const millions = (number / 1e6) | 0;
  return writeSix(view, writeShort(view, at, millions), number - 1e6 * millions);
}

/** 0 to 999,999. */
export function writeShort(view: DataView, at: number, number: number): number {
  if (number < 1e3) return writeFirst(view, at, number);
  const thousands = (number / 1e3) | 0;
  return writeThree(view, writeFirst(view, at, thousands), number - 1e3 * thousands);
}

/** 0 to 999, without leading zeros. */
export function writeFirst(view: DataView, at: number, number: number): number {
  const digits = FIRST[number]!;
  view.setInt32(at, digits, true);
  return at + lengthOf(digits);
}

/** 0 to 999, with leading zeros. */
export function writeThree(view: DataView, at: number, number: number): number {
  view.setInt32(at, THREE[number]!, true);
  return at + 3;
}

/** Below 10^9, with leading zeros. */
export function writeNine(view: DataView, at: number, number: number): number {
  const millions = (number / 1e6) | 0;
  return writeSix(view, writeThree(view, at, millions), number - 1e6 * millions);
}

/** 0 to 999,999, with leading zeros. */
function writeSix(view: DataView, at: number, number: number): number {
  const thousands = (number / 1e3) | 0;
  return writeThree(view, writeThree(view, at, thousands), number - 1e3 * thousands);
}

/** The eight hexadecimal digits of a word. */
export function writeHexWord(view: DataView, at: number, word: number): number {
  view.setInt32(at, HEX[word >>> 24]! | (HEX[(word >>> 16) & 255]! << 16), true);
  view.setInt32(at + 4, HEX[(word >>> 8) & 255]! | (HEX[word & 255]! << 16), true);
  return at + 8;
}

/** An address of IPv4, as a word. */
export function writeIpv4(view: DataView, at: number, address: number): number {
  for (let shift = 24; shift > 0; shift -= 8) {
    const digits = DOTTED[(address >>> shift) & 255]!;
    view.setInt32(at, digits, true);
    at += lengthOf(digits);
  }
  return writeFirst(view, at, address & 255);
}
