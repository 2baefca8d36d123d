/** pf's numbers, and ours for the ends of a state. */

/** pf's directions, as they stand on the wire. */
export const INBOUND = 1;
export const OUTBOUND = 2;

/**
 * The four ends of a state. The original pair is what the initiator sent, the translated pair is the same packet on the
 * other side of the NAT. XOR with 1 turns a source into its destination.
 */
export const ORIGINAL_SOURCE = 0;
export const ORIGINAL_DESTINATION = 1;
export const TRANSLATED_SOURCE = 2;
export const TRANSLATED_DESTINATION = 3;

/** rt of pfvar.h: which record leaves by another interface than the routing table says. */
export const ROUTE_TO = 2;
export const REPLY_TO = 4;

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
export const UDP = 17;
export const ICMP6 = 58;
export const SCTP = 132;
export const PFSYNC = 240;

/**
 * The address family behind a sender's af number, by that number: 4, 6, or 0 when it is neither.
 * AF_INET is 2 everywhere; AF_INET6 is 24 (OpenBSD, NetBSD), 28 (FreeBSD, DragonFly), 30 (macOS) or 10 (Linux).
 */
export const FAMILIES = new Uint8Array(256);
FAMILIES[2] = 4;
for (const af of [10, 24, 28, 30]) FAMILIES[af] = 6;

export function addressFamily(af: number): number {
  return af < FAMILIES.length ? FAMILIES[af]! : 0;
}

/** By protocol: all ones where pf's ports are ports. Those of ICMP are an id and a type, other protocols have none. */
export const PORT_MASKS = new Int32Array(256);
for (const protocol of [TCP, UDP, SCTP]) PORT_MASKS[protocol] = -1;

/** By protocol: all ones where it is TCP. */
export const TCP_MASKS = new Int32Array(256);
TCP_MASKS[TCP] = -1;

export function hasPorts(protocol: number): boolean {
  return PORT_MASKS[protocol] !== 0;
}

/**
 * Whether pf counts both directions of a state as one, as the initiator's: the state's address family is translated (af-to).
 * From the low octet up, `protocols` has the families before and after.
 */
export function countsBothDirections(protocols: number): boolean {
  return ((protocols ^ (protocols >>> 8)) & 255) !== 0;
}
