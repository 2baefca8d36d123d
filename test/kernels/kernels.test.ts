import { expect } from 'chai';
import { quoteLargeNumbers, run, type Summary } from '../peer/pfflowd.js';
import { type KernelCapture, kernelCaptures, type TrueEnds, type TrueState } from './truth.js';

/** One line of JSON: a record of a flow. */
interface JsonRecord {
  readonly [key: string]: unknown;
  readonly flowStartMilliseconds: number;
  readonly flowEndMilliseconds: number;
  readonly protocolIdentifier: number;
  readonly octetDeltaCount?: number | string;
  readonly packetDeltaCount?: number | string;
  readonly pf: {
    readonly stateId: string;
    readonly creatorId: string;
    readonly direction: 'in' | 'out';
    readonly counters: 'exact' | 'partial' | 'tcpseq' | 'none';
    readonly reply: boolean;
  };
}

/** Both records of a flow, with the state that it is of. */
interface Flow {
  readonly records: readonly JsonRecord[];
  readonly counters: JsonRecord['pf']['counters'];
  readonly octets: readonly [bigint, bigint];
  readonly packets: readonly [bigint, bigint];
  readonly start: number;
  readonly end: number;
  readonly state: TrueState;
}

interface Converted {
  readonly flows: readonly Flow[];
  readonly summary: Summary;
}

const CAPTURES = kernelCaptures();

/** A packet less than a second before a kill, at the very second of the expiry, cannot be known of. */
const UNKNOWABLE = 'min-exact';

/** The tap of one box of a pair: the truth has what went through the other box, too. */
const isHalfOfPair = ({ name }: KernelCapture) => /\/(ha|hamixed|defer)-[ab]$/.test(name);

const converted = new Map<string, Promise<Converted>>();

function convert(capture: KernelCapture): Promise<Converted> {
  const known = converted.get(capture.file);
  if (known !== undefined) return known;
  const result = convertAnew(capture);
  converted.set(capture.file, result);
  return result;
}

async function convertAnew({ file, states }: KernelCapture): Promise<Converted> {
  const { stdout, summary } = await run(['-r', file, '--format', 'json', '--log-level', 'error']);
  const lines = stdout.toString().trimEnd().split('\n');
  const records = lines
    .filter((line) => line !== '')
    .map((line) => JSON.parse(quoteLargeNumbers(line)) as JsonRecord);
  return { flows: flowsOf(records, states), summary: summary! };
}

function flowsOf(records: readonly JsonRecord[], states: readonly TrueState[]): Flow[] {
  const groups = new Map<string, JsonRecord[]>();
  for (const record of records) {
    const { pf, flowStartMilliseconds, flowEndMilliseconds } = record;
    const key = [pf.stateId, pf.creatorId, flowStartMilliseconds, flowEndMilliseconds].join();
    groups.set(key, [...(groups.get(key) ?? []), record]);
  }
  return [...groups.values()].map((group) => flowOf(group, states));
}

function flowOf(records: readonly JsonRecord[], states: readonly TrueState[]): Flow {
  const [{ pf, flowStartMilliseconds: start, flowEndMilliseconds: end }] = records as [JsonRecord];
  const counter = (reply: boolean, key: 'octetDeltaCount' | 'packetDeltaCount') =>
    BigInt(records.find((record) => record.pf.reply === reply)?.[key] ?? 0);
  // Ids are used again where a kernel starts anew: the state that was made nearest to the flow's start.
  const [state] = states
    .filter(({ id, creatorId }) => id === pf.stateId && creatorId === pf.creatorId)
    .sort((a, b) => Math.abs(a.createdMs - start) - Math.abs(b.createdMs - start));
  expect(state, `state ${pf.stateId}`).to.not.equal(undefined);
  return {
    records,
    counters: pf.counters,
    octets: [counter(false, 'octetDeltaCount'), counter(true, 'octetDeltaCount')],
    packets: [counter(false, 'packetDeltaCount'), counter(true, 'packetDeltaCount')],
    start,
    end,
    state: state!,
  };
}

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

function endsOf(record: JsonRecord, prefix: 'post' | ''): TrueEnds | undefined {
  const pick = (...names: string[]) => names.map((name) => record[name]).find((value) => value !== undefined);
  const names =
    prefix === '' ? (['source', 'destination'] as const) : (['postNATSource', 'postNATDestination'] as const);
  const ports =
    prefix === ''
      ? (['source', 'destination'] as const)
      : (['postNAPTSource', 'postNAPTDestination'] as const);
  const src = pick(`${names[0]}IPv4Address`, `${names[0]}IPv6Address`);
  if (src === undefined) return undefined;
  return {
    src: String(src),
    sport: Number(pick(`${ports[0]}TransportPort`) ?? 0),
    dst: String(pick(`${names[1]}IPv4Address`, `${names[1]}IPv6Address`)),
    dport: Number(pick(`${ports[1]}TransportPort`) ?? 0),
  };
}

/** The truth as a record shows it: without pf's ids of protocols that have no ports, and from its own side. */
function trueEnds({ src, sport, dst, dport }: TrueEnds, proto: number, isReply: boolean): TrueEnds {
  const hasPorts = [6, 17, 132].includes(proto);
  const forward = { src, sport: hasPorts ? sport : 0, dst, dport: hasPorts ? dport : 0 };
  return isReply ? { src: dst, sport: forward.dport, dst: src, dport: forward.sport } : forward;
}

const isSame = (one: TrueEnds, other: TrueEnds) => JSON.stringify(one) === JSON.stringify(other);

describe('captures of real kernels', function () {
  this.timeout(60_000);

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
  const all = await Promise.all(captures.map(convert));
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
