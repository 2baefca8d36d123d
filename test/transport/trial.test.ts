/**
 * A sink as one for a database or a message broker will be: batches that are acknowledged later, a bounded
 * window of them, another try after an error, and a bound beyond which flows are dropped. It shows that the
 * types between the rooms carry it.
 */
import { expect } from 'chai';
import { FLOW, ROW } from '../../protocol/flow/row.js';
import type { FlowMemory, FlowRows } from '../../protocol/flow/rows.js';
import type { OutputResult } from '../../src/observe/summary.js';
import { Distribution, type Outlet } from '../../src/sink/distribution.js';
import { SampleRows } from '../peer/flow-sample.js';
import { numbered } from '../peer/flow-samples.js';

/** The other end: resolves when it has stored the batch. */
type Store = (batch: readonly string[]) => Promise<void>;

interface Bounds {
  /** Flows of a batch. */
  readonly batch: number;
  /** Batches that are not acknowledged yet. */
  readonly window: number;
  /** Flows that may wait. */
  readonly queue: number;
  /** Tries of a batch. */
  readonly tries: number;
}

class AcknowledgedSink implements Outlet {
  isDown = false;
  readonly #rows: FlowRows;
  readonly #store: Store;
  readonly #bounds: Bounds;
  #filling: string[] = [];
  readonly #batches: (readonly string[])[] = [];
  #inFlight = 0;
  #waiting = 0;
  #records = 0;
  #lostRecords = 0;
  #errors = 0;
  #waiters: { readonly few: number; readonly wake: () => void }[] = [];

  constructor({ rows }: FlowMemory, store: Store, bounds: Bounds) {
    this.#rows = rows;
    this.#store = store;
    this.#bounds = bounds;
  }

  /** Rows are valid during the call only: what will be stored is copied. */
  add(first: number, count: number): void {
    const { words, view } = this.#rows;
    for (let row = first; row < first + count; row++) {
      if (((words[row * ROW + FLOW]! >>> 8) & 255) === 0) continue;
      if (this.#waiting >= this.#bounds.queue) {
        this.#lostRecords++;
        continue;
      }
      this.#waiting++;
      this.#filling.push(`${view.getBigUint64(row * ROW * 4)}`);
      if (this.#filling.length === this.#bounds.batch) this.#send();
    }
  }

  flush(): void {
    if (this.#filling.length > 0) this.#send();
  }

  get isCongested(): boolean {
    return !this.isDown && this.#waiting > this.#bounds.queue / 2;
  }

  drained(): Promise<void> {
    return this.isCongested ? this.#until(this.#bounds.queue / 4) : Promise.resolve();
  }

  async close(): Promise<void> {
    this.flush();
    await this.#until(0);
  }

  get result(): OutputResult {
    const [lostRecords, errors] = [this.#lostRecords, this.#errors];
    return { kind: 'output', output: 'database://trial', records: this.#records, lostRecords, errors };
  }

  #until(few: number): Promise<void> {
    if (this.#waiting <= few) return Promise.resolve();
    return new Promise((wake) => this.#waiters.push({ few, wake }));
  }

  #send(): void {
    this.#batches.push(this.#filling);
    this.#filling = [];
    this.#pump();
  }

  #pump(): void {
    while (this.#inFlight < this.#bounds.window && this.#batches.length > 0) {
      this.#inFlight++;
      void this.#deliver(this.#batches.shift()!);
    }
  }

  async #deliver(batch: readonly string[]): Promise<void> {
    for (let left = this.#bounds.tries; left > 0 && !(await this.#isStored(batch)); left--) {
      if (left === 1) this.#lostRecords += batch.length;
    }
    this.#inFlight--;
    this.#waiting -= batch.length;
    const ready = this.#waiters.filter(({ few }) => this.#waiting <= few || this.isDown);
    this.#waiters = this.#waiters.filter((waiter) => !ready.includes(waiter));
    for (const { wake } of ready) wake();
    this.#pump();
  }

  async #isStored(batch: readonly string[]): Promise<boolean> {
    try {
      await this.#store(batch);
    } catch {
      this.#errors++;
      this.isDown = true;
      return false;
    }
    this.isDown = false;
    this.#records += batch.length;
    return true;
  }
}

const BOUNDS: Bounds = { batch: 10, window: 3, queue: 200, tries: 3 };

/** A store that acknowledges when the test says so. */
class Server {
  readonly stored: number[] = [];
  most = 0;
  readonly #open: { batch: readonly string[]; acknowledge: () => void; refuse: (error: Error) => void }[] =
    [];

