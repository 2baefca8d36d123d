/** The terms of a flow, as numbers. */

/** Where a flow's counters come from. */
export const EXACT = 0;
export const PARTIAL = 1;
export const TCPSEQ = 2;
export const NONE = 3;
export const PROVENANCE = ['exact', 'partial', 'tcpseq', 'none'] as const;

/** Who told them: the row's ORIGIN. */
export const FROM_DELETE = 0;
export const FROM_UPDATE = 1;
export const FROM_INSERT = 2;
export const FROM_PFCTL = 3;
export const FROM_SEQUENCE = 4;
export const FROM_NOBODY = 5;
export const ORIGINS = ['delete', 'update', 'insert', 'pfctl', 'sequence'] as const;

/** The directions that a flow has records for, as bits. */
export const FORWARD = 1;
export const REPLY = 2;

/** flowEndReason (136), RFC 7012. */
export const IDLE_TIMEOUT = 1;
export const ACTIVE_TIMEOUT = 2;
export const END_OF_FLOW = 3;
export const FORCED_END = 4;
export const LACK_OF_RESOURCES = 5;

/** Which side of the NAT a record shows. `inside` is the side of the firewall's own hosts, as the original pfflowd. */
export type NatView = 'original' | 'inside' | 'translated';
