/** Flows as one JSON object a line: keys are Information Element names; what has no element stands under `pf`. */
import {
  COUNTERS,
  COUNTERS_AGE,
  CREATOR,
  DIRECTION,
  DIRECTIONS,
  END,
  END_REASON,
  FAMILY,
  ID,
  INITIATOR_OCTETS,
  OCTETS,
  PACKETS,
  PROTOCOL,
  RESPONDER_OCTETS,
  ROW,
  RULE,
  START,
} from '../protocol/flow-row';
import { FORWARD, NONE, PARTIAL, REPLY, TCPSEQ } from '../protocol/flow-terms';
import { INBOUND, TRANSLATED_SOURCE } from '../protocol/pf-terms';
import { copyText, piece, writeFirst, writeHexadecimal, writeInteger, writePiece } from './ascii';
import { hasPorts } from './state-record';
import {
  byProvenance,
  findInterfaceText,
  isEgress,
  isTranslationTold,
  LineBuffer,
  sourceOf,
  TextFormat,
  writeAddress,
  writeCounter,
  writeInterfaceName,
  writeMilliseconds,
  writePayload,
  writePort,
} from './text-format';

const FLOW_START = piece('{"flowStartMilliseconds":');
const FLOW_END = piece(',"flowEndMilliseconds":');
const SOURCE4 = piece(',"sourceIPv4Address":"');
const DESTINATION4 = piece('","destinationIPv4Address":"');
const SOURCE6 = piece(',"sourceIPv6Address":"');
const DESTINATION6 = piece('","destinationIPv6Address":"');
const SOURCE_PORT = piece('","sourceTransportPort":');
const DESTINATION_PORT = piece(',"destinationTransportPort":');
const POST_SOURCE4 = piece(',"postNATSourceIPv4Address":"');
const POST_DESTINATION4 = piece('","postNATDestinationIPv4Address":"');
const POST_SOURCE6 = piece(',"postNATSourceIPv6Address":"');
const POST_DESTINATION6 = piece('","postNATDestinationIPv6Address":"');
const POST_SOURCE_PORT = piece('","postNAPTSourceTransportPort":');
const POST_DESTINATION_PORT = piece(',"postNAPTDestinationTransportPort":');
const QUOTE = piece('"');
const PROTOCOL_IDENTIFIER = piece(',"protocolIdentifier":');
const OCTET_COUNT = piece(',"octetDeltaCount":');
const PACKET_COUNT = piece(',"packetDeltaCount":');
const INITIATOR = piece(',"initiatorOctets":');
const RESPONDER = piece(',"responderOctets":');
const INGRESS = piece(',"flowDirection":0');
const EGRESS = piece(',"flowDirection":1');
const REASON = piece(',"flowEndReason":');
const STATE_ID = piece(',"pf":{"stateId":"');
const CREATOR_ID = piece('","creatorId":"');
const INBOUND_RULE = piece('","direction":"in","rule":');
const OUTBOUND_RULE = piece('","direction":"out","rule":');
const EXACT_COUNTERS = piece(',"counters":"exact","reply":');
const PARTIAL_COUNTERS = piece(',"counters":"partial","reply":');
const TCPSEQ_COUNTERS = piece(',"counters":"tcpseq","reply":');
const NO_COUNTERS = piece(',"counters":"none","reply":');
const FORWARD_RECORD = piece('false');
const REPLY_RECORD = piece('true');
const AGE = piece(',"countersAge":');
const LINE_END = piece('}}\n');

/** See `writeRecords`. */
export function writeJson(format: TextFormat, lines: LineBuffer, row: usize, count: i32): i32 {
  let done = 0;
  while (done < count && lines.length < lines.full) {
    const directions: i32 = load<u8>(row, DIRECTIONS);
    if (directions !== 0 && !findInterfaceText(format, row)) break;
    const isForwardTold = (directions & FORWARD) !== 0;
    if (directions === (FORWARD | REPLY)) writeBoth(format, lines, row);
    else if (directions !== 0) writeJsonRecord(format, lines, row, !isForwardTold);
    row += ROW;
    done++;
  }
  return done;
}

/** The forward record and the reply record: what they have in common is copied. */
function writeBoth(format: TextFormat, lines: LineBuffer, row: usize): void {
  const first = lines.text + lines.length;
  const endsAt = writeTimes(first, row);
  const stateAt = writeTraffic(format, endsAt, row, false);
  const replyAt = writeState(format, stateAt, row);
  const second = writeEnd(replyAt, row, false);
  copyText(second, first, second + (endsAt - first));
  const secondStateAt = writeTraffic(format, second + (endsAt - first), row, true);
  copyText(secondStateAt, stateAt, secondStateAt + (replyAt - stateAt));
  const end = writeEnd(secondStateAt + (replyAt - stateAt), row, true);
  lines.length = <u32>(end - lines.text);
}

