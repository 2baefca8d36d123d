import { expect } from 'chai';
import {
  encodeCompressedUpdate,
  encodeMessage,
  encodeState,
  type SimState,
  type WireVersion,
} from '../peer/pfsync-writer.js';
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
const NEW_VERSIONS = ['v5-openbsd', 'v5-1301', 'v5-1400', 'v5-1500', 'v6'] as const;

function expectStates({ statistics }: StateConverter, expected: Partial<Record<string, number>>): void {
  const names = ['ended', 'lateRecords', 'unknownDeletes', 'unknownUpdates', 'neverSynced'] as const;
  const { states } = statistics;
  expect(Object.fromEntries(names.map((name) => [name, states[name]]))).to.deep.equal({
    ...Object.fromEntries(names.map((name) => [name, 0])),
    ...expected,
  });
}

describe('records of states that have ended', () => {
  for (const version of NEW_VERSIONS) {
    const state = simState(1, counted(3, 300));

    it(`do not open them again: an answer behind the delete (${version})`, () => {
      const converter = new StateConverter().message(insertOf(state, version), T0);
      converter.message(deleteOf(state, version), T0 + 1000);
      converter.message(updateOf(state, version), T0 + 1200);
      expect(converter.tracker.table.size).to.equal(0);
      expectStates(converter, { ended: 1, lateRecords: 1 });
    });

    it(`do not open them again: an answer behind a clear, and a compressed update (${version})`, () => {
      const converter = new StateConverter().message(insertOf(state, version), T0);
      converter.message(clearOf('', version), T0 + 1000);
      converter.message(updateOf(state, version), T0 + 1200);
      converter.message(compressedUpdateOf(state, version), T0 + 1300);
      expect(converter.tracker.table.size).to.equal(0);
      expectStates(converter, { ended: 1, lateRecords: 1, unknownUpdates: 1 });
    });

    it(`end them once: the delete of the other firewall (${version})`, () => {
      const converter = new StateConverter().message(insertOf(state, version), T0, 1);
      converter.message(deleteOf(state, version), T0 + 1000, 1);
      converter.message(deleteOf(state, version), T0 + 2500, 2);
      expectStates(converter, { ended: 1, lateRecords: 1 });
      expect(converter.records.length).to.equal(2);
    });

    it(`are forgotten after some minutes, and with an insert, which is of a new state (${version})`, () => {
      const converter = new StateConverter().message(insertOf(state, version), T0);
      converter.message(deleteOf(state, version), T0 + 1000);
      converter.message(insertOf(state, version), T0 + 2000);
      expect(converter.tracker.table.size).to.equal(1);
      converter.message(deleteOf(state, version), T0 + 3000);
      converter.message(updateOf(state, version), T0 + 600_000);
      expect(converter.tracker.table.size).to.equal(1);
      expectStates(converter, { ended: 2 });
    });
  }

  it('are late in every year', () => {
    for (const time of [
      Date.UTC(1999, 1),
      Date.UTC(2038, 0, 19, 3, 14, 7),
      Date.UTC(2040, 1),
      Date.UTC(2150, 1),
    ]) {
      const converter = new StateConverter().message(insertOf(simState(1)), time);
      converter.message(deleteOf(simState(1)), time + 1000).message(deleteOf(simState(1)), time + 2000);
      expectStates(converter, { ended: 1, lateRecords: 1 });
    }
  });

  it('a delete of a state that was never seen is another matter', () => {
    const converter = new StateConverter().message(deleteOf(simState(1)), T0);
    expectStates(converter, { unknownDeletes: 1 });
  });

  it('a state with the key of another connection ends that and is a new one, whatever record tells of it', () => {
    const other = { originalSource: { address: '192.0.2.99', port: 9 }, ...counted(1, 70) };
    for (const record of [insertOf, updateOf]) {
      const converter = new StateConverter().message(insertOf(simState(1, counted(2, 200))), T0);
      converter.message(record(simState(1, other)), T0 + 1000);
      expect(converter.tracker.table.size).to.equal(1);
      converter.message(deleteOf(simState(1)), T0 + 2000);
      expectStates(converter, { ended: 2 });
      const forward = converter.records.filter(({ pf }) => !pf.reply);
      expect(forward.map((flow) => [flow.sourceIPv4Address, flow.octetDeltaCount])).to.deep.equal([
        ['192.0.2.1', 200n],
        ['192.0.2.99', 70n],
      ]);
    }
    const converter = new StateConverter().message(insertOf(simState(1, counted(2, 200)), 'v3'), T0);
    converter.message(fullDeleteOf(simState(1, other)), T0 + 2000);
    expectStates(converter, { ended: 2 });
    expect(
      converter.records
        .filter(({ pf }) => !pf.reply)
        .map(({ pf }) => pf.counters)
        .sort(),
    ).to.deep.equal(['exact', 'partial']);
  });
});

