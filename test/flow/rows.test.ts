import { expect } from 'chai';
import { ROWS } from '../../protocol/flow/row.js';
import { FlowRows, RowRange } from '../../protocol/flow/rows.js';

describe('a range of rows', () => {
  it('lies within its memory, and within what stages may share', () => {
    expect(new RowRange(new FlowRows(), ROWS - 8, 8).capacity).to.equal(8);
    expect(() => new RowRange(new FlowRows(), ROWS - 8, 9)).to.throw(RangeError);
    expect(() => new RowRange(new FlowRows(16), 8, 9)).to.throw(RangeError);
    expect(() => new RowRange(new FlowRows(2 * ROWS), ROWS, 1)).to.throw(RangeError);
  });
});
