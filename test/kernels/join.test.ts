import { expect } from 'chai';
import { convert, convertAll, endsOf, type Flow, isSame, trueEnds } from './flows.js';
import { type KernelCapture, kernelCaptures, type TrueState } from './truth.js';

const CAPTURES = kernelCaptures();

/** The two states of a connection that the firewall forwarded. */
interface Connection {
  readonly inbound: TrueState;
  readonly outbound: TrueState;
}

const idOf = ({ id, creatorId }: Pick<TrueState, 'id' | 'creatorId'>) => `${id}/${creatorId}`;

/** What the stack of the firewall sees: the packet behind an inbound state's translation, before an outbound state's. */
function stackKey(state: TrueState): string {
  const { proto, creatorId, direction } = state;
  const ends = direction === 'in' ? (state.translated ?? state) : state;
  return [proto, ends.src, ends.sport, ends.dst, ends.dport, creatorId].join();
}

/** By the inbound state: of several with one key, those that were made nearest to each other. */
function connectionsOf(states: readonly TrueState[]): Map<string, Connection> {
  const inbound = states.filter(({ direction }) => direction === 'in');
  const byKey = new Map<string, TrueState[]>();
  for (const state of inbound) byKey.set(stackKey(state), [...(byKey.get(stackKey(state)) ?? []), state]);
  const connections = new Map<string, Connection>();
  for (const outbound of states.filter(({ direction }) => direction === 'out')) {
    const distance = ({ createdMs }: TrueState) => Math.abs(createdMs - outbound.createdMs);
    const [nearest] = (byKey.get(stackKey(outbound)) ?? []).sort((a, b) => distance(a) - distance(b));
    if (nearest !== undefined) connections.set(idOf(nearest), { inbound: nearest, outbound });
  }
  return connections;
}

const isJoined = ({ records }: Flow) => records[0]!.pf.joined === true;
const otherId = ({ records }: Flow) => records[0]!.pf.otherStateId!;
const byId = (capture: KernelCapture, id: string, creatorId: string) =>
  capture.states.find((state) => state.id === id && state.creatorId === creatorId)!;

describe('--join on captures of real kernels', function () {
  this.timeout(60_000);

  before(async function () {
    this.timeout(240_000);
    await convertAll(CAPTURES);
    await convertAll(CAPTURES, '--join');
  });

  for (const capture of CAPTURES) {
    const { name, view } = capture;

    it(`joins states of one connection only: ${name}, ${view}`, async () => {
      const { flows } = await convert(capture, '--join');
      for (const flow of flows.filter(isJoined)) {
        const { state, records } = flow;
        const other = byId(capture, otherId(flow), state.creatorId);
        expect([state.direction, other.direction]).to.deep.equal(['in', 'out']);
        expect(stackKey(state), `${state.id} with ${other.id}`).to.equal(stackKey(other));
        for (const record of records) {
          const { reply } = record.pf;
          const shown = endsOf(record, '')!;
          expect(isSame(shown, trueEnds(state, state.proto, reply)), JSON.stringify(shown)).to.equal(true);
          const after = endsOf(record, 'post') ?? shown;
          const translated = trueEnds(other.translated ?? other, other.proto, reply);
          expect(isSame(after, translated), JSON.stringify([after, translated])).to.equal(true);
        }
      }
    });

    // It loses records: one of two deletes may be missing.
    if (capture.kernel === 'openbsd73') continue;

    it(`joins each connection that ended by itself: ${name}, ${view}`, async () => {
      const alone = await convert(capture);
      const { flows, summary } = await convert(capture, '--join');
      const reported = new Set(alone.flows.map(({ state }) => idOf(state)));
      const joined = new Set(flows.filter(isJoined).map(({ state }) => idOf(state)));
      const states = capture.states.filter((state) => reported.has(idOf(state)));
      const natural = [...connectionsOf(states).values()].filter(
        ({ inbound, outbound }) => inbound.ended === 'expired' && outbound.ended === 'expired',
      );
      const missing = natural.filter(({ inbound }) => !joined.has(idOf(inbound)));
      expect(missing.map(({ inbound }) => inbound.id)).to.deep.equal([]);
      const { ended, exported, joined: others } = summary.states;
      const skipped = Object.values(summary.skipped).reduce((sum, count) => sum + count, 0);
      expect(ended).to.equal(exported! + others! + skipped);
      expect(others).to.equal(flows.filter(isJoined).length);
    });
  }

  it('gives joined flows the interfaces of both states, where they have interfaces', async () => {
    const capture = CAPTURES.find(({ name }) => name === 'netbsd7/nat_ifbound')!;
    const { flows } = await convert(capture, '--join');
    const joined = flows.filter(isJoined);
    expect(joined.length).to.be.greaterThan(3);
    for (const { records } of joined) {
      for (const { pf, interfaceName } of records) {
        expect(interfaceName).to.equal(undefined);
        const names = [pf.ingressInterfaceName, pf.egressInterfaceName];
        expect(new Set(names).size).to.equal(2);
        expect(names).not.to.include(undefined);
      }
    }
  });

  it('leaves no more exact flows behind than it joins: both halves of a NetBSD firewall counted the same', async () => {
    const capture = CAPTURES.find(({ name }) => name === 'netbsd7/linux')!;
    const { flows, summary } = await convert(capture, '--join');
    expect(summary.joins).to.deep.include({ differing: 0 });
    const joined = flows.filter(isJoined);
    expect(joined.length).to.equal(128);
    for (const { octets, packets, state, counters } of joined) {
      expect(counters).to.equal('exact');
      expect(octets.map(Number)).to.deep.equal(state.octets);
      expect(packets.map(Number)).to.deep.equal(state.packets);
    }
  });
});
