import { expect } from 'chai';
import { StateConverter } from '../peer/state-converter.js';
import { counted, deleteOf, insertOf, simState } from '../peer/state-messages.js';

const T0 = 1_700_000_000_000;
const SECOND = 1000;

describe('the states that no message has named for the longest time', () => {
  it('time out again and again, whenever the table was empty in between', () => {
    const converter = new StateConverter({ stateTimeout: 3 * SECOND });
    for (let n = 1; n <= 5; n++) {
      converter.message(insertOf(simState(n, counted(1, 100))), T0 + 10 * n * SECOND);
      converter.tracker.expire(T0 + (10 * n + 5) * SECOND);
      expect(converter.statistics.states.timedOut).to.equal(n);
      expect(converter.tracker.table.size).to.equal(0);
    }
    converter.expectSums();
  });

  it('leave a full table, whenever it was empty in between', () => {
    const converter = new StateConverter({ stateTimeout: 3 * SECOND, maxStates: 2 });
    let time = T0;
    for (let round = 0; round < 5; round++) {
      const first = 10 * round;
      for (let n = first; n < first + 4; n++)
        converter.message(insertOf(simState(n, counted(1, 100))), ++time);
      expect(converter.statistics.states.evicted).to.equal(2 * (round + 1));
      expect(converter.tracker.table.size).to.equal(2);
      if (round % 2 === 0) {
        for (const n of [first + 2, first + 3]) converter.message(deleteOf(simState(n)), ++time);
      }
      time += 5 * SECOND;
      converter.tracker.expire(time);
      expect(converter.tracker.table.size).to.equal(0);
    }
    expect(converter.statistics.states.ended).to.equal(20);
    converter.expectSums();
  });

  it('are none in an empty table', () => {
    const { table } = new StateConverter({ stateTimeout: 3 * SECOND }).tracker;
    expect(table.oldest).to.equal(-1);
    expect(table.oldestBefore(T0)).to.equal(-1);
  });
});
