/**
 * Where each word of a gathered flow stands. A name that covers several words is the first of them. A file without
 * imports: of such a one the build puts constants in place.
 */

/** Both ends on one side of the NAT: addresses of IPv4, as the forward record shows them. */
export const SOURCE = 0;
export const DESTINATION = 1;
/** Four words each. */
export const SOURCE6 = 2;
export const DESTINATION6 = 6;
/** The source's port, and behind it the destination's. */
export const PORTS = 10;
export const REPLY_PORTS = 11;
/** Four octets: protocol, flowDirection, flowEndReason, and tcpControlBits or an ICMP type or 0. */
export const DESCRIPTION = 12;
export const REPLY_DESCRIPTION = 13;
export const INGRESS = 14;
export const EGRESS = 15;
/** 64 bits, high word first, as all that follow up to PAYLOAD but UPTIMES. */
export const STATE_ID = 16;
export const START = 18;
export const END = 20;
/** 32 bits each: of the start and of the end. */
export const UPTIMES = 22;
/** In the order of a Volume. */
export const OCTETS = 24;
export const PACKETS = 26;
export const REPLY_OCTETS = 28;
export const REPLY_PACKETS = 30;
/** Of the initiator and of the responder. */
export const PAYLOAD = 32;
/** The ends behind the translation, in the same order as those above. */
export const POST_SOURCE = 36;
export const POST_DESTINATION = 37;
export const POST_SOURCE6 = 38;
export const POST_DESTINATION6 = 42;
export const POST_PORTS = 46;
export const REPLY_POST_PORTS = 47;
/** As DESCRIPTION, with biflowDirection for the fourth octet. */
export const BIFLOW_DESCRIPTION = 48;
/** Two octets, the fourth of DESCRIPTION and the reverse tcpControlBits, and two of padding. */
export const BIFLOW_FLAGS = 49;
/** 64 bits. */
export const EVENT_TIME = 50;
/** Two octets, natEvent and protocol, and two that nobody reads. */
export const EVENT = 52;
/** Two octets, ipClassOfService and protocol, and two that nobody reads. */
export const CLASS = 53;

export const WORDS = 54;
