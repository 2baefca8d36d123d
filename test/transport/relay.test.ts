import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { StartError } from '../../src/cli/errors.js';
import { Statistics } from '../../src/observe/statistics.js';
import { openMemory, Pipeline } from '../../src/pipeline.js';
import type { FlowSink } from '../../src/sink/flow-sink.js';
import { Listener } from '../../src/source/listener.js';
import { openRelay, type Relay } from '../../src/transport/relay.js';
import { closedPort } from '../peer/closed-port.js';
import { simulate } from '../peer/firewall.js';
import { LineLog } from '../peer/line-log.js';
import { LOOPBACKS } from '../peer/udp-collector.js';

const OPTIONS = {
  direction: 'any',
  noUncounted: false,
  maxStates: 1000,
  stateTimeout: 0,
  activeTimeout: 0,
} as const;

type OnMessage = (view: DataView, start: number, end: number) => void;

function openPipeline(log: LineLog, sinks: readonly FlowSink[], onMessage: OnMessage) {
  const statistics = new Statistics();
  const memory = openMemory(new Map(), log.log);
  return {
    pipeline: new Pipeline({ ...OPTIONS, onMessage }, memory, sinks, log.log, statistics),
    statistics,
  };
}

/** A listener with a pipeline behind it, that also keeps each message as it came. */
async function converter(host: string, log: LineLog) {
  const messages: string[] = [];
  const onMessage: OnMessage = (view, start, end) =>
    messages.push(Buffer.from(view.buffer, view.byteOffset + start, end - start).toString('hex'));
  const { pipeline, statistics } = openPipeline(log, [], onMessage);
  const family = host.includes(':') ? 6 : 4;
  const clock = () => 1_700_000_000_000;
  const listener = new Listener({
    endpoint: { host, family, port: 0 },
    allow: [],
    consumer: pipeline,
    log: log.log,
    clock,
  });
  await listener.start();
  return {
    messages,
    statistics,
    endpoint: { host, family, port: listener.port } as const,
    async stop() {
      await listener.stop();
      await pipeline.close('count');
    },
  };
}

function viewOf(octets: Uint8Array): DataView {
  return new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
}

/** Passes on what a pipeline reads, in steps that the kernel's buffer holds. */
async function passOn(relay: Relay, messages: readonly Buffer[], log: LineLog): Promise<Statistics> {
  const { pipeline, statistics } = openPipeline(log, [relay], relay.message.bind(relay));
  for (const [number, message] of messages.entries()) {
    pipeline.datagram(viewOf(message), message.length, 1_700_000_000_000);
    if (number % 50 === 49) await sleep(1);
  }
  await pipeline.close('count');
  return statistics;
}

describe('the relay', () => {
  let log: LineLog;

  beforeEach(() => {
    log = new LineLog();
  });

  for (const host of LOOPBACKS) {
    it(`brings every message of a firewall unchanged to a listener on ${host}`, async () => {
      const { packets } = simulate(11, { version: 'v6', role: 'net', states: 40 });
      const sent = packets.map(({ message }) => message);
      const far = await converter(host, log);
      const relay = await openRelay({ endpoint: far.endpoint, log: log.log });
      const near = await passOn(relay, sent, log);
      await far.stop();
      expect(far.messages).to.deep.equal(sent.map((message) => message.toString('hex')));
      expect(far.statistics.records).to.deep.equal(near.records);
      expect(far.statistics.states.ended).to.equal(near.states.ended).and.above(0);
      expect(relay.result).to.include({
        messages: sent.length,
        octets: sent.reduce((sum, message) => sum + message.length, 0),
        lostRecords: 0,
        tooLong: 0,
        errors: 0,
      });
    });
  }

  it('passes a message on without its IP header', async () => {
    const far = await converter('127.0.0.1', log);
    const relay = await openRelay({ endpoint: far.endpoint, log: log.log });
    const message = Buffer.from('0600000400000000', 'hex');
    const header = Buffer.from('4500001c0000000040f00000c0000201e00000f0', 'hex');
    await passOn(relay, [Buffer.concat([header, message])], log);
    await far.stop();
    expect(far.messages).to.deep.equal([message.toString('hex')]);
  });

  it('carries what a datagram holds at most, and counts what it does not', async () => {
    const far = await converter('127.0.0.1', log);
    const relay = await openRelay({ endpoint: far.endpoint, log: log.log });
    const octets = new Uint8Array(65508).fill(6);
    relay.message(viewOf(octets), 0, 65508);
    relay.message(viewOf(octets), 1, 65508);
    await relay.close();
    await far.stop();
    expect(relay.result).to.include({ messages: 1, octets: 65507, tooLong: 1, lostRecords: 1 });
    expect(far.messages.map((hex) => hex.length / 2)).to.deep.equal([65507]);
    expect(log.lines.join()).to.match(/a message of 65508 octets fits no datagram/);
  });

  it('goes on when nobody listens, and counts what was refused as lost', async () => {
    const endpoint = { host: '127.0.0.1', family: 4, port: (await closedPort()).port } as const;
    const relay = await openRelay({ endpoint, log: log.log });
    for (let n = 0; n < 5; n++) {
      relay.message(viewOf(new Uint8Array(8)), 0, 8);
      await sleep(2);
    }
    await relay.close();
    const { errors, ...counts } = relay.result;
    expect(errors).to.be.above(0);
    expect(counts).to.deep.equal({
      kind: 'relay',
      relay: `127.0.0.1:${endpoint.port}`,
      messages: 0,
      octets: 0,
      lostRecords: 5,
      tooLong: 0,
    });
  });

  it('does not start with a name that there is not', async () => {
    const endpoint = { host: 'pfflowd.invalid', family: 0, port: 9 } as const;
    const failure = await openRelay({ endpoint, log: log.log }).catch((error: Error) => error);
    expect(failure).to.be.instanceOf(StartError);
    expect((failure as Error).message).to.match(/^--relay pfflowd\.invalid:9: /);
  });
});
