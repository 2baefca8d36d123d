/**
 * Text in ASCII, written where it will leave from. Each function writes at `at` and answers where its text ends; up to EXCESS
 * octets behind that are of no meaning.
 */

/** By number: its three digits, the first of them in the lowest octet, and in the highest how many of them are needed. */
const DIGITS = memory.data(4 * 1000);
/** By octet: its digits and a dot, and in the highest octet how many characters that is; and its two hexadecimal digits. */
const DOTTED = memory.data(5 * 256);
const HEXADECIMAL = memory.data(2 * 256);

const ZERO: u32 = 0x30;
const DOT: u32 = 0x2e;

for (let number: u32 = 0; number < 1000; number++) {
  const digits =
    (ZERO + number / 100) | ((ZERO + ((number / 10) % 10)) << 8) | ((ZERO + (number % 10)) << 16);
  const count: u32 = number < 10 ? 1 : number < 100 ? 2 : 3;
  store<u32>(DIGITS + 4 * number, digits | (count << 24));
}
for (let octet: u32 = 0; octet < 256; octet++) {
  const digits = load<u32>(DIGITS + 4 * octet);
  const count = digits >> 24;
  const shown = ((digits & 0xff_ffff) >> (8 * (3 - count))) | (DOT << (8 * count));
  store<u32>(DOTTED + 5 * octet, shown);
  store<u8>(DOTTED + 5 * octet, count + 1, 4);
  store<u8>(HEXADECIMAL + 2 * octet, hexadecimalDigit(octet >> 4));
  store<u8>(HEXADECIMAL + 2 * octet, hexadecimalDigit(octet & 15), 1);
}

function hexadecimalDigit(value: u32): u32 {
  return value < 10 ? ZERO + value : 0x61 - 10 + value;
}

/**
 * A text that is written again and again: its length, and its characters from the next multiple of 8 on. For the start of the
 * module, whose code is compiled for this one run: the build keeps the function from being inlined there for each text.
 */
export function piece(text: string): usize {
  const length = text.length;
  const at = heap.alloc(8 + ((length + 7) & ~7));
  store<u32>(at, length);
  for (let i = 0; i < length; i++) store<u8>(at + i, text.charCodeAt(i), 8);
  return at;
}

export function writePiece(at: usize, text: usize): usize {
  const end = at + load<u32>(text);
  copyText(at, text + 8, end);
  return end;
}

/** Copies up to `end`, eight octets at a time. */
export function copyText(at: usize, from: usize, end: usize): void {
  for (; at < end; at += 8, from += 8) store<u64>(at, load<u64>(from));
}

/** 0 to 999, without leading zeros. */
export function writeFirst(at: usize, number: u32): usize {
  const digits = load<u32>(DIGITS + 4 * number);
  const count = digits >> 24;
  store<u32>(at, digits >> (8 * (3 - count)));
  return at + count;
}

/** 0 to 99, with leading zeros. */
export function writeTwo(at: usize, number: u32): usize {
  store<u32>(at, load<u32>(DIGITS + 4 * number) >> 8);
  return at + 2;
}

/** 0 to 999, with leading zeros. */
export function writeThree(at: usize, number: u32): usize {
  store<u32>(at, load<u32>(DIGITS + 4 * number));
  return at + 3;
}

/** Below 10^9, with leading zeros. */
function writeNine(at: usize, number: u32): usize {
  const thousands = number / 1000;
  const millions = thousands / 1000;
  at = writeThree(at, millions);
  at = writeThree(at, thousands - 1000 * millions);
  return writeThree(at, number - 1000 * thousands);
}

export function writeShort(at: usize, number: u32): usize {
  if (number < 1000) return writeFirst(at, number);
  const thousands = number / 1000;
  return writeThree(writeFirst(at, thousands), number - 1000 * thousands);
}

const BILLION: u64 = 1_000_000_000;

