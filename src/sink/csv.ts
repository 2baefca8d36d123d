/** Flows as comma-separated values (RFC 4180, lines ended by LF): a cell is empty where nothing is known. */
import { sidesShown, TRANSLATED } from '../../protocol/export/nat-side.js';
import { INBOUND, PORT_MASKS } from '../../protocol/flow/pf-terms.js';
import {
  ADDRESS,
  ADDRESSES,
  ANCHOR,
  CREATOR,
  DESCRIPTION,
  END,
  FACTS,
  FLOW,
  ICMP,
  ICMP_TYPE_KNOWN,
  ID,
  INTERFACE,
  JOINED,
  OCTETS,
  ORIGIN,
  OTHER_ID,
  OTHER_INTERFACE,
  PACKETS,
  PORTS,
  PROTOCOLS,
  REPLY_COUNTERS,
  ROW,
  ROW_DOUBLES,
  RULE,
  START,
  STATE,
  TAG,
} from '../../protocol/flow/row.js';
import type { FlowMemory } from '../../protocol/flow/rows.js';
import { FORWARD, type NatView, NONE, ORIGINS, PROVENANCE, REPLY } from '../../protocol/flow/terms.js';
import { asciiWriter } from './ascii.js';
import { BLOCK_OCTETS, escapeText, type FlowFormat } from './text-format.js';

/** In the order in which `writeRecord` writes their cells. */
const COLUMNS = [
  'flowStartMilliseconds',
  'flowEndMilliseconds',
  'sourceAddress',
  'destinationAddress',
  'sourceTransportPort',
  'destinationTransportPort',
  'protocolIdentifier',
  'octetDeltaCount',
  'packetDeltaCount',
  'tcpControlBits',
  'icmpType',
  'icmpCode',
  'flowDirection',
  'postNATSourceAddress',
  'postNATDestinationAddress',
  'postNAPTSourceTransportPort',
  'postNAPTDestinationTransportPort',
  'interfaceName',
  'flowEndReason',
  'stateId',
  'creatorId',
  'direction',
  'rule',
  'anchor',
  'tag',
  'counters',
  'countersFrom',
  'reply',
  'otherStateId',
  'ingressInterfaceName',
  'egressInterfaceName',
];

