/**
 * Datagrams in batches where there is no koffi: node:dgram sends them on a thread beside, which the program asks for a batch
 * and goes on. The other end is `datagram-sender`.
 */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { wordsOf } from '../protocol/message.js';
import type { BatchAddress, DatagramBatch } from './datagram-batch.js';

/** What both ends see: the datagrams, their lengths, and what became of the last batch. */
export interface Shared {
  readonly to: BatchAddress;
  readonly room: SharedArrayBuffer;
  /** Octets from the beginning of one datagram to the next. */
  readonly distance: number;
  readonly lengths: Int32Array;
  /** In the order of the constants below. */
  readonly outcome: Int32Array;
}

/** Batches answered so far: what a waiting program is woken by. */
export const ANSWERED = 0;
/** Datagrams that left before one was refused, if one was. */
export const TAKEN = 1;
/** Why it was refused, as an errno; 0: it was not. */
export const ERROR = 2;
const OUTCOME = 3;

/** A batch to send; one of no datagrams asks what has come back since. */
export interface Batch {
  readonly first: number;
  readonly count: number;
}

/** The young generation of a thread that makes hardly any garbage. */
const MEGABYTES = 2;

/** Undefined where it cannot be done, or a second thread is of no use. */
export async function openThread(
  to: BatchAddress,
  count: number,
  size: number,
): Promise<DatagramBatch | undefined> {
  if (availableParallelism() < 2) return undefined;
  const distance = (size + 3) & ~3;
  const shared: Shared = {
    to,
    room: new SharedArrayBuffer(count * distance),
    distance,
    lengths: new Int32Array(new SharedArrayBuffer(4 * count)),
    outcome: new Int32Array(new SharedArrayBuffer(4 * OUTCOME)),
  };
  const thread = new Worker(new URL('./datagram-sender.js', import.meta.url), {
    workerData: shared,
    resourceLimits: { maxYoungGenerationSizeMb: MEGABYTES },
  });
  const isOpen = await new Promise<boolean>((resolve) => {
    thread.once('message', resolve);
    thread.once('error', () => resolve(false));
  });
  if (isOpen) return new ThreadBatch(thread, shared, size);
  await thread.terminate();
  return undefined;
}

class ThreadBatch implements DatagramBatch {
  readonly cutsRuns = false;
  readonly views: readonly DataView[];
  readonly words: readonly Int32Array[];
  error = 0;
  readonly #thread: Worker;
  readonly #lengths: Int32Array;
  readonly #outcome: Int32Array;
  /** Batches asked for so far. */
  #asked = 0;
  /** What waits for the last of them. */
  #done = (_datagrams: number): void => {};

  constructor(thread: Worker, { room, distance, lengths, outcome }: Shared, size: number) {
    this.#thread = thread;
    this.#lengths = lengths;
    this.#outcome = outcome;
    this.views = Array.from(lengths, (_, slot) => new DataView(room, slot * distance, size));
    this.words = this.views.map(wordsOf);
    thread.on('message', (answered: number) => {
      // An answer that was waited for is known already when its message comes.
      if (answered === this.#asked) this.#done(outcome[TAKEN]!);
    });
  }

  setLength(slot: number, length: number): void {
    this.#lengths[slot] = length;
  }

  lengthOf(slot: number): number {
    return this.#lengths[slot]!;
  }

  send(first: number, count: number): number {
    // The datagram that `sendAside` ended at has been refused already.
    this.error = this.#takeError();
    if (this.error !== 0) return 0;
    this.sendAside(first, count, () => {});
    const taken = this.awaitAside();
    if (taken === 0) this.error = this.#takeError();
    return taken;
  }

  sendAside(first: number, count: number, done: (datagrams: number) => void): void {
    this.#asked++;
    this.#done = done;
    this.#thread.postMessage({ first, count } satisfies Batch);
  }

  awaitAside(): number {
    Atomics.wait(this.#outcome, ANSWERED, this.#asked - 1);
    return this.#outcome[TAKEN]!;
  }

  pendingError(): number {
    this.send(0, 0);
    return this.error;
  }

  close(): void {
    void this.#thread.terminate();
  }

  #takeError(): number {
    const error = this.#outcome[ERROR]!;
    this.#outcome[ERROR] = 0;
    return error;
  }
}
