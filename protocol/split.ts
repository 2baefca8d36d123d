/** Splits 64-bit counters over several records of a format whose counters have 32 bits (NetFlow v1 and v5). */
import { DIRECTION, OCTETS_HIGH, OCTETS_LOW, PACKETS_HIGH, PACKETS_LOW, type Volume } from './volume.js';

const LARGEST = 0xffff_ffff;

/** A hostile counter of 2^64-1 would make four thousand million records: this many are written, and no more. */
export const MOST_PARTS = 4096;

/**
 * The parts of one direction's counters. They conserve both sums exactly, differ by at most one octet and one packet, and
 * each has a packet as long as there are packets for all. Beyond MOST_PARTS both counters are clamped to what fits.
 */
export class CounterParts {
  count = 0;
  isClamped = false;
  #octets = new EvenShares();
  #packets = new EvenShares();

  split(volume: Volume, direction: number): void {
    const at = DIRECTION * direction;
    const octetsHigh = volume[at + OCTETS_HIGH]! >>> 0;
    const octetsLow = volume[at + OCTETS_LOW]! >>> 0;
    const packetsHigh = volume[at + PACKETS_HIGH]! >>> 0;
    const packetsLow = volume[at + PACKETS_LOW]! >>> 0;
    const wanted = Math.max(partsOf(octetsHigh, octetsLow), partsOf(packetsHigh, packetsLow));
    this.count = Math.min(Math.max(wanted, 1), MOST_PARTS);
    this.isClamped = wanted > MOST_PARTS;
    this.#octets.share(octetsHigh, octetsLow, this.count);
    this.#packets.share(packetsHigh, packetsLow, this.count);
  }

  octets(part: number): number {
    return this.#octets.of(part);
  }

  packets(part: number): number {
    return this.#packets.of(part);
  }
}

/** ceil(value / LARGEST), with value = high * 2^32 + low = high * LARGEST + high + low. */
function partsOf(high: number, low: number): number {
  return high + Math.ceil((high + low) / LARGEST);
}

class EvenShares {
  #quotient = 0;
  #remainder = 0;

  /** `parts` is at most MOST_PARTS, so `high * 2^32 + low` stays exact wherever it is not clamped. */
  share(high: number, low: number, parts: number): void {
    if (partsOf(high, low) > parts) {
      this.#quotient = LARGEST;
      this.#remainder = 0;
      return;
    }
    const value = high * 2 ** 32 + low;
    this.#quotient = Math.floor(value / parts);
    this.#remainder = value - this.#quotient * parts;
  }

  of(part: number): number {
    return this.#quotient + (part < this.#remainder ? 1 : 0);
  }
}
