import { expect } from 'chai';
import fc from 'fast-check';
import { wireTimes } from '../../protocol/export/wire-time.js';
import { END_WIRE, ROW_OCTETS, START_WIRE } from '../../protocol/flow/row.js';
import { SampleRows } from '../peer/flow-sample.js';

describe('absolute times', () => {
  it('are milliseconds, cut to whole ones, and none is before 1970', () => {
    const time = fc.oneof(
      fc.integer({ min: -5000, max: 5000 }),
      fc.double({ min: 0, max: 2 ** 43, noNaN: true }),
      fc.constantFrom(-1e15, 999.999, 2 ** 32 - 1, 2 ** 32, 2 ** 51 - 1, 2 ** 53 - 1),
    );
    fc.assert(
      fc.property(time, time, (start, end) => {
        const samples = new SampleRows();
        const row = samples.add({ start, end });
        wireTimes(samples.rows)(row);
        const at = (word: number) => samples.rows.view.getBigUint64(row * ROW_OCTETS + 4 * word);
        const whole = (time: number) => BigInt(Math.floor(Math.max(0, time)));
        expect([at(START_WIRE), at(END_WIRE)]).to.deep.equal([whole(start), whole(end)]);
      }),
      { numRuns: 1000 },
    );
  });
});
