import { expect } from 'chai';
import { ROW } from '../../protocol/flow/row.js';
import { STATE_V3, STATE_V6 } from '../../protocol/pfsync/layout.js';
import { stateReader } from '../../protocol/pfsync/state-reader.js';
import { SampleRows, STATE } from '../peer/flow-sample.js';
import { encodeState } from '../peer/pfsync-writer.js';

const CLOCK = new Float64Array([1_700_000_000, 500]);

/** The octets of a row. */
function rowOf({ rows }: SampleRows, row: number): Int32Array {
  return rows.words.slice(row * ROW, (row + 1) * ROW);
}

describe('a reader of state records', () => {
  it('reads the same from records that stand apart, at any offset', () => {
    const record = encodeState('v6', STATE);
    const expected = new SampleRows(1);
    const alone = new DataView(record.buffer, record.byteOffset, record.length);
    expect(stateReader(expected)(STATE_V6, alone, 0, STATE_V6.size, 1, CLOCK, 0)).to.equal(0);
    for (const start of [0, 1, 40]) {
      for (const stride of [STATE_V6.size, STATE_V6.size + 4, 1020]) {
        const octets = new Uint8Array(start + 3 * stride).fill(0xa5);
        for (let n = 0; n < 3; n++) octets.set(record, start + n * stride);
        const samples = new SampleRows(4);
        const view = new DataView(octets.buffer);
        expect(stateReader(samples)(STATE_V6, view, start, stride, 3, CLOCK, 1)).to.equal(0);
        for (const row of [1, 2, 3]) expect(rowOf(samples, row)).to.deep.equal(rowOf(expected, 0));
        expect(rowOf(samples, 0)).to.deep.equal(new Int32Array(ROW));
      }
    }
  });

  it('says which records cannot be read, and leaves the others alone', () => {
    const record = encodeState('v3', STATE);
    const octets = new Uint8Array(3 * STATE_V3.size);
    for (let n = 0; n < 3; n++) octets.set(record, n * STATE_V3.size);
    const view = new DataView(octets.buffer);
    // 234 is the direction, 232 the address family.
    for (const [at, value] of [
      [234, 3],
      [234, 0],
      [232, 99],
    ] as const) {
      octets.set(record, STATE_V3.size);
      octets[STATE_V3.size + at] = value;
      const samples = new SampleRows(3);
      expect(stateReader(samples)(STATE_V3, view, 0, STATE_V3.size, 3, CLOCK, 0)).to.equal(1);
      const readable = [0, 1, 2].map((row) => samples.view(row).isReadable);
      expect(readable).to.deep.equal([true, false, true]);
      expect(samples.view(2).family).to.equal(4);
    }
  });
});