/** As OpenBSD 7.4 and later write them: PFTM_UNLINKED, no peers, nothing left to live. */
function deadState(n: number, more: Partial<SimState> = {}): SimState {
  const peer = { seqlo: 0, state: 0 };
  return simState(n, { timeout: 22, expire: 0, peers: [peer, peer], ...more });
}

describe('records of dead states', () => {
  for (const record of [insertOf, updateOf]) {
    it(`end an open one with their counters (${record === insertOf ? 'insert' : 'update'})`, () => {
      const converter = new StateConverter().message(insertOf(simState(1, counted(1, 60))), T0);
      converter.message(compressedUpdateOf(simState(1)), T0 + 3000);
      converter.message(record(deadState(1, counted(9, 900))), T0 + 5000);
      converter.message(deleteOf(simState(1)), T0 + 5500);
      expect(
        converter.records.map(({ pf, octetDeltaCount }) => [pf.counters, octetDeltaCount]),
      ).to.deep.equal([
        ['exact', 900n],
        ['exact', 900n],
      ]);
      expectStates(converter, { ended: 1, lateRecords: 1 });
    });

    it(`are all that is told of one that was never seen (${record === insertOf ? 'insert' : 'update'})`, () => {
      const converter = new StateConverter().message(
        record(deadState(1, { ...counted(9, 900), creation: 4 })),
        T0,
      );
      expect(converter.tracker.table.size).to.equal(0);
      const [flow] = converter.records;
      expect([flow?.pf.counters, flow?.octetDeltaCount, flow?.flowStartMilliseconds]).to.deep.equal([
        'exact',
        900n,
        T0 - 4000,
      ]);
      converter.message(deleteOf(simState(1)), T0 + 500);
      expectStates(converter, { ended: 1, lateRecords: 1 });
    });

    it(`change nothing when their state has ended (${record === insertOf ? 'insert' : 'update'})`, () => {
      const converter = new StateConverter().message(insertOf(simState(1, counted(1, 60))), T0);
      converter.message(clearOf(), T0 + 1000).message(record(deadState(1, counted(9, 900))), T0 + 1100);
      expect(converter.tracker.table.size).to.equal(0);
      expect(converter.records.map(({ octetDeltaCount }) => octetDeltaCount)).to.deep.equal([60n, 60n]);
      expectStates(converter, { ended: 1, lateRecords: 1 });
    });
  }

  it('tell the observer of each once that it appeared and ended', () => {
    const seen: string[] = [];
    const converter = new StateConverter({
      observer: () => ({
        appeared: () => seen.push('appeared'),
        ended: () => seen.push('ended'),
      }),
    });
    converter.message(insertOf(deadState(1, counted(1, 60))), T0).message(deleteOf(simState(1)), T0);
    expect(seen).to.deep.equal(['appeared', 'ended']);
  });

  for (const version of ['v5-1301', 'v5-1400', 'v5-1500'] as const) {
    it(`are OpenBSD's only: from 20 on ${version} has the timeouts of SCTP`, () => {
      const sctp = simState(1, { ...counted(1, 60), proto: 132, protoAfter: 132, timeout: 22 });
      const converter = new StateConverter().message(insertOf(sctp, version), T0);
      expect(converter.tracker.table.size).to.equal(1);
      expect(converter.records).to.deep.equal([]);
    });
  }
});

