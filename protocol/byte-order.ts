/** Words in network byte order, for memory that is written a machine word at a time. */

const IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

export function swapOctets(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
}

/** As htonl(3): the machine word whose octets in memory are those of `word` on the wire. */
export const networkWord: (word: number) => number = IS_LITTLE_ENDIAN ? swapOctets : (word) => word | 0;
