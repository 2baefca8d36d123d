import { expect } from 'chai';
import { convert, convertAll, endsOf, type Flow, isSame, trueEnds } from './flows.js';
import { type KernelCapture, kernelCaptures } from './truth.js';

const CAPTURES = kernelCaptures();

/** A packet less than a second before a kill, at the very second of the expiry, cannot be known of. */
const UNKNOWABLE = 'min-exact';

/** The tap of one box of a pair: the truth has what went through the other box, too. */
const isHalfOfPair = ({ name }: KernelCapture) => /\/(ha|hamixed|defer)-[ab]$/.test(name);

const DIRECTIONS = [0, 1] as const;

function isTrue({ octets, packets, state }: Flow): boolean {
  return DIRECTIONS.every(
    (i) => octets[i] === BigInt(state.octets[i]) && packets[i] === BigInt(state.packets[i]),
  );
}

function isAbove({ octets, packets, state }: Flow): boolean {
  return DIRECTIONS.some((i) => octets[i] > BigInt(state.octets[i]) || packets[i] > BigInt(state.packets[i]));
}

/** What of a flow is wrong, for a message. */
function told({ state, octets, packets, counters, start, end }: Flow): string {
  const { id, octets: trueOctets, packets: truePackets, createdMs, lastPacketMs } = state;
  return `${id} ${counters}: ${octets} octets in ${packets} packets, truth ${trueOctets} in ${truePackets}; ${start} to ${end}, truth ${createdMs} to ${lastPacketMs}`;
}

describe('captures of real kernels', function () {
  this.timeout(60_000);

  before(async function () {
    this.timeout(240_000);
    await convertAll(CAPTURES);
  });

  it('are there', () => {
    expect(CAPTURES.length).to.be.greaterThan(100);
  });

  for (const capture of CAPTURES) {
    const { name, view } = capture;
    describe(`${name}, ${view}`, () => {
      it('give flows with the true addresses, ports, translations, directions and protocols', async () => {
        const { flows } = await convert(capture);
        for (const { records, state } of flows) {
          for (const record of records) {
            expect(record.protocolIdentifier, state.id).to.equal(state.proto);
            expect(record.pf.direction, state.id).to.equal(state.direction);
            const { reply } = record.pf;
            const shown = endsOf(record, '')!;
            const original = trueEnds(state, state.proto, reply);
            expect(isSame(shown, original), `${state.id}: ${JSON.stringify([shown, original])}`).to.equal(
              true,
            );
            const after = endsOf(record, 'post');
            const translated = trueEnds(state.translated ?? state, state.proto, reply);
            expect(
              isSame(after ?? shown, translated),
              `${state.id}: ${JSON.stringify([after, translated])}`,
            ).to.equal(true);
          }
        }
      });

      if (!name.endsWith(UNKNOWABLE)) {
        it('are exact only where they are true', async () => {
          const { flows } = await convert(capture);
          const wrong = flows.filter((flow) => flow.counters === 'exact' && !isTrue(flow));
          expect(wrong.map(told)).to.deep.equal([]);
        });
      }

      if (!isHalfOfPair(capture)) {
        it('report no more than passed', async () => {
          const { flows } = await convert(capture);
          const above = flows.filter((flow) => flow.counters !== 'exact' && isAbove(flow));
          expect(above.map(told)).to.deep.equal([]);
        });
      }

      it('account for every state that ended', async () => {
        const { summary } = await convert(capture);
        const skipped = Object.values(summary.skipped).reduce((sum, count) => sum + count, 0);
        expect(summary.states.ended).to.equal(summary.states.exported! + summary.states.joined! + skipped);
      });
    });
  }
});

/** Flows of the captures whose names match. */
async function flowsWhere(pattern: RegExp): Promise<Flow[]> {
  const captures = CAPTURES.filter(({ name, view }) => pattern.test(`${name}.${view}`));
  expect(captures.length).to.be.greaterThan(0);
  const all = await Promise.all(captures.map((capture) => convert(capture)));
  return all.flatMap(({ flows }) => flows);
}

function shareOf(flows: readonly Flow[], counters: string): number {
  return flows.filter((flow) => flow.counters === counters).length / flows.length;
}

describe('what is known of real kernels', function () {
  this.timeout(120_000);

  for (const [what, pattern, least] of [
    ['FreeBSD 13, listening', /^freebsd13\/taponly\.tap/, 0.25],
    ['FreeBSD 14, listening', /^freebsd14\/(taponly|basic1301|basic6)\.tap/, 0.5],
    ['OpenBSD 8.0, listening', /^openbsd80\/basic\.sync/, 0.25],
  ] as const) {
    it(`${what}: at least ${100 * least} % of the flows are exact`, async () => {
      expect(shareOf(await flowsWhere(pattern), 'exact')).to.be.at.least(least);
    });
  }

  for (const kernel of ['freebsd13', 'freebsd14', 'openbsd80']) {
    it(`${kernel}, asked: every natural end of TCP, UDP and other protocols but ICMP is exact`, async () => {
      const flows = await flowsWhere(new RegExp(`^${kernel}/poll\\.sync`));
      const natural = flows.filter(
        ({ state }) => state.ended === 'expired' && ![1, 58].includes(state.proto),
      );
      expect(natural.length).to.be.greaterThan(100);
      expect(natural.filter(({ counters }) => counters !== 'exact').map(told)).to.deep.equal([]);
    });
  }

  it('NetBSD 7 on the tap: every full delete is exact and true', async () => {
    const flows = await flowsWhere(/^netbsd7\/(?!kill_flush|sync).*\.tap/);
    expect(flows.filter((flow) => flow.counters !== 'exact' || !isTrue(flow)).map(told)).to.deep.equal([]);
  });

  for (const kernel of ['freebsd13', 'freebsd14', 'openbsd80']) {
    it(`${kernel}: lower bounds hold at least 90 % of the octets of their TCP flows`, async () => {
      const flows = (
        await flowsWhere(new RegExp(`^${kernel}/(basic|taponly|bulk|poll|special|ha\\.)`))
      ).filter(
        ({ state, counters }) => state.proto === 6 && (counters === 'partial' || counters === 'tcpseq'),
      );
      const sum = (octets: (flow: Flow) => bigint) => flows.reduce((total, flow) => total + octets(flow), 0n);
      const known = sum(({ octets }) => octets[0] + octets[1]);
      const passed = sum(({ state }) => BigInt(state.octets[0]) + BigInt(state.octets[1]));
      expect(Number((1000n * known) / passed)).to.be.at.least(900);
    });
  }

  it('starts are true to a second', async () => {
    const flows = await flowsWhere(/^(freebsd1[34]|openbsd80)\/(?!ha|hamixed|defer)/);
    const wrong = flows.filter(({ start, state }) => Math.abs(start - state.createdMs) > 1000);
    expect(wrong.map(told)).to.deep.equal([]);
  });

  it('ends are true to 1.1 seconds where the capture shows them', async () => {
    const flows = await flowsWhere(
      /^(freebsd1[34]|openbsd80)\/(taponly|basic|special|day|bulk|min-late|min-syn|fields)/,
    );
    const wrong = flows.filter(
      ({ end, state }) => state.lastPacketMs !== undefined && Math.abs(end - state.lastPacketMs) > 1100,
    );
    expect(wrong.map(told)).to.deep.equal([]);
  });
});
