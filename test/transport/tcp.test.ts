import { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import fc from 'fast-check';
import { ipfixEncoder } from '../../protocol/export/ipfix.js';
import type { FlowEncoder } from '../../protocol/export/message.js';
import { NO_COUNTS } from '../../protocol/export/statistics.js';
import { StartError } from '../../src/cli/errors.js';
import { paceOf } from '../../src/transport/pace.js';
import { CONVERSION, LIVE, type StreamPolicy, StreamTransport } from '../../src/transport/stream.js';
import { openTcp, policyOf } from '../../src/transport/tcp.js';
import { type FlowSample, NOW, numberOf, sampleFlow } from '../peer/flow-samples.js';
import { LineLog } from '../peer/line-log.js';
import { StreamCollector, StreamSession, until } from '../peer/stream-collector.js';

/** Pauses too short to wait for. */
const QUICK = { firstPause: 1, longestPause: 4, farewell: 3000 };

function encoderFor(transport: StreamTransport, profile: 'full' | 'pflow' = 'full'): FlowEncoder {
  return ipfixEncoder(transport, profile, {
    nat: 'original',
    domain: 42,
    refreshTime: 30_000,
    refreshMessages: 0,
    announce: { names: true, sampling: true },
    counts: NO_COUNTS,
  });
}

interface Opened {
  readonly transport: StreamTransport;
  readonly encoder: FlowEncoder;
  readonly log: LineLog;
  /** Adds flows of so many numbers, from `first` on. */
  add(count: number, first?: number): void;
}

async function open(port: number, policy: StreamPolicy, rate?: number): Promise<Opened> {
  const log = new LineLog();
  const transport = await openTcp({
    name: `tcp://127.0.0.1:${port}`,
    endpoint: { host: '127.0.0.1', family: 4, port },
    source: undefined,
    rate,
    policy,
    log: log.log,
  });
  const encoder = encoderFor(transport);
  return {
    transport,
    encoder,
    log,
    add(count, first = 0) {
      for (let i = 0; i < count; i++) encoder.add(sampleFlow({ number: first + i }));
    },
  };
}

async function close({ encoder, transport }: Pick<Opened, 'encoder' | 'transport'>): Promise<void> {
  encoder.end(NOW);
  await transport.close();
}

function numbers(count: number, first = 0): number[] {
  return Array.from({ length: count }, (_, i) => first + i);
}

const ORDER = (one: number, other: number) => one - other;

describe('IPFIX over TCP', () => {
  let collector: StreamCollector;
  beforeEach(async () => {
    collector = await StreamCollector.listen();
  });
  afterEach(() => collector.close());

  for (const [name, policy] of Object.entries({ CONVERSION, LIVE })) {
    it(`brings every flow to the collector, in order and framed (${name})`, async () => {
      const opened = await open(collector.port, policy);
      opened.add(2000);
      await close(opened);
      const [session] = collector.sessions;
      await until(() => session?.end !== undefined, 'the end of the session');
      expect(session!.end).to.equal('whole');
      expect(session!.unfinished).to.equal(0);
      expect(session!.collector.errors).to.deep.equal([]);
      expect(collector.flows.map(numberOf)).to.deep.equal(numbers(2000));
      const { sent, lost, errors } = opened.transport;
      expect(sent).to.include({ records: 2000, messages: session!.lengths.length });
      expect(sent.octets).to.equal(session!.lengths.reduce((sum, length) => sum + length, 0));
      expect([lost.messages, errors]).to.deep.equal([0, 0]);
      expect(Math.max(...session!.lengths)).to.be.within(16_000, 16_384);
    });
  }

  it('announces each template once in a session, and tells names and statistics again', async () => {
    const opened = await open(collector.port, CONVERSION);
    for (let i = 0; i < 20; i++) {
      opened.encoder.add(sampleFlow({ number: i, observed: NOW + i * 31_000 }));
      opened.encoder.flush(NOW + i * 31_000);
    }
    await close(opened);
    await until(() => collector.sessions[0]?.end !== undefined, 'the end of the session');
    const { messages, errors } = collector.sessions[0]!.collector;
    expect(errors).to.deep.equal([]);
    const templates = messages.flatMap(({ domain, templates }) => templates.map((id) => `${domain}/${id}`));
    expect(templates.length).to.be.greaterThan(4);
    expect(new Set(templates).size).to.equal(templates.length);
    const isOf = (domain: number) =>
      messages.flatMap(({ options }) => options).filter((one) => one.domain === domain);
    expect(isOf(42).length).to.be.greaterThan(20);
    expect(isOf(0).length).to.be.greaterThan(20);
  });

  it('keeps to the rate, one small message after the other', async () => {
    const opened = await open(collector.port, CONVERSION, 100_000);
    opened.add(1500);
    await close(opened);
    await until(() => collector.sessions[0]?.end !== undefined, 'the end of the session');
    expect(collector.flows.length).to.equal(1500);
    expect(Math.max(...collector.sessions[0]!.lengths)).to.be.at.most(1472);
  });

  it('refuses to start a conversion to a collector that is down, in one clear line', async () => {
    const { port } = collector;
    await collector.close();
    const failure = await open(port, CONVERSION).catch((error: Error) => error);
    expect(failure).to.be.instanceOf(StartError);
    expect((failure as Error).message).to.equal(`tcp://127.0.0.1:${port}: connection refused`);
    collector = await StreamCollector.listen();
  });

  it('live, keeps trying until the collector is there, and loses nothing that the queue holds', async () => {
    const { port } = collector;
    await collector.close();
    const opened = await open(port, { ...LIVE, ...QUICK });
    expect(opened.transport.isDown).to.equal(true);
    opened.add(500);
    opened.encoder.flush(NOW);
    await until(() => opened.log.lines.length > 2, 'two attempts');
    expect(opened.log.lines[0]).to.equal(
      `tcp://127.0.0.1:${port}: connection refused; next attempt in 0.001 s`,
    );
    collector = await StreamCollector.listen({ port });
    await until(() => collector.flows.length === 500, 'the flows');
    expect(opened.transport.isDown).to.equal(false);
    await close(opened);
    expect(collector.errors).to.deep.equal([]);
    expect(opened.transport.lost.records).to.equal(0);
  });

  for (const [end, act] of [
    ['resets', (one: StreamCollector) => one.reset()],
    ['ends its side', (one: StreamCollector) => one.sockets.at(-1)!.end()],
    ['closes', (one: StreamCollector) => one.sockets.at(-1)!.destroy()],
  ] as const) {
    it(`begins a new session when the collector ${end}`, async () => {
      const opened = await open(collector.port, { ...LIVE, ...QUICK });
      for (let round = 0; round < 3; round++) {
        opened.add(100, round * 100);
        opened.encoder.flush(NOW);
        await until(() => collector.flows.length === 100 * (round + 1), 'the flows of this round');
        const { errors } = opened.transport;
        act(collector);
        await until(() => opened.transport.errors > errors, 'the end of the session');
      }
      await close(opened);
      expect(collector.sessions.length).to.be.at.least(3);
      expect(collector.errors).to.deep.equal([]);
      for (const { collector: seen } of collector.sessions.slice(0, 3)) {
        expect(seen.messages.find(({ domain }) => domain === 42)).to.include({ sequence: 0 });
      }
      expect(collector.flows.map(numberOf)).to.deep.equal(numbers(300));
      expect(opened.transport.sent.records).to.equal(300);
      expect(opened.transport.lost.records).to.equal(0);
    });
  }

  it('makes the reader wait for a slow collector, and loses nothing', async () => {
    const opened = await open(collector.port, { ...CONVERSION, queueOctets: 1 << 18 });
    await until(() => collector.sockets.length === 1, 'the connection');
    collector.sockets[0]!.pause();
    let count = 0;
    // More than the buffers of both sockets hold: the reader has to wait.
    for (; !opened.transport.isCongested; count += 1000) {
      opened.add(1000, count);
      await sleep(0);
    }
    let hasDrained = false;
    const drained = opened.transport.drained().then(() => {
      hasDrained = true;
    });
    await sleep(20);
    expect(hasDrained).to.equal(false);
    collector.sockets[0]!.resume();
    await drained;
    expect(opened.transport.isCongested).to.equal(false);
    await close(opened);
    await until(() => collector.sessions[0]!.end !== undefined, 'the end of the session');
    expect(collector.errors).to.deep.equal([]);
    expect(collector.flows.length).to.equal(count);
    expect(opened.transport.lost.records).to.equal(0);
  }).timeout(15_000);

  it('gives a conversion up after so many attempts, and counts what was left as lost', async () => {
    const opened = await open(collector.port, { ...CONVERSION, ...QUICK, mostAttempts: 4 });
    opened.add(100);
    opened.encoder.flush(NOW);
    await until(() => collector.flows.length === 100, 'the first flows');
    await collector.close();
    await until(() => opened.transport.isDown, 'the break');
    opened.add(100, 100);
    await close(opened);
    expect(opened.transport.sent.records).to.equal(100);
    expect(opened.transport.lost.records).to.equal(100);
    expect(opened.log.lines.at(-1)).to.match(/: connection refused; given up$/);
    opened.add(100, 200);
    opened.encoder.flush(NOW);
    expect(opened.transport.lost.records).to.equal(200);
    collector = await StreamCollector.listen();
  });

  it('goes on with a conversion when the collector is restarted', async () => {
    const { port } = collector;
    const opened = await open(port, { ...CONVERSION, ...QUICK, longestPause: 50 });
    opened.add(300);
    opened.encoder.flush(NOW);
    await until(() => collector.flows.length === 300, 'the first flows');
    const [before] = collector.sessions;
    await collector.close();
    await until(() => opened.transport.isDown, 'the break');
    opened.add(300, 300);
    collector = await StreamCollector.listen({ port });
    await close(opened);
    await until(() => collector.sessions[0]?.end !== undefined, 'the end of the session');
    expect([...before!.collector.flows, ...collector.flows].map(numberOf)).to.deep.equal(numbers(600));
    expect(collector.errors).to.deep.equal([]);
    expect(opened.transport.lost.records).to.equal(0);
  });

  it('waits at the end for a bounded time only', async () => {
    const quiet = await StreamCollector.listen({ onConnection: (socket) => socket.pause() });
    const opened = await open(quiet.port, { ...LIVE, farewell: 50 });
    await until(() => quiet.sockets.length === 1, 'the connection');
    opened.add(100);
    await close(opened);
    expect(opened.transport.sent.records).to.equal(100);
    await quiet.close();
  });

  it('live, makes one last attempt at the end', async () => {
    const { port } = collector;
    await collector.close();
    const opened = await open(port, { ...LIVE, firstPause: 60_000 });
    opened.add(100);
    opened.encoder.flush(NOW);
    await until(() => opened.log.lines.length > 0, 'the first attempt');
    collector = await StreamCollector.listen({ port });
    await close(opened);
    await until(() => collector.sessions[0]?.end !== undefined, 'the end of the session');
    expect(collector.flows.length).to.equal(100);
  });

  it('has at most a minute between attempts unless told otherwise', () => {
    expect(policyOf(false, 60)).to.include({ firstPause: 1000, longestPause: 60_000, whenFull: 'drop' });
    expect(policyOf(true, 0.5)).to.include({ firstPause: 500, longestPause: 500, whenFull: 'wait' });
  });
});

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
  readonly encoder: FlowEncoder;
  readonly log: LineLog;
}

