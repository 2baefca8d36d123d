import { readdirSync, readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import fc from 'fast-check';
import { Packet } from '../../protocol/capture/packet.js';
import { ipfixEncoder } from '../../protocol/export/ipfix.js';
import type { FlowEncoder, MessageRoom } from '../../protocol/export/message.js';
import { netflow1Encoder } from '../../protocol/export/netflow1.js';
import { netflow5Encoder } from '../../protocol/export/netflow5.js';
import { netflow9Encoder } from '../../protocol/export/netflow9.js';
import { FlowView } from '../../protocol/flow/flow-view.js';
import type { FlowMemory } from '../../protocol/flow/rows.js';
import { Statistics } from '../../src/observe/statistics.js';
import { addsUp, summaryJson } from '../../src/observe/summary.js';
import { openMemory, Pipeline, type PipelineOptions } from '../../src/pipeline.js';
import { csvFormat } from '../../src/sink/csv.js';
import type { FlowSink } from '../../src/sink/flow-sink.js';
import { jsonFormat } from '../../src/sink/json.js';
import { tableFormat } from '../../src/sink/table.js';
import { linesOf } from '../../src/sink/text-format.js';
import { CaptureOpenError, readCaptureStream } from '../../src/source/capture-file.js';
import type { PacketConsumer } from '../../src/source/consumer.js';
import { Collector } from '../peer/collector.js';
import { endedState } from '../peer/ended-state.js';
import { simulate } from '../peer/firewall.js';
import { type FlowJson, recordsOf } from '../peer/flow-json.js';
import { LineLog } from '../peer/line-log.js';
import { writePcap } from '../peer/pcap-writer.js';
import { encodeMessage, encodeState, WIRE_VERSIONS } from '../peer/pfsync-writer.js';
import { clearOf, counted, deleteOf, fullDeleteOf, insertOf, simState } from '../peer/state-messages.js';

const CAPTURES = fileURLToPath(new URL('../../../captures/', import.meta.url));
const FILES = readdirSync(CAPTURES)
  .filter((name) => /\.pcap(ng)?$/.test(name))
  .map((name) => readFileSync(`${CAPTURES}${name}`));

const OPTIONS: PipelineOptions = {
  direction: 'any',
  noUncounted: false,
  maxStates: 10_000,
  stateTimeout: 0,
  activeTimeout: 1000,
};

const T0 = 1_700_000_000_000;

/** A sink that keeps nothing back; what it does with flows is added. */
function sinkOf(more: Partial<FlowSink>): FlowSink {
  return { isCongested: false, add() {}, flush() {}, async drained() {}, async close() {}, ...more };
}

interface Opened {
  readonly pipeline: Pipeline;
  readonly memory: FlowMemory;
  readonly log: LineLog;
}

function open(options: Partial<PipelineOptions>, sinksOf: (memory: FlowMemory) => FlowSink[]): Opened {
  const log = new LineLog();
  const memory = openMemory(new Map(), log.log);
  const pipeline = new Pipeline(
    { ...OPTIONS, ...options },
    memory,
    sinksOf(memory),
    log.log,
    new Statistics(),
  );
  return { pipeline, memory, log };
}

/** A collector behind an encoder, and the records that were sent to it. */
class Collecting {
  readonly collector = new Collector();
  readonly sink: FlowSink;
  readonly encoder: FlowEncoder;
  records = 0;

  constructor(openEncoder: (room: MessageRoom) => FlowEncoder) {
    const encoder = openEncoder({
      longest: 1472,
      send: (octets, length, records) => {
        this.records += records;
        this.collector.decode(octets.slice(0, length));
      },
    });
    this.encoder = encoder;
    this.sink = sinkOf({
      add: (first, count) => encoder.add(first, count),
      flush: (now) => encoder.flush(now),
      close: async (now) => encoder.end(now),
    });
  }
}

const TEMPLATES = { nat: 'original', domain: 42, refreshTime: 30_000, refreshMessages: 100 } as const;

function collectors(memory: FlowMemory): Collecting[] {
  return [
    new Collecting((room) => netflow1Encoder(memory, room, 'inside')),
    new Collecting((room) => netflow5Encoder(memory, room, 'inside', 42)),
    new Collecting((room) => netflow9Encoder(memory, room, TEMPLATES)),
    new Collecting((room) => ipfixEncoder(memory, room, 'full', TEMPLATES)),
    new Collecting((room) => ipfixEncoder(memory, room, 'pflow', TEMPLATES)),
  ];
}

/** All text formats at once: nothing but visible ASCII comes out. */
function texts(memory: FlowMemory): FlowSink {
  const formats = [
    jsonFormat(memory, 'original'),
    csvFormat(memory, 'original'),
    tableFormat(memory, 'translated'),
  ];
  return sinkOf({
    add(first, count) {
      for (let row = first; row < first + count; row++) {
        for (const format of formats) {
          for (const line of linesOf(format, row)) expect(line).to.match(/^[\x20-\x7e]+$/);
        }
      }
    },
  });
}

async function convert(octets: Uint8Array): Promise<{ pipeline: Pipeline; sinks: Collecting[] }> {
  let sinks: Collecting[] = [];
  const { pipeline } = open({}, (memory) => {
    sinks = collectors(memory);
    return [...sinks.map(({ sink }) => sink), texts(memory)];
  });
  try {
    await readCaptureStream(Readable.from([octets]), pipeline);
  } catch (error) {
    if (!(error instanceof CaptureOpenError)) throw error;
  }
  await pipeline.close('flush');
  return { pipeline, sinks };
}

function expectSense({ pipeline, sinks }: { pipeline: Pipeline; sinks: readonly Collecting[] }): void {
  const { statistics } = pipeline;
  expect(addsUp(statistics)).to.equal(true);
  for (const { collector, records } of sinks) {
    expect(collector.errors).to.deep.equal([]);
    expect(collector.flows.length).to.equal(records);
  }
  // Versions 9 and 10 can carry everything.
  for (const { records } of sinks.slice(2, 4)) expect(records).to.equal(statistics.flows);
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
    return { timeMs: T0 + 7 * number, bytes: encodeMessage(version, [{ action: 'delete', records }]) };
  });
  return { capture: writePcap(packets, { linkType: 246 }), ids };
}

