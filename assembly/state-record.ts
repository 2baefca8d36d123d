/** State records of every pfsync version: from the wire into flow rows. Their layouts are rows of `protocol/pfsync-layout`. */

import {
  ADDRESS,
  ADDRESSES,
  AGE,
  CREATOR,
  DIRECTION,
  FAMILY,
  ICMP_TYPE,
  ID,
  INTERFACE_NAME,
  IS_TRANSLATED,
  OBSERVED,
  OCTETS,
  PACKETS,
  PORTS,
  REPLY_COUNTERS,
  ROW,
  RULE,
  SOURCE_SEQLO,
} from '../protocol/flow-row';
import {
  ICMP,
  ICMP6,
  INBOUND,
  ORIGINAL_DESTINATION,
  ORIGINAL_SOURCE,
  OUTBOUND,
  PEER_SEQLO,
  PEER_STATE,
} from '../protocol/pf-terms';
import { pair, swap32, swapPair } from './byte-order';

/** Offsets in a state record, in the order in which `protocol/pfsync-layout` lays them down. */
@unmanaged
export class StateLayout {
  interfaceName: i32;
  sourcePeer: i32;
  destinationPeer: i32;
  rule: i32;
  creation: i32;
  expire: i32;
  packets: i32;
  octets: i32;
  /** Octets of one counter: 4 or 8. */
  counterSize: i32;
  creatorId: i32;
  family: i32;
  protocol: i32;
  direction: i32;
  timeout: i32;
  wireFamily: i32;
  stackFamily: i32;
  stackProtocol: i32;
  /** 1: with the families of the keys comes the ICMP type in place of a port. */
  tellsIcmpType: i32;
  /** Four times eight offsets follow: of the addresses and the ports of the four ends, for the four cases of `endsOf`. */
  ends: i32;
}

/** Records of one message, one behind the other, in the order in which `protocol/state-pieces` notes them. */
@unmanaged
export class StatePiece {
  /** The time of the message since the epoch, in two parts, as `protocol/clock` has them: it is their sum. */
  seconds: f64;
  milliseconds: f64;
  at: usize;
  count: u32;
}

/** Octets of the eight offsets of one case, and where those of the ports begin. */
const CASE: usize = 32;
const PORT_OFFSETS: usize = 16;

/**
 * Reads the records of `count` pieces, `stride` octets apart in each, into as many rows. The answer is how many of them could not
 * be read.
 */
export function readStates(layout: StateLayout, stride: usize, pieces: usize, count: i32, row: usize): i32 {
  let unreadable = 0;
  const end = pieces + <usize>count * offsetof<StatePiece>();
  for (let address = pieces; address < end; address += offsetof<StatePiece>()) {
    const piece = changetype<StatePiece>(address);
    const time = piece.seconds * 1000 + piece.milliseconds;
    const behind = piece.at + <usize>piece.count * stride;
    for (let at = piece.at; at < behind; at += stride, row += ROW) {
      store<f64>(row, time, OBSERVED);
      if (!readState(layout, at, row)) unreadable++;
    }
  }
  return unreadable;
}

