/**
 * What stands where in the state table's rows. A file without imports: of such a one the build puts constants in place.
 */

export const ROWS = 8192;
export const ROW_SHIFT = 13;
export const ROW_MASK = ROWS - 1;
export const NO_SLOT = -1;
/** What a bucket of the index has in place of a slot. */
export const EMPTY = 0;

/** Words of a hot row. */
export const ID_HIGH = 0;
export const ID_LOW = 1;
export const CREATOR = 2;
/** Neighbours in the list of states, ordered by when they were last heard of. */
export const NEWER = 3;
export const OLDER = 4;
/** Seconds since the epoch when the state was last heard of. */
export const HEARD = 5;
export const SOURCE_SEQLO = 6;
export const DESTINATION_SEQLO = 7;
export const FLAGS = 8;
/** States of the two peers, the source's in the low octet; in a free row the link to the next free one of its slab. */
export const PEERS = 9;
export const NEXT_FREE = PEERS;
/** 64-bit floats, as indexes of a Float64Array over the same row: milliseconds, and octets of TCP payload. */
export const TRAFFIC = 5;
export const SOURCE_ADVANCE = 6;
export const DESTINATION_ADVANCE = 7;
/** As many octets as a cache line. */
export const HOT_WORDS = 16;
export const HOT_FLOATS = HOT_WORDS / 2;

/** Flags of a hot row; those that come in pairs have the destination's bit beside the source's. */
export const SEQUENCE_SEEN = 1;
export const SYN_TO_COME = 1 << 2;
export const FIN_TO_COME = 1 << 4;
/** The counters came from a full update or from pfctl: an insert's are told too early to be of use. */
export const COUNTERS_USEFUL = 1 << 6;
/** Earlier records have told a part of the volume. */
export const REPORTED = 1 << 7;
/** The record's original destination port is the type of the ICMP message that opened the state. */
export const ICMP_TYPE = 1 << 8;
export const IS_TCP = 1 << 9;

/** Offsets of a record. */
export const RECORD_CREATOR = 8;
export const RECORD_RULE = 12;
export const RECORD_INTERFACE = 16;
export const RECORD_PACKETS = 20;
export const RECORD_OCTETS = 36;
export const RECORD_FAMILY = 52;
export const RECORD_TRANSLATED_FAMILY = 53;
export const RECORD_PROTOCOL = 54;
export const RECORD_TRANSLATED_PROTOCOL = 55;
export const RECORD_DIRECTION = 56;
export const RECORD_TIMEOUT = 57;
/** Written together: the source's is the lower octet of PEERS. */
export const RECORD_PEER_STATES = 58;
export const RECORD_SOURCE_STATE = RECORD_PEER_STATES;
export const RECORD_DESTINATION_STATE = RECORD_PEER_STATES + 1;
/** Milliseconds since the epoch (64-bit float) when the counters were told. */
export const RECORD_COUNTED = 60;
export const RECORD_ADDRESSES = 68;
export const RECORD_PORTS = RECORD_ADDRESSES + 4 * 16;
/** What earlier records of a long flow have already told: packets and octets as above, and when. */
export const RECORD_REPORTED = RECORD_PORTS + 4 * 2;
export const RECORD_REPORTED_AT = RECORD_REPORTED + 32;
/** Milliseconds since the epoch (64-bit float) of the earliest start that was told. */
export const RECORD_START = RECORD_REPORTED_AT + 8;
export const RECORD_LENGTH = RECORD_START + 8;
