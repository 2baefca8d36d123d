import { expect } from 'chai';
import fc from 'fast-check';
import { AGE, EXPIRE, OCTETS, PACKETS, PROTOCOLS, REPLY_COUNTERS, ROW } from '../../protocol/flow/row.js';
import {
  END_OF_FLOW,
  EXACT,
  FORCED_END,
  FORWARD,
  FROM_DELETE,
  IDLE_TIMEOUT,
  NONE,
  PARTIAL,
  REPLY,
  TCPSEQ,
} from '../../protocol/flow/terms.js';
import { type FilterOptions, StateFilter } from '../../src/flow/filter.js';
import { type FlowMapper, flowMapper } from '../../src/flow/mapper.js';
import { Statistics } from '../../src/observe/statistics.js';
import { NOW, type Sample, SampleRows } from '../peer/flow-sample.js';

/** A mapper over samples, and what came out of it. */
class Bench {
  readonly samples = new SampleRows();
  readonly statistics = new Statistics();
  readonly out: [first: number, count: number][] = [];
  readonly mapper: FlowMapper;

  constructor(options: Partial<FilterOptions> = {}) {
    const { samples, statistics } = this;
    const filter = new StateFilter(samples.rows, { direction: 'any', noUncounted: false, ...options });
    const next = { add: (first: number, count: number) => this.out.push([first, count]) };
    this.mapper = flowMapper(samples, filter, statistics, next);
  }

  /** The directions of samples that ended together. */
  ended(...samples: Sample[]): number[] {
    const first = this.samples.count;
    for (const sample of samples) this.samples.add(sample);
    this.mapper.ended(first, samples.length);
    return samples.map((_, n) => this.samples.view(first + n).directions);
  }

  get skipped(): Record<string, number> {
    return this.statistics.skipped.toObject();
  }
}

/** The counters of a state, in the order of the row: octets and packets of the initiator, and those of the replies. */
const COUNTERS = [OCTETS, PACKETS, OCTETS + REPLY_COUNTERS, PACKETS + REPLY_COUNTERS];

/** The directions of a state in which one counter alone is not 0, and in that one only its highest bit is set. */
function directionsOf(only: number, counters: number): number {
  const bench = new Bench();
  const row = bench.samples.add({ octets: 0n, packets: 0n, counters });
  bench.samples.rows.view.setUint32(4 * (row * ROW + COUNTERS[only]!), 2 ** 31);
  bench.mapper.ended(row, 1);
  return bench.samples.view(row).directions;
}

describe('the flows of ended states', () => {
  it('have the directions that had packets, and where counters are not final also those with octets', () => {
    const all = [0, 1, 2, 3];
    expect(all.map((only) => directionsOf(only, EXACT))).to.deep.equal([0, FORWARD, 0, REPLY]);
    for (const counters of [PARTIAL, TCPSEQ]) {
      const both = FORWARD | REPLY;
      expect(all.map((only) => directionsOf(only, counters))).to.deep.equal([FORWARD, FORWARD, both, both]);
    }
  });

  it('have a forward record where nothing is known, and where an earlier record reported a part', () => {
    expect(new Bench().ended({ octets: 0n, packets: 0n, counters: NONE })).to.deep.equal([FORWARD]);
    expect(new Bench().ended({ octets: 0n, packets: 0n, isContinued: true })).to.deep.equal([FORWARD]);
  });

  it('keep no counters of a direction that they have no record for', () => {
    const bench = new Bench();
    const row = bench.samples.add({ octets: 5n, packets: 1n });
    const flow = bench.samples.view(row);
    flow.setCounters(1, 7n, 0n);
    bench.mapper.ended(row, 1);
    expect(flow.directions).to.equal(FORWARD);
    expect([flow.octets(0), flow.packets(0), flow.octets(1), flow.packets(1)]).to.deep.equal([
      5n,
      1n,
      0n,
      0n,
    ]);
  });

  it('go on together, as the rows that they are in, unless none is left', () => {
    const bench = new Bench();
    expect(bench.ended({}, { octets: 0n, packets: 0n }, { replyOctets: 1n })).to.deep.equal([
      FORWARD,
      0,
      FORWARD | REPLY,
    ]);
    bench.ended({ octets: 0n, packets: 0n });
    expect(bench.out).to.deep.equal([[0, 3]]);
    expect(bench.statistics.states).to.include({ ended: 4, exported: 2 });
    expect(bench.skipped).to.deep.equal({ noPackets: 2 });
  });

  it('leave out a row that could not be read, which is no state', () => {
    const bench = new Bench();
    const row = bench.samples.add({});
    bench.samples.rows.words[row * ROW + PROTOCOLS] = 0;
    bench.mapper.ended(row, 1);
    expect(bench.samples.view(row).directions).to.equal(0);
    expect([bench.statistics.states.ended, bench.out]).to.deep.equal([0, []]);
  });

  it('stay or go with both their records, by the direction of the state', () => {
    const both = { replyOctets: 5n };
    for (const direction of ['in', 'out'] as const) {
      const bench = new Bench({ direction });
      const inbound = { ...both, state: { direction: 'in' as const } };
      const outbound = { ...both, state: { direction: 'out' as const } };
      const kept = bench.ended(inbound, outbound);
      expect(kept).to.deep.equal(direction === 'in' ? [3, 0] : [0, 3]);
      expect(bench.skipped).to.deep.equal({ direction: 1 });
    }
  });

  it('go when they are not counted, if that is asked for', () => {
    const bench = new Bench({ noUncounted: true });
    const samples = [EXACT, PARTIAL, TCPSEQ, NONE].map((counters) => ({ counters, replyOctets: 5n }));
    expect(bench.ended(...samples)).to.deep.equal([3, 3, 3, 0]);
    expect(bench.skipped).to.deep.equal({ uncounted: 1 });
  });

  it('are counted so that it adds up: ended is exported and skipped', () => {
    const sample = fc.record({
      octets: fc.constantFrom(0n, 5n),
      packets: fc.constantFrom(0n, 5n),
      counters: fc.constantFrom(EXACT, PARTIAL, TCPSEQ, NONE),
      isContinued: fc.boolean(),
      state: fc.record({ direction: fc.constantFrom('in' as const, 'out' as const) }),
    });
    const options = fc.record({
      direction: fc.constantFrom('any' as const, 'in' as const, 'out' as const),
      noUncounted: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(sample, { maxLength: 64 }), options, (samples, given) => {
        const bench = new Bench(given);
        const directions = bench.ended(...samples);
        const { states, skipped } = bench.statistics;
        expect(states.ended).to.equal(samples.length);
        expect(states.ended).to.equal(states.exported + skipped.total);
        expect(states.exported).to.equal(directions.filter((has) => has !== 0).length);
        expect(bench.out.length).to.equal(states.exported > 0 ? 1 : 0);
      }),
      { numRuns: 200 },
    );
  });
});

