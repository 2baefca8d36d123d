import { expect } from 'chai';
import fc from 'fast-check';
import type { SimState } from '../peer/pfsync-writer.js';
import { type ConverterOptions, StateConverter } from '../peer/state-converter.js';
import {
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

/** Octets and packets of one state, of all its records. */
function sums({ records }: StateConverter, stateId = '0000000000000001') {
  const own = records.filter(({ pf }) => pf.stateId === stateId);
  const sum = (of: (record: (typeof own)[0]) => bigint | undefined) =>
    own.reduce((total, record) => total + (of(record) ?? 0n), 0n);
  return {
    octets: sum(({ octetDeltaCount }) => octetDeltaCount),
    packets: sum(({ packetDeltaCount }) => packetDeltaCount),
  };
}

type GiveUp = (converter: StateConverter, time: number) => void;
type Case = [name: string, options: ConverterOptions, giveUp: GiveUp];

const WAYS: Case[] = [
  ['--max-states', { maxStates: 1 }, (converter, time) => converter.message(insertOf(simState(2)), time)],
  ['--state-timeout', { stateTimeout: 30_000 }, (converter, time) => converter.tracker.expire(time)],
];

describe('states that were given up and are heard of again', () => {
  for (const [name, options, giveUp] of WAYS) {
    const open = (state: SimState) => {
      const converter = new StateConverter(options).message(insertOf(state), T0);
      giveUp(converter, T0 + 40_000);
      expect(converter.tracker.table.size).to.equal(options.maxStates === 1 ? 1 : 0);
      return converter;
    };

    it(`count nothing twice when a delete without counters ends them (${name})`, () => {
      const converter = open(simState(1, counted(10, 1000)));
      converter.message(updateOf(simState(1, counted(25, 2500))), T0 + 50_000);
      converter.message(deleteOf(simState(1)), T0 + 60_000);
      expect(sums(converter)).to.deep.equal({ octets: 5000n, packets: 50n });
      const forward = converter.records.filter(({ pf }) => pf.stateId.endsWith('1') && !pf.reply);
      expect(forward.map(({ packetDeltaCount }) => packetDeltaCount)).to.deep.equal([10n, 15n]);
      // The second one begins where the first has ended to count.
      expect(forward[1]?.flowStartMilliseconds).to.equal(T0 + 40_000);
      converter.expectSums();
    });

    it(`count nothing twice when a full delete ends them (${name})`, () => {
      const converter = open(simState(1, counted(10, 1000)));
      converter.message(fullDeleteOf(simState(1, { ...counted(25, 2500), creation: 60 })), T0 + 60_000);
      expect(sums(converter)).to.deep.equal({ octets: 5000n, packets: 50n });
      converter.expectSums();
    });

    it(`end no earlier than they go on, where the clock has been set back (${name})`, () => {
      const converter = open(simState(1, counted(10, 1000)));
      const ended = fullDeleteOf(simState(1, { ...counted(25, 2500), creation: 60 }));
      converter.message(ended, T0 - 400_000_000);
      const last = converter.records.at(-1)!;
      expect(last.pf.stateId).to.equal('0000000000000001');
      expect(last.flowEndMilliseconds).to.equal(last.flowStartMilliseconds);
    });

    it(`are no late records of an earlier state whose key they have (${name})`, () => {
      const converter = new StateConverter(options).message(insertOf(simState(1)), T0);
      converter.message(deleteOf(simState(1)), T0 + 1000).message(insertOf(simState(1)), T0 + 2000);
      giveUp(converter, T0 + 40_000);
      converter.message(updateOf(simState(1, counted(25, 2500))), T0 + 50_000);
      expect(converter.statistics.states.lateRecords).to.equal(0);
      expect(converter.tracker.table.size).to.equal(1);
      converter.message(deleteOf(simState(1)), T0 + 60_000);
      expect(sums(converter)).to.deep.equal({ octets: 5000n, packets: 50n });
    });

    it(`say once more that they ended when nothing has come since (${name})`, () => {
      const converter = open(simState(1, counted(10, 1000)));
      converter.message(fullDeleteOf(simState(1, { ...counted(10, 1000), creation: 60 })), T0 + 60_000);
      expect(sums(converter)).to.deep.equal({ octets: 2000n, packets: 20n });
      const last = converter.records.at(-1)!;
      expect([last.pf.stateId, last.flowEndReason, last.packetDeltaCount, last.pf.reply]).to.deep.equal([
        '0000000000000001',
        1,
        0n,
        false,
      ]);
    });

    it(`count nothing twice of what sequence numbers had told (${name})`, () => {
      const converter = new StateConverter(options).message(insertOf(tcpState(1, [1000, 2000])), T0);
      converter.message(compressedUpdateOf(tcpState(1, [91_000, 2000])), T0 + 1000);
      giveUp(converter, T0 + 40_000);
      expect(sums(converter)).to.deep.equal({ octets: 90_000n, packets: 1n });
      const final = { packets: [70n, 0n], bytes: [95_000n, 0n], creation: 60 } as const;
      converter.message(updateOf(tcpState(1, [91_000, 2000], [4, 4], final)), T0 + 60_000);
      converter.message(deleteOf(simState(1)), T0 + 61_000);
      expect(sums(converter)).to.deep.equal({ octets: 95_000n, packets: 70n });
    });

    it(`count nothing twice of long flows, of which a part was told before (${name})`, () => {
      const converter = new StateConverter({ ...options, activeTimeout: 10_000 });
      converter.message(insertOf(simState(1, counted(10, 1000))), T0);
      converter.message(updateOf(simState(1, { ...counted(20, 2000), creation: 15 })), T0 + 15_000);
      giveUp(converter, T0 + 50_000);
      converter.message(updateOf(simState(1, { ...counted(30, 3000), creation: 55 })), T0 + 55_000);
      converter.message(deleteOf(simState(1)), T0 + 60_000);
      expect(sums(converter)).to.deep.equal({ octets: 6000n, packets: 60n });
      converter.expectSums();
    });

    it(`are others where the firewall has started anew and uses its ids again (${name})`, () => {
      const converter = open(simState(1, counted(10, 1000)));
      const other = { originalSource: { address: '192.0.2.77', port: 7 }, creation: 5 };
      converter.message(fullDeleteOf(simState(1, { ...counted(4, 400), ...other })), T0 + 600_000);
      const last = converter.records.filter(({ pf }) => !pf.reply).at(-1)!;
      expect(last.packetDeltaCount).to.equal(4n);
      expect(last.flowStartMilliseconds).to.equal(T0 + 595_000);
    });

    it(`claim no final counters: the firewall still has them (${name})`, () => {
      // Given up at the very time at which the state would have died of age.
      const converter = new StateConverter(options);
      converter.message(insertOf(simState(1, { ...counted(10, 1000), expire: 40 })), T0);
      giveUp(converter, T0 + 40_500);
      expect(converter.records.map(({ pf }) => pf.counters)).to.deep.equal(['partial', 'partial']);
    });
  }

  it('claim no final counters when the input ends before they do', () => {
    const converter = new StateConverter().message(
      insertOf(simState(1, { ...counted(1, 60), expire: 40 })),
      T0,
    );
    converter.flush(T0 + 42_000);
    expect(converter.records.map(({ pf }) => pf.counters)).to.deep.equal(['partial', 'partial']);
  });

  it('add up to the final counters, however often they are given up', () => {
    const steps = fc.array(
      fc.record({
        what: fc.constantFrom('update' as const, 'compressed' as const, 'giveUp' as const),
        packets: fc.integer({ min: 1, max: 50 }),
      }),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(steps, fc.boolean(), fc.constantFrom(0, 5000), (steps, isFull, activeTimeout) => {
        const converter = new StateConverter({ maxStates: 1, activeTimeout });
        let [packets, seqlo, time, other] = [1, 1000, T0, 2];
        const state = () =>
          tcpState(1, [seqlo, 5], [4, 4], {
            packets: [BigInt(packets), 0n],
            bytes: [BigInt(100 * packets), 0n],
            creation: (time - T0) / 1000,
          });
        converter.message(insertOf(state()), time);
        for (const step of steps) {
          time += 1000;
          if (step.what === 'giveUp') {
            converter.message(insertOf(simState(other)), time).message(deleteOf(simState(other++)), time);
            continue;
          }
          packets += step.packets;
          seqlo += 60 * step.packets;
          converter.message(step.what === 'update' ? updateOf(state()) : compressedUpdateOf(state()), time);
        }
        time += 1000;
        if (isFull) converter.message(fullDeleteOf(state()), time);
        else converter.message(updateOf(state()), time).message(deleteOf(state()), time);
        expect(sums(converter)).to.deep.equal({ octets: BigInt(100 * packets), packets: BigInt(packets) });
        converter.expectSums();
      }),
      { numRuns: 300 },
    );
  });
});
