/**
 * Information Elements: the rows of the IANA IPFIX registry (RFC 7012, RFC 8158) that a pf state or the exporter itself can
 * fill, and where the value of each stands in a flow row. A new element is a row here.
 */
import {
  ADDRESS,
  ADDRESSES,
  DESCRIPTION,
  END_WIRE,
  EVENT,
  ICMP,
  ID,
  INTERFACES,
  NOTHING,
  OCTETS,
  PACKETS,
  PORTS,
  REPLY_COUNTERS,
  START_WIRE,
  UPTIMES,
} from '../flow/row.js';

/** A Field Specifier of a Template Record. */
export interface Field {
  readonly id: number;
  /** Octets, or VARIABLE_LENGTH. */
  readonly length: number;
  /** Private Enterprise Number; IANA's own elements have none. */
  readonly enterprise?: number;
}

/**
 * Octets from the start of a flow row to the value: in the forward and in the reply record of the original view, then in both
 * records of the translated view.
 */
export type Place = readonly [number, number, number, number];

/** The length of a field that stands before each value (RFC 7011, section 7). */
export const VARIABLE_LENGTH = 65_535;

/** RFC 5103: the reverse of an element has the same number, under this enterprise number. */
const REVERSE = 29_305;

/** A value that all records have in common. */
function common(word: number, octet = 0): Place {
  const at = 4 * word + octet;
  return [at, at, at, at];
}

/** A value for each direction, `step` words apart. */
function directed(word: number, step: number, octet = 0): Place {
  const forward = 4 * word + octet;
  const reply = forward + 4 * step;
  return [forward, reply, forward, reply];
}

/** A value for each direction and view, in words that follow each other. */
function viewed(word: number, octet: number): Place {
  const at = 4 * word + octet;
  return [at, at + 4, at + 8, at + 12];
}

/** The address of the record's source (0) or destination (1). */
function address(end: 0 | 1): Place {
  const at = (which: number) => 4 * (ADDRESSES + ADDRESS * which);
  return [at(end), at(end ^ 1), at(end + 2), at((end ^ 1) + 2)];
}

/** The same value, where a record shows the translated view beside the original one. */
function translated([, , forward, reply]: Place): Place {
  return [forward, reply, forward, reply];
}

/** The value of the other direction, for a record of both. */
function reverse([forward, reply, translatedForward, translatedReply]: Place): Place {
  return [reply, forward, translatedReply, translatedForward];
}

const SOURCE = address(0);
const DESTINATION = address(1);
const SOURCE_PORT = viewed(PORTS, 0);
const DESTINATION_PORT = viewed(PORTS, 2);
const OCTET_COUNT = directed(OCTETS, REPLY_COUNTERS);
const PACKET_COUNT = directed(PACKETS, REPLY_COUNTERS);
const FLAGS = viewed(DESCRIPTION, 3);

