/** Flows as a table for the eye, after `nfdump -o long`. Times are UTC, numbers exact. */
import { ORIGINAL, sidesShown, TRANSLATED } from '../../protocol/export/nat-side.js';
import { PORT_MASKS } from '../../protocol/flow/pf-terms.js';
import {
  ADDRESS,
  ADDRESSES,
  DESCRIPTION,
  END,
  FACTS,
  FLOW,
  INTERFACE,
  JOINED,
  OCTETS,
  ORIGIN,
  OTHER_INTERFACE,
  PACKETS,
  PORTS,
  PROTOCOLS,
  REPLY_COUNTERS,
  ROW,
  ROW_DOUBLES,
  START,
  STATE,
} from '../../protocol/flow/row.js';
import type { FlowMemory } from '../../protocol/flow/rows.js';
import { FORWARD, type NatView, NONE, PARTIAL, REPLY, TCPSEQ } from '../../protocol/flow/terms.js';
import { asciiWriter } from './ascii.js';
import { BLOCK_OCTETS, escapeText, type FlowFormat } from './text-format.js';

const HEADER =
  'Date first seen (UTC)    Duration Proto        Src IP Addr:Port           Dst IP Addr:Port  ' +
  'Dir Interface Packets       Bytes -> Translated\n';

/**
 * Where columns begin, or end when their text leans to the right. A long IPv6 address takes the blanks after it: a line is
 * back in the columns as soon as it fits again.
 */
const DURATION_END = 33;
const PROTOCOL_START = 34;
const SOURCE_END = 58;
const ARROW_START = 65;
const DESTINATION_END = 85;
const DIRECTION_START = 92;
const INTERFACE_START = 96;
const PACKETS_END = 113;
const OCTETS_END = 125;
const TRANSLATION_START = 126;

/** Behind any line: texts are written there whose length decides where they begin. */
const ASIDE = 2048;
const BLANK = 0x20;

const PROTOCOL_NAMES: Readonly<Record<number, string>> = {
  1: 'ICMP',
  6: 'TCP',
  17: 'UDP',
  47: 'GRE',
  50: 'ESP',
  51: 'AH',
  58: 'ICMP6',
  89: 'OSPF',
  132: 'SCTP',
  240: 'PFSYNC',
};

/** Milliseconds since the epoch. No calendar has a date beyond. */
const LAST_DATE = 8.64e15;

