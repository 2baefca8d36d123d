import { expect } from 'chai';
import { preparer } from '../../protocol/flow/prepare.js';
import { DESCRIPTION, EVENT, FLOW, ICMP, INTERFACES, ROW, ROW_OCTETS } from '../../protocol/flow/row.js';
import { type Sample, SampleRows } from '../peer/flow-sample.js';

/** What stands in the export words of a sample's row, read as it will leave. */
function wireOf(sample: Sample) {
  const samples = new SampleRows();
  const row = samples.add(sample);
  const { view } = samples.rows;
  const at = (word: number) => row * ROW_OCTETS + 4 * word;
  const octets = (word: number) => [0, 1, 2, 3].map((n) => view.getUint8(at(word) + n));
  return {
    ifIndexes: [0, 1, 2, 3].map((n) => view.getUint32(at(INTERFACES + n))),
    forward: octets(DESCRIPTION),
    reply: octets(DESCRIPTION + 1),
    translated: octets(DESCRIPTION + 2),
    translatedReply: octets(DESCRIPTION + 3),
    event: octets(EVENT),
    icmp: octets(ICMP),
  };
}

describe('the export words of a row', () => {
  it('have the interface where an inbound state enters and an outbound one leaves, swapped for replies', () => {
    expect(wireOf({ state: { direction: 'in' } }).ifIndexes).to.deep.equal([7, 0, 0, 7]);
    expect(wireOf({ state: { direction: 'out' } }).ifIndexes).to.deep.equal([0, 7, 7, 0]);
    expect(wireOf({ state: { direction: 'out' }, interfaceName: 'all' }).ifIndexes).to.deep.equal([
      0, 0, 0, 0,
    ]);
  });

  it('have the protocol, the direction at the interface and the reason of the end', () => {
    for (const [direction, forward, reply] of [
      ['in', 0, 1],
      ['out', 1, 0],
    ] as const) {
      const wire = wireOf({ state: { direction, proto: 17, protoAfter: 17 }, endReason: 4 });
      expect(wire.forward).to.deep.equal([17, forward, 4, 0]);
      expect(wire.reply).to.deep.equal([17, reply, 4, 0]);
      expect(wire.event).to.deep.equal([0, 0, 1, 0]);
    }
  });

  it('have the protocol of the other side behind af-to', () => {
    const ends = {
      af: 6,
      afAfter: 4,
      direction: 'in',
      proto: 58,
      protoAfter: 1,
      originalSource: { address: '2001:db8::1', port: 1 },
      originalDestination: { address: '64:ff9b::c000:201', port: 128 },
      translatedSource: { address: '192.0.2.9', port: 1 },
      translatedDestination: { address: '192.0.2.1', port: 8 },
    } as const;
    const wire = wireOf({ state: ends });
    expect([wire.forward[0], wire.reply[0]]).to.deep.equal([58, 58]);
    expect([wire.translated[0], wire.translatedReply[0]]).to.deep.equal([1, 1]);
  });

  it('have the ICMP type, where that is known, and code 0', () => {
    expect(wireOf({ state: { proto: 1, protoAfter: 1 }, icmpType: 8 }).icmp.slice(0, 2)).to.deep.equal([
      8, 0,
    ]);
    expect(wireOf({}).icmp.slice(0, 2)).to.deep.equal([0, 0]);
  });

  it('are left alone in rows that are no flows', () => {
    const samples = new SampleRows();
    const row = samples.add();
    samples.view(row).directions = 0;
    const before = samples.rows.words.slice(row * ROW, (row + 1) * ROW);
    samples.rows.words.fill(-1, row * ROW + FLOW + 8, (row + 1) * ROW);
    const changed = samples.rows.words.slice(row * ROW, (row + 1) * ROW);
    preparer(samples.rows, samples.interfaces)(row, 1);
    expect(samples.rows.words.slice(row * ROW, (row + 1) * ROW)).to.deep.equal(changed);
    expect(before).not.to.deep.equal(changed);
  });
});
