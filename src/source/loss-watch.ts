/** Notices that messages were lost: what the state table knew before then proves nothing. */
import type { SourceCounts } from '../observe/statistics.js';

export class LossWatch {
  readonly #onLoss: (time: number) => void;
  readonly #clock: () => number;
  #known = 0;

  /** `clock` is that of captured packets: milliseconds since the epoch. */
  constructor(onLoss: (time: number) => void, clock: () => number = Date.now) {
    this.#onLoss = onLoss;
    this.#clock = clock;
  }

  /** Compares what the live sources have counted with the time before. While capturing starts again messages are lost, too. */
  check({ kernelDrops, unread, restarts, overflows }: Readonly<SourceCounts>): void {
    const losses = kernelDrops + unread + restarts + overflows;
    if (losses > this.#known) this.#onLoss(this.#clock());
    this.#known = losses;
  }
}
