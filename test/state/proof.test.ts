import { expect } from 'chai';
import { encodeMessage, encodeState, type WireVersion } from '../peer/pfsync-writer.js';
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
const NEW_VERSIONS = ['v5-openbsd', 'v5-1301', 'v5-1400', 'v5-1500', 'v6-openbsd47', 'v6'] as const;
const OLD_VERSIONS = ['v2', 'v3', 'v4', 'v4-dragonfly'] as const;

/** Reported with a minute to live. */
const STATE = simState(1, { ...counted(3, 300), expire: 60 });

/** Provenance of the flow that a delete at `time` ends, and who told its counters. */
function told(converter: StateConverter, time: number, version: WireVersion = 'v6') {
  const [flow] = converter.message(deleteOf(STATE, version), time).records;
  return [flow?.pf.counters, flow?.pf.countersFrom, flow?.flowEndReason];
}

const EXACT_INSERT = ['exact', 'insert', 1];
const EXACT_UPDATE = ['exact', 'update', 1];

describe('counters that are proven final', () => {
  for (const version of NEW_VERSIONS) {
    const opened = () => new StateConverter().message(insertOf(STATE, version), T0);

    it(`are those of an insert or an answer, when the state dies of age in silence (${version})`, () => {
      for (const late of [-1000, 0, 3000, 25_000]) {
        expect(told(opened(), T0 + 60_000 + late, version), `${late} ms`).to.deep.equal(EXACT_INSERT);
      }
      const answered = opened().message(compressedUpdateOf(STATE, version), T0 + 5000);
      answered.message(updateOf({ ...STATE, ...counted(4, 400), expire: 57 }, version), T0 + 8000);
      expect(told(answered, T0 + 68_000, version)).to.deep.equal(EXACT_UPDATE);
    });

    it(`are none of a state that was killed, which says so, or that ends much later (${version})`, () => {
      for (const early of [1001, 30_000, 59_999]) {
        expect(told(opened(), T0 + 60_000 - early, version), `${early} ms`).to.deep.equal([
          'partial',
          'insert',
          4,
        ]);
      }
      expect(told(opened(), T0 + 85_001, version)).to.deep.equal(['partial', 'insert', 1]);
    });

    it(`are none where packets passed after them (${version})`, () => {
      for (const at of [1, 1000, 20_000, 59_000]) {
        const converter = opened().message(compressedUpdateOf(STATE, version), T0 + at);
        expect(told(converter, T0 + 61_000, version), `${at} ms`).to.deep.equal(['partial', 'insert', 1]);
      }
    });

    it(`are none where messages were lost since, but of what is reported afterwards (${version})`, () => {
      const lossy = opened();
      lossy.tracker.lost(T0 + 10_000);
      expect(told(lossy, T0 + 61_000, version)).to.deep.equal(['partial', 'insert', 1]);
      const answered = opened();
      answered.tracker.lost(T0 + 10_000);
      answered.message(updateOf({ ...STATE, expire: 40 }, version), T0 + 20_000);
      expect(told(answered, T0 + 61_000, version)).to.deep.equal(EXACT_UPDATE);
    });

    it(`do not seem killed where messages were lost: packets may have shortened their time (${version})`, () => {
      const lossy = opened();
      lossy.tracker.lost(T0 + 10_000);
      expect(told(lossy, T0 + 40_000, version)).to.deep.equal(['partial', 'insert', 1]);
    });

    it(`are none of a clear before its time (${version})`, () => {
      const [flow] = opened().message(clearOf('', version), T0 + 30_000).records;
      expect([flow?.pf.counters, flow?.flowEndReason]).to.deep.equal(['partial', 4]);
    });

    it(`are found by the newest answer, though its counters stand still (${version})`, () => {
      // Its age was set anew: with the first report the end would seem to come too late.
      const converter = opened().message(updateOf({ ...STATE, expire: 60 }, version), T0 + 40_000);
      expect(told(converter, T0 + 101_000, version)).to.deep.equal(EXACT_UPDATE);
    });

    it(`are not taken from lower counters (${version})`, () => {
      const converter = opened().message(updateOf({ ...STATE, ...counted(2, 200) }, version), T0 + 5000);
      const [flow] = converter.message(deleteOf(STATE, version), T0 + 61_000).records;
      expect([flow?.pf.counters, flow?.octetDeltaCount]).to.deep.equal(['exact', 300n]);
    });
  }

  for (const version of OLD_VERSIONS) {
    it(`are none of ${version}, whose inserts and updates are old when they are sent`, () => {
      const converter = new StateConverter().message(insertOf(STATE, version), T0);
      converter.message(updateOf(STATE, version), T0 + 1000);
      // The network's view of these versions: deletes without counters.
      expect(told(converter, T0 + 61_000, version).slice(0, 1)).to.deep.equal(['partial']);
    });
  }

  it('are none of a kernel that loses records: it fills the 16 octets behind the length of version 6', () => {
    const ruleset = Buffer.alloc(16);
    ruleset[15] = 1;
    for (const [record, version, isExact] of [
      ['insert', 'v6', false],
      ['update', 'v6', false],
      ['insert', 'v5-1301', true],
    ] as const) {
      const message = encodeMessage(version, [{ action: record, records: [encodeState(version, STATE)] }], {
        ruleset,
      });
      const converter = new StateConverter().message(message, T0);
      expect(told(converter, T0 + 61_000, version)[0]).to.equal(isExact ? 'exact' : 'partial');
    }
    // One such record is enough, whatever comes later.
    const mixed = new StateConverter().message(insertOf(STATE, 'v6', { ruleset }), T0);
    mixed.message(updateOf(STATE), T0 + 1000);
    expect(told(mixed, T0 + 61_000)[0]).to.equal('partial');
  });

  it('are 0 of a state without packets, which is no flow then', () => {
    const empty = { ...STATE, ...counted(0, 0) };
    const converter = new StateConverter().message(insertOf(empty), T0);
    converter.message(deleteOf(empty), T0 + 61_000);
    expect(converter.records).to.deep.equal([]);
    expect(converter.statistics.skipped.toObject()).to.deep.equal({ noPackets: 1 });
    converter.expectSums();
  });

  it('leave out the direction that had no packets', () => {
    const oneWay = { ...STATE, packets: [3n, 0n], bytes: [300n, 0n] } as const;
    const converter = new StateConverter().message(insertOf(oneWay), T0);
    converter.message(deleteOf(oneWay), T0 + 61_000);
    expect(converter.records.map(({ pf }) => pf.reply)).to.deep.equal([false]);
  });

  it('are no more than what sequence numbers tell, and never raised by them', () => {
    const tcp = tcpState(1, [1000, 2000], [9, 9], { ...counted(3, 300), expire: 90, timeout: 5 });
    const converter = new StateConverter().message(
      insertOf({ ...tcp, peers: tcpState(1, [900, 900]).peers }),
      T0,
    );
    converter.message(updateOf(tcp), T0 + 2000);
    const [flow] = converter.message(deleteOf(tcp), T0 + 93_000).records;
    expect([flow?.pf.counters, flow?.octetDeltaCount, flow?.flowEndReason]).to.deep.equal(['exact', 300n, 3]);
  });
});

