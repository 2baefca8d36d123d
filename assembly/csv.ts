/** Flows as comma-separated values, in the order of the columns in `src/format-csv`: a cell is empty where nothing is known. */
import {
  ADDRESS,
  ADDRESSES,
  COUNTERS,
  CREATOR,
  DIRECTION,
  END,
  END_REASON,
  FAMILY,
  ID,
  INITIATOR_OCTETS,
  IS_TRANSLATED,
  OCTETS,
  PACKETS,
  PROTOCOL,
  REPLY_COUNTERS,
  RESPONDER_OCTETS,
  RULE,
  START,
} from '../protocol/flow-row';
import { EXACT, PARTIAL, TCPSEQ } from '../protocol/flow-terms';
import { INBOUND, TRANSLATED_SOURCE } from '../protocol/pf-terms';
import {
  piece,
  writeDecimal,
  writeFirst,
  writeHexadecimal,
  writeInteger,
  writeIpv4,
  writeIpv6,
  writePiece,
} from './ascii';
import { sourceEnd } from './source-end';
import { hasPorts } from './state-record';
import {
  LineBuffer,
  TextFormat,
  writeInterfaceName,
  writeMilliseconds,
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
  const isInbound = load<u8>(row, DIRECTION) === INBOUND;
  const reply: usize = isReply ? 1 : 0;
  const source = sourceEnd(changetype<usize>(format) + offsetof<TextFormat>('inboundSource'), row);
  let at = writeMilliseconds(lines.text + lines.length, row, START);
  at = writeMilliseconds(writePiece(at, COMMA), row, END);
  at = writeEnds(writePiece(at, COMMA), row, source ^ reply);
  at = writeFirst(writePiece(at, COMMA), load<u8>(row + (source >> 1), PROTOCOL));
  at = writeCounters(writePiece(at, COMMA), row, reply);
  at = writePiece(at, isInbound === isReply ? EGRESS : INGRESS);
  const tellsTranslation = format.tellsTranslation !== 0 && load<u8>(row, IS_TRANSLATED) !== 0;
  at = tellsTranslation ? writeEnds(at, row, <usize>TRANSLATED_SOURCE ^ reply) : writePiece(at, THREE_COMMAS);
  at = writeInterfaceName(format, writePiece(at, COMMA), row);
  at = writeFirst(writePiece(at, COMMA), load<u8>(row, END_REASON));
  at = writeHexadecimal(writePiece(at, COMMA), row + ID, 8);
  at = writeHexadecimal(writePiece(at, COMMA), row + CREATOR, 4);
  at = writeInteger(writePiece(at, isInbound ? INBOUND_STATE : OUTBOUND_STATE), load<i32>(row, RULE));
  at = writePiece(at, provenanceOf(row));
  lines.length = <u32>(writePiece(at, isReply ? REPLY_RECORD : FORWARD_RECORD) - lines.text);
}

/** Four cells: addresses and ports. */
function writeEnds(at: usize, row: usize, source: usize): usize {
  const side = source >> 1;
  const from = row + ADDRESSES + <usize>ADDRESS * source;
  const to = row + ADDRESSES + <usize>ADDRESS * (source ^ 1);
  if (load<u8>(row + side, FAMILY) === 4) at = writeIpv4(writePiece(writeIpv4(at, from), COMMA), to);
  else at = writeIpv6(writePiece(writeIpv6(at, from), COMMA), to);
  if (!hasPorts(load<u8>(row + side, PROTOCOL))) return writePiece(at, TWO_COMMAS);
  at = writePort(writePiece(at, COMMA), row, source);
  return writePort(writePiece(at, COMMA), row, source ^ 1);
}

/** Four cells: octets and packets, or the octets of both directions that sequence numbers tell. */
function writeCounters(at: usize, row: usize, reply: usize): usize {
  const provenance: i32 = load<u8>(row, COUNTERS);
  if (provenance === EXACT || provenance === PARTIAL) {
    const direction = row + <usize>REPLY_COUNTERS * reply;
    at = writeDecimal(at, bswap<u64>(load<u64>(direction, OCTETS)));
    at = writeDecimal(writePiece(at, COMMA), bswap<u64>(load<u64>(direction, PACKETS)));
    return writePiece(at, TWO_COMMAS);
  }
  if (provenance !== TCPSEQ) return writePiece(at, THREE_COMMAS);
  at = writeDecimal(writePiece(at, TWO_COMMAS), <u64>load<f64>(row, INITIATOR_OCTETS));
  return writeDecimal(writePiece(at, COMMA), <u64>load<f64>(row, RESPONDER_OCTETS));
}

function provenanceOf(row: usize): usize {
  const provenance: i32 = load<u8>(row, COUNTERS);
  if (provenance === EXACT) return EXACT_COUNTERS;
  if (provenance === PARTIAL) return PARTIAL_COUNTERS;
  return provenance === TCPSEQ ? TCPSEQ_COUNTERS : NO_COUNTERS;
}
