import { expect } from 'chai';
import fc from 'fast-check';
import { LACK_OF_RESOURCES } from '../../protocol/flow/terms.js';
import { encodeCompressedDelete, encodeMessage, encodeState } from '../peer/pfsync-writer.js';
import { StateConverter } from '../peer/state-converter.js';
import {
  busOf,
  clearOf,
  compressedUpdateOf,
  counted,
  deleteOf,
  fullDeleteOf,
  insertOf,
  simState,
  updateOf,
} from '../peer/state-messages.js';

const T0 = 1_700_000_000_000;

/** The numbers of the states that ended with this reason, in their order. */
function endedFor(reason: number, { records }: StateConverter): number[] {
  const forward = records.filter(({ flowEndReason, pf }) => flowEndReason === reason && !pf.reply);
  return forward.map(({ pf }) => Number.parseInt(pf.stateId, 16));
}

describe('limits of the state table', () => {
  it('a full table gives up the state not heard of for the longest time, as lack of resources', () => {
    const converter = new StateConverter({ maxStates: 3 });
    for (const n of [1, 2, 3]) converter.message(insertOf(simState(n)), T0 + n);
    converter.message(updateOf(simState(1)), T0 + 10);
    converter.message(insertOf(simState(4)), T0 + 11);
    expect(converter.statistics.states.evicted).to.equal(1);
    expect(converter.records.map(({ pf, flowEndReason }) => [pf.stateId, flowEndReason])).to.deep.equal([
      ['0000000000000002', 5],
    ]);
    expect(converter.tracker.table.size).to.equal(3);
    converter.expectSums();
  });

  it('gives up the right one each time, whatever states are heard of in between', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 80 }),
        fc.array(fc.tuple(fc.integer({ min: 0, max: 160 }), fc.constantFrom('insert', 'delete')), {
          maxLength: 600,
        }),
        (maxStates, steps) => {
          const converter = new StateConverter({ maxStates });
          // A Set knows the order in which it was added to.
          const open = new Set<number>();
          const expected: number[] = [];
          for (const [i, [n, step]] of steps.entries()) {
            converter.message(step === 'insert' ? insertOf(simState(n)) : deleteOf(simState(n)), T0 + i);
            const isKnown = open.delete(n);
            if (step === 'delete') continue;
            if (!isKnown && open.size === maxStates) {
              const [oldest] = open;
              open.delete(oldest!);
              expected.push(oldest!);
            }
            open.add(n);
          }
          expect(endedFor(LACK_OF_RESOURCES, converter)).to.deep.equal(expected);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('gives up states in the order in which they were last named when they are many', () => {
    const converter = new StateConverter({ maxStates: 5000 });
    const order = Array.from({ length: 5000 }, (_, n) => (n * 1237) % 5000);
    for (let n = 0; n < 5000; n++) converter.message(insertOf(simState(n)), T0);
    for (const [i, n] of order.entries()) converter.message(updateOf(simState(n)), T0 + 1 + i);
    for (let n = 5000; n < 10_000; n++) converter.message(insertOf(simState(n)), T0 + 10_000 + n);
    expect(endedFor(LACK_OF_RESOURCES, converter)).to.deep.equal(order);
  });

  it('a state named twice in one message is taken up once, and ends once', () => {
    const converter = new StateConverter();
    const state = simState(1);
    const record = encodeState('v6', state);
    const key = encodeCompressedDelete('v6', state);
    converter.message(encodeMessage('v6', [{ action: 'update', records: [record, record] }]), T0);
    expect(converter.tracker.table.size).to.equal(1);
    converter.message(encodeMessage('v6', [{ action: 'compressedDelete', records: [key, key] }]), T0 + 1);
    const { ended, lateRecords, unknownDeletes } = converter.statistics.states;
    expect({ ended, lateRecords, unknownDeletes }).to.deep.equal({
      ended: 1,
      lateRecords: 1,
      unknownDeletes: 0,
    });
    converter.expectSums();
  });

  it('a state of which nothing is heard ends after the state timeout', () => {
    const converter = new StateConverter({ stateTimeout: 60_000 });
    converter.message(insertOf(simState(1)), T0);
    converter.message(insertOf(simState(2)), T0 + 50_000);
    expect(converter.records.length).to.equal(0);
    converter.message(insertOf(simState(3)), T0 + 62_000);
    expect(converter.records.map(({ pf, flowEndReason }) => [pf.stateId, flowEndReason])).to.deep.equal([
      ['0000000000000001', 1],
    ]);
    expect(converter.statistics.states.timedOut).to.equal(1);
  });

  it('grows and shrinks, and finds every key, over any order of inserts and deletes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 400 }), fc.boolean()), { maxLength: 2000 }),
        (steps) => {
          const converter = new StateConverter();
          const open = new Set<number>();
          let ended = 0;
          for (const [n, isInsert] of steps) {
            converter.message(isInsert ? insertOf(simState(n)) : deleteOf(simState(n)), T0);
            if (isInsert) open.add(n);
            else if (open.delete(n)) ended++;
          }
          expect(converter.tracker.table.size).to.equal(open.size);
          expect(converter.statistics.states.ended).to.equal(ended);
          converter.flush(T0);
          expect(converter.tracker.table.size).to.equal(0);
          expect(converter.statistics.states.ended).to.equal(ended + open.size);
        },
      ),
      { numRuns: 20 },
    );
  });

  it('holds a million states in less than 100 octets each for index and hot rows, and gives the memory back', function () {
    this.timeout(60_000);
    const converter = new StateConverter();
    const state = simState(0);
    const insert = insertOf(state);
    const remove = deleteOf(state);
    const idIn = { insert: insert.length - 264, remove: remove.length - 12 };
    converter.time = T0;
    for (let n = 0; n < 1_000_000; n++) {
      insert.writeUInt32BE(n, idIn.insert + 4);
      converter.read(insert);
    }
    const { table } = converter.tracker;
    expect(table.size).to.equal(1_000_000);
    expect(table.hotOctets / 1_000_000).to.be.lessThan(100);
    const full = table.octets;
    for (let n = 0; n < 1_000_000; n++) {
      remove.writeUInt32BE(n, idIn.remove + 4);
      converter.read(remove);
      converter.records.length = 0;
    }
    expect(table.size).to.equal(0);
    expect(table.octets).to.be.lessThan(full / 50);
  });
});

