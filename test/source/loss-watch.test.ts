import { expect } from 'chai';
import { SourceCounts } from '../../src/observe/statistics.js';
import { LossWatch } from '../../src/source/loss-watch.js';

const NOTHING = new SourceCounts();

describe('losses of the live sources', () => {
  for (const name of ['kernelDrops', 'unread', 'restarts', 'overflows'] as const) {
    it(`are reported once, with the time when they were noticed: ${name}`, () => {
      const times: number[] = [];
      let now = 1000;
      const watch = new LossWatch(
        (time) => times.push(time),
        () => now,
      );
      watch.check(NOTHING);
      now = 2000;
      watch.check({ ...NOTHING, [name]: 3 });
      now = 3000;
      watch.check({ ...NOTHING, [name]: 3 });
      now = 4000;
      watch.check({ ...NOTHING, [name]: 4 });
      expect(times).to.deep.equal([2000, 4000]);
    });
  }

  it('are none where datagrams are refused or pfctl fails', () => {
    const watch = new LossWatch(() => expect.fail('a loss'));
    watch.check({ ...NOTHING, refused: 5, pfctlFailures: 2, pfctlRuns: 9 });
  });
});