/** False for a record whose address family or direction pf does not write: it tells nothing. */
function readState(layout: StateLayout, at: usize, row: usize): bool {
  const direction: u32 = load<u8>(at + layout.direction);
  const isInbound = direction === INBOUND;
  let family = addressFamily(load<u8>(at + layout.family));
  if (family === 0 || !(isInbound || direction === OUTBOUND)) {
    store<u8>(row, 0, FAMILY);
    return false;
  }
  let translatedFamily = family;
  let protocol: u32 = load<u8>(at + layout.protocol);
  let translatedProtocol = protocol;
  let ends = changetype<usize>(layout) + offsetof<StateLayout>('ends') + (isInbound ? 0 : CASE);
  let hasKeyFamilies = false;
  if (layout.stackFamily !== layout.family) {
    // af-to: the keys have families of their own (0 where an older kernel leaves them out).
    const told = load<u8>(at + layout.wireFamily);
    hasKeyFamilies = told !== 0;
    const wire = addressFamily(told) || family;
    const stack = addressFamily(load<u8>(at + layout.stackFamily)) || wire;
    if (wire !== stack) {
      const wireProtocol = protocol;
      const stackProtocol: u32 =
        layout.stackProtocol === layout.protocol ? otherIcmp(protocol) : load<u8>(at + layout.stackProtocol);
      ends += 2 * CASE;
      family = isInbound ? wire : stack;
      translatedFamily = isInbound ? stack : wire;
      protocol = isInbound ? wireProtocol : stackProtocol;
      translatedProtocol = isInbound ? stackProtocol : wireProtocol;
    }
  }
  const source = at + layout.sourcePeer;
  const destination = at + layout.destinationPeer;
  store<u64>(row, load<u64>(at), ID);
  store<u32>(row, load<u32>(at + layout.creatorId), CREATOR);
  store<u32>(row, swap32(load<u32>(at + layout.rule)), RULE);
  store<u32>(row, family | (translatedFamily << 8) | (protocol << 16) | (translatedProtocol << 24), FAMILY);
  const timeout: u32 = load<u8>(at + layout.timeout);
  const sourceState: u32 = load<u8>(source, PEER_STATE);
  const destinationState: u32 = load<u8>(destination, PEER_STATE);
  store<u32>(row, direction | (timeout << 8) | (sourceState << 16) | (destinationState << 24), DIRECTION);
  store<u64>(row, networkPair(at + layout.creation, at + layout.expire), AGE);
  store<u64>(row, networkPair(source + PEER_SEQLO, destination + PEER_SEQLO), SOURCE_SEQLO);
  const name = at + layout.interfaceName;
  store<u64>(row, load<u64>(name), INTERFACE_NAME);
  store<u64>(row, load<u64>(name, 8), INTERFACE_NAME + 8);
  copyCounters(layout, at, row);
  const original = portsAt(ends + PORT_OFFSETS, at);
  const translated = portsAt(ends + PORT_OFFSETS + 8, at);
  store<u32>(row, original, PORTS);
  store<u32>(row, translated, PORTS + 4);
  const doPortsDiffer = hasPorts(protocol) & (original !== translated);
  if (family === 4 && translatedFamily === 4) {
    store<u8>(row, copyIpv4(ends, at, row) | doPortsDiffer, IS_TRANSLATED);
  } else {
    copyIpv6(ends, at, row);
    store<u8>(row, (family !== translatedFamily) | differ6(row) | doPortsDiffer, IS_TRANSLATED);
  }
  const tellsType = layout.tellsIcmpType !== 0 && hasKeyFamilies;
  store<i16>(row, tellsType ? icmpType(row, family, protocol) : -1, ICMP_TYPE);
  return true;
}

/**
 * The address family behind a sender's af number: 4, 6, or 0 when it is neither.
 * AF_INET is 2 everywhere; AF_INET6 is 24 (OpenBSD, NetBSD), 28 (FreeBSD, DragonFly), 30 (macOS) or 10 (Linux).
 */
function addressFamily(af: u32): u32 {
  if (af === 2) return 4;
  return af === 24 || af === 28 || af === 30 || af === 10 ? 6 : 0;
}

/** Whether pf's ports of this protocol are ports: those of ICMP are an id and a type, others have none. */
export function hasPorts(protocol: u32): bool {
  return (protocol === 6) | (protocol === 17) | (protocol === 132);
}

/** Two words, to stand behind each other in a row. */
function networkPair(first: usize, second: usize): u64 {
  return swapPair(pair(load<u32>(first), load<u32>(second)));
}

function otherIcmp(protocol: u32): u32 {
  if (protocol === ICMP) return ICMP6;
  return protocol === ICMP6 ? ICMP : protocol;
}