/** The flows of a capture, read in pieces of so many octets. */
async function flowsOf(
  capture: Buffer,
  step: number,
  options: Partial<PipelineOptions>,
): Promise<FlowJson[]> {
  const flows: FlowJson[] = [];
  const { pipeline } = open({ activeTimeout: 0, ...options }, (memory) => [keeping(memory, flows)]);
  const pieces: Buffer[] = [];
  for (let at = 0; at < capture.length; at += step) pieces.push(capture.subarray(at, at + step));
  await readCaptureStream(Readable.from(pieces), pipeline);
  await pipeline.close('flush');
  return flows;
}

function keeping(memory: FlowMemory, flows: FlowJson[]): FlowSink {
  return sinkOf({
    add(first, count) {
      for (let row = first; row < first + count; row++) flows.push(...recordsOf(memory, row));
    },
  });
}

/** Every flow and event in its order, and what was counted. */
async function told(octets: Uint8Array, choice: Partial<PipelineOptions>, isSettled: boolean) {
  const told: unknown[] = [];
  const { pipeline } = open(choice, (memory) => {
    const event = new FlowView(memory.rows);
    return [
      sinkOf({
        add(first, count) {
          for (let row = first; row < first + count; row++) told.push(...recordsOf(memory, row));
        },
        addNatEvent(row) {
          event.at(row);
          told.push([event.natEvent, event.start, event.end, event.observed]);
        },
      }),
    ];
  });
  const settled: PacketConsumer = {
    get isCongested() {
      return pipeline.isCongested;
    },
    drained: () => pipeline.drained(),
    packet(packet) {
      pipeline.packet(packet);
      pipeline.settle();
    },
  };
  await readCaptureStream(Readable.from([octets]), isSettled ? settled : pipeline);
  await pipeline.close('flush');
  return { told, summary: JSON.parse(summaryJson(pipeline.statistics, [])) };
}

