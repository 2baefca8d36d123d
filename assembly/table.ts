/** Flows as a table for the eye: the columns of `src/format-table`. */
import {
  COUNTERS,
  END,
  FAMILY,
  INITIATOR_OCTETS,
  OCTETS,
  PACKETS,
  PROTOCOL,
  RESPONDER_OCTETS,
  START,
} from '../protocol/flow-row';
import { NONE, TCPSEQ } from '../protocol/flow-terms';
import { ORIGINAL_SOURCE, TRANSLATED_SOURCE } from '../protocol/pf-terms';
import { copyText, piece, writeDecimal, writeFirst, writePiece, writeThree } from './ascii';
import { hasPorts } from './state-record';
import {
  byProvenance,
  COLON,
  DOT,
  isEgress,
  isTranslationTold,
  LineBuffer,
  sourceOf,
  TextFormat,
  writeAddress,
  writeCounter,
  writeDate,
  writeInterfaceName,
  writePayload,
  writePort,
  writeRecords,
} from './text-format';

/**
 * Where columns begin, or end when their text leans to the right. A long IPv6 address takes the blanks after it: a line
 * is back in the columns as soon as it fits again.
 */
const DURATION_END: usize = 33;
const PROTOCOL_START: usize = 34;
const SOURCE_END: usize = 58;
const ARROW_START: usize = 65;
const DESTINATION_END: usize = 85;
const DIRECTION_START: usize = 92;
const INTERFACE_START: usize = 96;
const PACKETS_END: usize = 113;
const OCTETS_END: usize = 125;
const TRANSLATION_START: usize = 126;

const BLANKS: u64 = ((<u64>0x2020_2020) << 32) | 0x2020_2020;
/** Behind any line: texts are written there whose length decides where they begin. */
const ASIDE: usize = 2048;
const ARROW = piece('->');
const INBOUND_FLOW = piece('in');
const OUTBOUND_FLOW = piece('out');
const SOURCE_CHANGE = piece(' src ');
const DESTINATION_CHANGE = piece(' dst ');
const NOTHING = piece('');
const UNKNOWN = piece('-');
const AT_LEAST = piece('~');
const SLASH = piece('/');
const MINUS = piece('-');
const LINE_END = piece('\n');

/** By number: the protocol's name; 0 for one that has none here. */
const PROTOCOLS = memory.data(256 * sizeof<usize>());
nameProtocol(1, 'ICMP');
nameProtocol(6, 'TCP');
nameProtocol(17, 'UDP');
nameProtocol(47, 'GRE');
nameProtocol(50, 'ESP');
nameProtocol(51, 'AH');
nameProtocol(58, 'ICMP6');
nameProtocol(89, 'OSPF');
nameProtocol(132, 'SCTP');
nameProtocol(240, 'PFSYNC');

function nameProtocol(protocol: usize, name: string): void {
  store<usize>(PROTOCOLS + protocol * sizeof<usize>(), piece(name));
}

/** The flows among many rows: see `writeRecords`. */
export function writeTable(format: TextFormat, lines: LineBuffer, row: usize, count: i32): i32 {
  return writeRecords(format, lines, row, count, writeTableRecord);
}

/** One record as one line. */
export function writeTableRecord(format: TextFormat, lines: LineBuffer, row: usize, isReply: bool): void {
  const line = lines.text + lines.length;
  const reply: usize = isReply ? 1 : 0;
  const source = sourceOf(format, row, reply);
  const aside = line + ASIDE;
  let at = writeDate(line, row, START);
  at = endAt(line + DURATION_END, at, aside, writeDuration(aside, row));
  at = writeProtocol(startAt(line + PROTOCOL_START, at), load<u8>(row + (source >> 1), PROTOCOL));
  at = endAt(line + SOURCE_END, at, aside, writeAddress(aside, row, source));
  at = writeEndPort(at, row, source);
  at = writePiece(startAt(line + ARROW_START, at), ARROW);
  at = endAt(line + DESTINATION_END, at, aside, writeAddress(aside, row, source ^ 1));
  at = writeEndPort(at, row, source ^ 1);
  at = startAt(line + DIRECTION_START, at);
  at = writePiece(at, isEgress(row, isReply) ? OUTBOUND_FLOW : INBOUND_FLOW);
  const nameAt = startAt(line + INTERFACE_START, at);
  at = writeInterfaceName(format, nameAt);
  if (at === nameAt) at = writePiece(at, UNKNOWN);
  at = endAt(line + PACKETS_END, at, aside, writePackets(aside, row, reply));
  at = endAt(line + OCTETS_END, at, aside, writeOctets(aside, row, reply));
  if (isTranslationTold(format, row)) {
    at = writeTranslation(startAt(line + TRANSLATION_START, at), row, reply);
  }
  lines.length = <u32>(writePiece(at, LINE_END) - lines.text);
}

