import { readdirSync, readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import fc from 'fast-check';
import { LONGEST_RECORD } from '../../protocol/capture/packet.js';
import { allocate, memoryOctets } from '../../protocol/core.js';
import { ipfixEncoder } from '../../protocol/export/ipfix.js';
import type { FlowEncoder, MessageRoom } from '../../protocol/export/message.js';
import { netflow1Encoder } from '../../protocol/export/netflow1.js';
import { netflow5Encoder } from '../../protocol/export/netflow5.js';
import { netflow9Encoder } from '../../protocol/export/netflow9.js';
import { forEachFlow, forEachRecord } from '../../protocol/flow/flow-record.js';
import { addsUp, summaryJson } from '../../src/observe/summary.js';
import { Pipeline, type PipelineOptions } from '../../src/pipeline.js';
import { csvFormat } from '../../src/sink/csv.js';
import type { FlowSink } from '../../src/sink/flow-sink.js';
import { jsonFormat } from '../../src/sink/json.js';
import { tableFormat } from '../../src/sink/table.js';
import { lineOf } from '../../src/sink/text-output.js';
import { CaptureOpenError, type PacketConsumer, readCaptureStream } from '../../src/source/capture-file.js';
import { Collector } from '../peer/collector.js';
import { endedState } from '../peer/ended-state.js';
import { simulate } from '../peer/firewall.js';
import { LineLog } from '../peer/line-log.js';
import { writePcap } from '../peer/pcap-writer.js';
import { encodeMessage, encodeState, WIRE_VERSIONS } from '../peer/pfsync-writer.js';

const CAPTURES = fileURLToPath(new URL('../../../captures/', import.meta.url));
const FILES = readdirSync(CAPTURES)
  .filter((name) => /\.pcap(ng)?$/.test(name))
  .map((name) => readFileSync(`${CAPTURES}${name}`));

const OPTIONS = {
  direction: 'any',
  noUncounted: false,
  maxStates: 10_000,
  stateTimeout: 0,
  activeTimeout: 1000,
  ifmap: new Map<string, number>(),
} as const;

const QUIET = new LineLog().log;

/** A collector behind an encoder, and the records it should have seen. */
class Collecting implements FlowSink {
  readonly isCongested = false;
  readonly collector = new Collector();
  records = 0;
  readonly #encoder: FlowEncoder;

  constructor(encoderIn: (room: MessageRoom) => FlowEncoder) {
    this.#encoder = encoderIn({
      longest: 1472,
      send: (octets, length) => this.collector.decode(octets.slice(0, length)),
    });
  }

  add(flow: Parameters<FlowSink['add']>[0]): void {
    this.records += this.#encoder.add(flow);
  }

  flush(now: number): void {
    this.#encoder.flush(now);
  }

  async drained(): Promise<void> {}

  async close(now: number): Promise<void> {
    this.#encoder.end(now);
  }
}

function texts(): FlowSink {
  const formats = [jsonFormat(undefined), csvFormat(undefined), tableFormat('translated')];
  return {
    isCongested: false,
    add(flows) {
      forEachFlow(flows, (flow) => {
        for (const format of formats) expect(lineOf(format, flow)).to.match(/^[\x20-\x7e]+\n$/);
      });
    },
    flush() {},
    async drained() {},
    async close() {},
  };
}

const TEMPLATES = { nat: 'original', domain: 42, refreshTime: 30_000, refreshMessages: 100 } as const;

function collectors(): Collecting[] {
  return [
    new Collecting((room) => netflow1Encoder(room, 'inside')),
    new Collecting((room) => netflow5Encoder(room, 'inside', 42)),
    new Collecting((room) => netflow9Encoder(room, TEMPLATES)),
    new Collecting((room) => ipfixEncoder(room, 'full', TEMPLATES)),
    new Collecting((room) => ipfixEncoder(room, 'pflow', TEMPLATES)),
  ];
}

