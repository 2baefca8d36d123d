/** Information Elements: the rows of the IANA IPFIX registry (RFC 7012, RFC 8158) that a pf state can fill. Lengths in octets. */

export const ELEMENTS = {
  octetDeltaCount: { id: 1, length: 8 },
  packetDeltaCount: { id: 2, length: 8 },
  protocolIdentifier: { id: 4, length: 1 },
  ipClassOfService: { id: 5, length: 1 },
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
  flowDirection: { id: 61, length: 1 },
  flowEndReason: { id: 136, length: 1 },
  flowId: { id: 148, length: 8 },
  flowStartMilliseconds: { id: 152, length: 8 },
  flowEndMilliseconds: { id: 153, length: 8 },
  postNATSourceIPv4Address: { id: 225, length: 4 },
  postNATDestinationIPv4Address: { id: 226, length: 4 },
  postNAPTSourceTransportPort: { id: 227, length: 2 },
  postNAPTDestinationTransportPort: { id: 228, length: 2 },
  initiatorOctets: { id: 231, length: 8 },
  responderOctets: { id: 232, length: 8 },
  postNATSourceIPv6Address: { id: 281, length: 16 },
  postNATDestinationIPv6Address: { id: 282, length: 16 },
} as const;

export type ElementName = keyof typeof ELEMENTS;
