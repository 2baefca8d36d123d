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
export const FLAGS = 3;
export const SOURCE_SEQLO = 4;
export const DESTINATION_SEQLO = 5;
/** States of the two peers, the source's in the low octet; in a free row the link to the next free one of its slab. */
export const PEERS = 6;
export const NEXT_FREE = PEERS;
/**
 * 64-bit floats, as indexes of a Float64Array over the same row. Milliseconds since the epoch when a message last named the
 * state, FREE in a row without one, and when packets last passed; octets of TCP payload.
 */
export const HEARD = 4;
export const TRAFFIC = 5;
export const SOURCE_ADVANCE = 6;
export const DESTINATION_ADVANCE = 7;
export const FREE = Number.POSITIVE_INFINITY;
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
export const IS_TCP = 1 << 8;

/**
 * A record: octets 0 to KEPT of a flow row, and behind them milliseconds since the epoch (64-bit floats): when the counters
 * were told, and the earliest start that was told.
 */
export const RECORD_COUNTED = 152;
export const RECORD_START = 160;
export const RECORD_LENGTH = 168;

/**
 * A report: what earlier records of a long flow have already told of the counters, as they stand in a row, and up to when, in
 * milliseconds since the epoch (a 64-bit float).
 */
export const REPORT_COUNTERS = 0;
export const REPORT_TIME = 32;
export const REPORT_LENGTH = 40;