function copyCounters(layout: StateLayout, at: usize, row: usize): void {
  const octets = at + layout.octets;
  const packets = at + layout.packets;
  if (layout.counterSize === 8) {
    store<u64>(row, load<u64>(octets), OCTETS);
    store<u64>(row, load<u64>(packets), PACKETS);
    store<u64>(row, load<u64>(octets, 8), OCTETS + REPLY_COUNTERS);
    store<u64>(row, load<u64>(packets, 8), PACKETS + REPLY_COUNTERS);
  } else {
    store<u64>(row, widened(octets), OCTETS);
    store<u64>(row, widened(packets), PACKETS);
    store<u64>(row, widened(octets + 4), OCTETS + REPLY_COUNTERS);
    store<u64>(row, widened(packets + 4), PACKETS + REPLY_COUNTERS);
  }
}

/** Four octets as the last of eight. */
function widened(at: usize): u64 {
  return (<u64>load<u32>(at)) << 32;
}

/** The answer is whether the translated ends are others. No branch for each: which of them differs is not to be guessed. */
function copyIpv4(ends: usize, at: usize, row: usize): bool {
  const source = load<u32>(at + load<u32>(ends));
  const destination = load<u32>(at + load<u32>(ends, 4));
  const translatedSource = load<u32>(at + load<u32>(ends, 8));
  const translatedDestination = load<u32>(at + load<u32>(ends, 12));
  store<u32>(row, source, ADDRESSES);
  store<u32>(row, destination, ADDRESSES + ADDRESS);
  store<u32>(row, translatedSource, ADDRESSES + 2 * ADDRESS);
  store<u32>(row, translatedDestination, ADDRESSES + 3 * ADDRESS);
  return ((source ^ translatedSource) | (destination ^ translatedDestination)) !== 0;
}

function copyIpv6(ends: usize, at: usize, row: usize): void {
  for (let end: usize = 0; end < 4; end++) {
    const from = at + load<u32>(ends + 4 * end);
    const to = row + <usize>ADDRESS * end;
    store<u64>(to, load<u64>(from), ADDRESSES);
    store<u64>(to, load<u64>(from, 8), ADDRESSES + 8);
  }
}

/** Two ports in one word, as they stand on the wire: to be stored, and loaded again, in one go. */
function portsAt(ends: usize, at: usize): u32 {
  return load<u16>(at + load<u32>(ends)) | ((<u32>load<u16>(at + load<u32>(ends, 4))) << 16);
}

function differ6(row: usize): bool {
  let difference: u64 = 0;
  for (let word: usize = 0; word < 2 * ADDRESS; word += 8) {
    difference |= load<u64>(row + word, ADDRESSES) ^ load<u64>(row + word, ADDRESSES + 2 * ADDRESS);
  }
  return difference !== 0;
}

/** Multicast Listener Query: a report opens the same state. */
const MLD_QUERY: u32 = 130;

/**
 * Type of the ICMP message that opened the state, or -1 where that is not certain. Only the kernels that write the keys'
 * families (OpenBSD 5.0) are sure to put a type in place of the destination port; others have an id there, or 0.
 * It is the type of the request, also of a state that a reply opened, but then it stands in place of the source port: where
 * that could be a type, nothing is told. What is there of a multicast listener's report is the type of the query.
 */
function icmpType(row: usize, family: u32, protocol: u32): i32 {
  if (protocol !== ICMP && protocol !== ICMP6) return -1;
  const isIpv4 = family === 4;
  if ((protocol === ICMP) !== isIpv4) return -1;
  const id: u32 = bswap<u16>(load<u16>(row, PORTS + 2 * ORIGINAL_SOURCE));
  const type: u32 = bswap<u16>(load<u16>(row, PORTS + 2 * ORIGINAL_DESTINATION));
  // Where the types lie that have a reply: both echo requests are the lowest.
  const first: u32 = isIpv4 ? 8 : 128;
  const last: u32 = isIpv4 ? 38 : 255;
  if (type === 0 || type > 255 || (type === MLD_QUERY && !isIpv4)) return -1;
  return id >= first && id <= last ? -1 : type;
}
