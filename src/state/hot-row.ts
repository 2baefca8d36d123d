/** What stands where in the rows of the state table. */
import { KEPT } from '../../protocol/flow/row.js';

export const ROWS = 8192;
export const ROW_SHIFT = 13;
export const ROW_MASK = ROWS - 1;
export const NO_SLOT = -1;
/** What a bucket of the index has in place of a slot. */
export const EMPTY = 0;

/** Words of a hot row: what every message that names the state touches. The key as it stands in flow rows. */
export const ID_FIRST = 0;
export const ID_SECOND = 1;
export const CREATOR = 2;
export const FLAGS = 3;
export const SOURCE_SEQLO = 4;
export const DESTINATION_SEQLO = 5;
/** States of the two peers, the source's in the low octet, then pf's timeout; in a free row the next free one of its slab. */
export const PEERS = 6;
export const NEXT_FREE = PEERS;
/** Number of the firewall that the record comes from: whose counters the record holds. */
export const SENDER = 7;
/**
 * 64-bit floats, as indexes of a Float64Array over the same row: milliseconds since the epoch when a message last named the
 * state (FREE in a row without one) and when packets last passed; octets by which the peers' sequence numbers have advanced
 * since the counters were reported.
 */
export const HEARD = 4;
export const TRAFFIC = 5;
export const SOURCE_ADVANCE = 6;
export const DESTINATION_ADVANCE = 7;
export const FREE = Number.POSITIVE_INFINITY;
/** As many octets as a cache line. */
export const HOT_WORDS = 16;
export const HOT_DOUBLES = HOT_WORDS / 2;

/** Flags of a hot row. The source's sequence number has been seen; the destination's bit stands beside it. */
export const SEQUENCE_SEEN = 1;
/** Earlier records reported a part of the counters. */
export const REPORTED = 1 << 2;
export const IS_TCP = 1 << 3;
/** Messages of the state come from a kernel that loses records, or are of a version that proves nothing (proof). */
export const UNPROVABLE = 1 << 4;
/** The firewall of the record has shown traffic of the state. */
export const SHOWED_TRAFFIC = 1 << 5;
/** A second firewall has shown traffic or counters of the state: they stand in a peer report. */
export const HAS_PEER = 1 << 6;
/** The last full record told of the timeout that the state has: no message has named another since. */
export const TIMEOUT_TOLD = 1 << 7;
/** An insert told of the state: every packet since its beginning has been seen. */
export const BEGINNING_SEEN = 1 << 8;

/** Words of a record: those of a flow row up to KEPT, and behind them what the last report of counters said. */
export const COUNTED_AT = KEPT / 2;
export const STARTED = KEPT / 2 + 1;
/** Seconds that the state had left to live, and who reported (terms). */
export const REMAINING = KEPT + 4;
export const ORIGIN = KEPT + 5;
export const RECORD_WORDS = KEPT + 6;
export const RECORD_DOUBLES = RECORD_WORDS / 2;

/** Words of a peer report: the firewall, seconds left to live, whether it showed traffic, and counters as in flow rows. */
export const PEER_SENDER = 0;
export const PEER_REMAINING = 1;
export const PEER_SHOWED_TRAFFIC = 2;
export const PEER_COUNTERS = 4;
/**
 * 64-bit floats, as indexes of a Float64Array over the same report, in milliseconds since the epoch: when the peer reported
 * its counters, its last traffic, and the last traffic of the record's own firewall.
 */
export const PEER_COUNTED_AT = 6;
export const PEER_TRAFFIC = 7;
export const OWN_TRAFFIC = 8;
export const PEER_WORDS = 18;
export const PEER_DOUBLES = PEER_WORDS / 2;
