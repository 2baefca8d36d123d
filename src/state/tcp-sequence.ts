/**
 * Volume from TCP sequence numbers. Updates carry both peers' `seqlo`, the end of the highest segment that pf has seen of
 * each; its advance is the payload sent, with SYN and FIN taken off. Exact as long as no more than 2^32 octets pass
 * between two updates that are told.
 */
import { CLOSING, ESTABLISHED, FIN_WAIT_2, SYN_SENT } from '../../protocol/flow/pf-terms.js';
import type { CompressedUpdateView } from '../../protocol/pfsync/record.js';
import type { StateRow } from '../../protocol/pfsync/state.js';
import {
  DESTINATION_ADVANCE,
  DESTINATION_SEQLO,
  FIN_TO_COME,
  FLAGS,
  SEQUENCE_SEEN,
  SOURCE_ADVANCE,
  SOURCE_SEQLO,
  SYN_TO_COME,
} from './hot-row.js';
import type { StateRows } from './slab.js';

/** A sequence number that is up to 2^27 behind is an old message, not an advance of nearly 2^32. */
const OLD_NEWS = 2 ** 32 - 2 ** 27;

/** Takes in what a message tells of both peers of the TCP state in `slot`. */
export function followSequence(rows: StateRows, slot: number, peers: StateRow | CompressedUpdateView): void {
  const { sourceState, destinationState } = peers;
  const { hot, floats } = rows.slab(slot);
  const at = rows.hotAt(slot);
  // pf makes a state with the number of the initiator's SYN itself, and moves it on with the initiator's next packet,
  // which is the one that establishes the responder. A responder's first number is the one behind its SYN.
  const syn = destinationState < ESTABLISHED ? SYN_TO_COME : 0;
  const synOfResponder = destinationState < SYN_SENT ? SYN_TO_COME : 0;
  const sent = advance(hot, at, 0, peers.sourceSeqlo, sourceState, syn);
  const answered = advance(hot, at, 1, peers.destinationSeqlo, destinationState, synOfResponder);
  if (sent + answered === 0) return;
  const floatsAt = rows.floatsAt(slot);
  floats[floatsAt + SOURCE_ADVANCE]! += sent;
  floats[floatsAt + DESTINATION_ADVANCE]! += answered;
}

/**
 * Octets of payload by which an end has advanced. `end` is 0 for the initiator's numbers, 1 for the responder's; `syn` is a
 * flag that their first one sets.
 */
function advance(
  hot: Int32Array,
  at: number,
  end: 0 | 1,
  seqlo: number,
  peerState: number,
  syn: number,
): number {
  const word = at + (end === 0 ? SOURCE_SEQLO : DESTINATION_SEQLO);
  const flags = hot[at + FLAGS]!;
  if ((flags & (SEQUENCE_SEEN << end)) === 0) {
    if (seqlo === 0) return 0;
    const fin = peerState < CLOSING ? FIN_TO_COME : 0;
    hot[word] = seqlo;
    hot[at + FLAGS] = flags | ((SEQUENCE_SEEN | syn | fin) << end);
    return 0;
  }
  let octets = (seqlo - hot[word]!) >>> 0;
  if (octets === 0 || octets >= OLD_NEWS) return 0;
  let taken = 0;
  if ((flags & (SYN_TO_COME << end)) !== 0) {
    taken |= SYN_TO_COME << end;
    octets--;
  }
  // Beyond FIN_WAIT_2 is TIME_WAIT, where a reset leads without a FIN.
  const hasSentFin = peerState >= CLOSING && peerState <= FIN_WAIT_2;
  if (octets > 0 && hasSentFin && (flags & (FIN_TO_COME << end)) !== 0) {
    taken |= FIN_TO_COME << end;
    octets--;
  }
  hot[word] = seqlo;
  hot[at + FLAGS] = flags & ~taken;
  return octets;
}
