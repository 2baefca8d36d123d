/** pf's numbers, and ours for the ends of a state. A file without imports: of such a one the build puts constants in place. */

/** pf's directions, as they stand on the wire. */
export const INBOUND = 1;
export const OUTBOUND = 2;

/**
 * The four ends of a state, as indexes into `Endpoints`. The original pair is what the initiator sent, the translated
 * pair is the same packet on the other side of the NAT. XOR with 1 turns a source into its destination.
 */
export const ORIGINAL_SOURCE = 0;
export const ORIGINAL_DESTINATION = 1;
export const TRANSLATED_SOURCE = 2;
export const TRANSLATED_DESTINATION = 3;

/** Where a port stands behind its address in `Endpoints`. */
export const PORTS = 4;

/** In a peer (src or dst): the lowest unacknowledged sequence number and the state of the connection. */
export const PEER_SEQLO = 8;
export const PEER_STATE = 24;

/**
 * TCPS_* of tcp_fsm.h, as pf writes them into a peer; 11 and 12 are pf's own, for synproxy. From CLOSING to TIME_WAIT an end
 * has sent its FIN, or a reset was seen.
 */
export const SYN_SENT = 2;
export const ESTABLISHED = 4;
export const CLOSING = 7;
export const FIN_WAIT_2 = 9;
export const TIME_WAIT = 10;

/** IP protocols of which pf tells more than addresses. */
export const ICMP = 1;
export const TCP = 6;
export const ICMP6 = 58;
