import { expect } from 'chai';
import fc from 'fast-check';
import { FlowRecord } from '../../protocol/flow/flow-record.js';
import { EXACT, FORWARD, NONE, PARTIAL, TCPSEQ } from '../../protocol/flow/terms.js';
import { newVolume } from '../../protocol/flow/volume.js';
import { Stats, Tally } from '../../src/observe/statistics.js';
import { addsUp, type ExporterResult, summaryJson, summaryText } from '../../src/observe/summary.js';
import { volumeOf } from '../peer/flow-sample.js';

function flowWith(counters: number, octets: bigint, packets: bigint): FlowRecord {
  const flow = new FlowRecord();
  flow.counters = counters;
  flow.directions = FORWARD;
  flow.state.writeVolume(volumeOf(0, octets, packets));
  return flow;
}

function busyStats(): Stats {
  const stats = new Stats();
  stats.packets = 1234567;
  stats.ignored.otherTraffic = 67;
  for (let n = 0; n < 3; n++) stats.addMessage(6);
  stats.addMessage(5);
  stats.addMessage(255);
  stats.damaged.add('recordTruncated', 2);
  stats.damaged.add('unknownVersion');
  stats.records.insert = 1000;
  stats.records.compressedDelete = 990;
  stats.unknownActions = 4;
  stats.states.ended = 990;
  stats.states.exported = 980;
  stats.states.open = 10;
  stats.states.unknownDeletes = 3;
  stats.skipped.add('empty', 7);
  stats.skipped.add('direction', 3);
  stats.addFlow(flowWith(EXACT, 2n ** 64n - 1n, 2n ** 53n + 1n));
  stats.addFlow(flowWith(EXACT, 2n ** 64n - 1n, 0n));
  stats.addFlow(flowWith(PARTIAL, 5n, 1n));
  stats.addFlow(flowWith(TCPSEQ, 0n, 0n));
  stats.addFlow(flowWith(NONE, 0n, 0n));
  return stats;
}

const EXPORTERS: ExporterResult[] = [
  {
    collector: 'udp://[2001:db8::1]:2055',
    version: 5,
    records: 1200,
    datagrams: 40,
    octets: 58560,
    filtered: 3,
    uncounted: 0,
    unsupported: 12,
    clamped: 1,
    clippedTimes: 2,
    lostRecords: 0,
    lostDatagrams: 0,
    errors: 0,
  },
  {
    collector: 'a "quoted" name',
    version: 10,
    records: 34,
    datagrams: 2,
    filtered: 0,
    uncounted: 0,
    unsupported: 0,
    clamped: 0,
    clippedTimes: 0,
    lostRecords: 30,
    lostDatagrams: 1,
    errors: 1,
  },
];

describe('the exact sum', () => {
  it('is that of the integers, however large', () => {
    const word = fc.oneof(fc.constant(0xffffffff), fc.integer({ min: 0, max: 0xffffffff }));
    fc.assert(
      fc.property(fc.array(fc.tuple(word, word), { maxLength: 50 }), (terms) => {
        const stats = new Stats();
        let expected = 0n;
        for (const [high, low] of terms) {
          const term = (BigInt(high) << 32n) | BigInt(low);
          stats.addFlow(flowWith(EXACT, term, 7n));
          expected += term;
        }
        expect(stats.octets).to.equal(expected);
        expect(stats.packetsCounted).to.equal(7n * BigInt(terms.length));
      }),
      { seed: 128 },
    );
  });

  it('carries out of both words', () => {
    const stats = new Stats();
    const flow = flowWith(EXACT, 0n, 0n);
    flow.state.writeVolume(newVolume().fill(-1));
    for (let n = 0; n < 100000; n++) stats.addFlow(flow);
    expect(stats.octets).to.equal(200000n * (2n ** 64n - 1n));
    expect(stats.packetsCounted).to.equal(200000n * (2n ** 64n - 1n));
  });
});

describe('a tally', () => {
  it('counts by name', () => {
    const tally = new Tally();
    tally.add('empty');
    tally.add('direction', 2);
    tally.add('empty');
    expect(tally.toObject()).to.deep.equal({ empty: 2, direction: 2 });
    expect([tally.total, tally.count('empty'), tally.count('other')]).to.deep.equal([4, 2, 0]);
  });
});

