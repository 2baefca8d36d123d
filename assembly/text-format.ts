/** What the ways of writing flows as text have in common: lines, what a record shows of its flow, names and times. */
import {
  ADDRESS,
  ADDRESSES,
  COUNTERS,
  DIRECTION,
  DIRECTIONS,
  FAMILY,
  INTERFACE_NAME,
  IS_TRANSLATED,
  PORTS,
  REPLY_COUNTERS,
  ROW,
} from '../protocol/flow-row';
import { EXACT, FORWARD, PARTIAL, REPLY, TCPSEQ } from '../protocol/flow-terms';
import { INBOUND } from '../protocol/pf-terms';
import {
  copyText,
  piece,
  writeDecimal,
  writeIpv4,
  writeIpv6,
  writePiece,
  writeShort,
  writeThree,
  writeTwo,
} from './ascii';
import { swap64 } from './byte-order';
import { writeDay, writeInterface, writeTime } from './imports';
import { placeOf, RECENT } from './interface';
import { sourceEnd } from './source-end';

/** In the order in which `src/core-format` lays it down. */
@unmanaged
export class TextFormat {
  /** The end that a forward record shows as its source, of inbound and of outbound states. */
  inboundSource: u32;
  outboundSource: u32;
  /** 1: translated flows show the translated ends too. */
  tellsTranslation: u32;
  /** Interfaces met lately: RECENT of them. */
  names: usize;
  /** The day that was told last, since the epoch, and its text: of most flows it is the same. */
  day: f64;
  dayLength: u32;
  dayFirst: u64;
  daySecond: u64;
}

/** Octets of the memory that a format takes. */
export function textFormatLength(): usize {
  return offsetof<TextFormat>();
}

/** In the order in which `src/text-output` lays it down. */
@unmanaged
export class LineBuffer {
  length: u32;
  /** Lines are gathered up to this length. */
  full: u32;
  text: usize;
}

/** What is written for an interface's name: nothing for no name. */
@unmanaged
class InterfaceText {
  first: u64;
  second: u64;
  length: u32;
}

const TEXT_OF_NAME: usize = 24;
const LONGEST_TEXT: usize = 128;

/** Octets of the memory that the owner of a format keeps for the names. */
export function interfaceTextsLength(): usize {
  return <usize>RECENT * (TEXT_OF_NAME + LONGEST_TEXT);
}

/** Writes one record as one line. */
type RecordWriter = (format: TextFormat, lines: LineBuffer, row: usize, isReply: bool) => void;

/** Writes the records of the flows among the rows until the lines are full; the answer is how many of the rows are done. */
export function writeRecords(
  format: TextFormat,
  lines: LineBuffer,
  row: usize,
  count: i32,
  write: RecordWriter,
): i32 {
  let done = 0;
  for (; done < count && lines.length < lines.full; done++, row += ROW) {
    const directions: i32 = load<u8>(row, DIRECTIONS);
    if ((directions & FORWARD) !== 0) write(format, lines, row, false);
    if ((directions & REPLY) !== 0) write(format, lines, row, true);
  }
  return done;
}

/** The end that a record shows as its source. `reply` is 1 for a reply record, here and below, and else 0. */
export function sourceOf(format: TextFormat, row: usize, reply: usize): usize {
  return sourceEnd(changetype<usize>(format) + offsetof<TextFormat>('inboundSource'), row) ^ reply;
}

/** Whether the record shows what its flow was translated to. */
export function isTranslationTold(format: TextFormat, row: usize): bool {
  return format.tellsTranslation !== 0 && load<u8>(row, IS_TRANSLATED) !== 0;
}

/** flowDirection (61). */
export function isEgress(row: usize, isReply: bool): bool {
  return (load<u8>(row, DIRECTION) === INBOUND) === isReply;
}

/** One of four pieces, by where the counters come from. */
export function byProvenance(row: usize, exact: usize, partial: usize, tcpseq: usize, none: usize): usize {
  const provenance: i32 = load<u8>(row, COUNTERS);
  if (provenance === EXACT) return exact;
  if (provenance === PARTIAL) return partial;
  return provenance === TCPSEQ ? tcpseq : none;
}

/** `counter` is OCTETS or PACKETS. */
export function writeCounter(at: usize, row: usize, reply: usize, counter: usize): usize {
  return writeDecimal(at, swap64(load<u64>(row + <usize>REPLY_COUNTERS * reply + counter)));
}

/** `payload` is INITIATOR_OCTETS or RESPONDER_OCTETS. */
export function writePayload(at: usize, row: usize, payload: usize): usize {
  return writeDecimal(at, <u64>load<f64>(row + payload));
}

export function writeAddress(at: usize, row: usize, end: usize): usize {
  const address = row + ADDRESSES + <usize>ADDRESS * end;
  return load<u8>(row + (end >> 1), FAMILY) === 4 ? writeIpv4(at, address) : writeIpv6(at, address);
}

export function writePort(at: usize, row: usize, end: usize): usize {
  return writeShort(at, bswap<u16>(load<u16>(row + 2 * end, PORTS)));
}

/** What the owner wrote for the row's interface. */
export function writeInterfaceName(format: TextFormat, at: usize, row: usize): usize {
  const first = load<u64>(row, INTERFACE_NAME);
  const second = load<u64>(row, INTERFACE_NAME + 8);
  const entry = format.names + <usize>placeOf(first, second) * (TEXT_OF_NAME + LONGEST_TEXT);
  const known = changetype<InterfaceText>(entry);
  if (known.first !== first || known.second !== second) {
    known.length = writeInterface(row, entry + TEXT_OF_NAME);
    known.first = first;
    known.second = second;
  }
  const end = at + known.length;
  copyText(at, entry + TEXT_OF_NAME, end);
  return end;
}

/** Milliseconds as an integer, rounded down. Times that no clock shows are left to the owner. */
export function writeMilliseconds(at: usize, row: usize, field: usize): usize {
  const time = floor(load<f64>(row + field));
  if (time >= 0 && time <= 9_007_199_254_740_991) return writeDecimal(at, <u64>time);
  return at + writeTime(row + field, at);
}

/** Beyond this, no calendar has a date. */
const LAST_DATE: f64 = 8.64e15;
/** Milliseconds. */
const DAY: f64 = 86_400_000;

export const COLON = piece(':');
export const DOT = piece('.');

/** Date and time of day, with three decimals. A time that has no date is its number. */
export function writeDate(format: TextFormat, at: usize, row: usize, field: usize): usize {
  const time = floor(load<f64>(row + field));
  if (!(abs(time) <= LAST_DATE)) return at + writeTime(row + field, at);
  const day = floor(time / DAY);
  const text = changetype<usize>(format) + offsetof<TextFormat>('dayFirst');
  if (format.dayLength === 0 || day !== format.day) {
    format.day = day;
    format.dayLength = writeDay(row + field, text);
  }
  const end = at + format.dayLength;
  copyText(at, text, end);
  return writeTimeOfDay(end, <u32>(time - DAY * day));
}

/** `22:13:20.373` */
function writeTimeOfDay(at: usize, milliseconds: u32): usize {
  const seconds = milliseconds / 1000;
  const minutes = seconds / 60;
  const hours = minutes / 60;
  at = writePiece(writeTwo(at, hours), COLON);
  at = writePiece(writeTwo(at, minutes - 60 * hours), COLON);
  at = writePiece(writeTwo(at, seconds - 60 * minutes), DOT);
  return writeThree(at, milliseconds - 1000 * seconds);
}
