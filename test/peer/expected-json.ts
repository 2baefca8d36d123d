/** What `--format json` should print of a state, from what is true of it: DESIGN.md sections 2 and 3. */
import type { SimEnd } from './pfsync-writer.js';
import type { TrueFlow } from './truth.js';

export type CounterKind = 'exact' | 'partial' | 'tcpseq' | 'none';

/** Counters are bigints, times and ports numbers. Without the flow's end, flowEndReason and tcpControlBits. */
export type ExpectedJson = Readonly<Record<string, unknown>> & {
  readonly pf: {
    readonly stateId: string;
    readonly creatorId: string;
    readonly direction: 'in' | 'out';
    readonly rule: number;
    readonly counters: CounterKind;
    readonly countersFrom?: string;
    readonly countersAge?: number;
    readonly reply: boolean;
  };
};

/** Where a flow's counters come from. */
export function counterKind(flow: TrueFlow): CounterKind {
  if (flow.ended === 'delete' || flow.ended === 'dead' || flow.isProven) return 'exact';
  if (flow.advance[0] + flow.advance[1] > 0) return 'tcpseq';
  return flow.told.isZero ? 'none' : 'partial';
}

/** The records of one state, forward first. A state that is open gives them only to a program that gives it up. */
export function expectedRecords(flow: TrueFlow): ExpectedJson[] {
  const kind = counterKind(flow);
  const shown = ([0, 1] as const).map((index) => shownCounters(flow, kind, index));
  const hasRecord = ({ packets, octets }: Shown, index: number) =>
    kind === 'exact' ? packets > 0n : index === 0 || packets > 0n || octets > 0n;
  return ([0, 1] as const).flatMap((index) =>
    hasRecord(shown[index]!, index) ? [record(flow, index, kind, shown[index]!)] : [],
  );
}

interface Shown {
  readonly octets: bigint;
  readonly packets: bigint;
}

/** What was told, and by sequence numbers at least so many octets more, in at least a packet. Of af-to states all at index 0. */
function shownCounters({ told, advance, af, afAfter }: TrueFlow, kind: CounterKind, index: 0 | 1): Shown {
  const counted = { octets: told.bytes[index], packets: told.packets[index] };
  if (kind !== 'tcpseq') return counted;
  const isAfTo = af !== afAfter;
  const more = isAfTo ? (index === 0 ? advance[0] + advance[1] : 0) : advance[index];
  const octets = counted.octets + BigInt(more);
  return { octets, packets: more > 0 && counted.packets === 0n ? 1n : counted.packets };
}

function record(flow: TrueFlow, index: 0 | 1, counters: CounterKind, shown: Shown): ExpectedJson {
  const { direction, af, afAfter } = flow;
  const [source, destination] = turned(index, flow.originalSource, flow.originalDestination);
  const [natSource, natDestination] = turned(index, flow.translatedSource, flow.translatedDestination);
  const hasPorts = [6, 17, 132].includes(flow.proto);
  const isTranslated = af !== afAfter || !isSame(source, natSource) || !isSame(destination, natDestination);
  // An id is larger than any type.
  const type = flow.originalDestination.port;
  const hasType = (flow.proto === 1 || flow.proto === 58) && type > 0 && type < 256;
  const ageOfCounters = Math.max(0, Math.round(((flow.endedMs ?? 0) - flow.toldMs) / 1000));
  return {
    flowStartMilliseconds: flow.startMs,
    [`sourceIPv${af}Address`]: source.address,
    [`destinationIPv${af}Address`]: destination.address,
    ...(hasPorts ? { sourceTransportPort: source.port, destinationTransportPort: destination.port } : {}),
    protocolIdentifier: flow.proto,
    ...(counters === 'none' ? {} : { octetDeltaCount: shown.octets, packetDeltaCount: shown.packets }),
    ...(hasType ? { [`icmpTypeIPv${af}`]: type, [`icmpCodeIPv${af}`]: 0 } : {}),
    flowDirection: (direction === 'in') === (index === 0) ? 0 : 1,
    ...(isTranslated
      ? {
          [`postNATSourceIPv${afAfter}Address`]: natSource.address,
          [`postNATDestinationIPv${afAfter}Address`]: natDestination.address,
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
      ...(counters === 'none' ? {} : { countersFrom: counters === 'tcpseq' ? 'sequence' : flow.by }),
      ...(counters === 'partial' || counters === 'tcpseq' ? { countersAge: ageOfCounters } : {}),
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