async function convert(octets: Uint8Array): Promise<{ pipeline: Pipeline; sinks: Collecting[] }> {
  const sinks = collectors();
  const pipeline = new Pipeline(OPTIONS, [...sinks, texts()], QUIET);
  try {
    await readCaptureStream(Readable.from([octets]), pipeline);
  } catch (error) {
    if (!(error instanceof CaptureOpenError)) throw error;
  }
  await pipeline.close('flush');
  return { pipeline, sinks };
}

function expectSense({
  pipeline: { stats },
  sinks,
}: {
  pipeline: Pipeline;
  sinks: readonly Collecting[];
}): void {
  expect(addsUp(stats)).to.equal(true);
  for (const { collector, records } of sinks) {
    expect(collector.errors).to.deep.equal([]);
    expect(collector.flows.length).to.equal(records);
  }
}

/** Ended states in messages of three versions, of one to five records; some records are longer than their kind. */
function endedStates(count: number): { capture: Buffer; ids: string[] } {
  const ids: string[] = [];
  const packets = Array.from({ length: count }, (_, number) => {
    const version = (['v3', 'v3', 'v5-1301', 'v6', 'v6'] as const)[number % 5]!;
    const excess = Buffer.alloc(version === 'v6' && number % 2 === 0 ? 8 : 0);
    const records = Array.from({ length: 1 + (number % 5) }, (_, record) => {
      const state = endedState(10 * number + record, [1n, 2n], [100n + BigInt(number), 200n]);
      ids.push(state.id.toString(16).padStart(16, '0'));
      return Buffer.concat([encodeState(version, state), excess]);
    });
    return {
      timeMs: 1_700_000_000_000 + 7 * number,
      bytes: encodeMessage(version, [{ action: 'delete', records }]),
    };
  });
  return { capture: writePcap(packets, { linkType: 246 }), ids };
}

/** The flows of a capture as lines of JSON, when all memory is full of something else that it lay in. */
async function linesAfterwards(capture: Buffer, step: number, options: Partial<PipelineOptions>) {
  const lines: string[] = [];
  const format = jsonFormat();
  const sink: FlowSink = {
    isCongested: false,
    add: (flows) => forEachFlow(flows, (flow) => lines.push(lineOf(format, flow))),
    flush() {},
    async drained() {},
    async close() {},
  };
  const pipeline = new Pipeline({ ...OPTIONS, activeTimeout: 0, ...options }, [sink], QUIET);
  const pieces: Buffer[] = [];
  for (let at = 0; at < capture.length; at += step) pieces.push(capture.subarray(at, at + step));
  await readCaptureStream(Readable.from(pieces), pipeline);
  const window = allocate(LONGEST_RECORD + (3 << 20), pipeline);
  memoryOctets.fill(0xff, window, window + LONGEST_RECORD + (3 << 20));
  await pipeline.close('flush');
  return lines;
}

