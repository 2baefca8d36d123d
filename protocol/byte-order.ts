/** Words in network byte order, for memory that is written a machine word at a time. */

/** As DataView's `littleEndian`: octets read with it are a machine word that has them in the same order. */
export const MACHINE_ORDER = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Two rotations and a mask each: V8 knows them, and takes 7 instructions where four shifts take 13. */
export function swapOctets(word: number): number {
  return (((word << 8) | (word >>> 24)) & 0x00ff00ff) | (((word << 24) | (word >>> 8)) & 0xff00ff00);
}

/** As htonl(3): the machine word whose octets in memory are those of `word` on the wire. */
export const networkWord: (word: number) => number = MACHINE_ORDER ? swapOctets : (word) => word | 0;

/** The machine word that has the octets at `at` in their order: as `networkWord` of what is read there, in one step. */
export const wireWord: (view: DataView, at: number) => number = MACHINE_ORDER
  ? (view, at) => view.getInt32(at, true)
  : (view, at) => view.getInt32(at);

/** Two 16-bit values in each other's place, in either order of octets: source and destination ports. */
export function swapHalves(word: number): number {
  return (word << 16) | (word >>> 16);
}
