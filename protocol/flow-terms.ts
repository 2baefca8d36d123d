/** What is told of a flow in numbers. A file without imports: of such a one the build puts constants in place. */

/** Where a flow's counters come from. */
export const EXACT = 0;
export const PARTIAL = 1;
export const TCPSEQ = 2;
export const NONE = 3;

/** The directions that a flow tells of, as bits. */
export const FORWARD = 1;
export const REPLY = 2;

/** flowEndReason (136), RFC 7012. */
export const IDLE_TIMEOUT = 1;
export const ACTIVE_TIMEOUT = 2;
export const END_OF_FLOW = 3;
export const FORCED_END = 4;
export const LACK_OF_RESOURCES = 5;