/** Blanks up to the column, one at least; the answer is where the text goes. */
function startAt(column: usize, at: usize): usize {
  const start = max(column, at + 1);
  for (; at < start; at += 8) store<u64>(at, BLANKS);
  return start;
}

/** Blanks, and a text that was written at `text` and ends at the column where it can; the answer is where it ends. */
function endAt(column: usize, at: usize, text: usize, textEnd: usize): usize {
  const length = textEnd - text;
  const start = startAt(column - length, at);
  copyText(start, text, start + length);
  return start + length;
}

/** Seconds with three decimals. */
function writeDuration(at: usize, row: usize): usize {
  const duration = floor(load<f64>(row, END)) - floor(load<f64>(row, START));
  if (duration < 0) at = writePiece(at, MINUS);
  const length = <u64>abs(duration);
  const seconds = length / 1000;
  return writeThree(writePiece(writeDecimal(at, seconds), DOT), <u32>(length - 1000 * seconds));
}

function writeProtocol(at: usize, protocol: u32): usize {
  const name = load<usize>(PROTOCOLS + <usize>protocol * sizeof<usize>());
  return name === 0 ? writeFirst(at, protocol) : writePiece(at, name);
}

/** A dot before the port of an IPv6 address, as nfdump has it. */
function writeEndPort(at: usize, row: usize, end: usize): usize {
  const side = end >> 1;
  if (!hasPorts(load<u8>(row + side, PROTOCOL))) return at;
  return writePort(writePiece(at, load<u8>(row + side, FAMILY) === 4 ? COLON : DOT), row, end);
}

/** `~` before a number: at least that many (partial). `-`: not known. */
function writePackets(at: usize, row: usize, reply: usize): usize {
  const provenance: i32 = load<u8>(row, COUNTERS);
  at = writePiece(at, byProvenance(row, NOTHING, AT_LEAST, UNKNOWN, UNKNOWN));
  return provenance === TCPSEQ || provenance === NONE ? at : writeCounter(at, row, reply, PACKETS);
}

/** From TCP sequence numbers there are the payloads of both directions: initiator/responder. */
function writeOctets(at: usize, row: usize, reply: usize): usize {
  const provenance: i32 = load<u8>(row, COUNTERS);
  at = writePiece(at, byProvenance(row, NOTHING, AT_LEAST, AT_LEAST, UNKNOWN));
  if (provenance === NONE) return at;
  if (provenance !== TCPSEQ) return writeCounter(at, row, reply, OCTETS);
  at = writePayload(at, row, INITIATOR_OCTETS);
  return writePayload(writePiece(at, SLASH), row, RESPONDER_OCTETS);
}

/** The ends that NAT changed. */
function writeTranslation(at: usize, row: usize, reply: usize): usize {
  const original = <usize>ORIGINAL_SOURCE ^ reply;
  const translated = <usize>TRANSLATED_SOURCE ^ reply;
  at = writePiece(at, ARROW);
  at = writeChange(at, SOURCE_CHANGE, row, original, translated);
  return writeChange(at, DESTINATION_CHANGE, row, original ^ 1, translated ^ 1);
}

/** Nothing where both ends have the same text. */
function writeChange(at: usize, which: usize, row: usize, before: usize, after: usize): usize {
  const text = writePiece(at, which);
  const end = writeEnd(text, row, after);
  // What was there before is written behind it, and left to be written over.
  const otherEnd = writeEnd(end, row, before);
  const isSame = otherEnd - end === end - text && memory.compare(text, end, end - text) === 0;
  return isSame ? at : end;
}

function writeEnd(at: usize, row: usize, end: usize): usize {
  return writeEndPort(writeAddress(at, row, end), row, end);
}
