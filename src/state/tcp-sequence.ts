/**
 * A lower bound of the octets of a TCP direction from sequence numbers. Records carry both peers' `seqlo`, the end of the
 * highest segment that pf has seen of each; its advance is payload that has passed, and the packets of that payload weigh
 * more. Headers are not guessed, and SYN and FIN, which count for one, are not told apart.
 */
import { CLOSING, TIME_WAIT } from '../../protocol/flow/pf-terms.js';
import {
  DESTINATION_ADVANCE,
  DESTINATION_SEQLO,
  FLAGS,
  PEERS,
  SEQUENCE_SEEN,
  SOURCE_ADVANCE,
  SOURCE_SEQLO,
} from './hot-row.js';
import type { StateRows } from './slab.js';

/** Synproxy: while a peer is in pf's own states 11 and 12, the numbers are those of pf's handshake. */
const PROXIED = TIME_WAIT + 1;
const BOTH_SEEN = SEQUENCE_SEEN | (SEQUENCE_SEEN << 1);

/**
 * Takes in the numbers and states of both peers of the TCP state in `slot`, before its PEERS are overwritten. `seqlo` are
 * signed words.
 */
export function followSequence(
  rows: StateRows,
  slot: number,
  sourceSeqlo: number,
  destinationSeqlo: number,
  sourceState: number,
  destinationState: number,
): void {
  const { hot, doubles } = rows.slab(slot);
  const at = rows.hotAt(slot);
  const peers = hot[at + PEERS]!;
  const isProxied = sourceState >= PROXIED || destinationState >= PROXIED;
  // Peers whose states go back: the ports are used again while the old state lives, with new numbers.
  const isReused = isBack(peers & 255, sourceState) || isBack((peers >>> 8) & 255, destinationState);
  if (isProxied || isReused) forgetSequence(rows, slot);
  if (isProxied) return;
  const doublesAt = rows.doublesAt(slot);
  doubles[doublesAt + SOURCE_ADVANCE]! += advance(hot, at, 0, sourceSeqlo);
  doubles[doublesAt + DESTINATION_ADVANCE]! += advance(hot, at, 1, destinationSeqlo);
}

/** The counters were reported together with these numbers: what advances from now on is not in them. */
export function restartAdvance(rows: StateRows, slot: number): void {
  const { doubles } = rows.slab(slot);
  const at = rows.doublesAt(slot);
  doubles[at + SOURCE_ADVANCE] = 0;
  doubles[at + DESTINATION_ADVANCE] = 0;
}

/** The next numbers are the first ones. */
export function forgetSequence(rows: StateRows, slot: number): void {
  rows.slab(slot).hot[rows.hotAt(slot) + FLAGS]! &= ~BOTH_SEEN;
}

function isBack(before: number, now: number): boolean {
  return before >= CLOSING && before <= TIME_WAIT && now < CLOSING;
}

/** Octets by which an end has advanced. `end` is 0 for the initiator's numbers, 1 for the responder's. */
function advance(hot: Int32Array, at: number, end: 0 | 1, seqlo: number): number {
  const word = at + (end === 0 ? SOURCE_SEQLO : DESTINATION_SEQLO);
  const seen = SEQUENCE_SEEN << end;
  const isFirst = (hot[at + FLAGS]! & seen) === 0;
  // Not told: before the end has sent, and of a dead state.
  if (seqlo === 0) return 0;
  const octets = (seqlo - hot[word]!) | 0;
  // An advance of 2^31 or more is an old message.
  if (!isFirst && octets <= 0) return 0;
  hot[word] = seqlo;
  hot[at + FLAGS]! |= seen;
  return isFirst ? 0 : octets;
}
