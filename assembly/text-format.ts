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
  writeWhole,
} from './ascii';
import { swap64 } from './byte-order';
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
  /** The one of the row at hand. */
  name: usize;
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

/** What is written for an interface's name, which the owner fills in (`src/core-format`): nothing for no name. */
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

/**
 * Writes the records of the flows among the rows until the lines are full, or up to an interface whose text the owner has to fill
 * in. The answer is how many of the rows are done.
 */
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
    if (directions !== 0 && !findInterfaceText(format, row)) break;
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

/** Looks up what is written for the row's interface. False where the owner has to fill it in before the row is written. */
export function findInterfaceText(format: TextFormat, row: usize): bool {
  const first = load<u64>(row, INTERFACE_NAME);
  const second = load<u64>(row, INTERFACE_NAME + 8);
  const entry = format.names + <usize>placeOf(first, second) * (TEXT_OF_NAME + LONGEST_TEXT);
  format.name = entry;
  const known = changetype<InterfaceText>(entry);
  if (known.first === first && known.second === second) return true;
  known.first = first;
  known.second = second;
  return false;
}

/** What was found for the interface of the row at hand. */
export function writeInterfaceName(format: TextFormat, at: usize): usize {
  const end = at + changetype<InterfaceText>(format.name).length;
  copyText(at, format.name + TEXT_OF_NAME, end);
  return end;
}

/** Milliseconds as an integer, rounded down. */
export function writeMilliseconds(at: usize, row: usize, field: usize): usize {
  return writeWhole(at, floor(load<f64>(row + field)));
}

/** Beyond this, no calendar has a date. */
const LAST_DATE: f64 = 8.64e15;
/** Milliseconds. */
const DAY: f64 = 86_400_000;

export const COLON = piece(':');
export const DOT = piece('.');
const BLANK = piece(' ');
const DASH = piece('-');
const PLUS = piece('+');

/** Date and time of day, with three decimals. A time that has no date is its number. */
export function writeDate(at: usize, row: usize, field: usize): usize {
  const time = floor(load<f64>(row + field));
  if (!(abs(time) <= LAST_DATE)) return writeWhole(at, time);
  const day = floor(time / DAY);
  at = writePiece(writeDay(at, <i32>day), BLANK);
  return writeTimeOfDay(at, <u32>(time - DAY * day));
}

/** Days of 400 years, after which the calendar repeats itself. */
const DAYS_OF_ERA = 146_097;
/** The first of March in the year 0, in days before 1970: a leap day is the last one of a year that begins there. */
const FIRST_OF_MARCH = 719_468;

/** `2026-03-01`, of a day since 1970. A year that has not four digits has six of them, and a sign (ISO 8601). */
function writeDay(at: usize, day: i32): usize {
  const since = day + FIRST_OF_MARCH;
  const era = (since >= 0 ? since : since - DAYS_OF_ERA + 1) / DAYS_OF_ERA;
  const dayOfEra = since - era * DAYS_OF_ERA;
  const yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365;
  const dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100);
  // From March on, months of 31 and 30 days take turns every 153 days.
  const month = (5 * dayOfYear + 2) / 153;
  const dayOfMonth = dayOfYear - (153 * month + 2) / 5 + 1;
  const year = 400 * era + yearOfEra + (month >= 10 ? 1 : 0);
  at = writePiece(writeYear(at, year), DASH);
  at = writePiece(writeTwo(at, month < 10 ? month + 3 : month - 9), DASH);
  return writeTwo(at, dayOfMonth);
}

function writeYear(at: usize, year: i32): usize {
  const digits: u32 = abs(year);
  if (year < 0 || year > 9999) {
    at = writeTwo(writePiece(at, year < 0 ? DASH : PLUS), digits / 10_000);
  }
  return writeTwo(writeTwo(at, (digits / 100) % 100), digits % 100);
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
