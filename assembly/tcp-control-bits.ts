/**
 * tcpControlBits (6): which flags an end of a TCP connection is known to have sent, as the pf peers' states tell it.
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
import {
  DESTINATION_STATE,
  HAS_RESPONDER_SEQUENCE,
  IS_CONTINUED,
  PROTOCOL,
  SOURCE_STATE,
} from '../protocol/flow-row';
import { CLOSING, ESTABLISHED, FIN_WAIT_2, SYN_SENT, TCP, TIME_WAIT } from '../protocol/pf-terms';

const FIN: u32 = 0x01;
const SYN: u32 = 0x02;
const ACK: u32 = 0x10;

/**
 * Those of the initiator, and in the octet above them those of the responder. A record of a long flow whose earlier part was
 * told before has none: the states do not tell when a flag was seen.
 */
export function tcpControlBits(row: usize): u32 {
  if (load<u8>(row, PROTOCOL) !== TCP || load<u8>(row, IS_CONTINUED) !== 0) return 0;
  const source: u32 = load<u8>(row, SOURCE_STATE);
  const destination: u32 = load<u8>(row, DESTINATION_STATE);
  const initiated = source === TIME_WAIT ? SYN : sent(source);
  if (load<u8>(row, HAS_RESPONDER_SEQUENCE) === 0) return initiated;
  return initiated | acknowledged(destination) | ((sent(destination) | acknowledged(source)) << 8);
}

/** By an end's own state. pf's own 11 and 12 (synproxy) tell of no packet of the connection's ends. */
function sent(state: u32): u32 {
  if (state === SYN_SENT || state === ESTABLISHED) return SYN;
  return state === CLOSING || state === FIN_WAIT_2 ? SYN | FIN : 0;
}

/** By the other end's state. */
function acknowledged(state: u32): u32 {
  return state === ESTABLISHED || state === FIN_WAIT_2 ? ACK : 0;
}