describe('where counters come from', () => {
  it('is said of exact, partial and sequence counters, and not of unknown ones', () => {
    const full = new StateConverter().message(fullDeleteOf(STATE), T0).records[0]?.pf;
    expect([full?.counters, full?.countersFrom, full?.countersAge]).to.deep.equal([
      'exact',
      'delete',
      undefined,
    ]);
    const unknown = new StateConverter().message(insertOf(simState(1)), T0);
    const [none] = unknown
      .message(compressedUpdateOf(STATE), T0 + 1)
      .message(deleteOf(STATE), T0 + 30_000).records;
    expect([none?.pf.counters, none?.pf.countersFrom]).to.deep.equal(['none', undefined]);
    expect([none?.octetDeltaCount, none?.packetDeltaCount]).to.deep.equal([undefined, undefined]);
    const updated = new StateConverter()
      .message(insertOf(simState(1)), T0)
      .message(updateOf(STATE), T0 + 2000);
    const [partial] = updated.message(deleteOf(STATE), T0 + 12_400).records;
    expect([partial?.pf.counters, partial?.pf.countersFrom, partial?.pf.countersAge]).to.deep.equal([
      'partial',
      'update',
      10,
    ]);
  });
});

describe('counters from pfctl', () => {
  /** As the state table takes them; 60 s to live unless told. */
  const printed = (n: number, packets: number, age: number, remaining = 60) => {
    const view = new DataView(new ArrayBuffer(32));
    view.setBigUint64(0, (1n << 32n) + BigInt(packets));
    view.setBigUint64(8, BigInt(packets));
    const key = new DataView(new ArrayBuffer(12));
    key.setBigUint64(0, BigInt(n));
    key.setUint32(8, STATE.creatorId);
    return {
      idFirst: key.getInt32(0, true),
      idSecond: key.getInt32(4, true),
      creatorId: key.getInt32(8, true),
      age,
      remaining,
      view,
    };
  };

  it('win over what pfsync told, and say how old they are', () => {
    const converter = new StateConverter();
    converter.message(insertOf(simState(1, counted(1, 60))), T0);
    expect(converter.tracker.reportCounters(printed(1, 77, 21), T0 + 20_000)).to.equal(true);
    converter.message(deleteOf(simState(1)), T0 + 27_000);
    const [flow] = converter.records;
    expect([flow?.packetDeltaCount, flow?.octetDeltaCount]).to.deep.equal([77n, 2n ** 32n + 77n]);
    expect([flow?.pf.counters, flow?.pf.countersFrom, flow?.pf.countersAge]).to.deep.equal([
      'partial',
      'pfctl',
      7,
    ]);
    // The counters moved, so traffic passed; and the state was older than its insert.
    expect(flow?.flowEndMilliseconds).to.equal(T0 + 20_000);
    expect(flow?.flowStartMilliseconds).to.equal(T0 - 1000);
  });

  it('of states that pfsync never named are left alone', () => {
    const converter = new StateConverter();
    expect(converter.tracker.reportCounters(printed(9, 1, 1), T0)).to.equal(false);
    expect(converter.tracker.table.size).to.equal(0);
  });

  it('are proven final as those of pfsync are, from the start of the poll on', () => {
    const polled = (remaining: number, then: (converter: StateConverter) => void = () => {}) => {
      const converter = new StateConverter().message(insertOf(simState(1, counted(1, 60))), T0);
      converter.message(compressedUpdateOf(STATE), T0 + 4000);
      converter.tracker.reportCounters(printed(1, 77, 10, remaining), T0 + 10_000);
      then(converter);
      return told(converter, T0 + 72_000);
    };
    expect(polled(60)).to.deep.equal(['exact', 'pfctl', 1]);
    expect(polled(120)).to.deep.equal(['partial', 'pfctl', 4]);
    expect(polled(-1), 'where it does not say how long the state has to live').to.deep.equal([
      'partial',
      'pfctl',
      1,
    ]);
    const traffic = (converter: StateConverter) => converter.message(compressedUpdateOf(STATE), T0 + 10_200);
    expect(polled(60, traffic)).to.deep.equal(['partial', 'pfctl', 1]);
  });

  it('are traffic of the firewall that pfctl runs on, whoever sent the last message', () => {
    const converter = new StateConverter().message(insertOf(simState(1, counted(1, 60))), T0, 1);
    // The second firewall speaks of another state.
    converter.message(insertOf(simState(2)), T0 + 5000, 2);
    converter.tracker.reportCounters(printed(1, 77, 10), T0 + 10_000);
    expect(told(converter, T0 + 72_000)).to.deep.equal(['exact', 'pfctl', 1]);
  });

  it('begin the count of sequence numbers anew', () => {
    const converter = new StateConverter().message(insertOf(tcpState(1, [1000, 2000])), T0);
    converter.message(compressedUpdateOf(tcpState(1, [90_000, 2000])), T0 + 1000);
    converter.tracker.reportCounters(printed(1, 77, 10, 86_400), T0 + 10_000);
    // What lies between the poll and the next number is in the counters or not: nobody knows.
    converter.message(compressedUpdateOf(tcpState(1, [95_000, 2000])), T0 + 11_000);
    converter.message(compressedUpdateOf(tcpState(1, [95_010, 2000])), T0 + 12_000);
    const [flow] = converter.message(deleteOf(simState(1)), T0 + 13_000).records;
    expect([flow?.pf.counters, flow?.octetDeltaCount]).to.deep.equal(['tcpseq', 2n ** 32n + 77n + 10n]);
  });
});
