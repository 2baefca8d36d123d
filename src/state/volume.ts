/**
 * Packets and octets of a state's two directions: unsigned 64-bit counters as two words each. The words are signed, as
 * machine words are, so that none needs a number of more than 32 bits: `>>> 0` where the size matters.
 */

/** Eight words: those of the initiator's direction, then those of the replies, in the order of the constants below. */
export type Volume = Int32Array;

export const OCTETS_HIGH = 0;
export const OCTETS_LOW = 1;
export const PACKETS_HIGH = 2;
export const PACKETS_LOW = 3;

/** Words of one direction. */
export const DIRECTION = 4;

export function newVolume(): Volume {
  return new Int32Array(2 * DIRECTION);
}

export function clear(volume: Volume): void {
  volume.fill(0);
}

/** Takes from `volume` what was there `before`. Where a counter went back, 0 is left. */
export function subtract(volume: Volume, before: Volume): void {
  for (let high = 0; high < 2 * DIRECTION; high += 2) {
    const low = high + 1;
    const borrow = volume[low]! >>> 0 < before[low]! >>> 0 ? 1 : 0;
    const rest = (volume[high]! >>> 0) - (before[high]! >>> 0) - borrow;
    const hasGrown = rest >= 0;
    volume[low] = hasGrown ? volume[low]! - before[low]! : 0;
    volume[high] = hasGrown ? rest : 0;
  }
}