/** Lengths in octets. Elements without a place in the row are for options records. */
export const ELEMENTS = {
  octetDeltaCount: { id: 1, length: 8, at: OCTET_COUNT },
  packetDeltaCount: { id: 2, length: 8, at: PACKET_COUNT },
  protocolIdentifier: { id: 4, length: 1, at: viewed(DESCRIPTION, 0) },
  /** pf does not report it. */
  ipClassOfService: { id: 5, length: 1, at: common(NOTHING) },
  /** One octet of the two: some collectors read it in no other size. */
  tcpControlBits: { id: 6, length: 1, at: FLAGS },
  sourceTransportPort: { id: 7, length: 2, at: SOURCE_PORT },
  sourceIPv4Address: { id: 8, length: 4, at: SOURCE },
  ingressInterface: { id: 10, length: 4, at: directed(INTERFACES, 2) },
  destinationTransportPort: { id: 11, length: 2, at: DESTINATION_PORT },
  destinationIPv4Address: { id: 12, length: 4, at: DESTINATION },
  egressInterface: { id: 14, length: 4, at: directed(INTERFACES + 1, 2) },
  flowEndSysUpTime: { id: 21, length: 4, at: common(UPTIMES + 1) },
  flowStartSysUpTime: { id: 22, length: 4, at: common(UPTIMES) },
  sourceIPv6Address: { id: 27, length: 16, at: SOURCE },
  destinationIPv6Address: { id: 28, length: 16, at: DESTINATION },
  /** In NetFlow v9 ICMP_TYPE, which is of both families. Some collectors read 176 and 178 in one of the formats only. */
  icmpTypeCodeIPv4: { id: 32, length: 2, at: common(ICMP) },
  samplingInterval: { id: 34, length: 4 },
  samplingAlgorithm: { id: 35, length: 1 },
  exportedOctetTotalCount: { id: 40, length: 8 },
  exportedMessageTotalCount: { id: 41, length: 8 },
  exportedFlowRecordTotalCount: { id: 42, length: 8 },
  flowDirection: { id: 61, length: 1, at: viewed(DESCRIPTION, 1) },
  interfaceName: { id: 82, length: VARIABLE_LENGTH },
  interfaceDescription: { id: 83, length: VARIABLE_LENGTH },
  flowEndReason: { id: 136, length: 1, at: viewed(DESCRIPTION, 2) },
  icmpTypeCodeIPv6: { id: 139, length: 2, at: common(ICMP) },
  exportingProcessId: { id: 144, length: 4 },
  flowId: { id: 148, length: 8, at: common(ID) },
  observationDomainId: { id: 149, length: 4 },
  flowStartMilliseconds: { id: 152, length: 8, at: common(START_WIRE) },
  flowEndMilliseconds: { id: 153, length: 8, at: common(END_WIRE) },
  ignoredPacketTotalCount: { id: 164, length: 8 },
  ignoredOctetTotalCount: { id: 165, length: 8 },
  notSentFlowTotalCount: { id: 166, length: 8 },
  postNATSourceIPv4Address: { id: 225, length: 4, at: translated(SOURCE) },
  postNATDestinationIPv4Address: { id: 226, length: 4, at: translated(DESTINATION) },
  postNAPTSourceTransportPort: { id: 227, length: 2, at: translated(SOURCE_PORT) },
  postNAPTDestinationTransportPort: { id: 228, length: 2, at: translated(DESTINATION_PORT) },
  natEvent: { id: 230, length: 1, at: common(EVENT, 1) },
  biflowDirection: { id: 239, length: 1, at: common(EVENT, 2) },
  postNATSourceIPv6Address: { id: 281, length: 16, at: translated(SOURCE) },
  postNATDestinationIPv6Address: { id: 282, length: 16, at: translated(DESTINATION) },
  samplingPacketInterval: { id: 305, length: 4 },
  samplingPacketSpace: { id: 306, length: 4 },
  /** Of a NAT event, which was when its row ends. */
  observationTimeMilliseconds: { id: 323, length: 8, at: common(END_WIRE) },
  reverseOctetDeltaCount: { id: 1, length: 8, enterprise: REVERSE, at: reverse(OCTET_COUNT) },
  reversePacketDeltaCount: { id: 2, length: 8, enterprise: REVERSE, at: reverse(PACKET_COUNT) },
  reverseTcpControlBits: { id: 6, length: 1, enterprise: REVERSE, at: reverse(FLAGS) },
  /** paddingOctets: zeros without a meaning, in one field. */
  paddingOctet: { id: 210, length: 1, at: common(NOTHING) },
  twoPaddingOctets: { id: 210, length: 2, at: common(NOTHING) },
  threePaddingOctets: { id: 210, length: 3, at: common(NOTHING) },
} as const satisfies Readonly<Record<string, Field & { readonly at?: Place }>>;

type Elements = typeof ELEMENTS;

/** Elements whose value stands in a flow row. */
export type FlowElement = {
  [Name in keyof Elements]: Elements[Name] extends { readonly at: Place } ? Name : never;
}[keyof Elements];
