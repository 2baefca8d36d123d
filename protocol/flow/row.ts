/**
 * The flow row: a state as the firewall reported it, and the flow that it becomes. A row is ROW words of 32 bits. Values that
 * leave as they came (identifiers, addresses, ports, counters) and what the mapper prepares for export stand in it in wire
 * order; the other words are numbers of this machine. Offsets are words, unless the name says octets or doubles.
 */

export const ROW = 76;
export const ROW_OCTETS = 4 * ROW;
export const ROW_DOUBLES = ROW / 2;

/** Rows that the stages of a pipeline share, at most: a power of two. */
export const ROWS = 512;
/**
 * The number of the last of them. What runs for every state cuts a row's number to its bits: the compiler then knows that no
 * index into the rows can be out of range, and leaves the checks out.
 */
export const LAST_ROW = ROWS - 1;

/** Wire: the state's id, two words, and its creatorid. */
export const ID = 0;
export const CREATOR = 2;
/** Numbers of the rule that made the state and of the anchor's rule; -1 is none. */
export const RULE = 3;
export const ANCHOR = 4;
/** Number of the state's interface in the interface table; 0 is no interface. */
export const INTERFACE = 5;
/** From the low octet up: family (4 or 6), translated family, protocol, translated protocol. 0: the record cannot be read. */
export const PROTOCOLS = 6;
/** From the low octet up: pf's direction, its timeout, the states of the source peer and of the destination peer. */
export const STATE = 7;
/** From the low octet up: 1 where NAT, rdr or af-to changed an address or port; the ICMP type; flags, see below. */
export const FACTS = 8;
/** Flags of FACTS: the ICMP type is known; the record names the interface of a floating state; pf never synchronises the state. */
export const ICMP_TYPE_KNOWN = 1 << 16;
export const INTERFACE_FROM_RECORD = 1 << 17;
export const NEVER_SYNCED = 1 << 24;
/** Number of the interface of route-to or reply-to, and in the high octet which of them (pf-terms); 0 is neither. */
export const ROUTE = 9;
/** Wire: octets and packets from initiator to responder, then those of the replies, two words each. */
export const OCTETS = 10;
export const PACKETS = 12;
/** Words from a counter of the initiator's direction to that of the replies. */
export const REPLY_COUNTERS = 4;
/** Wire: four ends (pf-terms) of four words; of an IPv4 address the first word alone has a meaning. */
export const ADDRESSES = 18;
export const ADDRESS = 4;
/**
 * Wire: source and destination port of the original pair, the same for the reply record (swapped), then both for the
 * translated pair. 0 where the protocol has no ports.
 */
export const PORTS = 34;
export const REPLY_PORTS = 35;
export const TRANSLATED_PORTS = 36;
export const TRANSLATED_REPLY_PORTS = 37;
/** Number of the tag that a rule gave the state, in the tag table; 0 is none. */
export const TAG = 38;
/**
 * Of protocols without ports, what stands in their place, as numbers: of the original view in the low 16 bits, of the
 * translated view in the high ones. In ICMP it is an id.
 */
export const IDENTIFIERS = 39;
/** Up to here is what the state table keeps of a state: a multiple of four words. */
export const KEPT = 40;

/** Seconds since the state was made and seconds left to live; the peers' lowest unacknowledged sequence numbers. */
export const AGE = 40;
export const EXPIRE = 41;
export const SOURCE_SEQLO = 42;
export const DESTINATION_SEQLO = 43;

/** 64-bit floats, as indexes of doubles: milliseconds since the epoch. OBSERVED is the data's clock. */
export const OBSERVED = 22;
export const START = 23;
export const END = 24;

/** From the low octet up: provenance of the counters (terms), directions, flowEndReason, 1 where earlier records told a part. */
export const FLOW = 50;
/** From the low octet up: who reported the counters (terms), 1 in a joined flow, 1 where no message told of the end. */
export const ORIGIN = 51;
/** In ORIGIN: the flow is of two states. */
export const JOINED = 1 << 8;
/** In ORIGIN: the state may have ended later, or not at all. */
export const END_ASSUMED = 1 << 16;
/** Seconds between the report of the counters and the message that ended the flow; with PARTIAL and TCPSEQ. */
export const COUNTERS_AGE = 52;
/** Of a joined flow: number of the outbound state's interface, and the id of that state (wire, two words). */
export const OTHER_INTERFACE = 53;
export const OTHER_ID = 54;

/** Wire: milliseconds since the epoch, two words each; a time before 1970 is 0. The encoder fills them in. */
export const START_WIRE = 56;
export const END_WIRE = 58;
/** Wire: start and end since the boot of the message, for NetFlow v9. The encoder fills them in. */
export const UPTIMES = 60;
/** Wire: ingressInterface and egressInterface of the forward record, then of the reply record. */
export const INTERFACES = 62;
/**
 * Wire, four octets: protocolIdentifier, flowDirection, flowEndReason, tcpControlBits. Of the forward and the reply record of
 * the original view, then of the translated view.
 */
export const DESCRIPTION = 66;
/** Wire, four octets: 0, natEvent, biflowDirection, 0. */
export const EVENT = 70;
/** Wire, four octets: ICMP type and code, and zeros. */
export const ICMP = 71;
/** Zeros. */
export const NOTHING = 72;
