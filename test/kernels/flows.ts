/** What the program makes of a kernel's capture: flows with the states that they are of. */
import { availableParallelism } from 'node:os';
import { expect } from 'chai';
import { quoteLargeNumbers, run, type Summary } from '../peer/pfflowd.js';
import type { KernelCapture, TrueEnds, TrueState } from './truth.js';

/** One line of JSON: a record of a flow. */
export interface JsonRecord {
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
    readonly joined?: boolean;
    readonly otherStateId?: string;
    readonly ingressInterfaceName?: string;
    readonly egressInterfaceName?: string;
  };
}

/** Both records of a flow, with the state that it is of. */
export interface Flow {
  readonly records: readonly JsonRecord[];
  readonly counters: JsonRecord['pf']['counters'];
  readonly octets: readonly [bigint, bigint];
  readonly packets: readonly [bigint, bigint];
  readonly start: number;
  readonly end: number;
  readonly state: TrueState;
}

export interface Converted {
  readonly flows: readonly Flow[];
  readonly summary: Summary;
}

const converted = new Map<string, Promise<Converted>>();

/** Converts a capture by the program, once for each set of options. */
export function convert(capture: KernelCapture, ...options: readonly string[]): Promise<Converted> {
  const key = [capture.file, ...options].join(' ');
  const known = converted.get(key);
  if (known !== undefined) return known;
  const result = convertAnew(capture, options);
  converted.set(key, result);
  return result;
}

/** Converts them all, as many at a time as there are processors: the tests then find them converted. */
export async function convertAll(
  captures: readonly KernelCapture[],
  ...options: readonly string[]
): Promise<void> {
  const left = [...captures];
  const work = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) await convert(next, ...options);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
}

async function convertAnew({ file, states }: KernelCapture, options: readonly string[]): Promise<Converted> {
  const { stdout, summary } = await run(['-r', file, '--format', 'json', '--log-level', 'error', ...options]);
  const lines = stdout.toString().trimEnd().split('\n');
  const records = lines
    .filter((line) => line !== '')
    .map((line) => JSON.parse(quoteLargeNumbers(line)) as JsonRecord);
  return { flows: flowsOf(records, states), summary: summary! };
}

export function flowsOf(records: readonly JsonRecord[], states: readonly TrueState[]): Flow[] {
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

/** Addresses and ports of a record, or those after translation where it shows them. */
export function endsOf(record: JsonRecord, prefix: 'post' | ''): TrueEnds | undefined {
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
export function trueEnds({ src, sport, dst, dport }: TrueEnds, proto: number, isReply: boolean): TrueEnds {
  const hasPorts = [6, 17, 132].includes(proto);
  const forward = { src, sport: hasPorts ? sport : 0, dst, dport: hasPorts ? dport : 0 };
  return isReply ? { src: dst, sport: forward.dport, dst: src, dport: forward.sport } : forward;
}

export const isSame = (one: TrueEnds, other: TrueEnds) => JSON.stringify(one) === JSON.stringify(other);
