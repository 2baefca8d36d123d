/** What `--format json` should print of a state, from what is true of it: DESIGN.md sections 2 and 3. */
import type { SimEnd } from './pfsync-writer.js';
import type { TrueFlow } from './truth.js';

export type CounterKind = 'exact' | 'partial' | 'tcpseq' | 'none';

export interface ExpectedRecord {
  /** DESIGN.md promises the record, or leaves it open: a reply of which no packet is known. */
  readonly presence: 'must' | 'may';
  /** Counters are bigints, times and ports numbers. Without flowEndReason. `interfaceName` is absent for a floating state. */
  readonly json: ExpectedJson;
}

export type ExpectedJson = Readonly<Record<string, unknown>> & {
  readonly pf: {
    readonly stateId: string;
    readonly creatorId: string;
    readonly direction: 'in' | 'out';
    readonly rule: number;
    readonly counters: CounterKind;
    readonly reply: boolean;
  };
};

/** Where a flow's counters come from. */
export function counterKind(flow: TrueFlow): CounterKind {
  if (flow.ended === 'delete') return 'exact';
  if (!flow.told.isZero && flow.told.by === 'update') return 'partial';
  const [initiator, responder] = flow.tcp?.octets ?? [null, null];
  if ((initiator ?? 0) + (responder ?? 0) > 0) return 'tcpseq';
  return flow.told.isZero ? 'none' : 'partial';
}

/** The records of one state, forward first. A state that is open gives them only to a program that gives it up. */
export function expectedRecords(flow: TrueFlow): ExpectedRecord[] {
  const kind = counterKind(flow);
  const records: ExpectedRecord[] = [];
  for (const index of [0, 1] as const) {
    const packets = flow.told.packets[index];
    if (kind === 'exact' && packets === 0n) continue;
    if (kind === 'tcpseq' && index === 1) continue;
    const isPromised = index === 0 || (kind !== 'none' && packets > 0n);
    records.push({ presence: isPromised ? 'must' : 'may', json: record(flow, index, kind) });
  }
  return records;
}

function record(flow: TrueFlow, index: 0 | 1, counters: CounterKind): ExpectedJson {
  const { direction, told, tcp } = flow;
  const [source, destination] = turned(index, flow.originalSource, flow.originalDestination);
  const [natSource, natDestination] = turned(index, flow.translatedSource, flow.translatedDestination);
  const hasPorts = [6, 17, 33, 132, 136].includes(flow.proto);
  const isTranslated = !isSame(source, natSource) || !isSame(destination, natDestination);
  return {
    flowStartMilliseconds: flow.startMs,
    ...(flow.flowEndMs === null ? {} : { flowEndMilliseconds: flow.flowEndMs }),
    [`sourceIPv${flow.af}Address`]: source.address,
    [`destinationIPv${flow.af}Address`]: destination.address,
    ...(hasPorts ? { sourceTransportPort: source.port, destinationTransportPort: destination.port } : {}),
    protocolIdentifier: flow.proto,
    ...(counters === 'exact' || counters === 'partial'
      ? { octetDeltaCount: told.bytes[index], packetDeltaCount: told.packets[index] }
      : {}),
    ...(counters === 'tcpseq'
      ? { initiatorOctets: BigInt(tcp?.octets[0] ?? 0), responderOctets: BigInt(tcp?.octets[1] ?? 0) }
      : {}),
    flowDirection: (direction === 'in') === (index === 0) ? 0 : 1,
    ...(isTranslated
      ? {
          [`postNATSourceIPv${flow.afAfter}Address`]: natSource.address,
          [`postNATDestinationIPv${flow.afAfter}Address`]: natDestination.address,
          ...(hasPorts
            ? {
                postNAPTSourceTransportPort: natSource.port,
                postNAPTDestinationTransportPort: natDestination.port,
              }
            : {}),
        }
      : {}),
    ...(flow.ifname === 'all' ? {} : { interfaceName: flow.ifname }),
    pf: {
      stateId: flow.stateId,
      creatorId: flow.creatorId,
      direction,
      rule: flow.rule,
      counters,
      reply: index === 1,
    },
  };
}

function turned(index: 0 | 1, source: SimEnd, destination: SimEnd): [SimEnd, SimEnd] {
  return index === 0 ? [source, destination] : [destination, source];
}

function isSame(one: SimEnd, other: SimEnd): boolean {
  return one.address === other.address && one.port === other.port;
}
