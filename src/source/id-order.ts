/**
 * The order of the octets of the state ids that pfctl prints. An id is eight opaque octets. OpenBSD, macOS and FreeBSD to 12
 * print them in the order on the wire (betoh64). FreeBSD from 13 on prints the number that they are to its machine: on a
 * little-endian one the last octet comes first (libpfctl does not convert the id; `6694fa6200000003` is octets
 * 03 00 00 00 62 fa 94 66). The creatorid is always in the order on the wire.
 */
import { swapOctets } from '../../protocol/flow/byte-order.js';
import type { StateCounters } from './pfctl-text.js';

/** After so many matches in one order the other order is not tried any more. */
const CERTAIN = 16;

/** Reverses the octets of the id. */
export function mirrorId(counters: StateCounters): void {
  const high = counters.idHigh;
  counters.idHigh = swapOctets(counters.idLow);
  counters.idLow = swapOctets(high);
}

/** Finds out in which order a firewall prints its ids: nothing in the text says so, but only one order names known states. */
export class IdOrder {
  /** Blocks whose state is known, and not, since `startList`. */
  known = 0;
  unknown = 0;
  #isMirrored = false;
  /** Matches in this order since it last changed. */
  #matches = 0;

  startList(): void {
    // A list without any known state may be another machine's.
    if (this.known === 0 && this.unknown > 0) this.#matches = 0;
    this.known = 0;
    this.unknown = 0;
  }

  /** Calls `offer` with the counters, once in each order if need be. It returns whether the state is known. */
  offer(counters: StateCounters, offer: (counters: StateCounters) => boolean): void {
    if (this.#isMirrored) mirrorId(counters);
    if (offer(counters)) {
      this.known++;
      this.#matches++;
      return;
    }
    if (this.#matches < CERTAIN) {
      const { idHigh, idLow } = counters;
      mirrorId(counters);
      const isOther = counters.idHigh !== idHigh || counters.idLow !== idLow;
      if (isOther && offer(counters)) {
        this.known++;
        this.#isMirrored = !this.#isMirrored;
        this.#matches = 1;
        return;
      }
    }
    this.unknown++;
  }
}
