/** Packet and octet counters of a state's two directions: unsigned 64-bit integers as two words. */

/** Index 0 is initiator to responder, 1 the replies. Every `StateView` is one. */
export interface Counters {
  packetsHigh(index: number): number;
  packetsLow(index: number): number;
  octetsHigh(index: number): number;
  octetsLow(index: number): number;
}

export function isZero(counters: Counters): boolean {
  return !hasCounts(counters, 0) && !hasCounts(counters, 1);
}

function hasCounts(counters: Counters, index: number): boolean {
  const packets = counters.packetsLow(index) | counters.packetsHigh(index);
  return (packets | counters.octetsLow(index) | counters.octetsHigh(index)) !== 0;
}

/** What counters have gained since they were last reported. Where they went back, nothing. */
export class CounterGain implements Counters {
  readonly #words = new Uint32Array(8);

  set(now: Counters, before: Counters): void {
    for (let index = 0; index < 2; index++) {
      const at = 4 * index;
      this.#subtract(
        at,
        now.packetsHigh(index),
        now.packetsLow(index),
        before.packetsHigh(index),
        before.packetsLow(index),
      );
      this.#subtract(
        at + 2,
        now.octetsHigh(index),
        now.octetsLow(index),
        before.octetsHigh(index),
        before.octetsLow(index),
      );
    }
  }

  packetsHigh(index: number): number {
    return this.#words[4 * index]!;
  }

  packetsLow(index: number): number {
    return this.#words[4 * index + 1]!;
  }

  octetsHigh(index: number): number {
    return this.#words[4 * index + 2]!;
  }

  octetsLow(index: number): number {
    return this.#words[4 * index + 3]!;
  }

  #subtract(at: number, high: number, low: number, otherHigh: number, otherLow: number): void {
    const borrow = low < otherLow ? 1 : 0;
    const isLess = high < otherHigh + borrow;
    this.#words[at] = isLess ? 0 : high - otherHigh - borrow;
    this.#words[at + 1] = isLess ? 0 : low - otherLow;
  }
}

/** Counters as pfctl printed them: high and low word of index 0, then of index 1. */
export class PrintedCounters implements Counters {
  #packets: Uint32Array = new Uint32Array(4);
  #octets: Uint32Array = new Uint32Array(4);

  set(printed: { readonly packets: Uint32Array; readonly octets: Uint32Array }): void {
    this.#packets = printed.packets;
    this.#octets = printed.octets;
  }

  packetsHigh(index: number): number {
    return this.#packets[2 * index]!;
  }

  packetsLow(index: number): number {
    return this.#packets[2 * index + 1]!;
  }

  octetsHigh(index: number): number {
    return this.#octets[2 * index]!;
  }

  octetsLow(index: number): number {
    return this.#octets[2 * index + 1]!;
  }
}
