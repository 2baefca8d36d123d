/**
 * Flows as one JSON object a line: keys are Information Element names, and what has no element stands under `pf`. A key is
 * left out where its value is not known.
 */
import { sidesShown, TRANSLATED } from '../../protocol/export/nat-side.js';
import { countsBothDirections, INBOUND, PORT_MASKS } from '../../protocol/flow/pf-terms.js';
import {
  ADDRESS,
  ADDRESSES,
  ANCHOR,
  COUNTERS_AGE,
  CREATOR,
  DESCRIPTION,
  END,
  END_ASSUMED,
  FACTS,
  FLOW,
  ICMP,
  ICMP_TYPE_KNOWN,
  ID,
  INTERFACE,
  INTERFACE_FROM_RECORD,
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
import {
  FORWARD,
  type NatView,
  NONE,
  ORIGINS,
  PARTIAL,
  PROVENANCE,
  REPLY,
  TCPSEQ,
} from '../../protocol/flow/terms.js';
import { asciiWriter } from './ascii.js';
import { BLOCK_OCTETS, escapeText, type FlowFormat } from './text-format.js';

/** `nat` `original`: the original view, and the post-NAT elements of translated flows; else that view alone. */
export function jsonFormat({ rows, interfaces, tags }: FlowMemory, nat: NatView): FlowFormat {
  const { words, doubles, view } = rows;
  const ascii = asciiWriter(BLOCK_OCTETS);
  const { octets, addPiece, writePiece, keepText, writeText, copy, writeSmall, writeNumber, writeInteger } =
    ascii;
  const { writeCounter, writeTime, writeHexadecimal, writeIpv4, writeIpv6 } = ascii;
  /** Kept texts of interfaces and tags with their keys, by number. */
  const interfaceNames: number[] = [];
  const ingressNames: number[] = [];
  const egressNames: number[] = [];
  const tagNames: number[] = [];
  const portMasks = PORT_MASKS;
  const sides = sidesShown(nat);
  const showsPostNat = nat === 'original' ? 1 : 0;

  const pieces = (...texts: string[]) => Int32Array.from(texts, addPiece);
  const start = addPiece('{"flowStartMilliseconds":');
  const end = addPiece(',"flowEndMilliseconds":');
  /** The ends that a record shows, and those behind NAT. */
  const source4 = pieces(',"sourceIPv4Address":"', ',"postNATSourceIPv4Address":"');
  const destination4 = pieces('","destinationIPv4Address":"', '","postNATDestinationIPv4Address":"');
  const source6 = pieces(',"sourceIPv6Address":"', ',"postNATSourceIPv6Address":"');
  const destination6 = pieces('","destinationIPv6Address":"', '","postNATDestinationIPv6Address":"');
  const sourcePort = pieces('","sourceTransportPort":', '","postNAPTSourceTransportPort":');
  const destinationPort = pieces(',"destinationTransportPort":', ',"postNAPTDestinationTransportPort":');
  const quote = addPiece('"');
  const protocols = pieces(...Array.from({ length: 256 }, (_, n) => `,"protocolIdentifier":${n}`));
  const octetCount = addPiece(',"octetDeltaCount":');
  const packetCount = addPiece(',"packetDeltaCount":');
  const controlBits = addPiece(',"tcpControlBits":');
  /** For IPv4 and IPv6. */
  const icmpType = pieces(',"icmpTypeIPv4":', ',"icmpTypeIPv6":');
  const icmpCode = pieces(',"icmpCodeIPv4":', ',"icmpCodeIPv6":');
  const direction = pieces(',"flowDirection":0', ',"flowDirection":1');
  const endReason = addPiece(',"flowEndReason":');
  const stateId = addPiece(',"pf":{"stateId":"');
  const creatorId = addPiece('","creatorId":"');
  /** By the low bit of pf's direction. */
  const stateDirection = pieces('","direction":"out"', '","direction":"in"');
  const rule = addPiece(',"rule":');
  const anchor = addPiece(',"anchor":');
  const bothDirections = addPiece(',"bothDirections":true');
  const endAssumed = addPiece(',"endAssumed":true');
  const interfaceFromRecord = addPiece(',"interfaceFrom":"record"');
  /** By provenance, and by origin with it. */
  const counters = pieces(...PROVENANCE.map((provenance) => `,"counters":"${provenance}","reply":`));
  const countersFrom = PROVENANCE.map((provenance) =>
    pieces(...ORIGINS.map((origin) => `,"counters":"${provenance}","countersFrom":"${origin}","reply":`)),
  );
  const reply = pieces('false', 'true');
  const countersAge = addPiece(',"countersAge":');
  const joined = addPiece(',"joined":true,"otherStateId":"');
  const lineEnd = addPiece('}}\n');

  function write(n: number, line: number): number {
    const row = n * ROW;
    const directions = (words[row + FLOW]! >>> 8) & 255;
    let at = writePiece(line, start);
    at = writeTime(at, doubles, n * ROW_DOUBLES + START);
    at = writePiece(at, end);
    const trafficAt = writeTime(at, doubles, n * ROW_DOUBLES + END);
    const first = directions === REPLY ? 1 : 0;
    const stateAt = writeTraffic(row, trafficAt, first);
    const replyAt = writeState(row, stateAt);
    at = writeEnd(row, replyAt, first);
    if (directions !== (FORWARD | REPLY)) return at;
    const trafficCopy = copy(at, line, trafficAt - line);
    const stateCopy = writeTraffic(row, trafficCopy, 1);
    const replyCopy = copy(stateCopy, stateAt, replyAt - stateAt);
    return writeEnd(row, replyCopy, 1);
  }

  /** What differs between the records of a flow: ends, counters and direction. */
  function writeTraffic(row: number, at: number, isReply: number): number {
    const side = sides[words[row + STATE]! & 3]!;
    const description = words[row + DESCRIPTION + 2 * side + isReply]!;
    at = writeEnds(row, at, isReply, side, 0);
    at = writePiece(at, protocols[description & 255]!);
    if ((words[row + FLOW]! & 255) !== NONE) {
      const counter = 4 * (row + REPLY_COUNTERS * isReply);
      at = writePiece(at, octetCount);
      at = writeCounter(at, view, counter + 4 * OCTETS);
      at = writePiece(at, packetCount);
      at = writeCounter(at, view, counter + 4 * PACKETS);
    }
    if (description >>> 24 !== 0) {
      at = writePiece(at, controlBits);
      at = writeSmall(at, description >>> 24);
    }
    const facts = words[row + FACTS]!;
    if ((facts & ICMP_TYPE_KNOWN) !== 0 && isReply === 0) at = writeIcmp(row, at, side);
    at = writePiece(at, direction[(description >>> 8) & 1]!);
    return (facts & showsPostNat) !== 0 ? writeEnds(row, at, isReply, TRANSLATED, 1) : at;
  }

  /** Addresses and ports of one side of the translation; `isPostNat` chooses their keys. */
  function writeEnds(row: number, at: number, isReply: number, side: number, isPostNat: number): number {
    const ends = row + ADDRESSES + 2 * ADDRESS * side;
    const source = ends + ADDRESS * isReply;
    const destination = ends + ADDRESS - ADDRESS * isReply;
    const protocol = words[row + PROTOCOLS]! >>> (8 * side);
    if ((protocol & 255) === 4) {
      at = writePiece(at, source4[isPostNat]!);
      at = writeIpv4(at, words[source]!);
      at = writePiece(at, destination4[isPostNat]!);
      at = writeIpv4(at, words[destination]!);
    } else {
      at = writePiece(at, source6[isPostNat]!);
      at = writeIpv6(at, view, 4 * source);
      at = writePiece(at, destination6[isPostNat]!);
      at = writeIpv6(at, view, 4 * destination);
    }
    if (portMasks[(protocol >>> 16) & 255] === 0) return writePiece(at, quote);
    const ports = words[row + PORTS + 2 * side + isReply]!;
    at = writePiece(at, sourcePort[isPostNat]!);
    at = writeNumber(at, ((ports & 255) << 8) | ((ports >>> 8) & 255));
    at = writePiece(at, destinationPort[isPostNat]!);
    return writeNumber(at, ((ports >>> 8) & 0xff00) | (ports >>> 24));
  }

  /** The type belongs to the original side, and to what the initiator sent. */
  function writeIcmp(row: number, at: number, side: number): number {
    const families = words[row + PROTOCOLS]!;
    const family = (families >>> (8 * side)) & 255;
    if (family !== (families & 255)) return at;
    const kind = family === 4 ? 0 : 1;
    at = writePiece(at, icmpType[kind]!);
    at = writeSmall(at, words[row + ICMP]! & 255);
    at = writePiece(at, icmpCode[kind]!);
    return writeSmall(at, (words[row + ICMP]! >>> 8) & 255);
  }

  /** What both records of a flow have in common, up to the value of `reply`. */
  function writeState(row: number, at: number): number {
    const flow = words[row + FLOW]!;
    const origin = words[row + ORIGIN]!;
    if ((origin & JOINED) === 0)
      at = writeInterface(at, words[row + INTERFACE]!, interfaceNames, 'interfaceName');
    at = writePiece(at, endReason);
    at = writeSmall(at, (flow >>> 16) & 255);
    at = writePiece(at, stateId);
    at = writeHexadecimal(at, words[row + ID]!);
    at = writeHexadecimal(at, words[row + ID + 1]!);
    at = writePiece(at, creatorId);
    at = writeHexadecimal(at, words[row + CREATOR]!);
    at = writePiece(at, stateDirection[words[row + STATE]! & INBOUND]!);
    if (words[row + RULE]! !== -1) at = writeInteger(writePiece(at, rule), words[row + RULE]!);
    if (words[row + ANCHOR]! >= 0) at = writeNumber(writePiece(at, anchor), words[row + ANCHOR]!);
    const tag = words[row + TAG]!;
    if (tag !== 0) at = writeText(at, tagNames[tag] ?? keepName(tagNames, tag, 'tag', tags.names));
    if ((words[row + FACTS]! & INTERFACE_FROM_RECORD) !== 0) at = writePiece(at, interfaceFromRecord);
    if (countsBothDirections(words[row + PROTOCOLS]!)) at = writePiece(at, bothDirections);
    if ((origin & END_ASSUMED) !== 0) at = writePiece(at, endAssumed);
    const provenance = flow & 255;
    const isKnown = provenance !== NONE && (origin & 255) < ORIGINS.length;
    return writePiece(at, isKnown ? countersFrom[provenance]![origin & 255]! : counters[provenance]!);
  }

  function writeEnd(row: number, at: number, isReply: number): number {
    const provenance = words[row + FLOW]! & 255;
    at = writePiece(at, reply[isReply]!);
    if (provenance === PARTIAL || provenance === TCPSEQ) {
      at = writeInteger(writePiece(at, countersAge), words[row + COUNTERS_AGE]!);
    }
    if ((words[row + ORIGIN]! & JOINED) !== 0) at = writeJoined(row, at, isReply);
    return writePiece(at, lineEnd);
  }

  function writeInterface(at: number, number: number, kept: number[], key: string): number {
    return writeText(at, kept[number] ?? keepName(kept, number, key, interfaces.names));
  }

  /** For no name nothing is written. */
  function keepName(kept: number[], number: number, key: string, names: readonly string[]): number {
    const name = escapeText(names[number]!).replaceAll('"', '\\"');
    kept[number] = keepText(name === '' ? '' : `,"${key}":"${name}"`);
    return kept[number];
  }

  /** What a flow of two states has more: it enters by the inbound state's interface and leaves by the outbound state's. */
  function writeJoined(row: number, at: number, isReply: number): number {
    at = writePiece(at, joined);
    at = writeHexadecimal(at, words[row + OTHER_ID]!);
    at = writeHexadecimal(at, words[row + OTHER_ID + 1]!);
    at = writePiece(at, quote);
    const ingress = words[row + (isReply === 0 ? INTERFACE : OTHER_INTERFACE)]!;
    const egress = words[row + (isReply === 0 ? OTHER_INTERFACE : INTERFACE)]!;
    at = writeInterface(at, ingress, ingressNames, 'ingressInterfaceName');
    return writeInterface(at, egress, egressNames, 'egressInterfaceName');
  }

  return { header: '', octets, write };
}
