/**
 * Numbers as digits in ASCII. A file without imports: of such a one the build puts constants in place. It is straight code:
 * in a loop V8 would look at the array anew for each digit.
 */

const ZERO = 0x30;
/** From the character behind 9 to a. */
const LETTERS = 0x61 - 0x3a;

/** Writes 0 to 2^31 - 1; the answer is where its digits end. */
export function writeDigits(octets: Uint8Array, at: number, number: number): number {
  if (number < 1e3) return writeFirst(octets, at, number);
  const thousands = (number / 1e3) | 0;
  const ones = number - 1e3 * thousands;
  if (number < 1e6) return writeThree(octets, writeFirst(octets, at, thousands), ones);
  const millions = (thousands / 1e3) | 0;
  const next = writeMillions(octets, at, millions);
  return writeThree(octets, writeThree(octets, next, thousands - 1e3 * millions), ones);
}

/** 1 to 9999. */
function writeMillions(octets: Uint8Array, at: number, number: number): number {
  if (number < 1e3) return writeFirst(octets, at, number);
  const billions = (number / 1e3) | 0;
  octets[at] = ZERO + billions;
  return writeThree(octets, at + 1, number - 1e3 * billions);
}

/** 0 to 999, without leading zeros. */
export function writeFirst(octets: Uint8Array, at: number, number: number): number {
  if (number >= 100) return writeThree(octets, at, number);
  if (number < 10) {
    octets[at] = ZERO + number;
    return at + 1;
  }
  const tens = (number / 10) | 0;
  octets[at] = ZERO + tens;
  octets[at + 1] = ZERO + number - 10 * tens;
  return at + 2;
}

/** 0 to 999, with leading zeros. */
export function writeThree(octets: Uint8Array, at: number, number: number): number {
  const tens = (number / 10) | 0;
  const hundreds = (number / 100) | 0;
  octets[at] = ZERO + hundreds;
  octets[at + 1] = ZERO + tens - 10 * hundreds;
  octets[at + 2] = ZERO + number - 10 * tens;
  return at + 3;
}

/** Below 10^9, with leading zeros. */
export function writeNine(octets: Uint8Array, at: number, number: number): number {
  const thousands = (number / 1e3) | 0;
  const millions = (number / 1e6) | 0;
  const next = writeThree(octets, writeThree(octets, at, millions), thousands - 1e3 * millions);
  return writeThree(octets, next, number - 1e3 * thousands);
}

/** The eight hexadecimal digits of a word. */
export function writeHexWord(octets: Uint8Array, at: number, word: number): void {
  octets[at] = hexDigit(word >>> 28);
  octets[at + 1] = hexDigit((word >>> 24) & 15);
  octets[at + 2] = hexDigit((word >>> 20) & 15);
  octets[at + 3] = hexDigit((word >>> 16) & 15);
  octets[at + 4] = hexDigit((word >>> 12) & 15);
  octets[at + 5] = hexDigit((word >>> 8) & 15);
  octets[at + 6] = hexDigit((word >>> 4) & 15);
  octets[at + 7] = hexDigit(word & 15);
}

function hexDigit(number: number): number {
  return number < 10 ? ZERO + number : ZERO + LETTERS + number;
}

const DOT = 0x2e;

/** An address of IPv4, as a word; the answer is where its text ends. */
export function writeIpv4(octets: Uint8Array, start: number, address: number): number {
  let at = writeFirst(octets, start, address >>> 24);
  octets[at] = DOT;
  at = writeFirst(octets, at + 1, (address >>> 16) & 255);
  octets[at] = DOT;
  at = writeFirst(octets, at + 1, (address >>> 8) & 255);
  octets[at] = DOT;
  return writeFirst(octets, at + 1, address & 255);
}
