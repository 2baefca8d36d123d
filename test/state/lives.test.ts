import { expect } from 'chai';
import fc from 'fast-check';
import { counterKind, expectedRecords } from '../peer/expected-json.js';
import { type Simulation, type SimulationOptions, simulate } from '../peer/firewall.js';
import type { FlowJson } from '../peer/flow-json.js';
import { SIZES, WIRE_VERSIONS } from '../peer/pfsync-writer.js';
import { StateConverter } from '../peer/state-converter.js';
import type { TrueFlow } from '../peer/truth.js';

/** Milliseconds by which a message follows its packet, and by which whole seconds may be off. */
const LATENESS = 1100;
const LONGEST_PURGE = 20_000;

/** Feeds a life. Losses are reported as they happen, as those are that a damaged message or a full buffer shows, or they are not. */
function convert(
  { packets, lostPackets }: Simulation,
  role: 'tap' | 'net',
  losses: 'noticed' | 'unnoticed' = 'noticed',
): StateConverter {
  // Who has not been told of a state's end does not know it here either.
  const converter = new StateConverter();
  let lost = 0;
  for (const { message, timeMs, sender } of packets) {
    for (; losses === 'noticed' && lost < lostPackets.length && lostPackets[lost]!.timeMs <= timeMs; lost++) {
      converter.tracker.lost(lostPackets[lost]!.timeMs);
    }
    converter.message(message, timeMs, role === 'tap' ? 0 : sender + 1);
  }
  return converter;
}

/** A record as text, without what the truth leaves open. */
function canonical(record: Readonly<Record<string, unknown>>): string {
  const { flowEndMilliseconds: _end, flowEndReason: _reason, tcpControlBits: _bits, pf, ...rest } = record;
  const entries = Object.entries({ ...rest, ...(pf as object) }).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.map(([key, value]) => `${key}=${value}`).join(' ');
}