/** `nat` `original`: the original view, and where it was translated to; else that view alone. */
export function tableFormat({ rows, interfaces }: FlowMemory, nat: NatView): FlowFormat {
  const { words, doubles, view } = rows;
  const ascii = asciiWriter(BLOCK_OCTETS);
  const { octets, addPiece, writePiece, keepText, writeText, copy, writeString, writeNumber, writeThree } =
    ascii;
  const { writeCounter, writeTime, writeIpv4, writeIpv6 } = ascii;
  /** Kept texts of interfaces, by number. */
  const interfaceNames: number[] = [];
  const sides = sidesShown(nat);
  const pieces = (...texts: string[]) => Int32Array.from(texts, addPiece);
  const protocols = pieces(...Array.from({ length: 256 }, (_, n) => PROTOCOL_NAMES[n] ?? `${n}`));
  const directions = pieces('in', 'out');
  const arrow = addPiece('->');
  const sourceChange = addPiece(' src ');
  const destinationChange = addPiece(' dst ');
  const into = addPiece('>');
  const unknown = addPiece('-');
  const atLeast = addPiece('~');
  const colon = addPiece(':');
  const dot = addPiece('.');
  const lineEnd = addPiece('\n');
  /** Both records of a flow begin in the same second, and many flows do. */
  let lastSecond = -1;
  let lastDate = '';

  function write(n: number, line: number): number {
    const has = (words[n * ROW + FLOW]! >>> 8) & 255;
    let at = line;
    if ((has & FORWARD) !== 0) at = writeRecord(n, at, 0);
    if ((has & REPLY) !== 0) at = writeRecord(n, at, 1);
    return at;
  }

  function writeRecord(n: number, line: number, isReply: number): number {
    const row = n * ROW;
    const aside = line + ASIDE;
    const side = sides[words[row + STATE]! & 3]!;
    const description = words[row + DESCRIPTION + 2 * side + isReply]!;
    let at = writeDate(line, n);
    at = endAt(line + DURATION_END, at, aside, writeDuration(aside, n));
    at = writePiece(startAt(line + PROTOCOL_START, at), protocols[description & 255]!);
    at = endAt(line + SOURCE_END, at, aside, writeAddress(aside, row, side, isReply));
    at = writePort(at, row, side, isReply);
    at = writePiece(startAt(line + ARROW_START, at), arrow);
    at = endAt(line + DESTINATION_END, at, aside, writeAddress(aside, row, side, isReply ^ 1));
    at = writePort(at, row, side, isReply ^ 1);
    at = writePiece(startAt(line + DIRECTION_START, at), directions[(description >>> 8) & 1]!);
    at = writeInterfaces(startAt(line + INTERFACE_START, at), row, isReply);
    at = endAt(line + PACKETS_END, at, aside, writeAmount(aside, row, PACKETS + REPLY_COUNTERS * isReply));
    at = endAt(line + OCTETS_END, at, aside, writeAmount(aside, row, OCTETS + REPLY_COUNTERS * isReply));
    if (nat === 'original' && (words[row + FACTS]! & 1) !== 0) {
      at = writePiece(startAt(line + TRANSLATION_START, at), arrow);
      at = writeChange(at, sourceChange, row, isReply);
      at = writeChange(at, destinationChange, row, isReply ^ 1);
    }
    return writePiece(at, lineEnd);
  }

  /** Blanks up to the column, one at least. Returns where the text goes. */
  function startAt(column: number, at: number): number {
    const start = Math.max(column, at + 1);
    while (at < start) octets[at++] = BLANK;
    return start;
  }

  /** Blanks, and a text that stands from `text` to `textEnd` and ends at the column where it can. Returns its end. */
  function endAt(column: number, at: number, text: number, textEnd: number): number {
    const length = textEnd - text;
    return copy(startAt(column - length, at), text, length);
  }

  /** Date and time of day, with three decimals. A time that has no date is its number. */
  function writeDate(at: number, n: number): number {
    const time = doubles[n * ROW_DOUBLES + START]!;
    if (time > LAST_DATE) return writeTime(at, doubles, n * ROW_DOUBLES + START);
    const start = Math.max(0, Math.floor(time));
    const second = Math.floor(start / 1000);
    if (second !== lastSecond) {
      lastSecond = second;
      // Without milliseconds and the Z.
      lastDate = new Date(1000 * second).toISOString().replace('T', ' ').slice(0, -4);
    }
    return writeThree(writeString(at, lastDate), start - 1000 * second);
  }

  /** Seconds with three decimals. */
  function writeDuration(at: number, n: number): number {
    const start = Math.max(0, Math.floor(doubles[n * ROW_DOUBLES + START]!));
    const duration = Math.max(0, Math.floor(doubles[n * ROW_DOUBLES + END]!)) - start;
    const milliseconds = `${Math.abs(duration)}`.padStart(4, '0');
    const sign = duration < 0 ? '-' : '';
    return writeString(at, `${sign}${milliseconds.slice(0, -3)}.${milliseconds.slice(-3)}`);
  }

  /** `end` is 0 for the initiator's address and port, 1 for the responder's. */
  function writeAddress(at: number, row: number, side: number, end: number): number {
    const address = row + ADDRESSES + ADDRESS * (2 * side + end);
    const isIpv4 = ((words[row + PROTOCOLS]! >>> (8 * side)) & 255) === 4;
    return isIpv4 ? writeIpv4(at, words[address]!) : writeIpv6(at, view, 4 * address);
  }

  /** A dot before the port of an IPv6 address, as nfdump has it. */
  function writePort(at: number, row: number, side: number, end: number): number {
    const protocol = words[row + PROTOCOLS]! >>> (8 * side);
    if (PORT_MASKS[(protocol >>> 16) & 255] === 0) return at;
    at = writePiece(at, (protocol & 255) === 4 ? colon : dot);
    return writeNumber(at, view.getUint16(4 * (row + PORTS + 2 * side) + 2 * end));
  }

  /** Of a flow of two states, the one that it enters by and the one that it leaves by. */
  function writeInterfaces(at: number, row: number, isReply: number): number {
    const own = words[row + INTERFACE]!;
    if ((words[row + ORIGIN]! & JOINED) === 0) return writeInterface(at, own);
    const other = words[row + OTHER_INTERFACE]!;
    at = writePiece(writeInterface(at, isReply === 0 ? own : other), into);
    return writeInterface(at, isReply === 0 ? other : own);
  }

  function writeInterface(at: number, number: number): number {
    interfaceNames[number] ??= keepText(columnOf(interfaces.names[number]!));
    return writeText(at, interfaceNames[number]);
  }

  /** `~` before a number: at least that many. `-`: not known. */
  function writeAmount(at: number, row: number, counter: number): number {
    const provenance = words[row + FLOW]! & 255;
    if (provenance === NONE) return writePiece(at, unknown);
    if (provenance === PARTIAL || provenance === TCPSEQ) at = writePiece(at, atLeast);
    return writeCounter(at, view, 4 * (row + counter));
  }

  /** An end that NAT changed. Nothing where it has the same text on both sides. */
  function writeChange(at: number, which: number, row: number, end: number): number {
    const text = writePiece(at, which);
    const textEnd = writePort(writeAddress(text, row, TRANSLATED, end), row, TRANSLATED, end);
    const before = textEnd;
    const beforeEnd = writePort(writeAddress(before, row, ORIGINAL, end), row, ORIGINAL, end);
    const length = textEnd - text;
    const isSame = beforeEnd - before === length && isEqual(text, before, length);
    return isSame ? at : textEnd;
  }

  function isEqual(one: number, other: number, length: number): boolean {
    for (let i = 0; i < length; i++) if (octets[one + i] !== octets[other + i]) return false;
    return true;
  }

  return { header: HEADER, octets, write };
}

/** In one piece, so that columns can be counted by blanks. */
function columnOf(name: string): string {
  return name === '' ? '-' : escapeText(name).replaceAll(' ', '\\u0020');
}