  readonly store: Store = (batch) =>
    new Promise<void>((resolve, reject) => {
      this.#open.push({ batch, acknowledge: resolve, refuse: reject });
      this.most = Math.max(this.most, this.#open.length);
    });

  /** Acknowledges the latest batch, so that they come back out of order. */
  async acknowledge(): Promise<void> {
    const { batch, acknowledge } = this.#open.pop()!;
    this.stored.push(...batch.map(Number));
    acknowledge();
    await turn();
  }

  async refuse(): Promise<void> {
    this.#open.pop()!.refuse(new Error('refused'));
    await turn();
  }

  get isBusy(): boolean {
    return this.#open.length > 0;
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

function rowsOf(count: number): SampleRows {
  const samples = new SampleRows(count);
  for (let number = 0; number < count; number++) samples.add(numbered({ number }));
  return samples;
}

function sorted(numbers: readonly number[]): number[] {
  return numbers.toSorted((one, other) => one - other);
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n);
}

describe('a sink with acknowledgements', () => {
  let server: Server;

  beforeEach(() => {
    server = new Server();
  });

  it('loses nothing from a producer that pauses when asked to, and keeps to its window', async () => {
    const samples = rowsOf(500);
    const sink = new AcknowledgedSink(samples, server.store, BOUNDS);
    let pauses = 0;
    for (let row = 0; row < 500; row += 5) {
      sink.add(row, 5);
      if (!sink.isCongested) continue;
      pauses++;
      const drained = sink.drained();
      while (sink.isCongested) await server.acknowledge();
      while (server.isBusy) await server.acknowledge();
      await drained;
    }
    const closed = sink.close();
    while (server.isBusy) await server.acknowledge();
    await closed;
    expect(pauses).to.be.above(3);
    expect(server.most).to.equal(BOUNDS.window);
    expect(sorted(server.stored)).to.deep.equal(numbers(500));
    expect(sink.result).to.include({ records: 500, lostRecords: 0, errors: 0 });
  });

  it('tries again what was refused, and counts what was refused too often as lost', async () => {
    const samples = rowsOf(20);
    const sink = new AcknowledgedSink(samples, server.store, { ...BOUNDS, window: 1 });
    sink.add(0, 20);
    await server.refuse();
    expect(sink.isDown).to.equal(true);
    await server.acknowledge();
    expect(sink.isDown).to.equal(false);
    for (let n = 0; n < BOUNDS.tries; n++) await server.refuse();
    await sink.close();
    expect(sink.result).to.include({ records: 10, lostRecords: 10, errors: 1 + BOUNDS.tries });
  });

  it('holds up nobody while it is down: what it has no room for is dropped and counted', async () => {
    const samples = rowsOf(300);
    const sink = new AcknowledgedSink(samples, server.store, { ...BOUNDS, tries: 1000 });
    sink.add(0, 150);
    await server.refuse();
    expect([sink.isDown, sink.isCongested]).to.deep.equal([true, false]);
    await sink.drained();
    sink.add(150, 150);
    expect(sink.result.lostRecords).to.equal(100);
    const closed = sink.close();
    while (server.isBusy) await server.acknowledge();
    await closed;
    expect(sink.result).to.include({ records: 200, lostRecords: 100 });
  });

  it('shares flows with other collectors, which take over while it is down', async () => {
    const samples = rowsOf(100);
    const others = new Server();
    const sink = new AcknowledgedSink(samples, server.store, { ...BOUNDS, tries: 1000 });
    const other = new AcknowledgedSink(samples, others.store, BOUNDS);
    const both = new Distribution(samples, [sink, other], { balance: undefined, failover: true });
    both.add(0, 30);
    await server.refuse();
    both.add(30, 70);
    const closed = both.close(0);
    while (server.isBusy || others.isBusy) await (server.isBusy ? server : others).acknowledge();
    await closed;
    expect(sorted(server.stored)).to.deep.equal(numbers(30));
    expect(sorted(others.stored)).to.deep.equal(numbers(100).slice(30));
  });
});