describe('a state that lives on', () => {
  it('gives records of the directions that had traffic since the last, and else none', () => {
    const bench = new Bench();
    const { samples, mapper } = bench;
    const rows = [
      { octets: 0n, packets: 0n },
      { octets: 5n, packets: 1n },
      { octets: 0n, packets: 0n, replyOctets: 5n },
      { octets: 5n, packets: 1n, replyOctets: 5n },
    ].map((sample) => samples.add({ ...sample, counters: PARTIAL, isContinued: true }));
    for (const row of rows) mapper.lives(row);
    expect(rows.map((row) => samples.view(row).directions)).to.deep.equal([0, FORWARD, REPLY, 3]);
    expect(bench.out).to.deep.equal([
      [1, 1],
      [2, 1],
      [3, 1],
    ]);
    expect(bench.statistics.states.ended).to.equal(0);
  });

  it('gives none where its flows are not wanted, which is no skipped state yet', () => {
    const bench = new Bench({ direction: 'in' });
    const row = bench.samples.add({ state: { direction: 'out' } });
    bench.mapper.lives(row);
    expect([bench.samples.view(row).directions, bench.out, bench.skipped]).to.deep.equal([0, [], {}]);
  });
});

describe('a full delete', () => {
  /** The flow of a record with this age and these seconds left to live. */
  function described(age: number, expire: number, state: Sample['state'] = {}) {
    const bench = new Bench();
    const row = bench.samples.add({ state });
    bench.samples.rows.words[row * ROW + AGE] = age;
    bench.samples.rows.words[row * ROW + EXPIRE] = expire;
    bench.mapper.describeDeleted(row, 1);
    return bench.samples.view(row);
  }
  const peers = (one: number, other: number) => ({
    peers: [
      { seqlo: 1, state: one },
      { seqlo: 2, state: other },
    ] as const,
  });

  it('tells when the flow began and ended, and exact counters', () => {
    const flow = described(61, 0);
    expect([flow.start, flow.end]).to.deep.equal([NOW - 61_000, NOW]);
    expect([flow.counters, flow.origin, flow.isContinued]).to.deep.equal([EXACT, FROM_DELETE, false]);
  });

  it('began when it is seen, where a clock that was set back makes its age negative', () => {
    expect(described(-5, 0).start).to.equal(NOW);
    expect(described(2 ** 31 - 1, 0).start).to.equal(NOW - 1000 * (2 ** 31 - 1));
  });

  it('tells why the flow ended', () => {
    const reasons = [
      described(1, 0, peers(4, 4)),
      described(1, 0, peers(9, 9)),
      described(1, 0, peers(10, 10)),
      described(1, 0, peers(9, 4)),
      described(1, 30, peers(9, 9)),
      described(1, 0, { ...peers(9, 9), proto: 17, protoAfter: 17 }),
    ].map((flow) => flow.endReason);
    expect(reasons).to.deep.equal([
      IDLE_TIMEOUT,
      END_OF_FLOW,
      END_OF_FLOW,
      IDLE_TIMEOUT,
      FORCED_END,
      IDLE_TIMEOUT,
    ]);
  });
});