/** One record as one line. */
export function writeJsonRecord(format: TextFormat, lines: LineBuffer, row: usize, isReply: bool): void {
  let at = writeTimes(lines.text + lines.length, row);
  at = writeTraffic(format, at, row, isReply);
  at = writeState(format, at, row);
  lines.length = <u32>(writeEnd(at, row, isReply) - lines.text);
}

function writeTimes(at: usize, row: usize): usize {
  at = writeMilliseconds(writePiece(at, FLOW_START), row, START);
  return writeMilliseconds(writePiece(at, FLOW_END), row, END);
}

/** What differs in a reply: ends, counters and direction. */
function writeTraffic(format: TextFormat, at: usize, row: usize, isReply: bool): usize {
  const reply: usize = isReply ? 1 : 0;
  const source = sourceOf(format, row, reply);
  at = writeEnds(at, row, source, false);
  at = writeFirst(writePiece(at, PROTOCOL_IDENTIFIER), load<u8>(row + (source >> 1), PROTOCOL));
  at = writeCounters(at, row, reply);
  at = writePiece(at, isEgress(row, isReply) ? EGRESS : INGRESS);
  return isTranslationTold(format, row) ? writeEnds(at, row, <usize>TRANSLATED_SOURCE ^ reply, true) : at;
}

function writeEnds(at: usize, row: usize, source: usize, isPostNat: bool): usize {
  const side = source >> 1;
  if (load<u8>(row + side, FAMILY) === 4) {
    at = writeAddress(writePiece(at, isPostNat ? POST_SOURCE4 : SOURCE4), row, source);
    at = writeAddress(writePiece(at, isPostNat ? POST_DESTINATION4 : DESTINATION4), row, source ^ 1);
  } else {
    at = writeAddress(writePiece(at, isPostNat ? POST_SOURCE6 : SOURCE6), row, source);
    at = writeAddress(writePiece(at, isPostNat ? POST_DESTINATION6 : DESTINATION6), row, source ^ 1);
  }
  if (!hasPorts(load<u8>(row + side, PROTOCOL))) return writePiece(at, QUOTE);
  at = writePort(writePiece(at, isPostNat ? POST_SOURCE_PORT : SOURCE_PORT), row, source);
  return writePort(writePiece(at, isPostNat ? POST_DESTINATION_PORT : DESTINATION_PORT), row, source ^ 1);
}

function writeCounters(at: usize, row: usize, reply: usize): usize {
  const provenance: i32 = load<u8>(row, COUNTERS);
  if (provenance === NONE) return at;
  if (provenance === TCPSEQ) {
    at = writePayload(writePiece(at, INITIATOR), row, INITIATOR_OCTETS);
    return writePayload(writePiece(at, RESPONDER), row, RESPONDER_OCTETS);
  }
  at = writeCounter(writePiece(at, OCTET_COUNT), row, reply, OCTETS);
  return writeCounter(writePiece(at, PACKET_COUNT), row, reply, PACKETS);
}

/** What both records of a flow say of its state, up to the value of `reply`. */
function writeState(format: TextFormat, at: usize, row: usize): usize {
  at = writeInterfaceName(format, at);
  at = writeFirst(writePiece(at, REASON), load<u8>(row, END_REASON));
  at = writeHexadecimal(writePiece(at, STATE_ID), row + ID, 8);
  at = writeHexadecimal(writePiece(at, CREATOR_ID), row + CREATOR, 4);
  at = writePiece(at, load<u8>(row, DIRECTION) === INBOUND ? INBOUND_RULE : OUTBOUND_RULE);
  at = writeInteger(at, load<i32>(row, RULE));
  const counters = byProvenance(row, EXACT_COUNTERS, PARTIAL_COUNTERS, TCPSEQ_COUNTERS, NO_COUNTERS);
  return writePiece(at, counters);
}

function writeEnd(at: usize, row: usize, isReply: bool): usize {
  at = writePiece(at, isReply ? REPLY_RECORD : FORWARD_RECORD);
  if (load<u8>(row, COUNTERS) === PARTIAL)
    at = writeInteger(writePiece(at, AGE), load<i32>(row, COUNTERS_AGE));
  return writePiece(at, LINE_END);
}