describe('the sums of a run', () => {
  it('add up', () => {
    expect(addsUp(busyStats())).to.equal(true);
    expect(addsUp(new Stats())).to.equal(true);
  });

  const faults: [what: string, spoil: (stats: Stats) => void][] = [
    ['a state that ended and left no trace', (stats) => stats.states.ended++],
    ['a state exported and skipped', (stats) => stats.skipped.add('empty')],
    ['a flow without provenance', (stats) => stats.flows++],
  ];
  for (const [what, spoil] of faults) {
    it(`do not add up with ${what}`, () => {
      const stats = busyStats();
      spoil(stats);
      expect(addsUp(stats)).to.equal(false);
    });
  }
});

describe('the summary in JSON', () => {
  const line = summaryJson(busyStats(), EXPORTERS);

  it('is one line', () => {
    expect(line).to.match(/^\{[^\n]*\}$/);
  });

  it('has every count', () => {
    const { octets, packetsCounted, states, ...rest } = JSON.parse(line);
    expect(rest).to.deep.equal({
      packets: 1234567,
      pfsyncMessages: 5,
      versions: { 5: 1, 6: 3, 255: 1 },
      ignored: { otherTraffic: 67, fragments: 0, unknownLinkTypes: 0 },
      damaged: { recordTruncated: 2, unknownVersion: 1 },
      pfsyncRecords: {
        insert: 1000,
        update: 0,
        delete: 0,
        compressedUpdate: 0,
        compressedDelete: 990,
        clear: 0,
        bulkUpdate: 0,
        acknowledge: 0,
        updateRequest: 0,
        tdb: 0,
        unknownActions: 4,
      },
      sources: {
        kernelDrops: 0,
        unread: 0,
        restarts: 0,
        refused: 0,
        overflows: 0,
        pfctlRuns: 0,
        pfctlFailures: 0,
      },
      forwarded: { statesSampled: 0, pairs: 0 },
      skipped: { empty: 7, direction: 3 },
      flows: 5,
      counters: { exact: 2, partial: 1, tcpseq: 1, none: 1 },
      records: 1234,
      datagrams: 42,
      collectors: EXPORTERS,
    });
    expect(states).to.include({ ended: 990, exported: 980, open: 10, unknownDeletes: 3, evicted: 0 });
    expect(octets).to.be.a('number');
    expect(packetsCounted).to.be.a('number');
  });

  it('has exact digits where a double would round', () => {
    expect(line).to.contain('"octets":36893488147419103235,');
    expect(line).to.contain('"packetsCounted":9007199254740994,');
  });

  it('has empty objects for a run that saw nothing', () => {
    const idle = JSON.parse(summaryJson(new Stats(), []));
    expect([idle.damaged, idle.skipped, idle.versions, idle.collectors]).to.deep.equal([{}, {}, {}, []]);
    expect([idle.records, idle.datagrams, idle.octets]).to.deep.equal([0, 0, 0]);
  });
});

const TEXT = [
  'packets                           1,234,567  other traffic 67',
  'pfsync messages                           5  v5 1, v6 3, v255 1',
  'damaged                                   3  record truncated 2, unknown version 1',
  'pfsync records                        1,990  insert 1,000, compressed delete 990, unknown actions 4',
  'states ended                            990  exported 980',
  'states skipped                           10  empty 7, direction 3',
  'states open                              10  unknown deletes 3',
  'flows                                     5  exact 2, partial 1, tcpseq 1, none 1',
  'octets           36,893,488,147,419,103,235',
  'packets counted       9,007,199,254,740,994',
  'sent             1,200 records in 40 datagrams to udp://[2001:db8::1]:2055 (v5); filtered 3, unsupported 12, clamped 1, clipped times 2',
  'sent             34 records in 2 datagrams to a "quoted" name (v10); lost records 30, lost datagrams 1, errors 1',
];

describe('the summary to read', () => {
  it('is a block of aligned lines', () => {
    expect(summaryText(busyStats(), EXPORTERS).split('\n')).to.deep.equal(TEXT);
  });
});
