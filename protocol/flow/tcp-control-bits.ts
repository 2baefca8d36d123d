/**
 * tcpControlBits (6): which flags an end of a TCP connection is known to have sent, by the states of the pf peers.
 *
 * pf writes five of the states of tcp_fsm.h into a peer (`pf_tcp_track_full`, the same in every kernel):
 * SYN_SENT with the end's first packet, ESTABLISHED when the other end acknowledged that, CLOSING with the end's FIN,
 * FIN_WAIT_2 when the other end acknowledged the FIN, and TIME_WAIT into both peers with a RST of either. So a bit is set
 * only where a state cannot have come about without it:
 *
 * - SYN: the end's own state is SYN_SENT or later. In TIME_WAIT that is certain of the initiator only. pf takes the first
 *   packet of an end for its SYN, as it is under `flags S/SA`, the default; under `flags any` it may not have been one.
 * - ACK: the other end's state is ESTABLISHED or FIN_WAIT_2.
 * - FIN: the end's own state is CLOSING or FIN_WAIT_2.
 * - Under `sloppy` pf moves the responder's state on though it may see nothing of that end (`pf_tcp_track_sloppy`): without
 *   sequence numbers of the responder only the initiator's own SYN and FIN are certain.
 * - RST is never set: TIME_WAIT does not tell which end sent it. PSH and URG leave no trace.
 *
 * A bit that is not set may have been seen all the same. 0 stands for a state that proves nothing: the element is then left out.
 */
import { CLOSING, ESTABLISHED, FIN_WAIT_2, SYN_SENT, TIME_WAIT } from './pf-terms.js';

const FIN = 0x01;
const SYN = 0x02;
const ACK = 0x10;

/** By the state of an end: what it has sent itself. pf's own states 11 and 12 (synproxy) report no packet of the ends. */
export const SENT = new Uint8Array(256);
for (const state of [SYN_SENT, ESTABLISHED]) SENT[state] = SYN;
for (const state of [CLOSING, FIN_WAIT_2]) SENT[state] = SYN | FIN;

/** The same of the initiator. */
export const SENT_BY_INITIATOR = SENT.slice();
SENT_BY_INITIATOR[TIME_WAIT] = SYN;

/** By the state of the other end. */
export const ACKNOWLEDGED = new Uint8Array(256);
for (const state of [ESTABLISHED, FIN_WAIT_2]) ACKNOWLEDGED[state] = ACK;
