/**
 * Words in network order and in that of WebAssembly. Made of shifts: what V8 compiles at first calls a function of C for a
 * rotation, and `bswap` has two of them.
 */

const EVERY_OTHER_OCTET: u64 = 0x00ff_00ff * 0x1_0000_0001;
const EVERY_OTHER_PAIR: u64 = 0xffff * 0x1_0000_0001;

/** Two words that stand behind each other in memory. */
export function pair(first: u32, second: u32): u64 {
  return <u64>first | ((<u64>second) << 32);
}

/** Each word of a pair by itself: no more work than a single one is. */
export function swapPair(words: u64): u64 {
  const halves = ((words >> 8) & EVERY_OTHER_OCTET) | ((words & EVERY_OTHER_OCTET) << 8);
  return ((halves >> 16) & EVERY_OTHER_PAIR) | ((halves & EVERY_OTHER_PAIR) << 16);
}

export function swap64(word: u64): u64 {
  return rotate64(swapPair(word), 32);
}

export function swap32(word: u32): u32 {
  return <u32>swapPair(word);
}

/** `by` is less than 32. It may be 0: a shift by 32 is none. */
export function rotate32(word: u32, by: u32): u32 {
  return (word << by) | (word >> (32 - by));
}

/** The same, for less than 64. */
export function rotate64(word: u64, by: u64): u64 {
  return (word << by) | (word >> (64 - by));
}
