/**
 * The parts of a flow record in NetFlow v9 and IPFIX: a few Information Elements that stand together. `assembly/record-part`
 * writes their values, the same elements in the same order.
 */
import { ELEMENTS, type Field, paddingOctets } from './element.js';

export type Part = readonly Field[];

export const ADDRESSES4: Part = [ELEMENTS.sourceIPv4Address, ELEMENTS.destinationIPv4Address];

export const ADDRESSES6: Part = [ELEMENTS.sourceIPv6Address, ELEMENTS.destinationIPv6Address];

export const PORTS: Part = [ELEMENTS.sourceTransportPort, ELEMENTS.destinationTransportPort];

/** The octet behind the three of every description. */
export type Fourth = Flags | 'biflowDirection' | 'padding' | 'nothing';

/** What some protocols have. */
export type Flags = 'tcpControlBits' | 'icmpTypeIPv4' | 'icmpTypeIPv6';

/** What every record of the full profile tells beside addresses, interfaces, times and volume. */
export function description(fourth: Fourth): Part {
  const fields: Field[] = [ELEMENTS.protocolIdentifier, ELEMENTS.flowDirection, ELEMENTS.flowEndReason];
  if (fourth === 'padding') fields.push(paddingOctets(1));
  else if (fourth !== 'nothing') fields.push(ELEMENTS[fourth]);
  return fields;
}

/** The flags of both directions in one record, which has padding once at most: some collectors keep one element of a kind. */
export function biflowFlags(flags: Flags | undefined, hasReverse: boolean): Part {
  const fields: Field[] = [];
  if (flags !== undefined) fields.push(ELEMENTS[flags]);
  if (hasReverse)
    fields.push(...(flags === undefined ? [paddingOctets(1)] : []), ELEMENTS.reverseTcpControlBits);
  if (flags !== undefined) fields.push(paddingOctets(4 - fields.length));
  return fields;
}

export const FLOW_ID: Part = [ELEMENTS.flowId];

export const INTERFACES: Part = [ELEMENTS.ingressInterface, ELEMENTS.egressInterface];

export const TIMES: Part = [ELEMENTS.flowStartMilliseconds, ELEMENTS.flowEndMilliseconds];

export const UPTIMES: Part = [ELEMENTS.flowStartSysUpTime, ELEMENTS.flowEndSysUpTime];

export const COUNTERS: Part = [ELEMENTS.octetDeltaCount, ELEMENTS.packetDeltaCount];

/** Never beside octetDeltaCount: some collectors add the two up. */
export const ESTIMATE: Part = [ELEMENTS.initiatorOctets, ELEMENTS.responderOctets];

/** The responder's direction in a record of both. */
export const REVERSE: Part = [ELEMENTS.reverseOctetDeltaCount, ELEMENTS.reversePacketDeltaCount];

export const POST_NAT4: Part = [ELEMENTS.postNATSourceIPv4Address, ELEMENTS.postNATDestinationIPv4Address];

export const POST_NAT6: Part = [ELEMENTS.postNATSourceIPv6Address, ELEMENTS.postNATDestinationIPv6Address];

export const POST_NAT_PORTS: Part = [
  ELEMENTS.postNAPTSourceTransportPort,
  ELEMENTS.postNAPTDestinationTransportPort,
];

export const NAT_EVENT_TIME: Part = [ELEMENTS.observationTimeMilliseconds];

export const NAT_EVENT: Part = [ELEMENTS.natEvent, ELEMENTS.protocolIdentifier];

export const PFLOW_COUNTERS: Part = [ELEMENTS.packetDeltaCount, ELEMENTS.octetDeltaCount];

export const CLASS_PROTOCOL: Part = [ELEMENTS.ipClassOfService, ELEMENTS.protocolIdentifier];
