import { expect } from 'chai';
import { KEPT, ROW, STATE } from '../../protocol/flow/row.js';
import { FlowRows } from '../../protocol/flow/rows.js';
import { PEERS } from '../../src/state/hot-row.js';
import { StateRows } from '../../src/state/slab.js';

describe('rows of the state table', () => {
  it('give back every word that is kept of a state, and leave their neighbours alone', () => {
    const flows = new FlowRows(8);
    const rows = new StateRows();
    const states = [0, 1, 2].map((row) => {
      for (let word = 0; word < ROW; word++) flows.words[row * ROW + word] = 7 * word + 31_000_003 * row + 1;
      // The octets of the peers' states and the timeout come from the last message.
      flows.words[row * ROW + STATE] = 0x0403_0201 + row;
      return { row, slot: rows.allocate() };
    });
    for (const { row, slot } of states) {
      rows.write(slot, flows, row);
      rows.setWord(slot, PEERS, 0x02_0403);
    }
    for (const { row, slot } of states) {
      const read = row + 4;
      flows.words.fill(-1, read * ROW, (read + 1) * ROW);
      rows.read(slot, flows, read);
      const kept = [...flows.words.subarray(row * ROW, row * ROW + KEPT)];
      expect([...flows.words.subarray(read * ROW, read * ROW + KEPT)]).to.deep.equal(kept);
      expect(
        [...flows.words.subarray(read * ROW + KEPT, (read + 1) * ROW)].every((word) => word === -1),
      ).to.equal(true);
    }
  });
});
