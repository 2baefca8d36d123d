import { expect } from 'chai';
import fc from 'fast-check';
import { NONE } from '../../protocol/flow/terms.js';
import type { CollectedFlow } from '../peer/collector.js';
import { collect, NOW, type Open, type Sample } from '../peer/flow-sample.js';
import type { SimState } from '../peer/pfsync-writer.js';
import { ipfix, type Opened, opened } from './encoders.js';

/** To a room that prefers messages of one length. */
const together: Open = (rows, room) => ipfix()(rows, Object.assign(room, { prefersOneLength: true }));

const FOUR = { address: '192.0.2.1', port: 1025 };
const SIX = { address: '2001:db8::1', port: 1025 };

function stateOf(id: number, proto: number, isSix: boolean, isTranslated: boolean): Partial<SimState> {
  const end = isSix ? SIX : FOUR;
  const af = isSix ? 6 : 4;
  return {
    ...{ id: BigInt(id), proto, protoAfter: proto, af, afAfter: af, originalSource: end },
    ...{ originalDestination: end, translatedSource: end },
    translatedDestination: isTranslated ? { ...end, port: 2 } : end,
  };
}

/** A flow of each kind that a number below 32 stands for. */
function sampleOf(id: number, kind: number): Sample {
  const isCounted = (kind & 16) === 0;
  return {
    state: stateOf(id, [6, 17, 47, 132][kind & 3]!, (kind & 4) !== 0, (kind & 8) !== 0),
    replyOctets: BigInt(id),
    ...(isCounted ? {} : { counters: NONE }),
  };
}

function told({ fields, octets, source }: CollectedFlow): string {
  return [fields.get('148'), fields.get('61'), fields.get('4'), octets, source].join(' ');
}

/** What a collector sees, and the messages that have flows. */
function sent(open: Open, use: (opened: Opened) => void) {
  const own = opened(open);
  use(own);
  own.encoder.end(NOW);
  const { errors, flows, messages } = collect(own.room.messages);
  expect(errors).to.deep.equal([]);
  return { flows, messages: messages.filter((message) => message.flows.length > 0) };
}

/** The templates of each message's flows. */
function templatesOf(messages: readonly { readonly flows: readonly CollectedFlow[] }[]): Set<number>[] {
  return messages.map(({ flows }) => new Set(flows.map(({ templateId }) => templateId)));
}

describe('records that wait for others of their template', () => {
  it('are those that would have gone in their order, whatever comes when', () => {
    const one = fc.record({ kind: fc.nat(31), flush: fc.constantFrom(...new Array(30).fill(false), true) });
    fc.assert(
      fc.property(fc.array(one, { minLength: 1, maxLength: 600 }), (states) => {
        const use = ({ add, encoder }: Opened) => {
          for (const [id, { kind, flush }] of states.entries()) {
            add(sampleOf(id, kind));
            if (flush) encoder.flush(NOW);
          }
        };
        const inOrder = sent(ipfix(), use).flows.map(told);
        expect(inOrder.length).to.equal(2 * states.length);
        expect(sent(together, use).flows.map(told).sort()).to.deep.equal(inOrder.sort());
      }),
      { numRuns: 25 },
    );
  });

  it('fill messages of one length', () => {
    const { messages } = sent(together, ({ add }) => {
      for (let id = 0; id < 10_000; id++) add(sampleOf(id, id % 3));
    });
    const lengths = new Map<number, number>();
    for (const { length } of messages) lengths.set(length, (lengths.get(length) ?? 0) + 1);
    const usual = [...lengths.values()].filter((count) => count > 100);
    expect(usual.length).to.be.within(2, 4);
    expect(usual.reduce((sum, count) => sum + count)).to.be.above(0.98 * messages.length);
    const mixed = templatesOf(messages).filter(({ size }) => size > 1);
    expect(mixed.length).to.be.below(4);
    expect(Math.max(...lengths.keys())).to.be.at.most(1472);
    // Those of one length follow each other.
    const changes = messages.filter(({ length }, at) => at > 0 && length !== messages[at - 1]!.length);
    expect(changes.length).to.be.below(messages.length / 10);
  });

  it('share messages when a flush comes first', () => {
    const { messages } = sent(together, ({ add, encoder }) => {
      for (let id = 0; id < 4; id++) add(sampleOf(id, id));
      encoder.flush(NOW);
    });
    expect(messages.length).to.equal(1);
    expect(templatesOf(messages)[0]!.size).to.be.above(2);
  });

  it('wait for an hour of the data’s clock at most', () => {
    const hour = 3_600_000;
    const { messages } = sent(together, ({ add }) => {
      for (const at of [0, hour / 2, hour + 1, 3 * hour]) add({ observed: NOW + at, end: NOW + at });
    });
    expect(messages.map(({ flows }) => flows.length)).to.deep.equal([2, 1, 1]);
  });

  it('go before the events that came behind them', () => {
    const { messages, flows } = sent(together, ({ add, addNatEvent }) => {
      add(sampleOf(1, 0));
      addNatEvent({ ...sampleOf(1, 8), natEvent: 1 });
      add(sampleOf(2, 0));
    });
    expect(messages.length).to.equal(1);
    expect(flows.map(({ fields }) => fields.has('230'))).to.deep.equal([false, false, true, false, false]);
  });
});
