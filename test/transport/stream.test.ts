import { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import fc from 'fast-check';
import { paceOf } from '../../src/transport/pace.js';
import { type StreamOptions, StreamTransport } from '../../src/transport/stream.js';
import { CONVERSION, LIVE, type StreamPolicy } from '../../src/transport/stream-policy.js';
import { NOW, numberOf } from '../peer/flow-samples.js';
import { LineLog } from '../peer/line-log.js';
import { StreamSession, until } from '../peer/stream-collector.js';
import { type NumberedFlow, NumberedFlows } from './numbered-flows.js';

/** Pauses too short to wait for. */
const QUICK = { firstPause: 1, longestPause: 4, closeLimit: 3000 };

function numbers(count: number, first = 0): number[] {
  return Array.from({ length: count }, (_, i) => first + i);
}

const ORDER = (one: number, other: number) => one - other;

/** A connection whose kernel takes everything or nothing, as the test wants it. */
class FakeConnection extends Duplex {
  readonly session = new StreamSession();
  readonly writes: number[] = [];
  isTaking = true;
  #held: (() => void)[] = [];

  constructor() {
    super({ highWaterMark: 1 << 20 });
  }

  hold(): void {
    this.isTaking = false;
  }

  release(): void {
    this.isTaking = true;
    for (const take of this.#held.splice(0)) take();
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    const take = () => {
      this.writes.push(chunk.length);
      this.session.take(Buffer.from(chunk));
      done();
    };
    if (this.isTaking) take();
    else this.#held.push(take);
  }

  /** What a broken connection has not taken is gone. */
  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#held = [];
    done(error);
  }

  override _final(done: () => void): void {
    done();
    this.push(null);
  }
}

class FakeNetwork {
  readonly connections: FakeConnection[] = [];
  isUp = true;

  readonly dial = () => {
    const socket = new FakeConnection();
    if (!this.isUp) return { socket, established: Promise.reject(new Error('down')) };
    this.connections.push(socket);
    return { socket, established: Promise.resolve() };
  };

  get last(): FakeConnection {
    return this.connections.at(-1)!;
  }
}

interface Fake {
  readonly network: FakeNetwork;
  readonly transport: StreamTransport;
  readonly flows: NumberedFlows;
  readonly log: LineLog;
}

async function close({ flows, transport }: Pick<Fake, 'flows' | 'transport'>): Promise<void> {
  flows.end();
  await transport.close();
}

function fake(
  policy: Partial<StreamPolicy> & Pick<StreamPolicy, 'whenFull'>,
  settings: { profile?: 'pflow'; isPaced?: true; now?: StreamOptions['now'] } = {},
): Fake {
  const network = new FakeNetwork();
  const log = new LineLog();
  const transport = new StreamTransport({
    name: 'tcp://fake',
    dial: network.dial,
    policy: { ...(policy.whenFull === 'wait' ? CONVERSION : LIVE), ...policy },
    pace: settings.isPaced ? paceOf(1e9) : undefined,
    log: log.log,
    ...(settings.now === undefined ? {} : { now: settings.now }),
  });
  return { network, transport, flows: new NumberedFlows(transport, settings.profile), log };
}

type Step =
  | { readonly do: 'add'; readonly samples: readonly Omit<NumberedFlow, 'number'>[]; readonly times: number }
  | { readonly do: 'flush' | 'refresh' | 'hold' | 'release' | 'break' | 'down' | 'up' };

const STEP: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('add' as const),
      samples: fc.array(
        fc.record({
          family: fc.constantFrom(4 as const, 6 as const),
          isTranslated: fc.boolean(),
          counters: fc.constantFrom('exact' as const, 'none' as const),
          protocol: fc.constantFrom(6, 47),
          interface: fc.constantFrom('em0', 'em1', 'em2'),
        }),
        { minLength: 1, maxLength: 4 },
      ),
      times: fc.integer({ min: 1, max: 120 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'flush' as const,
        'refresh' as const,
        'hold' as const,
        'release' as const,
        'break' as const,
        'down' as const,
        'up' as const,
      ),
    }),
  },
);