/** Any unsigned integer. */
export function writeDecimal(at: usize, number: u64): usize {
  if (number < 1_000_000) return writeShort(at, <u32>number);
  if (number >= BILLION) {
    const billions = number / BILLION;
    return writeNine(writeDecimal(at, billions), <u32>(number - BILLION * billions));
  }
  const low = <u32>number;
  const millions = low / 1_000_000;
  const rest = low - 1_000_000 * millions;
  const thousands = rest / 1000;
  at = writeThree(writeFirst(at, millions), thousands);
  return writeThree(at, rest - 1000 * thousands);
}

export function writeInteger(at: usize, number: i32): usize {
  if (number >= 0) return writeDecimal(at, number);
  store<u8>(at, 0x2d);
  return writeDecimal(at + 1, -(<i64>number));
}

/** Integers below this have a place in 64 bits. */
const BEYOND_WORDS: f64 = 4_294_967_296.0 * 4_294_967_296.0;

/** A number without a fraction, of which the billions have a place in 64 bits. */
export function writeWhole(at: usize, number: f64): usize {
  if (number < 0) {
    store<u8>(at, 0x2d);
    at++;
  }
  const size = abs(number);
  if (size < BEYOND_WORDS) return writeDecimal(at, <u64>size);
  // What a double of this size is: 53 bits, doubled so many times.
  const bits = reinterpret<u64>(size);
  const mantissa = (bits & 0xf_ffff_ffff_ffff) | 0x10_0000_0000_0000;
  let billions = mantissa / BILLION;
  let rest = mantissa % BILLION;
  for (let doublings = (bits >> 52) - 1075; doublings > 0; doublings--) {
    const carry: u64 = 2 * rest >= BILLION ? 1 : 0;
    billions = 2 * billions + carry;
    rest = 2 * rest - carry * BILLION;
  }
  return writeNine(writeDecimal(at, billions), <u32>rest);
}

/** The hexadecimal digits of so many octets. */
export function writeHexadecimal(at: usize, from: usize, octets: usize): usize {
  for (const end = from + octets; from < end; from++, at += 2) {
    store<u16>(at, load<u16>(HEXADECIMAL + 2 * <usize>load<u8>(from)));
  }
  return at;
}

export function writeIpv4(at: usize, from: usize): usize {
  at = writeDotted(at, load<u8>(from));
  at = writeDotted(at, load<u8>(from, 1));
  at = writeDotted(at, load<u8>(from, 2));
  return writeFirst(at, load<u8>(from, 3));
}

function writeDotted(at: usize, octet: u32): usize {
  const entry = DOTTED + 5 * octet;
  store<u32>(at, load<u32>(entry));
  return at + load<u8>(entry, 4);
}

/** RFC 5952: lower case, the first of the longest runs of zero groups as `::`, the mapped form with a dotted end. */
export function writeIpv6(at: usize, from: usize): usize {
  let longestAt = -1;
  let longest = 1; // Section 4.2.2: one group alone is not shortened.
  let run = 0;
  for (let group = 0; group < 8; group++) {
    run = load<u16>(from + 2 * group) === 0 ? run + 1 : 0;
    if (run > longest) {
      longest = run;
      longestAt = group - run + 1;
    }
  }
  if (longestAt < 0) return writeGroups(at, from, 0, 8);
  if (longestAt === 0 && longest === 5 && load<u16>(from, 10) === 0xffff) {
    return writeIpv4(writePiece(at, MAPPED), from + 12);
  }
  at = writeGroups(at, from, 0, longestAt);
  at = writePiece(at, LEFT_OUT);
  return writeGroups(at, from, longestAt + longest, 8);
}

const MAPPED = piece('::ffff:');
const LEFT_OUT = piece('::');

/** Groups `first` to `end`, without leading zeros, and colons between them. */
function writeGroups(at: usize, from: usize, first: i32, end: i32): usize {
  for (let group = first; group < end; group++) {
    if (group > first) {
      store<u8>(at, 0x3a);
      at++;
    }
    const value: u32 = bswap<u16>(load<u16>(from + 2 * group));
    let shift: i32 = value >= 0x1000 ? 12 : value >= 0x100 ? 8 : value >= 0x10 ? 4 : 0;
    for (; shift >= 0; shift -= 4, at++) store<u8>(at, hexadecimalDigit((value >> shift) & 15));
  }
  return at;
}