describe('pipeline', () => {
  it('shows states as they were, however their messages come in pieces', async () => {
    const { capture, ids } = endedStates(600);
    const atOnce = await flowsOf(capture, capture.length, { atOnce: true });
    expect(atOnce.filter(({ pf }) => !pf.reply).map(({ pf }) => pf.stateId)).to.deep.equal(ids);
    const damaged = Buffer.concat([capture, Buffer.alloc(16, 0xff)]);
    for (const step of [capture.length, 50_000, 1000]) {
      expect(await flowsOf(capture, step, {})).to.deep.equal(atOnce);
      expect(await flowsOf(damaged, step, {})).to.deep.equal(atOnce);
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
    const { statistics } = joined.pipeline;
    expect(Object.keys(statistics.versions)).to.deep.equal(['2', '3', '4', '5', '6']);
    const ended = lives.reduce((sum, { expected }) => {
      const { open: _open, ...ends } = expected.ended;
      return sum + Object.values(ends).reduce((total, count) => total + count, 0);
    }, 0);
    const stillOpen = lives.reduce((sum, { expected }) => sum + expected.ended.open, 0);
    expect(statistics.states.ended).to.be.within(ended, ended + stillOpen);
  });

  it('gives the same whether or not states wait for others of their kind', async function () {
    this.timeout(120_000);
    const worlds = WIRE_VERSIONS.flatMap((version) =>
      [1].map((seed) => simulate(seed, { version, states: 40, bulkTransfers: 2, requests: 5, clears: 1 })),
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

  it('hands on states with their packet where that is asked for, and where the statistics are', async () => {
    const packetOfFirstFlow = async (atOnce: boolean) => {
      let at = 0;
      let found = Number.POSITIVE_INFINITY;
      const add = (): void => {
        found = Math.min(found, at);
      };
      const { pipeline } = open({ atOnce }, () => [sinkOf({ add })]);
      await readCaptureStream(Readable.from([readFileSync(`${CAPTURES}v3_dlt246.pcap`)]), {
        isCongested: false,
        async drained() {},
        packet(packet) {
          at = packet.number;
          pipeline.packet(packet);
          if (!atOnce && pipeline.statistics.states.ended > 0) found = Math.min(found, at);
        },
      });
      return found;
    };
    expect(await packetOfFirstFlow(true)).to.equal(await packetOfFirstFlow(false));
  });

  it('tells the data time of the last packet to sinks that are flushed and closed', async () => {
    const times: number[] = [];
    const note = (now: number) => times.push(now);
    const { pipeline } = open({}, () => [sinkOf({ flush: note, close: async (now) => void note(now) })]);
    feed(pipeline, fullDeleteOf(simState(1, counted(1, 60))), T0 + 17);
    pipeline.flush();
    feed(pipeline, fullDeleteOf(simState(2, counted(1, 60))), T0 + 99);
    await pipeline.close('flush');
    expect(times).to.deep.equal([T0 + 17, T0 + 99]);
  });

  it('takes datagrams with their arrival for their time', async () => {
    const flows: FlowJson[] = [];
    const { pipeline } = open({}, (memory) => [keeping(memory, flows)]);
    const message = fullDeleteOf(simState(1, { ...counted(1, 60), creation: 4 }));
    pipeline.datagram(viewOf(message), message.length, T0);
    await pipeline.close('flush');
    expect(
      flows.map(({ flowStartMilliseconds: start, flowEndMilliseconds: end }) => [start, end]),
    ).to.deep.equal([
      [T0 - 4000, T0],
      [T0 - 4000, T0],
    ]);
  });

  it('proves nothing with what was reported before a damaged message, or a loss that is known', async () => {
    const counterKind = async (between: (pipeline: Pipeline) => void) => {
      const flows: FlowJson[] = [];
      const { pipeline } = open({}, (memory) => [keeping(memory, flows)]);
      const state = simState(1, counted(3, 300));
      feed(pipeline, insertOf(state), T0);
      between(pipeline);
      feed(pipeline, deleteOf(state), T0 + 61_000);
      await pipeline.close('flush');
      return flows[0]?.pf.counters;
    };
    expect(await counterKind(() => {})).to.equal('exact');
    const cut = insertOf(simState(2)).subarray(0, 100);
    expect(await counterKind((pipeline) => feed(pipeline, cut, T0 + 30_000))).to.equal('partial');
    expect(await counterKind((pipeline) => pipeline.lost(T0 + 30_000))).to.equal('partial');
  });

  it('counts damage by its reason, and what was not read for it, and goes on', async () => {
    const flows: FlowJson[] = [];
    const { pipeline, log } = open({}, (memory) => [keeping(memory, flows)]);
    pipeline.source = 'some.pcap';
    const good = fullDeleteOf(simState(1, counted(1, 60)));
    feed(pipeline, good.subarray(0, 200), T0);
    feed(pipeline, Buffer.from([9, 0, 0, 0, 0]), T0 + 1);
    feed(pipeline, good, T0 + 2);
    const { statistics } = pipeline;
    expect(statistics.damaged.toObject()).to.deep.equal({ recordTruncated: 1, unknownVersion: 1 });
    expect(statistics.notRead).to.deep.equal({ packets: 2, octets: 205 });
    expect(log.lines).to.deep.equal([
      'some.pcap: packet 1: ends before its last pfsync record',
      'some.pcap: packet 2: a pfsync version that is not known (9)',
    ]);
    expect(flows.length).to.equal(2);
    await pipeline.close('count');
  });

  it('only counts open states at the end where they are not to be flushed', async () => {
    for (const openStates of ['flush', 'count'] as const) {
      const flows: FlowJson[] = [];
      const { pipeline } = open({}, (memory) => [keeping(memory, flows)]);
      for (let n = 0; n < 500; n++) feed(pipeline, insertOf(simState(n, counted(1, 60))), T0);
      await pipeline.close(openStates);
      const { ended, open: stillOpen } = pipeline.statistics.states;
      expect([ended, stillOpen, flows.length]).to.deep.equal(
        openStates === 'flush' ? [500, 0, 1000] : [0, 500, 0],
      );
    }
  });
});

describe('back-pressure of a pipeline', () => {
  const STATES = 2000;

  /** A sink that takes so many rows, and more whenever it has been drained. */
  class Narrow {
    room: number;
    taken = 0;
    dropped = 0;
    largest = 0;
    drains = 0;
    waits: (() => void)[] = [];
    readonly sink: FlowSink;

    constructor(memory: FlowMemory, room: number, drain: 'soon' | 'when told' = 'soon') {
      this.room = room;
      const full = room;
      const view = new FlowView(memory.rows);
      const narrow = this;
      this.sink = {
        ...sinkOf({
          add(first, count) {
            narrow.largest = Math.max(narrow.largest, count);
            for (let row = first; row < first + count; row++) {
              if (view.at(row).directions === 0) continue;
              if (narrow.room-- > -full) narrow.taken++;
              else narrow.dropped++;
            }
          },
          async drained() {
            narrow.drains++;
            if (drain === 'when told') await new Promise<void>((resolve) => narrow.waits.push(resolve));
            else await new Promise((resolve) => setImmediate(resolve));
            narrow.room = full;
          },
        }),
        get isCongested() {
          return narrow.room <= 0;
        },
      };
    }

    drain(): void {
      for (const resolve of this.waits.splice(0)) resolve();
    }
  }

  function opened(
    room: number,
    options: Partial<PipelineOptions> = {},
    drain: 'soon' | 'when told' = 'soon',
  ) {
    let narrow!: Narrow;
    const { pipeline } = open(options, (memory) => {
      narrow = new Narrow(memory, room, drain);
      return [narrow.sink, sinkOf({})];
    });
    for (let n = 0; n < STATES; n++) feed(pipeline, insertOf(simState(n, counted(1, 60))), T0);
    return { pipeline, narrow };
  }

  it('paces the states of a clear, so that a sink which drains loses none', async () => {
    const { pipeline, narrow } = opened(256);
    expect(pipeline.isCongested).to.equal(false);
    feed(pipeline, clearOf(), T0 + 1000);
    expect(pipeline.isCongested).to.equal(true);
    await pipeline.drained();
    expect(pipeline.isCongested).to.equal(false);
    expect([narrow.taken, narrow.dropped]).to.deep.equal([STATES, 0]);
    expect(narrow.drains).to.be.at.least(STATES / 512);
    expect(pipeline.statistics.states.open).to.equal(0);
    await pipeline.close('flush');
  });

  it('paces the flush of open states at the end', async () => {
    const { pipeline, narrow } = opened(256);
    await pipeline.close('flush');
    expect([narrow.taken, narrow.dropped]).to.deep.equal([STATES, 0]);
  });

  it('ends the rest of a clear at once when a record follows that does not wait', async () => {
    const { pipeline, narrow } = opened(256);
    feed(pipeline, clearOf(), T0 + 1000);
    feed(pipeline, insertOf(simState(1, counted(1, 60))), T0 + 1001);
    expect(pipeline.statistics.states.open).to.equal(1);
    expect(narrow.taken + narrow.dropped).to.equal(STATES);
    await pipeline.close('count');
  });

  it('waits for ever for a sink that does not drain, unless there is an end to its patience', async () => {
    const { pipeline, narrow } = opened(100, {}, 'when told');
    feed(pipeline, clearOf(), T0 + 1000);
    let isDrained = false;
    const drained = pipeline.drained().then(() => {
      isDrained = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(isDrained).to.equal(false);
    while (!isDrained) {
      narrow.drain();
      await new Promise((resolve) => setImmediate(resolve));
    }
    await drained;
    expect(narrow.dropped).to.equal(0);
  });

  it('goes on without a sink that tries its patience, and waits for it again once it has drained', async () => {
    const { pipeline, narrow } = opened(100, { patience: 10 }, 'when told');
    feed(pipeline, clearOf(), T0 + 1000);
    await pipeline.drained();
    // The sink had no room for most of them: it counts what it drops.
    expect(narrow.taken + narrow.dropped).to.equal(STATES);
    expect(narrow.dropped).to.be.above(0);
    expect(pipeline.isCongested, 'while it is still full').to.equal(false);
    narrow.room = 100;
    expect(pipeline.isCongested, 'when it has room').to.equal(false);
    narrow.room = 0;
    expect(pipeline.isCongested, 'when it is full again').to.equal(true);
    narrow.drain();
  });

  it('is congested while any sink is', async () => {
    const states = [false, false];
    const { pipeline } = open({}, () =>
      states.map((_, n) => ({
        ...sinkOf({}),
        get isCongested() {
          return states[n]!;
        },
      })),
    );
    expect(pipeline.isCongested).to.equal(false);
    for (const n of [0, 1]) {
      states[n] = true;
      expect(pipeline.isCongested).to.equal(true);
      states[n] = false;
    }
    expect(pipeline.isCongested).to.equal(false);
  });
});

function viewOf(octets: Buffer): DataView {
  return new DataView(octets.buffer, octets.byteOffset, octets.length);
}

/** A packet on a pfsync interface. */
function feed(pipeline: Pipeline, message: Buffer, timeMs: number): void {
  const packet = new Packet();
  packet.view = viewOf(message);
  packet.end = message.length;
  packet.wireEnd = message.length;
  packet.linkType = 246;
  packet.clock[0] = Math.floor(timeMs / 1000);
  packet.clock[1] = timeMs % 1000;
  packet.number = pipeline.statistics.packets + 1;
  pipeline.packet(packet);
}
