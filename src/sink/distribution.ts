/** Shares the flows between collectors, or moves on to the next collector while one is down. */
import { swapOctets } from '../../protocol/flow/byte-order.js';
import { CREATOR, FLOW, ID, ROW } from '../../protocol/flow/row.js';
import type { FlowMemory } from '../../protocol/flow/rows.js';
import type { FlowSink } from './flow-sink.js';

/** A collector's sink. */
export interface Outlet extends FlowSink {
  readonly isDown: boolean;
}

export interface DistributionOptions {
  /** `hash`: by the state's key, so that later reports of a state follow the first. Undefined: the first takes all. */
  readonly balance: 'hash' | 'round-robin' | undefined;
  /** What is meant for a collector that is down goes to the next one that is up. */
  readonly failover: boolean;
}

export class Distribution implements FlowSink {
  readonly #words: Int32Array;
  readonly #outlets: readonly Outlet[];
  readonly #options: DistributionOptions;
  #turn = -1;

  constructor({ rows }: FlowMemory, outlets: readonly [Outlet, ...Outlet[]], options: DistributionOptions) {
    this.#words = rows.words;
    this.#outlets = outlets;
    this.#options = options;
  }

  add(first: number, count: number): void {
    for (let row = first; row < first + count; row++) {
      const directions = (this.#words[row * ROW + FLOW]! >>> 8) & 255;
      if (directions !== 0) this.#choose(row).add(row, 1);
    }
  }

  /** A translation begins and ends at the same collector, as long as that is up. */
  addNatEvent(row: number): void {
    const first = this.#options.balance === undefined ? 0 : this.#hashed(row);
    this.#upFrom(first).addNatEvent?.(row);
  }

  flush(now: number): void {
    for (const outlet of this.#outlets) outlet.flush(now);
  }

  /** With failover a collector that is down does not hold up the others, unless all are down. */
  get isCongested(): boolean {
    const areAllDown = this.#areAllDown();
    for (const outlet of this.#outlets) {
      if (this.#counts(outlet, areAllDown) && outlet.isCongested) return true;
    }
    return false;
  }

  async drained(): Promise<void> {
    const areAllDown = this.#areAllDown();
    for (const outlet of this.#outlets) {
      if (this.#counts(outlet, areAllDown)) await outlet.drained();
    }
  }

  async close(now: number): Promise<void> {
    await Promise.all(this.#outlets.map((outlet) => outlet.close(now)));
  }

  #choose(row: number): Outlet {
    const { balance } = this.#options;
    if (balance === undefined) return this.#upFrom(0);
    if (balance === 'hash') return this.#upFrom(this.#hashed(row));
    this.#turn = (this.#turn + 1) % this.#outlets.length;
    return this.#upFrom(this.#turn);
  }

  /** The collector at `first`; with failover the next that is up, if there is one. */
  #upFrom(first: number): Outlet {
    const outlets = this.#outlets;
    if (!this.#options.failover) return outlets[first]!;
    for (let step = 0; step < outlets.length; step++) {
      const outlet = outlets[(first + step) % outlets.length]!;
      if (!outlet.isDown) return outlet;
    }
    return outlets[first]!;
  }

  #hashed(row: number): number {
    const words = this.#words;
    const at = row * ROW;
    const high = swapOctets(words[at + ID]!);
    const low = swapOctets(words[at + ID + 1]!);
    return hash(high, low, swapOctets(words[at + CREATOR]!)) % this.#outlets.length;
  }

  #areAllDown(): boolean {
    for (const outlet of this.#outlets) if (!outlet.isDown) return false;
    return true;
  }

  #counts(outlet: Outlet, areAllDown: boolean): boolean {
    return !this.#options.failover || areAllDown || !outlet.isDown;
  }
}

/** The same in every run, so that a restart keeps the shares. Ids are counters in most kernels: neighbours must scatter. */
function hash(idHigh: number, idLow: number, creatorId: number): number {
  let mixed = Math.imul(idLow ^ Math.imul(idHigh, 0x9e3779b1) ^ creatorId, 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
