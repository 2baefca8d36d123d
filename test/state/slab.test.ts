import { expect } from 'chai';
import { DESTINATION_STATE, KEPT, SOURCE_STATE } from '../../protocol/flow/row.js';
import { StateRow } from '../../protocol/pfsync/state.js';
import { PEERS } from '../../src/state/hot-row.js';
import { StateRows } from '../../src/state/slab.js';

describe('rows of the state table', () => {
  it('give back every octet that is kept of a state, and leave their neighbours alone', () => {
    const rows = new StateRows();
    const states = [1, 2, 3].map((number) => {
      const state = new StateRow();
      for (let at = 0; at < KEPT; at++) state.view.setUint8(at, (7 * at + 31 * number) & 255);
      return { state, slot: rows.allocate() };
    });
    for (const { state, slot } of states) {
      rows.write(slot, state);
      rows.setWord(
        slot,
        PEERS,
        state.view.getUint8(SOURCE_STATE) | (state.view.getUint8(DESTINATION_STATE) << 8),
      );
    }
    for (const { state, slot } of states) {
      const read = new StateRow();
      rows.read(slot, read);
      expect([...read.words.subarray(0, KEPT / 4)]).to.deep.equal([...state.words.subarray(0, KEPT / 4)]);
      expect([...read.words.subarray(KEPT / 4)].every((word) => word === 0)).to.equal(true);
    }
  });
});
