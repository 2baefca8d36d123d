import { expect } from 'chai';
import { IdOrder, mirrorId } from '../../src/source/id-order.js';
import type { StateCounters } from '../../src/source/pfctl-text.js';
import { hex } from './printed.js';

/** The counters of a state with this id. */
function countersOf(id: string): StateCounters {
  return {
    idHigh: Number.parseInt(id.slice(0, 8), 16) | 0,
    idLow: Number.parseInt(id.slice(8), 16) | 0,
    creatorId: 1,
    age: 0,
    expire: -1,
    packets: new Uint32Array(4),
    octets: new Uint32Array(4),
  };
}

function idOf({ idHigh, idLow }: StateCounters): string {
  return hex(idHigh) + hex(idLow);
}

describe('mirrorId', () => {
  it('turns what FreeBSD prints on a little-endian machine into the octets on the wire', () => {
    const counters = countersOf('6694fa6200000003');
    mirrorId(counters);
    expect(idOf(counters)).to.equal('0300000062fa9466');
    mirrorId(counters);
    expect(idOf(counters)).to.equal('6694fa6200000003');
  });
});

describe('IdOrder', () => {
  /** What is applied, when these ids are known, of a list that prints those. */
  function apply(order: IdOrder, known: readonly string[], printed: readonly string[]): string[] {
    const applied: string[] = [];
    order.startList();
    for (const id of printed) {
      order.offer(countersOf(id), (counters) => {
        if (!known.includes(idOf(counters))) return false;
        applied.push(idOf(counters));
        return true;
      });
    }
    return applied;
  }

  const WIRE = ['0300000062fa9466', '0000000062fa9467', '0100000062fa9466'];
  const MIRRORED = ['6694fa6200000003', '6794fa6200000000', '6694fa6200000001'];

  it('takes ids as they are printed', () => {
    const order = new IdOrder();
    expect(apply(order, WIRE, WIRE)).to.deep.equal(WIRE);
    expect(order).to.include({ known: 3, unknown: 0 });
  });

  it('mirrors them where only that names states that are known', () => {
    const order = new IdOrder();
    expect(apply(order, WIRE, ['1111111100000000', ...MIRRORED])).to.deep.equal(WIRE);
    expect(order).to.include({ known: 3, unknown: 1 });
  });

  it('keeps to an order that has proved right', () => {
    const order = new IdOrder();
    const many = Array.from({ length: 20 }, (_, i) => `0000000062fa94${(i + 16).toString(16)}`);
    expect(apply(order, many, many)).to.deep.equal(many);
    expect(apply(order, [...many, ...WIRE], [many[0], ...MIRRORED])).to.deep.equal([many[0]]);
  });

  it('tries both orders again when a list names nothing that is known', () => {
    const order = new IdOrder();
    const many = Array.from({ length: 20 }, (_, i) => `0000000062fa94${(i + 16).toString(16)}`);
    apply(order, many, many);
    expect(apply(order, WIRE, MIRRORED)).to.deep.equal([]);
    expect(apply(order, WIRE, MIRRORED)).to.deep.equal(WIRE);
  });
});
