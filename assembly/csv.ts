/** Flows as comma-separated values, in the order of the columns in `src/format-csv`: a cell is empty where nothing is known. */
import {
  COUNTERS,
  CREATOR,
  DIRECTION,
  END,
  END_REASON,
  ID,
  INITIATOR_OCTETS,
  OCTETS,
  PACKETS,
  PROTOCOL,
  RESPONDER_OCTETS,
  RULE,
  START,
} from '../protocol/flow-row';
import { NONE, TCPSEQ } from '../protocol/flow-terms';
import { INBOUND, TRANSLATED_SOURCE } from '../protocol/pf-terms';
import { piece, writeFirst, writeHexadecimal, writeInteger, writePiece } from './ascii';
import { hasPorts } from './state-record';
import {
  byProvenance,
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
  writeRecords,
} from './text-format';

const COMMA = piece(',');
const TWO_COMMAS = piece(',,');
const THREE_COMMAS = piece(',,,');
const INGRESS = piece(',0,');
const EGRESS = piece(',1,');
const INBOUND_STATE = piece(',in,');
const OUTBOUND_STATE = piece(',out,');
const EXACT_COUNTERS = piece(',exact,');
const PARTIAL_COUNTERS = piece(',partial,');
const TCPSEQ_COUNTERS = piece(',tcpseq,');
const NO_COUNTERS = piece(',none,');
const FORWARD_RECORD = piece('false\n');
const REPLY_RECORD = piece('true\n');

/** The flows among many rows: see `writeRecords`. */
export function writeCsv(format: TextFormat, lines: LineBuffer, row: usize, count: i32): i32 {
  return writeRecords(format, lines, row, count, writeCsvRecord);
}

/** One record as one line. */
export function writeCsvRecord(format: TextFormat, lines: LineBuffer, row: usize, isReply: bool): void {
  const reply: usize = isReply ? 1 : 0;
  const source = sourceOf(format, row, reply);
  let at = writeMilliseconds(lines.text + lines.length, row, START);
  at = writeMilliseconds(writePiece(at, COMMA), row, END);
  at = writeEnds(writePiece(at, COMMA), row, source);
  at = writeFirst(writePiece(at, COMMA), load<u8>(row + (source >> 1), PROTOCOL));
  at = writeCounters(writePiece(at, COMMA), row, reply);
  at = writePiece(at, isEgress(row, isReply) ? EGRESS : INGRESS);
  at = isTranslationTold(format, row)
    ? writeEnds(at, row, <usize>TRANSLATED_SOURCE ^ reply)
    : writePiece(at, THREE_COMMAS);
  at = writeInterfaceName(format, writePiece(at, COMMA));
  at = writeFirst(writePiece(at, COMMA), load<u8>(row, END_REASON));
  at = writeHexadecimal(writePiece(at, COMMA), row + ID, 8);
  at = writeHexadecimal(writePiece(at, COMMA), row + CREATOR, 4);
  at = writePiece(at, load<u8>(row, DIRECTION) === INBOUND ? INBOUND_STATE : OUTBOUND_STATE);
  at = writeInteger(at, load<i32>(row, RULE));
  const counters = byProvenance(row, EXACT_COUNTERS, PARTIAL_COUNTERS, TCPSEQ_COUNTERS, NO_COUNTERS);
  at = writePiece(at, counters);
  lines.length = <u32>(writePiece(at, isReply ? REPLY_RECORD : FORWARD_RECORD) - lines.text);
}

/** Four cells: addresses and ports. */
function writeEnds(at: usize, row: usize, source: usize): usize {
  at = writeAddress(at, row, source);
  at = writeAddress(writePiece(at, COMMA), row, source ^ 1);
  if (!hasPorts(load<u8>(row + (source >> 1), PROTOCOL))) return writePiece(at, TWO_COMMAS);
  at = writePort(writePiece(at, COMMA), row, source);
  return writePort(writePiece(at, COMMA), row, source ^ 1);
}

/** Four cells: octets and packets, or the octets of both directions that sequence numbers tell. */
function writeCounters(at: usize, row: usize, reply: usize): usize {
  const provenance: i32 = load<u8>(row, COUNTERS);
  if (provenance === NONE) return writePiece(at, THREE_COMMAS);
  if (provenance === TCPSEQ) {
    at = writePayload(writePiece(at, TWO_COMMAS), row, INITIATOR_OCTETS);
    return writePayload(writePiece(at, COMMA), row, RESPONDER_OCTETS);
  }
  at = writeCounter(at, row, reply, OCTETS);
  at = writeCounter(writePiece(at, COMMA), row, reply, PACKETS);
  return writePiece(at, TWO_COMMAS);
}
