import { expect } from 'chai';
import { netflow9Encoder } from '../../protocol/export/netflow9.js';
import { InterfaceTable } from '../../protocol/flow/interface.js';
import { REPLY_TO, ROUTE_TO } from '../../protocol/flow/pf-terms.js';
import { preparer } from '../../protocol/flow/prepare.js';
import { JOINED, ORIGIN, OTHER_INTERFACE, ROUTE, ROW } from '../../protocol/flow/row.js';
import { collect, NOW, Room, SampleRows } from '../peer/flow-sample.js';

const MAP = new Map([
  ['em0', 1],
  ['em1', 2],
  ['em2', 4],
  ['em3/in', 8],
  ['em3/out', 16],
]);

/** The interface table of an export, by ifIndex, and the indexes that its records show. */
function exported(use: (samples: SampleRows) => void): {
  names: Record<string, unknown>;
  shown: Set<unknown>;
} {
  const samples = new SampleRows(8, new InterfaceTable(MAP));
  use(samples);
  preparer(samples.rows, samples.interfaces)(0, samples.count);
  const room = new Room();
  const options = { nat: 'original', domain: 42, refreshTime: 30_000, refreshMessages: 1000 } as const;
  const encoder = netflow9Encoder(samples, room, options);
  encoder.add(0, samples.count);
  encoder.end(NOW);
  const collector = collect(room.messages);
  expect(collector.errors).to.deep.equal([]);
  const names: Record<string, unknown> = {};
  for (const { fields } of collector.options) {
    if (fields.has('82')) names[String(fields.get('10'))] = fields.get('82');
  }
  const indexes = collector.flows.flatMap(({ fields }) => [fields.get('10'), fields.get('14')]);
  return { names, shown: new Set(indexes.filter((index) => index !== 0)) };
}

/** A state on `interfaceName` whose records leave by another interface. */
function addRouted(samples: SampleRows, direction: 'in' | 'out', other: string, route: number): void {
  const row = samples.add({ state: { direction }, interfaceName: 'em0', replyOctets: 10n });
  samples.rows.words[row * ROW + ROUTE] = samples.interfaces.numberOf(other) | (route << 24);
}

describe('names of interfaces', () => {
  it('are sent for each ifIndex that a record shows, and for no other', () => {
    const { names, shown } = exported((samples) => {
      samples.add({ interfaceName: 'em0', state: { direction: 'in' } });
      samples.add({ interfaceName: 'em1' });
      samples.add({ interfaceName: 'em0', state: { direction: 'in' } });
    });
    expect(names).to.deep.equal({ 1: 'em0', 2: 'em1' });
    expect([...shown].sort()).to.deep.equal([1, 2]);
  });

  for (const [name, direction, route] of [
    ['route-to', 'in', ROUTE_TO],
    ['reply-to', 'in', REPLY_TO],
    ['route-to of an outbound state', 'out', ROUTE_TO],
  ] as const) {
    it(`are those of both interfaces with ${name}, after a state without a route too`, () => {
      const { names, shown } = exported((samples) => {
        samples.add({ state: { direction }, interfaceName: 'em0', replyOctets: 10n });
        addRouted(samples, direction, 'em2', route);
      });
      expect(names).to.deep.equal({ 1: 'em0', 4: 'em2' });
      expect([...shown].sort()).to.deep.equal([1, 4]);
    });
  }

  it('are those of both states of a joined flow', () => {
    const { names, shown } = exported((samples) => {
      const row = samples.add({ state: { direction: 'in' }, interfaceName: 'em0', replyOctets: 10n });
      samples.rows.words[row * ROW + OTHER_INTERFACE] = samples.interfaces.numberOf('em1');
      samples.rows.words[row * ROW + ORIGIN]! |= JOINED;
    });
    expect(names).to.deep.equal({ 1: 'em0', 2: 'em1' });
    expect([...shown].sort()).to.deep.equal([1, 2]);
  });

  it('are the same for both numbers of an interface that has one in each direction', () => {
    const { names } = exported((samples) => {
      samples.add({ interfaceName: 'em3', state: { direction: 'in' } });
      samples.add({ interfaceName: 'em3' });
    });
    expect(names).to.deep.equal({ 8: 'em3', 16: 'em3' });
  });
});
