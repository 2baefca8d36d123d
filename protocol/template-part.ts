/**
 * The parts of a flow record in NetFlow v9 and IPFIX: a few Information Elements that stand together, and the words of a
 * gathered flow that are their values.
 */
import { ELEMENTS, type Field, paddingOctets } from './element.js';
import {
  BIFLOW_DESCRIPTION,
  BIFLOW_FLAGS,
  CLASS,
  DESCRIPTION,
  DESTINATION,
  DESTINATION6,
  EGRESS,
  EVENT,
  EVENT_TIME,
  INGRESS,
  OCTETS,
  PACKETS,
  PAYLOAD,
  PORTS as PORTS_WORD,
  POST_DESTINATION,
  POST_DESTINATION6,
  POST_PORTS,
  POST_SOURCE,
  POST_SOURCE6,
  REPLY_DESCRIPTION,
  REPLY_OCTETS,
  REPLY_PACKETS,
  REPLY_PORTS,
  REPLY_POST_PORTS,
  SOURCE,
  SOURCE6,
  START,
  STATE_ID,
  UPTIMES as UPTIMES_WORD,
} from './flow-word.js';

/** Only a record's last part may end within a word. */
export interface Part {
  readonly fields: readonly Field[];
  /** Words that hold the fields, in their order: of a forward record and of a reply record. */
  readonly words: readonly number[];
  readonly replyWords: readonly number[];
}

function part(
  fields: readonly Field[],
  words: readonly number[],
  replyWords: readonly number[] = words,
): Part {
  return { fields, words, replyWords };
}

function run(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => first + i);
}

/** Two values of so many words each, which change places in a reply record. */
function exchanged(fields: readonly Field[], one: number, other: number, count: number): Part {
  const [ones, others] = [run(one, count), run(other, count)];
  return part(fields, [...ones, ...others], [...others, ...ones]);
}

export const ADDRESSES4 = exchanged(
  [ELEMENTS.sourceIPv4Address, ELEMENTS.destinationIPv4Address],
  SOURCE,
  DESTINATION,
  1,
);

export const ADDRESSES6 = exchanged(
  [ELEMENTS.sourceIPv6Address, ELEMENTS.destinationIPv6Address],
  SOURCE6,
  DESTINATION6,
  4,
);

export const PORTS = part(
  [ELEMENTS.sourceTransportPort, ELEMENTS.destinationTransportPort],
  [PORTS_WORD],
  [REPLY_PORTS],
);

/** The octet behind the three of every description. */
export type Fourth = Flags | 'biflowDirection' | 'padding' | 'nothing';

/** What some protocols have. */
export type Flags = 'tcpControlBits' | 'icmpTypeIPv4' | 'icmpTypeIPv6';

/** What every record of the full profile tells beside addresses, interfaces, times and volume. */
export function description(fourth: Fourth): Part {
  const { protocolIdentifier, flowDirection, flowEndReason } = ELEMENTS;
  const fields: Field[] = [protocolIdentifier, flowDirection, flowEndReason];
  if (fourth === 'biflowDirection') return part([...fields, ELEMENTS[fourth]], [BIFLOW_DESCRIPTION]);
  if (fourth === 'padding') fields.push(paddingOctets(1));
  else if (fourth !== 'nothing') fields.push(ELEMENTS[fourth]);
  return part(fields, [DESCRIPTION], [REPLY_DESCRIPTION]);
}

/** The flags of both directions in one record, which has padding once at most: some collectors keep one element of a kind. */
export function biflowFlags(flags: Flags | undefined, hasReverse: boolean): Part {
  const fields: Field[] = [];
  if (flags !== undefined) fields.push(ELEMENTS[flags]);
  if (hasReverse)
    fields.push(...(flags === undefined ? [paddingOctets(1)] : []), ELEMENTS.reverseTcpControlBits);
  if (flags !== undefined) fields.push(paddingOctets(4 - fields.length));
  return part(fields, fields.length === 0 ? [] : [BIFLOW_FLAGS]);
}

export const FLOW_ID = part([ELEMENTS.flowId], run(STATE_ID, 2));

export const INTERFACES = exchanged(
  [ELEMENTS.ingressInterface, ELEMENTS.egressInterface],
  INGRESS,
  EGRESS,
  1,
);

export const TIMES = part([ELEMENTS.flowStartMilliseconds, ELEMENTS.flowEndMilliseconds], run(START, 4));

export const UPTIMES = part([ELEMENTS.flowStartSysUpTime, ELEMENTS.flowEndSysUpTime], run(UPTIMES_WORD, 2));

export const COUNTERS = part(
  [ELEMENTS.octetDeltaCount, ELEMENTS.packetDeltaCount],
  run(OCTETS, 4),
  run(REPLY_OCTETS, 4),
);

/** Never beside octetDeltaCount: some collectors add the two up. */
export const ESTIMATE = part([ELEMENTS.initiatorOctets, ELEMENTS.responderOctets], run(PAYLOAD, 4));

/** The responder's direction in a record of both. */
export const REVERSE = part(
  [ELEMENTS.reverseOctetDeltaCount, ELEMENTS.reversePacketDeltaCount],
  COUNTERS.replyWords,
);

export const POST_NAT4 = exchanged(
  [ELEMENTS.postNATSourceIPv4Address, ELEMENTS.postNATDestinationIPv4Address],
  POST_SOURCE,
  POST_DESTINATION,
  1,
);

export const POST_NAT6 = exchanged(
  [ELEMENTS.postNATSourceIPv6Address, ELEMENTS.postNATDestinationIPv6Address],
  POST_SOURCE6,
  POST_DESTINATION6,
  4,
);

export const POST_NAT_PORTS = part(
  [ELEMENTS.postNAPTSourceTransportPort, ELEMENTS.postNAPTDestinationTransportPort],
  [POST_PORTS],
  [REPLY_POST_PORTS],
);

export const NAT_EVENT_TIME = part([ELEMENTS.observationTimeMilliseconds], run(EVENT_TIME, 2));

export const NAT_EVENT = part([ELEMENTS.natEvent, ELEMENTS.protocolIdentifier], [EVENT]);

export const PFLOW_COUNTERS = part(
  [ELEMENTS.packetDeltaCount, ELEMENTS.octetDeltaCount],
  [...run(PACKETS, 2), ...run(OCTETS, 2)],
  [...run(REPLY_PACKETS, 2), ...run(REPLY_OCTETS, 2)],
);

export const CLASS_PROTOCOL = part([ELEMENTS.ipClassOfService, ELEMENTS.protocolIdentifier], [CLASS]);