function expectTruth({ records }: StateConverter, { truth }: Simulation, options: SimulationOptions): void {
  const ended = truth.filter((flow) => flow.ended !== 'open');
  const expected = ended.flatMap((flow) => expectedRecords(flow).map(canonical));
  const seen = records.map(canonical);
  const missing = subtract(expected, seen).join('\n');
  const unexpected = subtract(seen, expected).join('\n');
  expect(`missing:\n${missing}\nunexpected:\n${unexpected}`).to.equal('missing:\n\nunexpected:\n');
  const byFirst = new Map<string, TrueFlow[]>();
  for (const flow of ended) {
    const [first] = expectedRecords(flow);
    if (first === undefined) continue;
    const key = canonical(first);
    byFirst.set(key, [...(byFirst.get(key) ?? []), flow]);
  }
  let flow: TrueFlow | undefined;
  for (const record of records) {
    flow = byFirst.get(canonical(record))?.shift() ?? flow;
    expectPossible(record, flow!, options);
  }
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

/** What must be true of a record, whatever is known: against what has really passed. */
function expectPossible(record: FlowJson, flow: TrueFlow, options: SimulationOptions): void {
  const { version, role = 'tap', firewalls = 'single', loss = 0 } = options;
  const { pf, octetDeltaCount = 0n, packetDeltaCount = 0n } = record;
  const index = pf.reply ? 1 : 0;
  const what = `${pf.counters} of ${pf.stateId}`;
  if (pf.counters === 'exact' && !flow.isHiding) {
    expect([octetDeltaCount, packetDeltaCount], what).to.deep.equal([
      flow.final.bytes[index],
      flow.final.packets[index],
    ]);
  }
  // A tap of one of a pair sees its own octets, but all of the sequence numbers.
  const most = pf.counters === 'tcpseq' ? flow.total : flow.final;
  expect(octetDeltaCount <= most.bytes[index] && packetDeltaCount <= most.packets[index], what).to.equal(
    true,
  );
  expect((record.tcpControlBits ?? 0) & ~flow.sentFlags[index]!, `flags of ${pf.stateId}`).to.equal(0);
  // A tap of one of a pair does not see the packets that change how long a state has to live.
  const isForced =
    flow.isKilled || flow.ended === 'clear' || flow.ended === 'reboot' || flow.ended === 'dead';
  const seesAll = role === 'net' || firewalls === 'single';
  if (record.flowEndReason === 4 && seesAll) expect(isForced, `reason of ${pf.stateId}`).to.equal(true);
  const { flowStartMilliseconds: start, flowEndMilliseconds: end } = record;
  expect(end).to.be.at.least(start);
  if (flow.ended === 'delete') {
    expect(end).to.equal(flow.endedMs);
    return;
  }
  if (flow.ended === 'dead' && flow.lastSignMs === null) return;
  // Before version 5 an answer looks as an update for a packet does. Of a state that is overdue when it is first seen, or
  // whose updates were lost, nobody knows how long it is.
  const isOld = SIZES[version].version < 5;
  const latest = isOld ? Math.max(flow.lastPacketMs, flow.lastAnswerMs ?? 0) : flow.lastPacketMs;
  const purge = loss > 0 || !flow.insertSeen ? LONGEST_PURGE : 0;
  expect(end, `end of ${what}`).to.be.at.most(Math.max(latest + purge + LATENESS, start));
  const isAllSeen = loss === 0 && !flow.isHiding && seesAll;
  if (isAllSeen) expect(end, `end of ${what}`).to.be.at.least(flow.lastPacketMs - LATENESS);
}

const LIVES: readonly [string, Omit<SimulationOptions, 'version'>][] = [
  ['plain', { firstSeqlo: 'isn' }],
  ['bulk transfers and requests', { bulkTransfers: 2, requests: 12, firstSeqlo: 'isn', buckets: 4 }],
  ['clears', { clears: 2, firstSeqlo: 'isn', noise: 5 }],
  ['a reboot', { reboots: 1, firstSeqlo: 'isn' }],
  ['lost messages', { loss: 0.2, bulkTransfers: 1, requests: 6, firstSeqlo: 'isn' }],
  ['resets', { resets: 0.5 }],
  ['old and untold states', { older: 0.3, untold: 0.3, bulkTransfers: 1, firstSeqlo: 'isn' }],
];

describe('state tracker', () => {
  for (const version of WIRE_VERSIONS) {
    for (const role of ['tap', 'net'] as const) {
      for (const [life, more] of LIVES) {
        it(`${version} on the ${role}: true flows over a life with ${life}`, () => {
          fc.assert(
            fc.property(fc.integer({ min: 1, max: 1e9 }), (seed) => {
              const options = { version, role, states: 20, resets: 0, ...more };
              const simulation = simulate(seed, options);
              const converter = convert(simulation, role);
              expectTruth(converter, simulation, options);
              converter.expectSums();
              const { expected } = simulation;
              const { unknownDeletes, unknownUpdates, lateRecords, neverSynced } =
                converter.statistics.states;
              expect({ unknownDeletes, unknownUpdates, lateRecords, neverSynced }).to.deep.equal({
                unknownDeletes: expected.unknownDeletes,
                unknownUpdates: expected.unknownUpdates,
                lateRecords: expected.lateRecords,
                neverSynced: expected.neverSynced,
              });
              expect(converter.tracker.table.size).to.equal(expected.ended.open);
            }),
            { numRuns: 6 },
          );
        });
      }
    }
  }

  for (const version of WIRE_VERSIONS) {
    for (const role of ['tap', 'net'] as const) {
      it(`${version} on the ${role}: two firewalls that speak of one state give one flow`, () => {
        fc.assert(
          fc.property(fc.integer({ min: 1, max: 1e9 }), (seed) => {
            const options = {
              version,
              role,
              firewalls: 'pair' as const,
              states: 20,
              resets: 0,
              bulkTransfers: 2,
              requests: 20,
              firstSeqlo: 'isn' as const,
            };
            const simulation = simulate(seed, options);
            const converter = convert(simulation, role);
            expectTruth(converter, simulation, options);
            converter.expectSums();
          }),
          { numRuns: 10 },
        );
      });
    }
  }

  it('ends states whose end no message tells, and none that still lives', () => {
    let untold = 0;
    for (const version of WIRE_VERSIONS.filter((name) => SIZES[name].version >= 5)) {
      fc.assert(
        fc.property(fc.integer({ min: 1, max: 1e9 }), (seed) => {
          const { packets, truth } = simulate(seed, {
            version,
            role: 'net',
            loss: 0.2,
            states: 40,
            older: 0.3,
          });
          const converter = new StateConverter({ endsOverdue: true });
          const livesOn = new Map(truth.map((flow) => [`${flow.creatorId}/${flow.stateId}`, flow]));
          let seen = 0;
          for (const { message, timeMs, sender } of packets) {
            converter.message(message, timeMs, sender + 1);
            for (; seen < converter.records.length; seen++) {
              const { pf } = converter.records[seen]!;
              const flow = livesOn.get(`${pf.creatorId}/${pf.stateId}`)!;
              expect(flow.goneMs ?? Number.POSITIVE_INFINITY, pf.stateId).to.be.at.most(timeMs);
              if (flow.ended === 'open') untold++;
            }
          }
        }),
        { numRuns: 6 },
      );
    }
    expect(untold).to.be.above(0);
  });

  it('claims nothing above the truth where losses are not noticed, but for counters that silence seems to prove', () => {
    // What proves them is that every packet is followed by a message. Where messages are lost on the way and nobody knows, silence
    // may be a lost one: such a claim can be wrong, and none is looked at here.
    for (const version of WIRE_VERSIONS) {
      fc.assert(
        fc.property(fc.integer({ min: 1, max: 1e9 }), (seed) => {
          const options = {
            version,
            role: 'net' as const,
            loss: 0.2,
            states: 20,
            requests: 12,
            bulkTransfers: 1,
          };
          const simulation = simulate(seed, options);
          const { records } = convert(simulation, 'net', 'unnoticed');
          const truth = new Map(simulation.truth.map((flow) => [`${flow.creatorId}/${flow.stateId}`, flow]));
          for (const { pf, octetDeltaCount = 0n, packetDeltaCount = 0n } of records) {
            if (pf.counters === 'exact') continue;
            const { bytes, packets } = truth.get(`${pf.creatorId}/${pf.stateId}`)!.total;
            expect(octetDeltaCount <= bytes[pf.reply ? 1 : 0], `octets of ${pf.stateId}`).to.equal(true);
            expect(packetDeltaCount <= packets[pf.reply ? 1 : 0], `packets of ${pf.stateId}`).to.equal(true);
          }
        }),
        { numRuns: 6 },
      );
    }
  });

  it('meets proofs, kills at the last moment and sums of two firewalls often enough to be held to', () => {
    const met = new Map<string, number>();
    const meet = (what: string, isMet: boolean) => isMet && met.set(what, (met.get(what) ?? 0) + 1);
    for (const version of ['v5-1301', 'v5-1400', 'v6'] as const) {
      for (let seed = 1; seed <= 20; seed++) {
        const more = { states: 40, requests: 40, bulkTransfers: 2, clears: 2, firewalls: 'pair' as const };
        for (const flow of simulate(seed, { version, role: 'net', ...more }).truth) {
          const isBelow = flow.told.bytes[0] < flow.final.bytes[0];
          meet('proven', flow.isProven);
          meet('proven by an answer', flow.isProven && flow.by === 'update');
          meet('proven by an insert', flow.isProven && flow.by === 'insert');
          meet(
            'not proven, and truly not final',
            !flow.isProven && isBelow && flow.ended === 'compressedDelete',
          );
          meet('killed with its last packets untold', flow.isHiding && isBelow);
          meet('dead', flow.ended === 'dead');
          meet('lower bound', counterKind(flow) === 'tcpseq');
        }
      }
    }
    for (const what of [
      ...['proven', 'proven by an answer', 'proven by an insert', 'not proven, and truly not final'],
      ...['killed with its last packets untold', 'dead', 'lower bound'],
    ]) {
      expect(met.get(what) ?? 0, what).to.be.above(what.startsWith('proven') ? 100 : 0);
    }
  });
});
