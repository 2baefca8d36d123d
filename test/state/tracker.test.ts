import { expect } from 'chai';
import fc from 'fast-check';
import { type FlowRecord, forEachFlow, forEachRecord } from '../../protocol/flow/flow-record.js';
import { LACK_OF_RESOURCES } from '../../protocol/flow/terms.js';
import { PfsyncReader } from '../../protocol/pfsync/message.js';
import { StateFilter } from '../../src/flow/filter.js';
import { FlowMapper } from '../../src/flow/mapper.js';
import { jsonFormat } from '../../src/sink/json.js';
import { InterfaceTable } from '../../protocol/flow/interface.js';
import { StateTracker, type TrackerOptions } from '../../src/state/tracker.js';
import { Stats } from '../../src/observe/statistics.js';
import { addsUp } from '../../src/observe/summary.js';
import { lineOf } from '../../src/sink/text-output.js';
import { expectedRecords } from '../peer/expected-json.js';
import { type Simulation, type SimulationOptions, simulate } from '../peer/firewall.js';
import { quoteLargeNumbers } from '../peer/pfflowd.js';
import {
  encodeCompressedDelete,
  encodeMessage,
  encodeState,
  type SimState,
  WIRE_VERSIONS,
} from '../peer/pfsync-writer.js';
import type { TrueFlow } from '../peer/truth.js';

type Json = Record<string, unknown> & { pf: Record<string, unknown> };

const NO_LIMITS: TrackerOptions = { maxStates: 10_000_000, stateTimeout: 0, activeTimeout: 0 };

/** One for all: the core's memory is given back only when the event loop turns. */
const JSON_LINES = jsonFormat(undefined);

class Converter {
  readonly stats = new Stats();
  readonly flows: Json[] = [];
  readonly tracker: StateTracker;
  readonly #reader: PfsyncReader;

  constructor(options: Partial<TrackerOptions> = {}) {
    const filter = new StateFilter({ direction: 'any', noUncounted: false });
    const keep = (flow: FlowRecord) =>
      this.flows.push(JSON.parse(quoteLargeNumbers(lineOf(JSON_LINES, flow))));
    const mapper = new FlowMapper(filter, this.stats, (flows) =>
      forEachFlow(flows, (flow) => forEachRecord(flow, keep)),
    );
    const interfaces = new InterfaceTable(new Map());
    this.tracker = new StateTracker(interfaces, mapper, this.stats, { ...NO_LIMITS, ...options });
    this.#reader = new PfsyncReader(this.tracker);
  }

  set time(timeMs: number) {
    this.#reader.clock.time = timeMs;
  }

  message(message: Buffer, timeMs: number): void {
    this.time = timeMs;
    expect(this.read(message)).to.equal('whole');
    if (this.tracker.expires) this.tracker.expire(timeMs);
  }

  read(message: Buffer): string {
    const view = new DataView(message.buffer, message.byteOffset, message.length);
    const verdict = this.#reader.read(view, 0, message.length, message.length);
    this.#reader.handOn();
    return verdict;
  }

  all({ packets }: Simulation): this {
    for (const { message, timeMs } of packets) this.message(message, timeMs);
    return this;
  }
}

/** A record as text, without what the simulator leaves open. Numbers of any size become digits. */
function canonical(record: Record<string, unknown>): string {
  const { flowEndReason: _reason, pf, ...rest } = record as Json;
  const { countersAge: _age, ...identity } = pf;
  return JSON.stringify(
    sorted({ ...rest, ...Object.fromEntries(Object.entries(identity).map(([k, v]) => [`pf.${k}`, v])) }),
  );
}

function sorted(record: Record<string, unknown>): Record<string, unknown> {
  const entries = Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(
    entries.map(([key, value]) => [
      key,
      typeof value === 'bigint' || typeof value === 'number' ? `${value}` : value,
    ]),
  );
}

function expectTruth(
  flows: readonly Json[],
  truth: readonly TrueFlow[],
  isEnded: (flow: TrueFlow) => boolean,
): void {
  const must: string[] = [];
  const may: string[] = [];
  for (const flow of truth.filter(isEnded)) {
    for (const { presence, json } of expectedRecords(flow))
      (presence === 'must' ? must : may).push(canonical(json));
  }
  // Of a state that was seen in bulk transfers only, nobody knows when its last packet passed.
  const endless = new Set(truth.filter(({ flowEndMs }) => flowEndMs === null).map(keyOf));
  const seen = flows.map(({ flowEndMilliseconds, ...flow }) =>
    canonical(endless.has(keyOf(flow.pf as unknown as Key)) ? flow : { ...flow, flowEndMilliseconds }),
  );
  const unexpected = subtract(subtract(seen, must), may);
  expect(subtract(must, seen), 'missing').to.deep.equal([]);
  expect(unexpected, 'unexpected').to.deep.equal([]);
}