function fake(
  policy: Partial<StreamPolicy> & Pick<StreamPolicy, 'whenFull'>,
  settings: { profile?: 'pflow'; isPaced?: true } = {},
): Fake {
  const network = new FakeNetwork();
  const log = new LineLog();
  const transport = new StreamTransport({
    name: 'tcp://fake',
    dial: network.dial,
    policy: { ...(policy.whenFull === 'wait' ? CONVERSION : LIVE), ...policy },
    pace: settings.isPaced ? paceOf(1e9) : undefined,
    log: log.log,
  });
  return { network, transport, encoder: encoderFor(transport, settings.profile), log };
}

type Step =
  | { readonly do: 'add'; readonly samples: readonly Omit<FlowSample, 'number'>[]; readonly times: number }
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
          counters: fc.constantFrom('exact' as const, 'tcpseq' as const, 'none' as const),
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
          const { network, transport, encoder } = fake({
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
                  encoder.add(sampleFlow({ ...sample, number: number++, observed: now }));
                }
              }
            } else if (step.do === 'flush') encoder.flush(now);
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
          encoder.end(now);
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
      const { network, transport, encoder } = fake(
        { whenFull: 'wait' },
        profile === 'pflow' ? { profile } : {},
      );
      await transport.open();
      // Alternating families make the shortest messages in the profile pflow.
      for (let i = 0; i < 8000; i++) encoder.add(sampleFlow({ number: i, family: i % 2 === 0 ? 4 : 6 }));
      encoder.end(NOW);
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
    const { network, transport, encoder, log } = fake({
      whenFull: 'wait',
      queueOctets: 100_000,
      patience: 20,
    });
    await transport.open();
    for (let i = 0; i < 100; i++) encoder.add(sampleFlow({ number: i }));
    encoder.flush(NOW);
    await turn();
    network.last.hold();
    let count = 100;
    for (; !transport.isCongested; count++) encoder.add(sampleFlow({ number: count }));
    await transport.drained();
    await close({ encoder, transport });
    expect([transport.isCongested, transport.isDown]).to.deep.equal([false, true]);
    expect(transport.sent.records).to.equal(100);
    expect(transport.lost.records).to.equal(count - 100);
    expect(log.lines).to.deep.equal(['tcp://fake: takes nothing for 0.02 s; given up']);
  });

  it('live, drops what a slow collector has no room for, counts it, and stays decodable', async () => {
    const { network, transport, encoder, log } = fake({ whenFull: 'drop', queueOctets: 100_000 });
    await transport.open();
    network.last.hold();
    let count = 0;
    for (; transport.lost.records === 0; count++) encoder.add(sampleFlow({ number: count }));
    // A template that the collector would hear of only in a message that is dropped.
    for (let i = 0; i < 500; i++, count++) encoder.add(sampleFlow({ number: count, family: 6 }));
    expect(transport.isCongested).to.equal(false);
    network.last.release();
    await turn();
    for (let i = 0; i < 500; i++, count++) encoder.add(sampleFlow({ number: count, family: 6 }));
    await close({ encoder, transport });
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
    const { network, transport, log } = fake({
      whenFull: 'drop',
      firstPause: 1,
      longestPause: 6,
      steadyAfter: 20,
    });
    network.isUp = false;
    transport.start();
    await until(() => log.lines.length === 5, 'five attempts');
    network.isUp = true;
    await until(() => !transport.isDown, 'the connection');
    network.last.destroy();
    await until(() => network.connections.length === 2, 'the second session');
    await sleep(30);
    network.last.destroy();
    await until(() => network.connections.length === 3, 'the third session');
    await transport.close();
    const pauses = log.lines.map((line) => /next attempt in (.*) s/.exec(line)?.[1] ?? 'connected');
    const soon = ['0.001', '0.002', '0.004', '0.006', '0.006'];
    expect(pauses).to.deep.equal([...soon, 'connected', '0.006', 'connected', '0.001', 'connected']);
  });

  it('ends the session with a collector that ends its side, though it takes nothing', async () => {
    const { network, transport, encoder } = fake({ whenFull: 'wait', ...QUICK });
    await transport.open();
    network.last.hold();
    encoder.add(sampleFlow({ number: 1 }));
    encoder.flush(NOW);
    network.last.push(null);
    await until(() => network.connections.length === 2, 'the second session');
    encoder.add(sampleFlow({ number: 2 }));
    await close({ encoder, transport });
    expect(network.last.session.collector.flows.map(numberOf)).to.deep.equal([2]);
    expect([transport.sent.records, transport.lost.records, transport.errors]).to.deep.equal([1, 1, 1]);
  });

  it('counts the block that the kernel had not taken as lost, and does not send it again', async () => {
    const { network, transport, encoder } = fake({ whenFull: 'wait', ...QUICK });
    await transport.open();
    const add = (first: number) => {
      for (let i = 0; i < 10; i++) encoder.add(sampleFlow({ number: first + i }));
      encoder.flush(NOW);
    };
    add(0);
    await turn();
    network.last.hold();
    add(10);
    add(20);
    network.last.destroy();
    await until(() => network.connections.length === 2, 'the second session');
    add(30);
    await close({ encoder, transport });
    const [before, after] = network.connections.map(({ session }) => session.collector.flows.map(numberOf));
    expect(before).to.deep.equal(numbers(10));
    expect(after).to.deep.equal(numbers(20, 20));
    expect(transport.lost).to.include({ messages: 1, records: 10 });
    expect(transport.sent.records).to.equal(30);
  });

  it('a template that was told in a queue of 1472 octets and lost with it is told again', async () => {
    const policy = { whenFull: 'drop', ...QUICK, queueOctets: 3000 } as const;
    const { network, transport, encoder } = fake(policy, { isPaced: true });
    network.isUp = false;
    transport.start();
    const kinds = [4, 6].flatMap((family) =>
      (['exact', 'tcpseq', 'none'] as const).flatMap((counters) =>
        [false, true].map((isTranslated) => ({ family: family as 4 | 6, counters, isTranslated })),
      ),
    );
    // All templates are in messages that the queue has no room for; together they are longer than a block.
    for (let i = 0; i < 30; i++) encoder.add(sampleFlow({ number: i }));
    for (const [i, kind] of kinds.entries()) encoder.add(sampleFlow({ number: 100 + i, ...kind }));
    for (let i = 0; i < 30; i++) encoder.add(sampleFlow({ number: 200 + i }));
    encoder.flush(NOW);
    expect(transport.lost.messages).to.be.greaterThan(2);
    network.isUp = true;
    await until(() => transport.sent.records > 0, 'the session');
    await turn();
    for (const [i, kind] of kinds.entries()) encoder.add(sampleFlow({ number: 300 + i, ...kind }));
    await close({ encoder, transport });
    const { collector } = network.last.session;
    expect(collector.errors).to.deep.equal([]);
    expect(collector.flows.map(numberOf).filter((number) => number >= 300)).to.deep.equal(numbers(12, 300));
    expect(transport.sent.records + transport.lost.records).to.equal(84);
  });
});
