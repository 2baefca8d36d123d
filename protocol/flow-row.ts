/**
 * What stands where in a flow row: a state as it was told, and the flow that it becomes. Rows lie in the memory of the core,
 * which fills and reads them (`assembly/`); everybody else looks at them through `StateRow` and `FlowRecord`. Numbers are
 * little-endian; what comes from the wire and leaves as it came (ids, addresses, ports, counters) has its octets in wire order.
 * A file without imports: of such a one the builds put constants in place.
 */

/** Octets of a row. */
export const ROW = 224;

/** 8 octets in wire order. */
export const ID = 0;
/** 4 octets in wire order. */
export const CREATOR = 8;
/** i32: number of the rule that made the state; -1 for none. */
export const RULE = 12;
/** ifIndex; 0 is no interface. */
export const IF_INDEX = 16;
/** u8 each. Families are 4 or 6, and 0 in a record that cannot be read: then nothing else in the row has a meaning. */
export const FAMILY = 20;
export const TRANSLATED_FAMILY = 21;
export const PROTOCOL = 22;
export const TRANSLATED_PROTOCOL = 23;
export const DIRECTION = 24;
export const TIMEOUT = 25;
export const SOURCE_STATE = 26;
export const DESTINATION_STATE = 27;
/** i16: type of the ICMP message that opened the state; -1 where it is not known, or the protocol is another. */
export const ICMP_TYPE = 28;
/** u8: 1 where NAT, rdr or af-to changed an address or a port on the way. */
export const IS_TRANSLATED = 30;
/** 16 octets, NUL padded, as the sender wrote it; empty where the state belongs to no interface. */
export const INTERFACE_NAME = 32;
/** Counters of 8 octets in wire order: octets and packets of the initiator's direction, then of the replies. */
export const OCTETS = 48;
export const PACKETS = 56;
/** From a counter of the initiator's direction to that of the replies. */
export const REPLY_COUNTERS = 16;
/** Four ends of 16 octets, in the order of pf-terms; of IPv4 the first 4 alone are there. */
export const ADDRESSES = 80;
export const ADDRESS = 16;
/** Four ports of 2 octets, in wire order. */
export const PORTS = 144;
/** Up to here is what the state table keeps. */
export const KEPT = 152;

/** u32 each: seconds since the state was made, seconds left to live, and the peers' lowest unacknowledged numbers. */
export const AGE = 152;
export const EXPIRE = 156;
export const SOURCE_SEQLO = 160;
export const DESTINATION_SEQLO = 164;

/** f64 each, milliseconds since the epoch; OBSERVED is the data's clock when the state was told of, and the flow ended. */
export const START = 168;
export const END = 176;
export const OBSERVED = 184;
/** f64 each: TCP payload of both directions, with TCPSEQ. */
export const INITIATOR_OCTETS = 192;
export const RESPONDER_OCTETS = 200;
/** i32: seconds between the moment the counters were told and the message that ended the flow; with PARTIAL. */
export const COUNTERS_AGE = 208;
/** u8 each. */
export const COUNTERS = 212;
/** FORWARD, REPLY or both; 0: the row is no flow. */
export const DIRECTIONS = 213;
export const END_REASON = 214;
/** Earlier records have told of the same state, up to START. */
export const IS_CONTINUED = 215;
/** pf has followed the responder's TCP sequence numbers. */
export const HAS_RESPONDER_SEQUENCE = 216;
/** The kind of event (230) where the row tells of a translation; 0: of traffic. */
export const NAT_EVENT = 217;