interface Key {
  readonly stateId: string;
  readonly creatorId: string;
}

function keyOf({ stateId, creatorId }: Key): string {
  return `${stateId}/${creatorId}`;
}

function subtract(from: readonly string[], what: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const text of what) counts.set(text, (counts.get(text) ?? 0) + 1);
  return from.filter((text) => {
    const count = counts.get(text) ?? 0;
    counts.set(text, count - 1);
    return count <= 0;
  });
}

const LIVES: readonly [string, Omit<SimulationOptions, 'version'>][] = [
  ['plain', { firstSeqlo: 'isn' }],
  ['bulk transfers and requests', { bulkTransfers: 2, requests: 3, firstSeqlo: 'isn' }],
  ['clears', { clears: 2, firstSeqlo: 'isn', noise: 5 }],
  ['a reboot', { reboots: 1, firstSeqlo: 'isn' }],
  ['lost messages', { loss: 0.2, bulkTransfers: 1, requests: 2, firstSeqlo: 'isn' }],
  ['resets', { resets: 0.5, firstSeqlo: 'isn' }],
  ['old and untold states', { older: 0.3, untold: 0.3, bulkTransfers: 1, firstSeqlo: 'isn' }],
];

describe('state tracker', () => {
  for (const version of WIRE_VERSIONS) {
    for (const role of ['tap', 'net'] as const) {
      for (const [life, options] of LIVES) {
        it(`${version} on the ${role}: true flows over a life with ${life}`, () => {
          fc.assert(
            fc.property(fc.integer({ min: 1, max: 1e9 }), (seed) => {
              const simulation = simulate(seed, { version, role, states: 12, resets: 0, ...options });
              const { flows, stats, tracker } = new Converter().all(simulation);
              expectTruth(flows, simulation.truth, (flow) => flow.ended !== 'open');
              expect(addsUp(stats)).to.equal(true);
              expect(stats.states.unknownDeletes).to.equal(simulation.expected.unknownDeletes);
              expect(stats.states.unknownUpdates).to.equal(simulation.expected.unknownUpdates);
              expect(tracker.table.size).to.equal(simulation.expected.ended.open);
            }),
            { numRuns: 20 },
          );
        });
      }
    }
  }

  for (const version of WIRE_VERSIONS.filter((name) => name.startsWith('v5') || name.startsWith('v6'))) {
    it(`${version}: two firewalls that speak of one state give one flow`, () => {
      fc.assert(
        fc.property(fc.integer({ min: 1, max: 1e9 }), (seed) => {
          const options = {
            version,
            role: 'net' as const,
            firewalls: 'pair' as const,
            states: 12,
            resets: 0,
          };
          const simulation = simulate(seed, { ...options, bulkTransfers: 1, firstSeqlo: 'isn' });
          const { flows, stats } = new Converter().all(simulation);
          expectTruth(flows, simulation.truth, (flow) => flow.ended !== 'open');
          expect(addsUp(stats)).to.equal(true);
        }),
        { numRuns: 30 },
      );
    });
  }
});

const T0 = 1_700_000_000_000;

function simState(n: number, more: Partial<SimState> = {}): SimState {
  const end = (address: string, port: number) => ({ address, port });
  return {
    id: BigInt(n),
    creatorId: 0xa1b2c3d4,
    ifname: 'em0',
    direction: 'in',
    af: 4,
    afAfter: 4,
    proto: 17,
    protoAfter: 17,
    originalSource: end('192.0.2.1', 1000 + n),
    originalDestination: end('198.51.100.1', 53),
    translatedSource: end('192.0.2.1', 1000 + n),
    translatedDestination: end('198.51.100.1', 53),
    packets: [0n, 0n],
    bytes: [0n, 0n],
    creation: 0,
    expire: 60,
    timeout: 8,
    rule: 1,
    peers: [
      { seqlo: 0, state: 2 },
      { seqlo: 0, state: 2 },
    ],
    ...more,
  };
}

const insertOf = (state: SimState) =>
  encodeMessage('v6', [{ action: 'insert', records: [encodeState('v6', state)] }]);
const updateOf = (state: SimState) =>
  encodeMessage('v6', [{ action: 'update', records: [encodeState('v6', state)] }]);
const deleteOf = (state: SimState) =>
  encodeMessage('v6', [{ action: 'compressedDelete', records: [encodeCompressedDelete('v6', state)] }]);
const fullDeleteOf = (state: SimState) =>
  encodeMessage('v3', [{ action: 'delete', records: [encodeState('v3', state)] }]);

