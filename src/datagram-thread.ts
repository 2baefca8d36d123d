/**
 * Datagrams in batches where there is no koffi: node:dgram sends them on a thread beside, which the program asks for a run and
 * goes on. The other end is `datagram-sender`.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { memory } from '../protocol/core.js';
import type { MessagePlace } from '../protocol/message-place.js';
import type { BatchAddress, DatagramBatch } from './datagram-batch.js';
import { ANSWERED, CAME_BACK, OUTCOME, type Run, type ThreadRoom } from './datagram-outcome.js';
import { DatagramPlaces } from './datagram-places.js';
import { leaveMemoryToThread } from './v8-flags.js';

/** Megabytes: what the thread makes of garbage lives no longer than a run. */
const YOUNG_GENERATION = 1;
/** A thread that does not answer for so long is not going to. Milliseconds. */
const LONGEST_WAIT = 30_000;

/** Undefined where it cannot be done, or a second thread is of no use. */
export async function openThread(
  to: BatchAddress,
  count: number,
  size: number,
): Promise<DatagramBatch | undefined> {
  if (availableParallelism() < 2) return undefined;
  leaveMemoryToThread();
  const places = new DatagramPlaces(count, size);
  const room: ThreadRoom = {
    ...to,
    memory: memory.buffer as SharedArrayBuffer,
    first: places.first,
    distance: places.distance,
    lengths: sharedWords(count),
    errors: sharedWords(count),
    outcome: sharedWords(OUTCOME),
  };
  const thread = new Worker(join(import.meta.dirname, 'datagram-sender.js'), {
    workerData: room,
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION },
  });
  const isOpen = await new Promise<boolean>((resolve) => {
    thread.once('message', resolve);
    thread.once('error', () => resolve(false));
  });
  // From now on an error of the thread is one of the program.
  thread.removeAllListeners('error');
  if (isOpen) return new ThreadBatch(thread, room, places);
  await thread.terminate();
  places.release();
  return undefined;
}

class ThreadBatch implements DatagramBatch {
  readonly cutsRuns = false;
  readonly count: number;
  error = 0;
  readonly #thread: Worker;
  readonly #room: ThreadRoom;
  readonly #places: DatagramPlaces;
  /** Runs asked for so far. */
  #asked = 0;
  /** Of the last run: the datagrams of which nobody has asked yet what became of them. */
  #next = 0;
  #end = 0;
  #done = (): void => {};

  constructor(thread: Worker, room: ThreadRoom, places: DatagramPlaces) {
    this.#thread = thread;
    this.#room = room;
    this.#places = places;
    this.count = room.lengths.length;
    thread.on('message', (answered: number) => {
      // An answer that was waited for is known already when its message comes.
      if (answered === this.#asked) this.#done();
    });
  }

  place(slot: number): MessagePlace {
    return this.#places.at(slot);
  }

  made(slot: number, length: number): void {
    this.#room.lengths[slot] = length;
  }

  lengthOf(slot: number): number {
    return this.#room.lengths[slot]!;
  }

  send(first: number, count: number): number {
    const isKnown = this.#next < this.#end && first === this.#next;
    if (!isKnown) {
      this.#ask({ first, count }, () => {});
      this.#wait();
    }
    const taken = this.#taken();
    if (taken === 0) this.error = this.#room.errors[this.#next++]!;
    return taken;
  }

  sendAside(first: number, count: number, done: (datagrams: number) => void): void {
    this.#ask({ first, count }, () => done(this.#taken()));
  }

  get isAsideOver(): boolean {
    return Atomics.load(this.#room.outcome, ANSWERED) === this.#asked;
  }

  awaitAside(): number {
    this.#wait();
    return this.#taken();
  }

  pendingError(): number {
    this.#ask({ first: 0, count: 0 }, () => {});
    this.#wait();
    return this.#room.outcome[CAME_BACK]!;
  }

  close(): void {
    void this.#thread.terminate().then(() => this.#places.release());
  }

  #ask(run: Run, done: () => void): void {
    this.#asked++;
    this.#next = run.first;
    this.#end = run.first + run.count;
    this.#done = done;
    this.#thread.postMessage(run);
  }

  #wait(): void {
    const answer = Atomics.wait(this.#room.outcome, ANSWERED, this.#asked - 1, LONGEST_WAIT);
    if (answer === 'timed-out') throw new Error('the thread that sends datagrams does not answer');
  }

  /** Datagrams that left before the next one that was refused; they need not be asked for again. */
  #taken(): number {
    const { errors } = this.#room;
    const first = this.#next;
    while (this.#next < this.#end && errors[this.#next] === 0) this.#next++;
    return this.#next - first;
  }
}

function sharedWords(count: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4 * count));
}
