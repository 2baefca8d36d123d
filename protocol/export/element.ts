/**
 * Information Elements: the rows of the IANA IPFIX registry (RFC 7012, RFC 8158) that a pf state or the exporter itself
 * can fill. Lengths in octets. A new element is a row here.
 */

/** A Field Specifier of a Template Record. */
export interface Field {
  readonly id: number;
  /** Octets, or VARIABLE_LENGTH. */
  readonly length: number;
  /** Private Enterprise Number; IANA's own elements have none. */
  readonly enterprise?: number;
}

/** The length of a field that stands before each value (RFC 7011, section 7). */
export const VARIABLE_LENGTH = 65_535;

/** RFC 5103: the reverse of an element has the same number, under this enterprise number. */
const REVERSE = 29_305;

export const ELEMENTS = {
  octetDeltaCount: { id: 1, length: 8 },
  packetDeltaCount: { id: 2, length: 8 },
  protocolIdentifier: { id: 4, length: 1 },
  ipClassOfService: { id: 5, length: 1 },
  /** One octet of the two: some collectors read it in no other size. */
  tcpControlBits: { id: 6, length: 1 },
  sourceTransportPort: { id: 7, length: 2 },
  sourceIPv4Address: { id: 8, length: 4 },
  ingressInterface: { id: 10, length: 4 },
  destinationTransportPort: { id: 11, length: 2 },
  destinationIPv4Address: { id: 12, length: 4 },
  egressInterface: { id: 14, length: 4 },
  flowEndSysUpTime: { id: 21, length: 4 },
  flowStartSysUpTime: { id: 22, length: 4 },
  sourceIPv6Address: { id: 27, length: 16 },
  destinationIPv6Address: { id: 28, length: 16 },
  samplingInterval: { id: 34, length: 4 },
  samplingAlgorithm: { id: 35, length: 1 },
  exportedOctetTotalCount: { id: 40, length: 8 },
  exportedMessageTotalCount: { id: 41, length: 8 },
  exportedFlowRecordTotalCount: { id: 42, length: 8 },
  flowDirection: { id: 61, length: 1 },
  interfaceName: { id: 82, length: VARIABLE_LENGTH },
  interfaceDescription: { id: 83, length: VARIABLE_LENGTH },
  flowEndReason: { id: 136, length: 1 },
  exportingProcessId: { id: 144, length: 4 },
  flowId: { id: 148, length: 8 },
  observationDomainId: { id: 149, length: 4 },
  flowStartMilliseconds: { id: 152, length: 8 },
  flowEndMilliseconds: { id: 153, length: 8 },
  ignoredPacketTotalCount: { id: 164, length: 8 },
  ignoredOctetTotalCount: { id: 165, length: 8 },
  notSentFlowTotalCount: { id: 166, length: 8 },
  notSentPacketTotalCount: { id: 167, length: 8 },
  notSentOctetTotalCount: { id: 168, length: 8 },
  icmpTypeIPv4: { id: 176, length: 1 },
  icmpTypeIPv6: { id: 178, length: 1 },
  postNATSourceIPv4Address: { id: 225, length: 4 },
  postNATDestinationIPv4Address: { id: 226, length: 4 },
  postNAPTSourceTransportPort: { id: 227, length: 2 },
  postNAPTDestinationTransportPort: { id: 228, length: 2 },
  natEvent: { id: 230, length: 1 },
  initiatorOctets: { id: 231, length: 8 },
  responderOctets: { id: 232, length: 8 },
  biflowDirection: { id: 239, length: 1 },
  postNATSourceIPv6Address: { id: 281, length: 16 },
  postNATDestinationIPv6Address: { id: 282, length: 16 },
  samplingPacketInterval: { id: 305, length: 4 },
  samplingPacketSpace: { id: 306, length: 4 },
  observationTimeMilliseconds: { id: 323, length: 8 },
  reverseOctetDeltaCount: { id: 1, length: 8, enterprise: REVERSE },
  reversePacketDeltaCount: { id: 2, length: 8, enterprise: REVERSE },
  reverseTcpControlBits: { id: 6, length: 1, enterprise: REVERSE },
} as const satisfies Readonly<Record<string, Field>>;

/** paddingOctets (210): zeros that carry no meaning. */
export function paddingOctets(length: number): Field {
  return { id: 210, length };
}