function counted(packets: number, octets: number): Pick<SimState, 'packets' | 'bytes'> {
  return { packets: [BigInt(packets), BigInt(packets)], bytes: [BigInt(octets), BigInt(octets)] };
}

function sumOf(flows: readonly Json[], key: string): bigint {
  return flows.reduce((sum, flow) => sum + BigInt((flow[key] as string | number | undefined) ?? 0), 0n);
}

describe('limits of the state table', () => {
  it('a full table gives up the state not heard of for the longest time, as lack of resources', () => {
    const converter = new Converter({ maxStates: 3 });
    for (const n of [1, 2, 3]) converter.message(insertOf(simState(n)), T0 + n);
    converter.message(updateOf(simState(1)), T0 + 10);
    converter.message(insertOf(simState(4)), T0 + 11);
    expect(converter.stats.states.evicted).to.equal(1);
    expect(converter.flows.map(({ pf, flowEndReason }) => [pf.stateId, flowEndReason])).to.deep.equal([
      ['0000000000000002', 5],
    ]);
    expect(converter.tracker.table.size).to.equal(3);
    expect(addsUp(converter.stats)).to.equal(true);
  });

  it('gives up the right one each time, whatever states are heard of in between', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 80 }),
        fc.array(fc.tuple(fc.integer({ min: 0, max: 160 }), fc.constantFrom('tell', 'delete')), {
          maxLength: 600,
        }),
        (maxStates, steps) => {
          const converter = new Converter({ maxStates });
          // A Set knows the order in which it was added to.
          const open = new Set<number>();
          const expected: number[] = [];
          for (const [i, [n, step]] of steps.entries()) {
            converter.message(step === 'tell' ? updateOf(simState(n)) : deleteOf(simState(n)), T0 + i);
            const isKnown = open.delete(n);
            if (step === 'delete') continue;
            if (!isKnown && open.size === maxStates) {
              const [oldest] = open;
              open.delete(oldest!);
              expected.push(oldest!);
            }
            open.add(n);
          }
          const evicted = converter.flows.filter(({ flowEndReason }) => flowEndReason === LACK_OF_RESOURCES);
          expect(evicted.map(({ pf }) => Number.parseInt(String(pf.stateId), 16))).to.deep.equal(expected);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('gives up states in the order of their last words when they are many', () => {
    const converter = new Converter({ maxStates: 5000 });
    const order = Array.from({ length: 5000 }, (_, n) => (n * 1237) % 5000);
    for (let n = 0; n < 5000; n++) converter.message(insertOf(simState(n)), T0);
    for (const [i, n] of order.entries()) converter.message(updateOf(simState(n)), T0 + 1 + i);
    for (let n = 5000; n < 10_000; n++) converter.message(insertOf(simState(n)), T0 + 10_000 + n);
    const evicted = converter.flows.map(({ pf }) => Number.parseInt(String(pf.stateId), 16));
    expect(evicted).to.deep.equal(order);
  });

  it('a state named twice in one message is found once when it ends, and taken up once', () => {
    const converter = new Converter();
    const state = simState(1);
    const record = encodeState('v6', state);
    const key = encodeCompressedDelete('v6', state);
    converter.message(encodeMessage('v6', [{ action: 'update', records: [record, record] }]), T0);
    expect(converter.tracker.table.size).to.equal(1);
    converter.message(encodeMessage('v6', [{ action: 'compressedDelete', records: [key, key] }]), T0 + 1);
    const { ended, unknownDeletes } = converter.stats.states;
    expect({ ended, unknownDeletes }).to.deep.equal({ ended: 1, unknownDeletes: 1 });
    expect(addsUp(converter.stats)).to.equal(true);
  });

  it('a state of which nothing is heard ends after the state timeout', () => {
    const converter = new Converter({ stateTimeout: 60_000 });
    converter.message(insertOf(simState(1)), T0);
    converter.message(insertOf(simState(2)), T0 + 50_000);
    expect(converter.flows.length).to.equal(0);
    converter.message(insertOf(simState(3)), T0 + 62_000);
    expect(converter.flows.map(({ pf, flowEndReason }) => [pf.stateId, flowEndReason])).to.deep.equal([
      ['0000000000000001', 1],
    ]);
    expect(converter.stats.states.timedOut).to.equal(1);
  });

  it('grows and shrinks, and finds every key, over any order of inserts and deletes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 400 }), fc.boolean()), { maxLength: 2000 }),
        (steps) => {
          const converter = new Converter();
          const open = new Set<number>();
          let ended = 0;
          for (const [n, isInsert] of steps) {
            converter.message(isInsert ? insertOf(simState(n)) : deleteOf(simState(n)), T0);
            if (isInsert) open.add(n);
            else if (open.delete(n)) ended++;
          }
          expect(converter.tracker.table.size).to.equal(open.size);
          expect(converter.stats.states.ended).to.equal(ended);
          converter.tracker.flushOpen(T0);
          expect(converter.tracker.table.size).to.equal(0);
          expect(converter.stats.states.ended).to.equal(ended + open.size);
        },
      ),
      { numRuns: 20 },
    );
  });

  it('holds a million states in less than 100 octets each for index and hot rows, and gives the memory back', function () {
    this.timeout(60_000);
    const converter = new Converter();
    const state = simState(0);
    const insert = insertOf(state);
    const remove = deleteOf(state);
    const idIn = { insert: insert.length - 264, remove: remove.length - 12 };
    for (let n = 0; n < 1_000_000; n++) {
      insert.writeUInt32BE(n, idIn.insert + 4);
      converter.time = T0;
      converter.read(insert);
    }
    const { table } = converter.tracker;
    expect(table.size).to.equal(1_000_000);
    expect(table.hotOctets / 1_000_000).to.be.lessThan(100);
    const full = table.octets;
    for (let n = 0; n < 1_000_000; n++) {
      remove.writeUInt32BE(n, idIn.remove + 4);
      converter.read(remove);
    }
    expect(table.size).to.equal(0);
    expect(table.octets).to.be.lessThan(full / 50);
  });
});