describe('states that pf never synchronises', () => {
  const NO_SYNC_AT = 260;

  function bulk(records: readonly Buffer[], version: WireVersion = 'v6'): StateConverter {
    const converter = new StateConverter().message(busOf('start', version), T0);
    converter.message(encodeMessage(version, [{ action: 'update', records }]), T0 + 10);
    return converter.message(busOf('end', version), T0 + 20);
  }

  it('are not taken up from a bulk update: marked as such, or of pfsync itself', () => {
    const noSync = encodeState('v6', simState(1, counted(1, 60)));
    noSync.writeUInt16BE(noSync.readUInt16BE(NO_SYNC_AT) | 0x0008, NO_SYNC_AT);
    const pfsync = encodeState('v6', simState(2, { ...counted(1, 60), proto: 240, protoAfter: 240 }));
    const plain = encodeState('v6', simState(3, counted(1, 60)));
    const converter = bulk([noSync, pfsync, plain]);
    expect(converter.tracker.table.size).to.equal(1);
    expectStates(converter, { neverSynced: 2 });
    converter.flush(T0 + 1000);
    expect(converter.records.map(({ pf }) => pf.stateId)).to.deep.equal(Array(2).fill('0000000000000003'));
  });

  it('of protocol 240 are none in any version', () => {
    for (const version of NEW_VERSIONS) {
      const pfsync = encodeState(version, simState(2, { ...counted(1, 60), proto: 240, protoAfter: 240 }));
      const converter = bulk([pfsync], version);
      expect(converter.tracker.table.size).to.equal(0);
      expectStates(converter, { neverSynced: 1 });
    }
  });

  it('have other flags in version 6 only', () => {
    // The other flags of pfvar.h, all at once.
    const flags = encodeState('v6', simState(1, counted(1, 60)));
    flags.writeUInt16BE(0xffff & ~0x0008, NO_SYNC_AT);
    expect(bulk([flags]).tracker.table.size).to.equal(1);
  });
});

describe('traffic beside a bulk update', () => {
  for (const version of ['v5-openbsd', 'v5-1301', 'v6-openbsd47'] as const) {
    it(`is what compressed updates in the message of its end show (${version})`, () => {
      const state = simState(1, counted(1, 60));
      const converter = new StateConverter().message(insertOf(state, version), T0);
      converter.message(busOf('start', version), T0 + 10_000);
      // The kernel sends all that is queued in one message.
      const end = busOf('end', version);
      const recordOfBus = end.subarray(24, 36);
      const message = encodeMessage(version, [
        { action: 'bus', records: [recordOfBus] },
        { action: 'compressedUpdate', records: [encodeCompressedUpdate(version, state)] },
      ]);
      converter.message(message, T0 + 20_000);
      // It dies of age 60 s after that packet, which is also within the time of the insert's.
      converter.message(deleteOf(state, version), T0 + 80_500);
      for (const { pf, flowEndMilliseconds } of converter.records) {
        expect([pf.counters, flowEndMilliseconds]).to.deep.equal(['partial', T0 + 20_000]);
      }
    });

    it(`is none of full updates behind its end, in its message or in later ones (${version})`, () => {
      const state = simState(1, counted(1, 60));
      const converter = new StateConverter().message(insertOf(state, version), T0);
      const message = encodeMessage(version, [
        { action: 'bus', records: [busOf('end', version).subarray(24, 36)] },
        { action: 'update', records: [encodeState(version, { ...state, expire: 40 })] },
      ]);
      converter.message(message, T0 + 20_000);
      converter.message(updateOf({ ...state, expire: 30 }, version), T0 + 30_000);
      converter.message(deleteOf(state, version), T0 + 62_000);
      const [flow] = converter.records;
      expect([flow?.pf.counters, flow?.flowEndMilliseconds]).to.deep.equal(['exact', T0]);
    });
  }
});
