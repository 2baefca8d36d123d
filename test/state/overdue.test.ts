import { expect } from 'chai';
import { StateConverter } from '../peer/state-converter.js';
import {
  compressedUpdateOf,
  counted,
  deleteOf,
  insertOf,
  simState,
  tcpState,
  updateOf,
} from '../peer/state-messages.js';

const T0 = 1_700_000_000_000;
const MINUTE = 60_000;

/** Lets the firewall speak of another state every minute, from one minute to another. */
function speak(converter: StateConverter, from: number, to: number): void {
  const other = tcpState(99, [1, 1]);
  for (let minute = from; minute <= to; minute++)
    converter.message(compressedUpdateOf(other), T0 + minute * MINUTE);
}

function opened(state = simState(1, counted(3, 300))): StateConverter {
  const converter = new StateConverter({ endsOverdue: true });
  return converter.message(insertOf(tcpState(99, [1, 1])), T0).message(insertOf(state), T0);
}

describe('states whose end no message tells', () => {
  it('end once they cannot live any more, with the time of their last packet', () => {
    const converter = opened();
    speak(converter, 1, 2);
    expect(converter.records).to.have.length(0);
    speak(converter, 3, 4);
    expect(converter.statistics.states.timedOut).to.equal(1);
    expect(converter.records.map(({ flowEndMilliseconds }) => flowEndMilliseconds)).to.deep.equal([T0, T0]);
    expect(converter.records.map(({ pf }) => pf.counters)).to.deep.equal(['partial', 'partial']);
    expect(converter.tracker.table.size).to.equal(1);
  });

  it('live as long as a record says that a state with their timeout lives', () => {
    const converter = opened(simState(1, { ...counted(3, 300), expire: 600 }));
    speak(converter, 1, 10);
    expect(converter.records).to.have.length(0);
    speak(converter, 11, 12);
    expect(converter.records).to.have.length(2);
  });

  it('live on where a message has named another timeout since: a rule may have made that longer', () => {
    const state = simState(1, { ...counted(3, 300), timeout: 7, expire: 30 });
    const converter = opened(state);
    converter.message(compressedUpdateOf({ ...state, timeout: 8 }), T0 + 1000);
    speak(converter, 1, 24 * 60 + 1);
    expect(converter.records).to.have.length(0);
    speak(converter, 24 * 60 + 2, 24 * 60 + 4);
    expect(converter.records).to.have.length(2);
  });

  it('live on while the firewall says nothing, and where the clock has jumped', () => {
    const converter = opened();
    converter.message(compressedUpdateOf(tcpState(99, [1, 1])), T0 + 30 * MINUTE);
    expect(converter.records).to.have.length(0);
  });

  it('live on where messages were lost while they were silent', () => {
    const converter = opened();
    speak(converter, 1, 1);
    converter.tracker.lost(T0 + 100_000);
    speak(converter, 2, 3);
    expect(converter.records).to.have.length(0);
  });

  it('count nothing twice when they come back', () => {
    const state = simState(1, counted(3, 300));
    const converter = opened(state);
    speak(converter, 1, 4);
    expect(converter.records).to.have.length(2);
    converter.message(updateOf({ ...state, ...counted(5, 500) }), T0 + 5 * MINUTE);
    converter.message(deleteOf(state), T0 + 5 * MINUTE + 1000);
    const octets = converter.records.reduce(
      (sum, { octetDeltaCount = 0 }) => sum + BigInt(octetDeltaCount),
      0n,
    );
    expect(octets).to.equal(1000n);
  });

  it('are known when the delete comes at last', () => {
    const state = simState(1, counted(3, 300));
    const converter = opened(state);
    speak(converter, 1, 4);
    converter.message(deleteOf(state), T0 + 5 * MINUTE);
    const { lateRecords, unknownDeletes } = converter.statistics.states;
    expect([lateRecords, unknownDeletes]).to.deep.equal([1, 0]);
  });
});