describe('long flows', () => {
  it('are told at intervals, and their records add up to the final counters', () => {
    const converter = new Converter({ activeTimeout: 60_000 });
    const grown = (packets: number) => simState(1, counted(packets, packets * 100));
    converter.message(insertOf(grown(1)), T0);
    for (let second = 10; second <= 300; second += 10) {
      converter.message(updateOf({ ...grown(second), creation: second }), T0 + second * 1000);
    }
    converter.message(fullDeleteOf({ ...grown(1000), creation: 310 }), T0 + 310_000);
    const { flows, stats } = converter;
    const reasons = flows.map(({ flowEndReason }) => flowEndReason);
    expect(reasons.filter((reason) => reason === 2).length).to.equal(10);
    expect(sumOf(flows, 'packetDeltaCount')).to.equal(2000n);
    expect(sumOf(flows, 'octetDeltaCount')).to.equal(200_000n);
    const forward = flows.filter(({ pf }) => pf.reply === false);
    for (const [i, flow] of forward.entries()) {
      const before = forward[i - 1];
      expect(flow.flowStartMilliseconds).to.equal(before?.flowEndMilliseconds ?? T0);
    }
    expect(stats.states.ended).to.equal(1);
    expect(stats.states.exported).to.equal(1);
    expect(addsUp(stats)).to.equal(true);
  });

  it('whose counters stand still are not told again', () => {
    const converter = new Converter({ activeTimeout: 60_000 });
    const state = simState(1, counted(5, 500));
    converter.message(insertOf(state), T0);
    for (const minute of [2, 4, 6]) converter.message(updateOf(state), T0 + minute * 60_000);
    expect(converter.flows.length).to.equal(0);
    converter.message(deleteOf(state), T0 + 480_000);
    expect(sumOf(converter.flows, 'packetDeltaCount')).to.equal(10n);
  });
});

describe('counters from pfctl', () => {
  const printed = (n: number, packets: number, age: number) => ({
    idHigh: 0,
    idLow: n,
    creatorId: 0xa1b2c3d4 | 0,
    age,
    packets: Uint32Array.of(0, packets, 0, 0),
    octets: Uint32Array.of(1, packets, 0, 0),
  });

  it('win over what pfsync told, and say how old they are', () => {
    const converter = new Converter();
    converter.message(insertOf(simState(1, counted(1, 60))), T0);
    expect(converter.tracker.told(printed(1, 77, 21), T0 + 20_000)).to.equal(true);
    converter.message(deleteOf(simState(1)), T0 + 27_000);
    const [flow] = converter.flows;
    expect(flow?.packetDeltaCount).to.equal(77);
    expect(flow?.octetDeltaCount).to.equal(2 ** 32 + 77);
    expect(flow?.pf.counters).to.equal('partial');
    expect(flow?.pf.countersAge).to.equal(7);
    // The counters moved, so traffic passed; and the state was older than its insert.
    expect(flow?.flowEndMilliseconds).to.equal(T0 + 20_000);
    expect(flow?.flowStartMilliseconds).to.equal(T0 - 1000);
  });

  it('of states that pfsync never named are left alone', () => {
    const converter = new Converter();
    expect(converter.tracker.told(printed(9, 1, 1), T0)).to.equal(false);
    expect(converter.tracker.table.size).to.equal(0);
  });
});
