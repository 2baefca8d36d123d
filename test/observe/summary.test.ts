import { expect } from 'chai';
import fc from 'fast-check';
import { Statistics, Sum, Tally } from '../../src/observe/statistics.js';
import { addsUp, type SinkResult, summaryJson, summaryText } from '../../src/observe/summary.js';

const WORD = 2n ** 32n;

function addTo(sum: Sum, term: bigint): void {
  sum.add(Number(term % WORD), Number(term / WORD));
}

function busyStatistics(): Statistics {
  const statistics = new Statistics();
  statistics.packets = 1234567;
  statistics.ignored.otherTraffic = 67;
  for (let n = 0; n < 3; n++) statistics.addMessage(6);
  statistics.addMessage(5);
  statistics.addMessage(255);
  statistics.damaged.add('recordTruncated', 2);
  statistics.damaged.add('unknownVersion');
  statistics.records.insert = 1000;
  statistics.records.compressedDelete = 990;
  statistics.unknownActions = 4;
  Object.assign(statistics.states, { ended: 990, exported: 975, joined: 5, open: 10, unknownDeletes: 3 });
  statistics.skipped.add('empty', 7);
  statistics.skipped.add('direction', 3);
  statistics.flows = 5;
  Object.assign(statistics.counters, { exact: 2, partial: 1, tcpseq: 1, none: 1 });
  for (const octets of [2n ** 64n - 1n, 2n ** 64n - 1n, 5n]) addTo(statistics.octets, octets);
  for (const packets of [2n ** 53n + 1n, 0n, 1n]) addTo(statistics.packetsCounted, packets);
  return statistics;
}

const COLLECTORS: SinkResult[] = [
  {
    kind: 'collector',
    collector: 'udp://[2001:db8::1]:2055',
    version: 5,
    records: 1200,
    datagrams: 40,
    octets: 58560,
    filtered: 3,
    unsupported: 12,
    clamped: 1,
    clippedTimes: 2,
    lostRecords: 0,
    lostDatagrams: 0,
    errors: 0,
  },
  {
    kind: 'collector',
    collector: 'a "quoted" name',
    version: 10,
    records: 34,
    datagrams: 2,
    octets: 2000,
    filtered: 0,
    unsupported: 0,
    clamped: 0,
    clippedTimes: 0,
    lostRecords: 30,
    lostDatagrams: 1,
    errors: 1,
  },
];
const OTHERS: SinkResult[] = [
  { kind: 'output', output: 'flows.json', records: 1200, lostRecords: 0, errors: 0 },
  { kind: 'output', output: '-', records: 1100, lostRecords: 100, errors: 2 },
  { kind: 'relay', relay: 'fw2:2056', messages: 1000, octets: 64000, tooLong: 2, lostRecords: 7, errors: 5 },
];
const RESULTS = [...COLLECTORS, ...OTHERS];

/** As JSON has them. */
function counts(results: readonly SinkResult[]): object[] {
  return results.map(({ kind, ...rest }) => rest);
}

describe('the exact sum', () => {
  it('is that of the integers, however large', () => {
    const word = fc.oneof(fc.constant(0xffffffff), fc.integer({ min: 0, max: 0xffffffff }));
    fc.assert(
      fc.property(fc.array(fc.tuple(word, word), { maxLength: 50 }), (terms) => {
        const sum = new Sum();
        for (const [high, low] of terms) sum.add(low, high);
        const expected = terms.reduce((total, [high, low]) => total + BigInt(high) * WORD + BigInt(low), 0n);
        expect(sum.value).to.equal(expected);
      }),
      { seed: 128 },
    );
  });

  it('carries out of both words', () => {
    const sum = new Sum();
    for (let n = 0; n < 200000; n++) sum.add(0xffffffff, 0xffffffff);
    expect(sum.value).to.equal(200000n * (2n ** 64n - 1n));
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
    expect(addsUp(busyStatistics())).to.equal(true);
    expect(addsUp(new Statistics())).to.equal(true);
  });

  const faults: [what: string, spoil: (statistics: Statistics) => void][] = [
    ['a state that ended without an account', (statistics) => statistics.states.ended++],
    ['a state exported and skipped', (statistics) => statistics.skipped.add('empty')],
    ['a state exported and joined', (statistics) => statistics.states.joined++],
    ['a flow without provenance', (statistics) => statistics.flows++],
  ];
  for (const [what, spoil] of faults) {
    it(`do not add up with ${what}`, () => {
      const statistics = busyStatistics();
      spoil(statistics);
      expect(addsUp(statistics)).to.equal(false);
    });
  }
});

describe('the summary in JSON', () => {
  const line = summaryJson(busyStatistics(), RESULTS);

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
      requests: { messages: 0, states: 0, bulk: 0, unanswered: 0, notAsked: 0, failures: 0 },
      forwarded: { statesSampled: 0, pairs: 0 },
      joins: { differing: 0, alone: 0, early: 0 },
      skipped: { empty: 7, direction: 3 },
      flows: 5,
      counters: { exact: 2, partial: 1, tcpseq: 1, none: 1 },
      records: 1234,
      datagrams: 42,
      collectors: counts(COLLECTORS),
      outputs: counts(OTHERS.slice(0, 2)),
      relay: counts(OTHERS)[2],
    });
    expect(states).to.include({
      ended: 990,
      exported: 975,
      joined: 5,
      open: 10,
      unknownDeletes: 3,
      evicted: 0,
    });
    expect(octets).to.be.a('number');
    expect(packetsCounted).to.be.a('number');
  });

  it('has exact digits where a double would round', () => {
    expect(line).to.contain('"octets":36893488147419103235,');
    expect(line).to.contain('"packetsCounted":9007199254740994,');
  });

  it('has empty objects for a run that saw nothing', () => {
    const idle = JSON.parse(summaryJson(new Statistics(), []));
    expect([idle.damaged, idle.skipped, idle.versions, idle.collectors]).to.deep.equal([{}, {}, {}, []]);
    expect([idle.states.joined, idle.outputs, idle.relay]).to.deep.equal([0, [], undefined]);
    expect([idle.records, idle.datagrams, idle.octets]).to.deep.equal([0, 0, 0]);
  });
});

const TEXT = [
  'packets                           1,234,567  other traffic 67',
  'pfsync messages                           5  v5 1, v6 3, v255 1',
  'damaged                                   3  record truncated 2, unknown version 1',
  'pfsync records                        1,990  insert 1,000, compressed delete 990, unknown actions 4',
  'states ended                            990  exported 975, joined 5',
  'states skipped                           10  empty 7, direction 3',
  'states open                              10  unknown deletes 3',
  'flows                                     5  exact 2, partial 1, tcpseq 1, none 1',
  'octets           36,893,488,147,419,103,235',
  'packets counted       9,007,199,254,740,994',
  'sent             1,200 records in 40 datagrams to udp://[2001:db8::1]:2055 (v5); filtered 3, unsupported 12, clamped 1, clipped times 2',
  'sent             34 records in 2 datagrams to a "quoted" name (v10); lost records 30, lost datagrams 1, errors 1',
  'written          1,200 records to flows.json',
  'written          1,100 records to standard output; lost records 100, errors 2',
  'relayed          1,000 messages of 64,000 octets to fw2:2056; too long 2, lost messages 7, errors 5',
];

describe('the summary to read', () => {
  it('is a block of aligned lines', () => {
    expect(summaryText(busyStatistics(), RESULTS).split('\n')).to.deep.equal(TEXT);
  });
});
