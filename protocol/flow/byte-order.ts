/** The order of the octets in a word. */

/** Turns the octets of a word around: between this machine's little-endian words and wire order. */
export function swapOctets(word: number): number {
  return (((word << 8) | (word >>> 24)) & 0x00ff00ff) | (((word << 24) | (word >>> 8)) & 0xff00ff00);
}