/** `nat` `original`: the original view, and the post-NAT cells of translated flows; else that view alone. */
export function csvFormat({ rows, interfaces, tags }: FlowMemory, nat: NatView): FlowFormat {
  const { words, doubles, view } = rows;
  const ascii = asciiWriter(BLOCK_OCTETS);
  const { octets, addPiece, writePiece, keepText, writeText, writeSmall, writeNumber, writeInteger } = ascii;
  const { writeCounter, writeTime, writeHexadecimal, writeIpv4, writeIpv6 } = ascii;
  /** Kept texts of interfaces and tags, by number. */
  const interfaceNames: number[] = [];
  const tagNames: number[] = [];
  const portMasks = PORT_MASKS;
  const sides = sidesShown(nat);
  const showsPostNat = nat === 'original' ? 1 : 0;

  const pieces = (...texts: string[]) => Int32Array.from(texts, addPiece);
  const comma = addPiece(',');
  const twoCommas = addPiece(',,');
  const threeCommas = addPiece(',,,');
  const direction = pieces(',0,', ',1,');
  /** By the low bit of pf's direction. */
  const stateDirection = pieces(',out,', ',in,');
  const provenances = pieces(...PROVENANCE.map((provenance) => `,${provenance},`));
  const origins = pieces(...ORIGINS);
  const reply = pieces(',false,', ',true,');
  const notJoined = addPiece(',,\n');
  const lineEnd = addPiece('\n');

  function write(n: number, line: number): number {
    const directions = (words[n * ROW + FLOW]! >>> 8) & 255;
    let at = line;
    if ((directions & FORWARD) !== 0) at = writeRecord(n, at, 0);
    if ((directions & REPLY) !== 0) at = writeRecord(n, at, 1);
    return at;
  }

  function writeRecord(n: number, line: number, isReply: number): number {
    const row = n * ROW;
    const flow = words[row + FLOW]!;
    const side = sides[words[row + STATE]! & 3]!;
    const description = words[row + DESCRIPTION + 2 * side + isReply]!;
    let at = writeTime(line, doubles, n * ROW_DOUBLES + START);
    at = writePiece(at, comma);
    at = writeTime(at, doubles, n * ROW_DOUBLES + END);
    at = writePiece(at, comma);
    at = writeEnds(row, at, isReply, side);
    at = writePiece(at, comma);
    at = writeSmall(at, description & 255);
    at = writeCounters(row, at, isReply);
    at = writePiece(at, comma);
    if (description >>> 24 !== 0) at = writeSmall(at, description >>> 24);
    at = isReply === 0 ? writeIcmp(row, at, side) : writePiece(at, twoCommas);
    at = writePiece(at, direction[(description >>> 8) & 1]!);
    const isTranslated = (words[row + FACTS]! & showsPostNat) !== 0;
    at = isTranslated ? writeEnds(row, at, isReply, TRANSLATED) : writePiece(at, threeCommas);
    at = writePiece(at, comma);
    const origin = words[row + ORIGIN]!;
    if ((origin & JOINED) === 0) at = writeInterface(at, words[row + INTERFACE]!);
    at = writePiece(at, comma);
    at = writeSmall(at, (flow >>> 16) & 255);
    at = writePiece(at, comma);
    at = writeHexadecimal(at, words[row + ID]!);
    at = writeHexadecimal(at, words[row + ID + 1]!);
    at = writePiece(at, comma);
    at = writeHexadecimal(at, words[row + CREATOR]!);
    at = writePiece(at, stateDirection[words[row + STATE]! & INBOUND]!);
    if (words[row + RULE]! !== -1) at = writeInteger(at, words[row + RULE]!);
    at = writePiece(at, comma);
    if (words[row + ANCHOR]! >= 0) at = writeNumber(at, words[row + ANCHOR]!);
    at = writePiece(at, comma);
    const tag = words[row + TAG]!;
    if (tag !== 0) at = writeText(at, tagNames[tag] ?? keepCell(tagNames, tag, tags.names));
    at = writePiece(at, provenances[flow & 255]!);
    const isKnown = (flow & 255) !== NONE && (origin & 255) < ORIGINS.length;
    if (isKnown) at = writePiece(at, origins[origin & 255]!);
    at = writePiece(at, reply[isReply]!);
    return (origin & JOINED) === 0 ? writePiece(at, notJoined) : writeJoined(row, at, isReply);
  }

  /** Four cells: addresses and ports. */
  function writeEnds(row: number, at: number, isReply: number, side: number): number {
    const ends = row + ADDRESSES + 2 * ADDRESS * side;
    const source = ends + ADDRESS * isReply;
    const destination = ends + ADDRESS - ADDRESS * isReply;
    const protocol = words[row + PROTOCOLS]! >>> (8 * side);
    if ((protocol & 255) === 4) {
      at = writePiece(writeIpv4(at, words[source]!), comma);
      at = writeIpv4(at, words[destination]!);
    } else {
      at = writePiece(writeIpv6(at, view, 4 * source), comma);
      at = writeIpv6(at, view, 4 * destination);
    }
    if (portMasks[(protocol >>> 16) & 255] === 0) return writePiece(at, twoCommas);
    const ports = words[row + PORTS + 2 * side + isReply]!;
    at = writePiece(at, comma);
    at = writeNumber(at, ((ports & 255) << 8) | ((ports >>> 8) & 255));
    at = writePiece(at, comma);
    return writeNumber(at, ((ports >>> 8) & 0xff00) | (ports >>> 24));
  }

  /** Two cells, each behind its comma: octets and packets. */
  function writeCounters(row: number, at: number, isReply: number): number {
    if ((words[row + FLOW]! & 255) === NONE) return writePiece(at, twoCommas);
    const counter = 4 * (row + REPLY_COUNTERS * isReply);
    at = writePiece(at, comma);
    at = writeCounter(at, view, counter + 4 * OCTETS);
    at = writePiece(at, comma);
    return writeCounter(at, view, counter + 4 * PACKETS);
  }

  /** Two cells, each behind its comma. The type belongs to the original side, and to what the initiator sent. */
  function writeIcmp(row: number, at: number, side: number): number {
    const families = words[row + PROTOCOLS]!;
    const isKnown = (words[row + FACTS]! & ICMP_TYPE_KNOWN) !== 0;
    if (!isKnown || ((families ^ (families >>> (8 * side))) & 255) !== 0) return writePiece(at, twoCommas);
    at = writePiece(at, comma);
    at = writeSmall(at, words[row + ICMP]! & 255);
    at = writePiece(at, comma);
    return writeSmall(at, (words[row + ICMP]! >>> 8) & 255);
  }

  function writeInterface(at: number, number: number): number {
    return writeText(at, interfaceNames[number] ?? keepCell(interfaceNames, number, interfaces.names));
  }

  function keepCell(kept: number[], number: number, names: readonly string[]): number {
    kept[number] = keepText(cellOf(names[number]!));
    return kept[number];
  }

  /** The last three cells of a flow of two states. */
  function writeJoined(row: number, at: number, isReply: number): number {
    at = writeHexadecimal(at, words[row + OTHER_ID]!);
    at = writeHexadecimal(at, words[row + OTHER_ID + 1]!);
    at = writePiece(at, comma);
    at = writeInterface(at, words[row + (isReply === 0 ? INTERFACE : OTHER_INTERFACE)]!);
    at = writePiece(at, comma);
    at = writeInterface(at, words[row + (isReply === 0 ? OTHER_INTERFACE : INTERFACE)]!);
    return writePiece(at, lineEnd);
  }

  return { header: `${COLUMNS.join(',')}\n`, octets, write };
}

/** A text from a packet: a spreadsheet must not take it for a formula, nor a parser for two cells. */
function cellOf(text: string): string {
  const escaped = escapeText(text);
  const plain = /^[=+\-@]/.test(escaped) ? `'${escaped}` : escaped;
  return /[",]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}