describe('pipeline', () => {
  it('tells states as they were, whatever comes to lie where their messages lay', async () => {
    const { capture, ids } = endedStates(600);
    const atOnce = await linesAfterwards(capture, capture.length, { atOnce: true });
    expect(atOnce.map((line) => JSON.parse(line).pf.stateId)).to.deep.equal(ids);
    const damaged = Buffer.concat([capture, Buffer.alloc(16, 0xff)]);
    for (const step of [capture.length, 50_000, 1000]) {
      expect(await linesAfterwards(capture, step, {})).to.deep.equal(atOnce);
      expect(await linesAfterwards(damaged, step, {})).to.deep.equal(atOnce);
    }
  });

  it('adds up, and every collector decodes what it is sent, for each capture', async () => {
    for (const octets of FILES) expectSense(await convert(octets));
  });

  it('does so for captures with any octets changed, and for any cut', async () => {
    // The largest counters make thousands of records each in versions 1 and 5: fewer captures, more changes.
    const change = fc.tuple(fc.nat(), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...FILES),
        fc.array(change, { minLength: 1, maxLength: 30 }),
        fc.double({ min: 0.2, max: 1, noNaN: true }),
        async (file, changes, share) => {
          const octets = Uint8Array.from(file.subarray(0, Math.floor(file.length * share)));
          for (const [at, value] of changes) octets[24 + (at % (octets.length - 24))] = value;
          expectSense(await convert(octets));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('follows a stream in which every version speaks', async () => {
    const lives = WIRE_VERSIONS.map((version, n) => simulate(n + 1, { version, states: 20, resets: 0 }));
    const packets = lives.flatMap((life, n) =>
      // Creators of their own: two firewalls never share one.
      life.packets.map(({ timeMs, message }) => ({ timeMs: timeMs + n * 10_000_000, bytes: message })),
    );
    const joined = await convert(writePcap(packets, { linkType: 246 }));
    expectSense(joined);
    const { stats } = joined.pipeline;
    expect(Object.keys(stats.versions)).to.deep.equal(['2', '3', '4', '5', '6']);
    const ended = lives.reduce((sum, { expected }) => {
      const { open: _open, ...ends } = expected.ended;
      return sum + Object.values(ends).reduce((total, count) => total + count, 0);
    }, 0);
    const open = lives.reduce((sum, { expected }) => sum + expected.ended.open, 0);
    expect(stats.states.ended).to.be.within(ended, ended + open);
  });

  it('tells the same whether or not states wait for others of their kind', async () => {
    const worlds = WIRE_VERSIONS.flatMap((version) =>
      [1, 2, 3].map((seed) => simulate(seed, { version, states: 60, bulkTransfers: 2, requests: 5 })),
    );
    const lives = worlds.map(({ packets }) =>
      writePcap(
        packets.map(({ timeMs, message }) => ({ timeMs, bytes: message })),
        { linkType: 246 },
      ),
    );
    const choices: Partial<PipelineOptions>[] = [
      {},
      { natEvents: true },
      { stateTimeout: 30_000, activeTimeout: 0 },
      { maxStates: 7 },
    ];
    for (const octets of [...FILES, ...lives]) {
      for (const choice of choices) {
        expect(await told(octets, choice, false)).to.deep.equal(await told(octets, choice, true));
      }
    }
  });

  it('tells of states with their packet where that is asked for', async () => {
    const packetOfFirstFlow = async (atOnce: boolean) => {
      let at = 0;
      let found = Number.POSITIVE_INFINITY;
      const add = (): void => {
        found = Math.min(found, at);
      };
      const pipeline = new Pipeline({ ...OPTIONS, atOnce }, [{ ...texts(), add }], QUIET);
      await readCaptureStream(Readable.from([readFileSync(`${CAPTURES}v3_dlt246.pcap`)]), {
        isCongested: false,
        async drained() {},
        packet(packet) {
          at = packet.number;
          pipeline.packet(packet);
          if (!atOnce && pipeline.stats.states.ended > 0) found = Math.min(found, at);
        },
      });
      return found;
    };
    // Who asks for the statistics has the states told, too.
    expect(await packetOfFirstFlow(true)).to.equal(await packetOfFirstFlow(false));
  });
});

/** Every flow and event in its order, and what was counted. */
async function told(octets: Uint8Array, choice: Partial<PipelineOptions>, isSettled: boolean) {
  const lines: string[] = [];
  const format = jsonFormat(undefined);
  const keep: FlowSink = {
    isCongested: false,
    add: (flows) => forEachFlow(flows, (flow) => forEachRecord(flow, () => lines.push(lineOf(format, flow)))),
    addNatEvent: (event) => lines.push(`${event.natEvent} ${event.start} ${event.end} ${event.observed}`),
    flush() {},
    async drained() {},
    async close() {},
  };
  const pipeline = new Pipeline({ ...OPTIONS, ...choice }, [keep], QUIET);
  const settled: PacketConsumer = {
    isCongested: false,
    async drained() {},
    packet(packet) {
      pipeline.packet(packet);
      pipeline.settle();
    },
  };
  await readCaptureStream(Readable.from([octets]), isSettled ? settled : pipeline);
  await pipeline.close('flush');
  return { lines, summary: JSON.parse(summaryJson(pipeline.stats, [])) };
}