/** Lets what is due in this turn, and the pauses of 0 ms, come about. */
const turn = () => sleep(2);

describe('transport sessions', () => {
  for (const whenFull of ['wait', 'drop'] as const) {
    it(`any flows, refreshes and breaks: what is sent decodes, once, and the rest is counted (${whenFull})`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(STEP, { maxLength: 25 }), async (steps) => {
          const { network, transport, flows } = fake({
            whenFull,
            queueOctets: whenFull === 'wait' ? 1 << 20 : 24_000,
            firstPause: 0,
            longestPause: 0,
            mostAttempts: 1000,
          });
          await transport.open();
          let now = NOW;
          let number = 0;
          for (const step of steps) {
            if (step.do === 'add') {
              for (let i = 0; i < step.times; i++) {
                for (const sample of step.samples) {
                  flows.add({ ...sample, number: number++, observed: now });
                }
              }
            } else if (step.do === 'flush') flows.flush(now);
            else if (step.do === 'refresh') now += 31_000;
            else if (step.do === 'hold') network.last.hold();
            else if (step.do === 'release') network.last.release();
            else if (step.do === 'break') network.last.destroy();
            else network.isUp = step.do === 'up';
            if (step.do !== 'add') await turn();
          }
          network.isUp = true;
          while (transport.isDown) await turn();
          network.last.release();
          await turn();
          flows.end(now);
          await transport.close();

          const sessions = network.connections.map(({ session }) => session);
          for (const { collector, unfinished } of sessions) {
            expect(collector.errors).to.deep.equal([]);
            expect(unfinished).to.equal(0);
            const firstOf = (domain: number) =>
              collector.messages.find((message) => message.domain === domain);
            for (const domain of [0, 42]) expect(firstOf(domain)?.sequence ?? 0).to.equal(0);
          }
          const seen = sessions.flatMap(({ collector }) => collector.flows.map(numberOf));
          expect(seen).to.deep.equal([...new Set(seen)].sort(ORDER));
          expect(transport.sent.records).to.equal(seen.length);
          expect(transport.sent.records + transport.lost.records).to.equal(number);
          const whole = sessions.flatMap(({ lengths }) => lengths);
          expect(transport.sent.messages).to.equal(whole.length);
          expect(transport.sent.octets).to.equal(whole.reduce((sum, length) => sum + length, 0));
        }),
        { numRuns: 40 },
      );
    }).timeout(30_000);
  }

  for (const profile of ['full', 'pflow'] as const) {
    it(`writes 16 to 64 KiB at a time while messages wait (${profile})`, async () => {
      const { network, transport, flows } = fake(
        { whenFull: 'wait' },
        profile === 'pflow' ? { profile } : {},
      );
      await transport.open();
      // Alternating families make the shortest messages in the profile pflow.
      for (let i = 0; i < 8000; i++) flows.add({ number: i, family: i % 2 === 0 ? 4 : 6 });
      flows.end();
      await transport.close();
      const { writes, session } = network.last;
      expect(session.collector.errors).to.deep.equal([]);
      expect(session.collector.flows.length).to.equal(8000);
      const inBetween = writes.slice(2, -2);
      expect(inBetween.length).to.be.greaterThan(2);
      expect(Math.min(...inBetween)).to.be.at.least(16 << 10);
      expect(Math.max(...writes)).to.be.at.most(64 << 10);
    });
  }

  it('gives a conversion up when the collector takes nothing any more', async () => {
    const { network, transport, flows, log } = fake({
      whenFull: 'wait',
      queueOctets: 100_000,
      patience: 20,
    });
    await transport.open();
    for (let i = 0; i < 100; i++) flows.add({ number: i });
    flows.flush();
    await turn();
    network.last.hold();
    let count = 100;
    for (; !transport.isCongested; count++) flows.add({ number: count });
    await transport.drained();
    await close({ flows, transport });
    expect([transport.isCongested, transport.isDown]).to.deep.equal([false, true]);
    expect(transport.sent.records).to.equal(100);
    expect(transport.lost.records).to.equal(count - 100);
    expect(log.lines).to.deep.equal(['tcp://fake: takes nothing for 0.02 s; given up']);
  });

  it('live, drops what a slow collector has no room for, counts it, and stays decodable', async () => {
    const { network, transport, flows, log } = fake({ whenFull: 'drop', queueOctets: 100_000 });
    await transport.open();
    network.last.hold();
    let count = 0;
    for (; transport.lost.records === 0; count++) flows.add({ number: count });
    // A template that the collector would hear of only in a message that is dropped.
    for (let i = 0; i < 500; i++, count++) flows.add({ number: count, family: 6 });
    expect(transport.isCongested).to.equal(true);
    network.last.release();
    await transport.drained();
    expect(transport.isCongested).to.equal(false);
    for (let i = 0; i < 500; i++, count++) flows.add({ number: count, family: 6 });
    await close({ flows, transport });
    const { collector } = network.last.session;
    expect(collector.errors).to.deep.equal([]);
    expect(transport.sent.records + transport.lost.records).to.equal(count);
    expect(collector.flows.length).to.equal(transport.sent.records);
    expect(collector.flows.at(-1)!.source).to.equal('2001:db8::50');
    const templates = collector.messages.flatMap((message) =>
      message.templates.map((id) => `${message.domain}/${id}`),
    );
    expect(new Set(templates).size).to.equal(templates.length);
    expect(log.lines).to.include('tcp://fake: the queue is full: flow records are lost');
  });

  it('doubles the pauses up to the longest, and starts again after a steady session', async () => {
    let now = 0;
    const pauses = { firstPause: 1, longestPause: 6, steadyAfter: 20 };
    const { network, transport, log } = fake({ whenFull: 'drop', ...pauses }, { now: () => now });
    network.isUp = false;
    transport.start();
    await until(() => log.lines.length === 5, 'five attempts');
    network.isUp = true;
    await until(() => !transport.isDown, 'the connection');
    now += 19;
    network.last.destroy();
    await until(() => network.connections.length === 2 && !transport.isDown, 'the second session');
    now += 20;
    network.last.destroy();
    await until(() => network.connections.length === 3 && !transport.isDown, 'the third session');
    await transport.close();
    const soon = ['0.001', '0.002', '0.004', '0.006', '0.006'];
    expect(log.lines.map((line) => /next attempt in (.*) s/.exec(line)?.[1] ?? 'connected')).to.deep.equal([
      ...soon,
      'connected',
      '0.006',
      'connected',
      '0.001',
      'connected',
    ]);
  });

  it('ends the session with a collector that ends its side, though it takes nothing', async () => {
    const { network, transport, flows } = fake({ whenFull: 'wait', ...QUICK });
    await transport.open();
    network.last.hold();
    flows.add({ number: 1 });
    flows.flush();
    network.last.push(null);
    await until(() => network.connections.length === 2, 'the second session');
    flows.add({ number: 2 });
    await close({ flows, transport });
    expect(network.last.session.collector.flows.map(numberOf)).to.deep.equal([2]);
    expect([transport.sent.records, transport.lost.records, transport.errors]).to.deep.equal([1, 1, 1]);
  });

  it('counts the block that the kernel had not taken as lost, and does not send it again', async () => {
    const { network, transport, flows } = fake({ whenFull: 'wait', ...QUICK });
    await transport.open();
    const add = (first: number) => {
      for (let i = 0; i < 10; i++) flows.add({ number: first + i });
      flows.flush();
    };
    add(0);
    await turn();
    network.last.hold();
    add(10);
    add(20);
    network.last.destroy();
    await until(() => network.connections.length === 2, 'the second session');
    add(30);
    await close({ flows, transport });
    const [before, after] = network.connections.map(({ session }) => session.collector.flows.map(numberOf));
    expect(before).to.deep.equal(numbers(10));
    expect(after).to.deep.equal(numbers(20, 20));
    expect(transport.lost).to.include({ messages: 1, records: 10 });
    expect(transport.sent.records).to.equal(30);
  });

  it('a template that was announced in a queue of 1472 octets and lost with it is announced again', async () => {
    const policy = { whenFull: 'drop', ...QUICK, queueOctets: 3000 } as const;
    const { network, transport, flows } = fake(policy, { isPaced: true });
    network.isUp = false;
    transport.start();
    const kinds = [4, 6].flatMap((family) =>
      (['exact', 'none'] as const).flatMap((counters) =>
        [false, true].flatMap((isTranslated) =>
          [6, 47].map((protocol) => ({ family: family as 4 | 6, counters, isTranslated, protocol })),
        ),
      ),
    );
    // All templates are in messages that the queue has no room for; together they are longer than a block.
    for (let i = 0; i < 30; i++) flows.add({ number: i });
    for (const [i, kind] of kinds.entries()) flows.add({ number: 100 + i, ...kind });
    for (let i = 0; i < 30; i++) flows.add({ number: 200 + i });
    flows.flush();
    expect(transport.lost.messages).to.be.greaterThan(2);
    network.isUp = true;
    await until(() => transport.sent.records > 0, 'the session');
    await turn();
    for (const [i, kind] of kinds.entries()) flows.add({ number: 300 + i, ...kind });
    await close({ flows, transport });
    const { collector } = network.last.session;
    expect(collector.errors).to.deep.equal([]);
    expect(collector.flows.map(numberOf).filter((number) => number >= 300)).to.deep.equal(numbers(16, 300));
    expect(transport.sent.records + transport.lost.records).to.equal(92);
  });

  it('live, asks the producer to pause from half a queue on, until a quarter, while the session is established', async () => {
    const { network, transport, flows } = fake({ whenFull: 'drop', queueOctets: 1 << 20 });
    await transport.open();
    network.last.hold();
    let count = 0;
    for (; !transport.isCongested; count++) flows.add({ number: count });
    expect(transport.lost.records).to.equal(0);
    let isDrained = false;
    const drained = transport.drained().then(() => {
      isDrained = true;
    });
    // A block that is taken: far more than a quarter is left.
    network.last.release();
    network.last.hold();
    await turn();
    expect([isDrained, transport.isCongested]).to.deep.equal([false, false]);
    network.last.release();
    await drained;
    await close({ flows, transport });
    expect([transport.sent.records, transport.lost.records]).to.deep.equal([count, 0]);
  });

  it('live, is not congested while it is down, and a producer that waits goes on when the connection breaks', async () => {
    const policy = { whenFull: 'drop', queueOctets: 100_000, firstPause: 60_000 } as const;
    const { network, transport, flows } = fake(policy);
    await transport.open();
    network.last.hold();
    let count = 0;
    for (; !transport.isCongested; count++) flows.add({ number: count });
    const drained = transport.drained();
    network.last.destroy();
    await drained;
    expect([transport.isDown, transport.isCongested]).to.deep.equal([true, false]);
    // What comes is queued up to the bound, then dropped and counted.
    const { records } = transport.lost;
    for (let i = 0; i < 3000; i++, count++) flows.add({ number: count });
    expect(transport.isCongested).to.equal(false);
    expect(transport.lost.records).to.be.above(records);
    network.isUp = false;
    await close({ flows, transport });
    expect(transport.sent.records + transport.lost.records).to.equal(count);
  });

  it('a conversion waits for a collector that is down as well', async () => {
    const { network, transport, flows } = fake({ whenFull: 'wait', queueOctets: 50_000, ...QUICK });
    await transport.open();
    network.isUp = false;
    network.last.destroy();
    await until(() => transport.isDown, 'the break');
    let count = 0;
    for (; !transport.isCongested; count++) flows.add({ number: count });
    network.isUp = true;
    while (transport.isCongested) await transport.drained();
    await close({ flows, transport });
    expect([transport.sent.records, transport.lost.records]).to.deep.equal([count, 0]);
  });
});
