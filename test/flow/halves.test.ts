import { expect } from 'chai';
import { STATE_V6 } from '../../protocol/pfsync/layout.js';
import { StateRow } from '../../protocol/pfsync/state.js';
import { HalfDetector } from '../../src/flow/halves.js';
import { Stats } from '../../src/observe/statistics.js';
import { summaryText } from '../../src/observe/summary.js';
import { encodeState, type SimState } from '../peer/pfsync-writer.js';
import { readState } from '../peer/read-states.js';

function state(n: number, direction: 'in' | 'out', nat = false): StateRow {
  const source = { address: `10.0.${n >> 8}.${n & 255}`, port: 1024 + n };
  const destination = { address: '198.51.100.7', port: 443 };
  const outside = nat ? { address: '192.0.2.1', port: 50000 + n } : source;
  const sim: SimState = {
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
  const octets = encodeState('v6', sim);
  const view = new StateRow();
  readState(view, octets, STATE_V6);
  return view;
}

describe('halves of forwarded connections', () => {
  for (const nat of [false, true]) {
    it(`are seen, ${nat ? 'with' : 'without'} NAT on the way out`, () => {
      const halves = new HalfDetector();
      for (let n = 0; n < 100; n++) {
        halves.note(state(n, 'in'));
        halves.note(state(n, 'out', nat));
      }
      expect(halves.pairs).to.equal(100);
      expect(halves.areMost).to.equal(true);
    });
  }

  it('are not seen where every connection has one state', () => {
    const halves = new HalfDetector();
    for (let n = 0; n < 1000; n++) halves.note(state(n, n % 2 === 0 ? 'in' : 'out'));
    expect(halves.pairs).to.equal(0);
    expect(halves.areMost).to.equal(false);
  });

  it('make the summary tell what -S in would do', () => {
    const stats = new Stats();
    for (let n = 0; n < 50; n++) {
      stats.halves.note(state(n, 'in'));
      stats.halves.note(state(n, 'out'));
    }
    expect(summaryText(stats, [])).to.match(/-S in/);
    expect(summaryText(new Stats(), [])).to.not.match(/-S in/);
  });
});
