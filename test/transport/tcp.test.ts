import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { ipfixEncoder } from '../../protocol/export/ipfix.js';
import { StartError } from '../../src/cli/errors.js';
import type { StreamTransport } from '../../src/transport/stream.js';
import { CONVERSION, LIVE, policyOf, type StreamPolicy } from '../../src/transport/stream-policy.js';
import { openTcp } from '../../src/transport/tcp.js';
import { SampleRows } from '../peer/flow-sample.js';
import { NOW, numbered, numberOf } from '../peer/flow-samples.js';
import { LineLog } from '../peer/line-log.js';
import { StreamCollector, until } from '../peer/stream-collector.js';
import { NumberedFlows } from './numbered-flows.js';

/** Pauses too short to wait for. */
const QUICK = { firstPause: 1, longestPause: 4, closeLimit: 3000 };

interface Opened {
  readonly transport: StreamTransport;
  readonly flows: NumberedFlows;
  readonly log: LineLog;
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
  return { transport, flows: new NumberedFlows(transport), log };
}

async function close({ flows, transport }: Opened): Promise<void> {
  flows.end();
  await transport.close();
}

function numbers(count: number, first = 0): number[] {
  return Array.from({ length: count }, (_, i) => first + i);
}

/** Octets of the last message in them: it is the only one of its length. */
function lengthOfLast(octets: Buffer): number {
  for (let length = 16; length <= octets.length; length++) {
    const at = octets.length - length;
    const isHeader = octets.readUInt16BE(at) === 10 && octets.readUInt16BE(at + 2) === length;
    if (isHeader && octets.readUInt32BE(at + 12) === 42) return length;
  }
  throw new Error('no message');
}

describe('IPFIX over TCP', () => {
  let collector: StreamCollector;
  beforeEach(async () => {
    collector = await StreamCollector.listen();
  });
  afterEach(() => collector.close());

  for (const [name, policy] of Object.entries({ CONVERSION, LIVE })) {
    it(`brings every flow to the collector, in order and framed (${name})`, async () => {
      const opened = await open(collector.port, policy);
      opened.flows.addMany(2000);
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

  it('announces each template once in a session, and repeats names and statistics', async () => {
    const opened = await open(collector.port, CONVERSION);
    for (let i = 0; i < 20; i++) {
      opened.flows.add({ number: i, observed: NOW + i * 31_000 });
      opened.flows.flush(NOW + i * 31_000);
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
    opened.flows.addMany(1500);
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
    opened.flows.addMany(500);
    opened.flows.flush();
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
        opened.flows.addMany(100, round * 100);
        opened.flows.flush();
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
      opened.flows.addMany(1000, count);
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
    opened.flows.addMany(100);
    opened.flows.flush();
    await until(() => collector.flows.length === 100, 'the first flows');
    await collector.close();
    await until(() => opened.transport.isDown, 'the break');
    opened.flows.addMany(100, 100);
    await close(opened);
    expect(opened.transport.sent.records).to.equal(100);
    expect(opened.transport.lost.records).to.equal(100);
    expect(opened.log.lines.at(-1)).to.match(/: connection refused; given up$/);
    opened.flows.addMany(100, 200);
    opened.flows.flush();
    expect(opened.transport.lost.records).to.equal(200);
    collector = await StreamCollector.listen();
  });

  it('goes on with a conversion when the collector is restarted', async () => {
    const { port } = collector;
    const opened = await open(port, { ...CONVERSION, ...QUICK, longestPause: 50 });
    opened.flows.addMany(300);
    opened.flows.flush();
    await until(() => collector.flows.length === 300, 'the first flows');
    const [before] = collector.sessions;
    await collector.close();
    await until(() => opened.transport.isDown, 'the break');
    opened.flows.addMany(300, 300);
    collector = await StreamCollector.listen({ port });
    await close(opened);
    await until(() => collector.sessions[0]?.end !== undefined, 'the end of the session');
    expect([...before!.collector.flows, ...collector.flows].map(numberOf)).to.deep.equal(numbers(600));
    expect(collector.errors).to.deep.equal([]);
    expect(opened.transport.lost.records).to.equal(0);
  });

  it('waits at the end for a bounded time only', async () => {
    const quiet = await StreamCollector.listen({ onConnection: (socket) => socket.pause() });
    const opened = await open(quiet.port, { ...LIVE, closeLimit: 50 });
    await until(() => quiet.sockets.length === 1, 'the connection');
    opened.flows.addMany(100);
    await close(opened);
    expect(opened.transport.sent.records).to.equal(100);
    await quiet.close();
  });

  it('live, makes one last attempt at the end', async () => {
    const { port } = collector;
    await collector.close();
    const opened = await open(port, { ...LIVE, firstPause: 60_000 });
    opened.flows.addMany(100);
    opened.flows.flush();
    await until(() => opened.log.lines.length > 0, 'the first attempt');
    collector = await StreamCollector.listen({ port });
    await close(opened);
    await until(() => collector.sessions[0]?.end !== undefined, 'the end of the session');
    expect(collector.flows.length).to.equal(100);
  });

  it('live, loses none of a million flows that come at once, from a producer that pauses when asked to', async () => {
    let received = 0;
    let head: Buffer = Buffer.alloc(0);
    let last: Buffer = Buffer.alloc(0);
    const reader = await StreamCollector.listen({
      onConnection: (socket) => {
        socket.on('end', () => socket.end());
        socket.on('data', (octets: Buffer) => {
          received += octets.length;
          if (head.length === 0) head = octets.subarray(0, 16);
          last = Buffer.concat([last, octets]).subarray(-4096);
        });
      },
    });
    const { transport } = await open(reader.port, LIVE);
    await until(() => !transport.isDown, 'the connection');
    const samples = new SampleRows(512);
    for (let number = 0; number < 512; number++) samples.add(numbered({ number }));
    const templates = { nat: 'original', domain: 42, refreshTime: 30_000, refreshMessages: 0 } as const;
    const encoder = ipfixEncoder(samples, transport, 'full', templates);
    const bursts = 1954;
    let pauses = 0;
    for (let burst = 0; burst < bursts; burst++) {
      encoder.add(0, 512);
      if (transport.isCongested) {
        pauses++;
        await transport.drained();
      }
    }
    encoder.flush(NOW);
    // A message of one record at the end, whose sequence number is the number of those before it.
    encoder.add(0, 1);
    encoder.flush(NOW);
    await transport.close();
    expect(pauses).to.be.above(1);
    expect(transport.lost.records).to.equal(0);
    expect(transport.sent.records).to.equal(512 * bursts + 1);
    await until(() => received === transport.sent.octets, 'the octets');
    expect(head.readUInt32BE(8)).to.equal(0);
    const length = lengthOfLast(last);
    // The record of the sampling precedes the flows.
    expect(last.readUInt32BE(last.length - length + 8)).to.equal(1 + 512 * bursts);
    await reader.close();
  }).timeout(30_000);

  it('has at most a minute between attempts by default', () => {
    expect(policyOf('live', 60)).to.include({ firstPause: 1000, longestPause: 60_000, whenFull: 'drop' });
    expect(policyOf('conversion', 0.5)).to.include({ firstPause: 500, longestPause: 500, whenFull: 'wait' });
  });
});
