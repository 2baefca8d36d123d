/** A trial of the types between the stages: a filter of flows, such as an option for it would put between join and outlet. */
import { expect } from 'chai';
import { FLOW, PORTS, ROW, ROW_OCTETS } from '../../protocol/flow/row.js';
import type { FlowConsumer, FlowMemory } from '../../protocol/flow/rows.js';
import type { Statistics } from '../../src/observe/statistics.js';
import { StateConverter } from '../peer/state-converter.js';
import { counted, fullDeleteOf, simState } from '../peer/state-messages.js';

const DIRECTIONS = 0xff00;
const DESTINATION = 2;

/** Keeps the flows to a port: the others have no directions any more, and are counted. */
function portFilter(port: number) {
  return ({ rows }: FlowMemory, { states, skipped }: Statistics, next: FlowConsumer): FlowConsumer => ({
    add(first, count) {
      for (let row = first; row < first + count; row++) {
        if ((rows.words[row * ROW + FLOW]! & DIRECTIONS) === 0) continue;
        if (rows.view.getUint16(row * ROW_OCTETS + 4 * PORTS + DESTINATION) === port) continue;
        rows.words[row * ROW + FLOW]! &= ~DIRECTIONS;
        states.exported--;
        skipped.add('filter');
      }
      next.add(first, count);
    },
  });
}

describe('a filter of flows', () => {
  it('goes in as one stage, and the sums still add up', () => {
    const converter = new StateConverter({ stage: portFilter(443) });
    for (const [n, port] of [53, 443, 80, 443].entries()) {
      const end = { address: '198.51.100.1', port };
      const state = simState(n + 1, {
        ...counted(2, 200),
        originalDestination: end,
        translatedDestination: end,
      });
      converter.message(fullDeleteOf(state), 1_700_000_000_000 + n);
    }
    expect(converter.records.map(({ pf }) => pf.stateId.at(-1))).to.deep.equal(['2', '2', '4', '4']);
    expect(converter.statistics.skipped.toObject()).to.deep.equal({ filter: 2 });
    expect(converter.statistics.octets.value).to.equal(800n);
    converter.expectSums();
  });
});
