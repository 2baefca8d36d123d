import { expect } from 'chai';
import fc from 'fast-check';
import { FlowView } from '../../protocol/flow/flow-view.js';
import { simulate } from '../peer/firewall.js';
import type { FlowJson } from '../peer/flow-json.js';
import { WIRE_VERSIONS } from '../peer/pfsync-writer.js';
import { StateConverter } from '../peer/state-converter.js';
import {
  clearOf,
  compressedUpdateOf,
  counted,
  deleteOf,
  fullDeleteOf,
  insertOf,
  simState,
  tcpState,
  updateOf,
} from '../peer/state-messages.js';

const T0 = 1_700_000_000_000;
const ACTIVE = 2;

function sumOf(flows: readonly FlowJson[], of: (flow: FlowJson) => bigint | undefined): bigint {
  return flows.reduce((sum, flow) => sum + (of(flow) ?? 0n), 0n);
}

describe('long flows', () => {
  it('are told at intervals, and their records add up to the final counters', () => {
    const converter = new StateConverter({ activeTimeout: 60_000 });
    const grown = (packets: number) => simState(1, counted(packets, packets * 100));
    converter.message(insertOf(grown(1)), T0);
    for (let second = 10; second <= 300; second += 10) {
      converter.message(updateOf({ ...grown(second), creation: second }), T0 + second * 1000);
    }
    converter.message(fullDeleteOf({ ...grown(1000), creation: 310 }), T0 + 310_000);
    const { records, statistics } = converter;
    const reasons = records.map(({ flowEndReason }) => flowEndReason);
    expect(reasons.filter((reason) => reason === ACTIVE).length).to.equal(10);
    expect(sumOf(records, ({ packetDeltaCount }) => packetDeltaCount)).to.equal(2000n);
    expect(sumOf(records, ({ octetDeltaCount }) => octetDeltaCount)).to.equal(200_000n);
    const forward = records.filter(({ pf }) => pf.reply === false);
    for (const [i, flow] of forward.entries()) {
      const before = forward[i - 1];
      expect(flow.flowStartMilliseconds).to.equal(before?.flowEndMilliseconds ?? T0);
    }
    expect(statistics.states.ended).to.equal(1);
    expect(statistics.states.exported).to.equal(1);
    converter.expectSums();
  });

  it('whose counters stand still are not told again', () => {
    const converter = new StateConverter({ activeTimeout: 60_000 });
    const state = simState(1, counted(5, 500));
    converter.message(insertOf(state), T0);
    for (const minute of [2, 4, 6]) converter.message(updateOf(state), T0 + minute * 60_000);
    expect(converter.records.length).to.equal(0);
    converter.message(deleteOf(state), T0 + 480_000);
    expect(sumOf(converter.records, ({ packetDeltaCount }) => packetDeltaCount)).to.equal(10n);
  });

  const ENDS: readonly [string, number, (converter: StateConverter, time: number) => void][] = [
    [
      'a full delete',
      1,
      (converter, time) =>
        converter.message(fullDeleteOf(simState(1, { ...counted(9, 900), expire: 0, creation: 90 })), time),
    ],
    [
      'a delete of a state that died of age',
      1,
      (converter, time) => converter.message(deleteOf(simState(1)), time),
    ],
    ['a delete of a killed state', 4, (converter) => converter.message(deleteOf(simState(1)), T0 + 80_000)],
    ['a clear', 4, (converter, time) => converter.message(clearOf(), time)],
    ['the end of the input', 4, (converter, time) => converter.flush(time)],
    ['a full table', 5, (converter, time) => converter.message(insertOf(simState(2)), time)],
    ['the state timeout', 1, (converter) => converter.tracker.expire(T0 + 7_200_000)],
    [
      'the record of a dead state',
      1,
      (converter, time) =>
        converter.message(updateOf(simState(1, { ...counted(9, 900), timeout: 22, expire: 0 })), time),
    ],
  ];

  for (const [name, reason, end] of ENDS) {
    it(`say once that they ended, with the reason, also when nothing has come since the last report: ${name}`, () => {
      const options = { activeTimeout: 30_000, maxStates: 1, stateTimeout: 3_600_000 };
      const converter = new StateConverter(options).message(insertOf(simState(1, counted(1, 100))), T0);
      converter.message(updateOf(simState(1, { ...counted(9, 900), expire: 60, creation: 60 })), T0 + 60_000);
      expect(converter.records.map(({ flowEndReason }) => flowEndReason)).to.deep.equal([ACTIVE, ACTIVE]);
      end(converter, T0 + 121_000);
      const last = converter.records.filter(({ pf }) => pf.stateId === '0000000000000001').slice(2);
      expect(last.map(({ flowEndReason, pf }) => [flowEndReason, pf.reply])).to.deep.equal([[reason, false]]);
      expect([last[0]?.octetDeltaCount, last[0]?.packetDeltaCount]).to.deep.equal([0n, 0n]);
      expect(last[0]?.flowStartMilliseconds).to.equal(T0 + 60_000);
      expect(last[0]?.flowEndMilliseconds).to.be.at.least(T0 + 60_000);
      expect(converter.statistics.states.exported).to.equal(1);
      converter.expectSums();
    });
  }

  it('that go on by sequence numbers are told with what these have advanced by, and count it once', () => {
    const converter = new StateConverter({ activeTimeout: 30_000 }).message(
      insertOf(tcpState(1, [1000, 5])),
      T0,
    );
    converter.message(compressedUpdateOf(tcpState(1, [9000, 5])), T0 + 30_000);
    const later = { packets: [99n, 0n], bytes: [10_000n, 0n], creation: 60 } as const;
    converter.message(updateOf(tcpState(1, [9000, 5], [4, 4], later)), T0 + 60_000);
    converter.message(compressedUpdateOf(tcpState(1, [9500, 5])), T0 + 70_000);
    converter.message(deleteOf(simState(1)), T0 + 80_000);
    expect(
      converter.records.map(({ flowEndReason, octetDeltaCount }) => [flowEndReason, octetDeltaCount]),
    ).to.deep.equal([
      [ACTIVE, 10_000n],
      [1, 500n],
    ]);
  });

  it('prove no TCP flags: a part of a connection does not show which packets were in it', () => {
    const converter = new StateConverter({ activeTimeout: 30_000 });
    const state = (n: number) => tcpState(1, [1000, 2000], [4, 4], { ...counted(n, 100 * n), creation: n });
    converter.message(insertOf(state(1)), T0).message(updateOf(state(40)), T0 + 40_000);
    converter.message(deleteOf(simState(1)), T0 + 60_000);
    expect(converter.records.map(({ tcpControlBits }) => tcpControlBits)).to.deep.equal([
      0x12,
      0x12,
      undefined,
    ]);
  });

  it('mark what continues a flow', () => {
    const converter = new StateConverter({ activeTimeout: 30_000, batch: 4 });
    converter.message(insertOf(simState(1, counted(1, 100))), T0);
    converter.message(updateOf(simState(1, { ...counted(9, 900), creation: 40 })), T0 + 40_000);
    const view = new FlowView(converter.memory.rows, 4);
    expect(view.isContinued).to.equal(false);
    converter.message(updateOf(simState(1, { ...counted(10, 1000), creation: 80 })), T0 + 80_000);
    expect(view.isContinued).to.equal(true);
  });

  for (const version of WIRE_VERSIONS) {
    it(`have the same sums and as many ends as without reports, over whole lives (${version})`, () => {
      fc.assert(
        fc.property(fc.integer({ min: 1, max: 1e9 }), (seed) => {
          const { packets } = simulate(seed, {
            version,
            states: 12,
            bulkTransfers: 4,
            requests: 20,
            resets: 0,
          });
          const [plain, reporting] = [0, 10_000].map((activeTimeout) => {
            const converter = new StateConverter({ activeTimeout });
            for (const { message, timeMs } of packets) converter.message(message, timeMs);
            converter.flush(packets.at(-1)!.timeMs);
            converter.expectSums();
            return converter;
          });
          for (const of of [
            ({ octetDeltaCount }: FlowJson) => octetDeltaCount,
            ({ packetDeltaCount }: FlowJson) => packetDeltaCount,
          ]) {
            expect(sumOf(reporting!.records, of)).to.equal(sumOf(plain!.records, of));
          }
          const ends = ({ records }: StateConverter) =>
            records
              .filter(({ flowEndReason, pf }) => flowEndReason !== ACTIVE && !pf.reply)
              .map(({ pf, flowEndReason }) => `${pf.creatorId}/${pf.stateId} ${flowEndReason}`)
              .sort();
          const endsOfPlain = plain!.statistics.states;
          const endsOfReporting = reporting!.statistics.states;
          expect(endsOfReporting.ended).to.equal(endsOfPlain.ended);
          expect(ends(reporting!)).to.include.members(ends(plain!));
        }),
        { numRuns: 15 },
      );
    });
  }
});
