/** The export profiles of NetFlow v9 and IPFIX: the elements of each kind of record (record-kind). */
import { ELEMENTS, type FlowElement } from './element.js';
import {
  AFTER_SIX,
  BOTH,
  HAS_FLAGS,
  HAS_REVERSE_FLAGS,
  KINDS,
  NO_PORTS,
  POST_NAT_FOUR,
  POST_NAT_SIX,
  SIX,
  TYPE_FOUR,
  TYPE_SIX,
  UNCOUNTED,
} from './record-kind.js';

export interface Profile {
  /** The bits that kinds have here; what the others stand for makes no difference. */
  readonly kinds: number;
  /** The elements of a flow record of this kind, in their order. */
  elements(kind: number): readonly FlowElement[];
  /** The same for NAT events; absent where there are none. */
  eventElements?(kind: number): readonly FlowElement[];
  /** Kinds whose templates are announced from the start on; the others with their first record. */
  readonly fixed: readonly number[];
  /** pflow(4): templates in messages of their own, and one data set in a message. */
  readonly oneSetPerMessage: boolean;
  /** Times are uptimes, counted from a boot that each message chooses. */
  readonly hasUptimes: boolean;
}

export interface FullProfileOptions {
  /** Times are uptimes, not times of day. */
  readonly uptimes: boolean;
  /** Fill records up to whole words. A collector that knows IPFIX knows the element of that. */
  readonly pads: boolean;
  /** What holds an ICMP type and code, by family. */
  readonly icmpTypes: Readonly<Record<4 | 6, FlowElement>>;
  /** Show the translated addresses beside the original ones. */
  readonly postNat: boolean;
  /** Show the state's id. */
  readonly flowId: boolean;
  /** One record for both directions (RFC 5103). */
  readonly biflow: boolean;
}

const SOURCE_AND_DESTINATION = {
  4: ['sourceIPv4Address', 'destinationIPv4Address'],
  6: ['sourceIPv6Address', 'destinationIPv6Address'],
  ports: ['sourceTransportPort', 'destinationTransportPort'],
} as const;

const POST_NAT = {
  4: ['postNATSourceIPv4Address', 'postNATDestinationIPv4Address'],
  6: ['postNATSourceIPv6Address', 'postNATDestinationIPv6Address'],
  ports: ['postNAPTSourceTransportPort', 'postNAPTDestinationTransportPort'],
} as const;

const INTERFACES = ['ingressInterface', 'egressInterface'] as const;
const TIMES = ['flowStartMilliseconds', 'flowEndMilliseconds'] as const;
const UPTIMES = ['flowStartSysUpTime', 'flowEndSysUpTime'] as const;

/** The full profile: one template for each kind that occurs. */
export function fullProfile(options: FullProfileOptions): Profile {
  const { biflow, postNat, uptimes } = options;
  const left = (biflow ? 0 : BOTH | HAS_REVERSE_FLAGS) | (postNat ? 0 : POST_NAT_FOUR | POST_NAT_SIX);
  return {
    kinds: (KINDS - 1) & ~left,
    elements: (kind) => fullElements(kind, options),
    eventElements,
    fixed: [],
    oneSetPerMessage: false,
    hasUptimes: uptimes,
  };
}

function fullElements(kind: number, options: FullProfileOptions): FlowElement[] {
  const { flowId, uptimes } = options;
  const has = (bits: number) => (kind & bits) !== 0;
  const when = (condition: boolean, names: readonly FlowElement[]) => (condition ? names : []);
  return [
    ...SOURCE_AND_DESTINATION[has(SIX) ? 6 : 4],
    ...when(!has(NO_PORTS), SOURCE_AND_DESTINATION.ports),
    ...INTERFACES,
    ...when(flowId, ['flowId']),
    ...(uptimes ? UPTIMES : TIMES),
    ...when(!has(UNCOUNTED), ['octetDeltaCount', 'packetDeltaCount']),
    ...when(has(POST_NAT_FOUR), POST_NAT[4]),
    ...when(has(POST_NAT_SIX), POST_NAT[6]),
    ...when(has(POST_NAT_FOUR | POST_NAT_SIX) && !has(NO_PORTS), POST_NAT.ports),
    ...when(has(BOTH), ['reverseOctetDeltaCount', 'reversePacketDeltaCount']),
    'protocolIdentifier',
    'flowDirection',
    'flowEndReason',
    ...(has(BOTH) ? biflowEnd(kind, options) : recordEnd(kind, options)),
  ];
}

/** What some protocols have. */
function flagsOrType(kind: number, { icmpTypes }: FullProfileOptions): FlowElement | undefined {
  if ((kind & HAS_FLAGS) !== 0) return 'tcpControlBits';
  if ((kind & TYPE_FOUR) !== 0) return icmpTypes[4];
  return (kind & TYPE_SIX) !== 0 ? icmpTypes[6] : undefined;
}

/** Behind three octets: what some protocols have, and padding. */
function recordEnd(kind: number, options: FullProfileOptions): readonly FlowElement[] {
  const own = flagsOrType(kind, options);
  if (!options.pads) return own === undefined ? [] : [own];
  if (own === undefined) return ['paddingOctet'];
  return ELEMENTS[own].length === 1 ? [own] : [own, 'threePaddingOctets'];
}

/** The same for both directions. It has padding once at most: some collectors keep one element of a kind. */
function biflowEnd(kind: number, options: FullProfileOptions): readonly FlowElement[] {
  const own = flagsOrType(kind, options);
  const hasReverse = (kind & HAS_REVERSE_FLAGS) !== 0;
  if (own === undefined) {
    return ['biflowDirection', ...(hasReverse ? (['paddingOctet', 'reverseTcpControlBits'] as const) : [])];
  }
  if (hasReverse) return ['biflowDirection', own, 'reverseTcpControlBits', 'twoPaddingOctets'];
  const padding = ELEMENTS[own].length === 1 ? 'threePaddingOctets' : 'twoPaddingOctets';
  return ['biflowDirection', own, padding];
}

/**
 * NAT events (RFC 8158): the elements of the template 258 of FreeBSD's pflow(4), and the times of a flow, without which a
 * collector that has no use for events takes the record for one of 1970. Never counters: some collectors drop those beside 230.
 */
function eventElements(kind: number): readonly FlowElement[] {
  const hasPorts = (kind & NO_PORTS) === 0;
  return [
    'observationTimeMilliseconds',
    ...TIMES,
    ...SOURCE_AND_DESTINATION[(kind & SIX) === 0 ? 4 : 6],
    ...POST_NAT[(kind & AFTER_SIX) === 0 ? 4 : 6],
    ...(hasPorts ? [...SOURCE_AND_DESTINATION.ports, ...POST_NAT.ports] : []),
    'natEvent',
    'protocolIdentifier',
  ];
}

/** Field for field what pflow(4) of OpenBSD and FreeBSD sends: templates 256 and 257. */
export function pflowProfile(): Profile {
  return {
    kinds: SIX,
    elements: (kind) => [
      ...SOURCE_AND_DESTINATION[(kind & SIX) === 0 ? 4 : 6],
      ...INTERFACES,
      'packetDeltaCount',
      'octetDeltaCount',
      ...TIMES,
      ...SOURCE_AND_DESTINATION.ports,
      'ipClassOfService',
      'protocolIdentifier',
    ],
    fixed: [0, SIX],
    oneSetPerMessage: true,
    hasUptimes: false,
  };
}
