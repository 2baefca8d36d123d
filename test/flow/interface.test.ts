import { expect } from 'chai';
import fc from 'fast-check';
import { InterfaceTable, nameAt } from '../../protocol/flow/interface.js';
import { INBOUND, OUTBOUND } from '../../protocol/flow/pf-terms.js';

/** A name as kernels write it: 16 octets, and old memory behind the NUL. */
function viewOf(name: string, rest = 'left from before'): DataView {
  const octets = Buffer.from(rest.padEnd(16, 'x').slice(0, 16), 'latin1');
  octets.write(name.length < 16 ? `${name}\0` : name, 'latin1');
  return new DataView(octets.buffer, octets.byteOffset, 16);
}

const name = fc.string({
  unit: fc.integer({ min: 1, max: 255 }).map((n) => String.fromCharCode(n)),
  maxLength: 16,
});

describe('names of interfaces', () => {
  it('end at their first NUL, or after 16 octets', () => {
    fc.assert(
      fc.property(name, name, (one, rest) => {
        expect(nameAt(viewOf(one, rest), 0)).to.equal(one);
      }),
    );
  });

  it('have one number each, whatever old memory stands behind them and however many there are', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(name, name), { maxLength: 300 }), (uses) => {
        const table = new InterfaceTable();
        for (const [one, rest] of uses) {
          const number = table.numberAt(viewOf(one, rest), 0);
          expect(table.names[number]).to.equal(one === 'all' ? '' : one);
          expect(table.numberOf(one)).to.equal(number);
        }
      }),
    );
  });

  it('are found when a message has named them, and only then', () => {
    const table = new InterfaceTable();
    expect(table.find('em0')).to.equal(undefined);
    const number = table.numberAt(viewOf('em0'), 0);
    expect(table.find('em0')).to.equal(number);
    expect(table.find('')).to.equal(0);
    expect(table.find('all')).to.equal(0);
  });

  it('that are too many become no interface, are counted, and are reported once', () => {
    const full: number[] = [];
    const table = new InterfaceTable(new Map(), { full: (names) => full.push(names) });
    for (let n = 0; n < 65_536; n++) table.numberOf(`if${n}`);
    expect(table.overflows).to.equal(0);
    expect([table.numberOf('one'), table.numberOf('two'), table.numberAt(viewOf('one'), 0)]).to.deep.equal([
      0, 0, 0,
    ]);
    expect(table.overflows).to.be.at.least(2);
    expect(full).to.deep.equal([65_536]);
    expect(table.names[table.numberOf('if7')]).to.equal('if7');
  });
});

describe('the ifIndex of an interface', () => {
  it('is derived from its name: the same in every table, of 16 bits, and not 0', () => {
    fc.assert(
      fc.property(name, (one) => {
        const [first, second] = [new InterfaceTable(), new InterfaceTable()];
        second.numberOf('another one before it');
        const number = first.numberOf(one);
        const index = first.indexOf(number, INBOUND);
        expect(index).to.equal(first.indexOf(number, OUTBOUND));
        expect(index).to.equal(second.indexOf(second.numberOf(one), INBOUND));
        if (one !== '' && one !== 'all') expect(index).to.be.within(1, 0xffff);
        else expect(index).to.equal(0);
      }),
    );
  });

  it('is the mapped one, of a direction or of both', () => {
    const map = new Map([
      ['em0', 1],
      ['em1', 70_000],
      ['em1/out', 9],
      ['all/in', 3],
      ['em2/in', 4],
    ]);
    const table = new InterfaceTable(map);
    const indexes = (one: string) =>
      [INBOUND, OUTBOUND].map((direction) => table.indexOf(table.numberOf(one), direction));
    expect(indexes('em0')).to.deep.equal([1, 1]);
    expect(indexes('em1')).to.deep.equal([70_000, 9]);
    expect(indexes('all')).to.deep.equal([3, 0]);
    const [, derived] = indexes('em2');
    expect(indexes('em2')).to.deep.equal([4, derived]);
    expect(derived).to.be.above(0);
  });

  it('that two names share is reported with both', () => {
    const collisions: string[] = [];
    const table = new InterfaceTable(new Map(), {
      collision: (one, other) => collisions.push(`${one} ${other}`),
    });
    const byIndex = new Map<number, string>();
    for (let n = 0; n < 2000; n++) {
      const one = `vlan${n}`;
      const index = table.indexOf(table.numberOf(one), INBOUND);
      const other = byIndex.get(index);
      if (other !== undefined) expect(collisions.pop()).to.equal(`${other} ${one}`);
      else byIndex.set(index, one);
    }
    expect(collisions).to.deep.equal([]);
    expect(byIndex.size).to.be.within(1900, 1999);
  });
});
