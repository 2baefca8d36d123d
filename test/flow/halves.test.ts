import { expect } from 'chai';
import { HalfDetector } from '../../src/flow/halves.js';
import { HalfCounts, Statistics } from '../../src/observe/statistics.js';
import { summaryText } from '../../src/observe/summary.js';
import { SampleRows } from '../peer/flow-sample.js';
import type { SimState } from '../peer/pfsync-writer.js';

function state(n: number, direction: 'in' | 'out', nat = false): SimState {
  const source = { address: `10.0.${n >> 8}.${n & 255}`, port: 1024 + n };
  const destination = { address: '198.51.100.7', port: 443 };
  const outside = nat ? { address: '192.0.2.1', port: 50000 + n } : source;
  return {
    id: BigInt(n),
    creatorId: 1,
    ifname: direction === 'in' ? 'em1' : 'em0',
    direction,
    af: 4,
    afAfter: 4,
    proto: 6,
    protoAfter: 6,
    originalSource: source,
    originalDestination: destination,
    translatedSource: direction === 'out' ? outside : source,
    translatedDestination: destination,
    packets: [1n, 1n],
    bytes: [60n, 60n],
    creation: 1,
    expire: 0,
    timeout: 2,
    rule: 1,
    peers: [
      { seqlo: 1, state: 9 },
      { seqlo: 1, state: 9 },
    ],
  };
}

/** Gives the detector each state in a batch of its own. */
function look(detector: HalfDetector, samples: SampleRows, state: SimState): void {
  samples.count = 0;
  detector.add(samples.add({ state, interfaceName: state.ifname }), 1);
}

function detect(states: Iterable<SimState>): HalfCounts {
  const samples = new SampleRows();
  const counts = new HalfCounts();
  const detector = new HalfDetector(samples.rows, counts);
  for (const state of states) look(detector, samples, state);
  return counts;
}

function* forwarded(count: number, nat = false): Generator<SimState> {
  for (let n = 0; n < count; n++) {
    yield state(n, 'in');
    yield state(n, 'out', nat);
  }
}

const HINT = /Most states are halves .*--join/;

describe('halves of forwarded connections', () => {
  for (const nat of [false, true]) {
    it(`are seen, ${nat ? 'with' : 'without'} NAT on the way out`, () => {
      const { states, pairs, areMost } = detect(forwarded(100, nat));
      expect({ states, pairs, areMost }).to.deep.equal({ states: 200, pairs: 100, areMost: true });
    });
  }

  it('are not seen where every connection has one state', () => {
    const { pairs, areMost } = detect(
      Array.from({ length: 1000 }, (_, n) => state(n, n % 2 === 0 ? 'in' : 'out')),
    );
    expect({ pairs, areMost }).to.deep.equal({ pairs: 0, areMost: false });
  });

  it('are found among the states that end together, and rows that cannot be read are none', () => {
    const samples = new SampleRows();
    const counts = new HalfCounts();
    for (const one of forwarded(20)) samples.add({ state: one, interfaceName: one.ifname });
    new HalfDetector(samples.rows, counts).add(0, samples.count);
    expect([counts.states, counts.pairs]).to.deep.equal([40, 20]);
    const none = new HalfCounts();
    new HalfDetector(new SampleRows().rows, none).add(0, 10);
    expect(none.states).to.equal(0);
  });

  it('make the summary tell what can be done about them', () => {
    const samples = new SampleRows();
    const statistics = new Statistics();
    const detector = new HalfDetector(samples.rows, statistics.halves);
    for (const one of forwarded(50)) look(detector, samples, one);
    expect(summaryText(statistics, [])).to.match(HINT);
    expect(summaryText(new Statistics(), [])).to.not.match(HINT);
  });
});