describe('times of a state', () => {
  for (const version of ['v3', 'v5-1301', 'v6'] as const) {
    it(`begin with the first message where the age has its highest bit set (${version})`, () => {
      // The clock of the firewall was set back by 47 s.
      const state = simState(1, { creation: 2 ** 32 - 47, packets: [1n, 1n], bytes: [60n, 60n] });
      const converter = new StateConverter().message(insertOf(state, version), T0);
      converter.message(version === 'v3' ? fullDeleteOf(state) : deleteOf(state, version), T0 + 5000);
      for (const { flowStartMilliseconds, flowEndMilliseconds } of converter.records) {
        expect(flowStartMilliseconds).to.equal(T0);
        expect(flowEndMilliseconds).to.be.within(T0, T0 + 5000);
      }
      expect(converter.records.length).to.equal(2);
    });
  }

  it('begin with the delete itself where nothing else tells', () => {
    const state = simState(1, { creation: 0x8000_0000, packets: [1n, 1n], bytes: [60n, 60n] });
    const [flow] = new StateConverter().message(fullDeleteOf(state), T0).records;
    expect([flow?.flowStartMilliseconds, flow?.flowEndMilliseconds]).to.deep.equal([T0, T0]);
  });

  it('begin with the earliest start that any record gives', () => {
    const converter = new StateConverter();
    converter.message(insertOf(simState(1, { creation: 3, packets: [1n, 0n], bytes: [60n, 0n] })), T0);
    converter.message(
      updateOf(simState(1, { creation: 14, packets: [1n, 0n], bytes: [60n, 0n] })),
      T0 + 10_000,
    );
    converter.message(
      updateOf(simState(1, { creation: 2 ** 31, packets: [1n, 0n], bytes: [60n, 0n] })),
      T0 + 11_000,
    );
    converter.message(deleteOf(simState(1)), T0 + 70_000);
    expect(converter.records[0]?.flowStartMilliseconds).to.equal(T0 - 4000);
  });

  for (const version of ['v4', 'v5-1301', 'v6'] as const) {
    it(`end where a first answer says that the last packet passed (${version})`, () => {
      // udp.multiple has 60 s, of which 13 are left.
      const state = simState(1, {
        packets: [1n, 0n],
        bytes: [60n, 0n],
        creation: 100,
        expire: 13,
        timeout: 8,
      });
      const converter = new StateConverter().message(busOf('start', version), T0);
      converter.message(updateOf(state, version), T0 + 1).message(busOf('end', version), T0 + 2);
      converter.message(clearOf('', version), T0 + 5000);
      expect(converter.records[0]?.flowEndMilliseconds).to.equal(T0 + 1 - 47_000);
    });
  }

  it('end where answers say that the last packet passed, unless a later sign is known', () => {
    const state = (packets: number, expire: number) =>
      simState(1, { ...counted(packets, 60), creation: 500, expire });
    const ends = (record: Buffer) => {
      const converter = new StateConverter().message(insertOf(state(1, 60)), T0);
      converter.message(compressedUpdateOf(state(2, 60)), T0 + 10_000).message(record, T0 + 30_000);
      return converter.message(clearOf(), T0 + 31_000).records[0]?.flowEndMilliseconds;
    };
    expect(ends(updateOf(state(5, 45))), 'packets after the compressed update').to.equal(T0 + 15_000);
    expect(ends(updateOf(state(5, 30))), 'packets before it').to.equal(T0 + 10_000);
    expect(ends(updateOf(state(5, 60))), 'a packet just now').to.equal(T0 + 30_000);
    expect(ends(updateOf(state(1, 45))), 'no packets').to.equal(T0 + 10_000);
    expect(ends(updateOf({ ...state(5, 0), timeout: 9 })), 'overdue').to.equal(T0 + 10_000);
    // Then the compressed update tells: each packet is followed by one within a second.
    expect(ends(updateOf(state(5, 3600))), 'another timeout than the default').to.equal(T0 + 10_000);
    expect(ends(updateOf({ ...state(5, 10), timeout: 19 })), 'no timeout of a state').to.equal(T0 + 10_000);
  });

  it('end with each full update before version 5, where every packet makes one, but not in a bulk update', () => {
    for (const version of ['v2', 'v3', 'v4'] as const) {
      const state = simState(1, { ...counted(1, 60), creation: 500, expire: 60 });
      // In version 2 the counters may have wrapped.
      const later = { ...state, packets: [0n, 0n], bytes: [7n, 0n] } as const;
      const converter = new StateConverter().message(insertOf(state, version), T0);
      converter.message(updateOf(later, version), T0 + 10_000).message(busOf('start', version), T0 + 20_000);
      converter.message(updateOf(state, version), T0 + 21_000).message(busOf('end', version), T0 + 22_000);
      expect(converter.message(clearOf('', version), T0 + 30_000).records[0]?.flowEndMilliseconds).to.equal(
        T0 + 10_000,
      );
    }
  });

  it('are never negative, and none ends before it starts', () => {
    const state = simState(1, { creation: 500, packets: [1n, 1n], bytes: [60n, 60n] });
    const converter = new StateConverter().message(fullDeleteOf(state), 100_000);
    for (const { flowStartMilliseconds, flowEndMilliseconds } of converter.records) {
      expect([flowStartMilliseconds, flowEndMilliseconds]).to.deep.equal([0, 100_000]);
    }
  });
});

describe('the interface of a state', () => {
  it('keeps its number, whatever other names come', () => {
    const converter = new StateConverter();
    const state = (n: number) => simState(n, { ifname: `em${n % 700}`, packets: [1n, 0n], bytes: [60n, 0n] });
    for (let n = 0; n < 2000; n++) converter.message(fullDeleteOf(state(n)), T0 + n);
    expect(converter.records.map(({ interfaceName }) => interfaceName)).to.deep.equal(
      Array.from({ length: 2000 }, (_, n) => `em${n % 700}`),
    );
  });
});
