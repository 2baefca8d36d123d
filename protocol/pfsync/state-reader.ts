/** Reads state records of any layout into flow rows. */
import { type InterfaceTable, NO_INTERFACE } from '../flow/interface.js';
import {
  FAMILIES,
  ICMP,
  ICMP6,
  PEER_SEQLO,
  PEER_STATE,
  PORT_MASKS,
  REPLY_TO,
  ROUTE_TO,
} from '../flow/pf-terms.js';
import {
  ADDRESS,
  ADDRESSES,
  AGE,
  ANCHOR,
  CREATOR,
  DESTINATION_SEQLO,
  EXPIRE,
  FACTS,
  ICMP_TYPE_KNOWN,
  ID,
  IDENTIFIERS,
  INTERFACE,
  INTERFACE_FROM_RECORD,
  LAST_ROW,
  NEVER_SYNCED,
  OBSERVED,
  OCTETS,
  PACKETS,
  PORTS,
  PROTOCOLS,
  REPLY_COUNTERS,
  REPLY_PORTS,
  ROUTE,
  ROW,
  ROW_DOUBLES,
  RULE,
  SOURCE_SEQLO,
  STATE,
  TAG,
  TRANSLATED_PORTS,
  TRANSLATED_REPLY_PORTS,
} from '../flow/row.js';
import type { FlowMemory } from '../flow/rows.js';
import type { StateLayout } from './layout.js';

/** PFSTATE_NOSYNC of pfvar.h. */
const NOSYNC = 0x0008;

/**
 * Reads `count` records, `stride` octets apart from `at` on, into the rows from `first` on. `clock` is the time of their
 * message: seconds and milliseconds since the epoch, of which the sum counts. The caller has checked that the records lie
 * within the view. Returns how many of them could not be read: their family or direction is not one that pf writes, and
 * their row's PROTOCOLS is 0.
 */
export type StateReader = (
  layout: StateLayout,
  wire: DataView,
  at: number,
  stride: number,
  count: number,
  clock: Float64Array,
  first: number,
) => number;

/** Makes the reader for this memory. It is one loop: what it calls for every record would not be inlined into it. */
export function stateReader({ rows, interfaces, tags }: FlowMemory): StateReader {
  const { words, doubles } = rows;
  const families = FAMILIES;
  const masks = PORT_MASKS;

  return function readStates(layout, wire, start, stride, count, clock, first) {
    const { ends } = layout;
    const time = clock[0]! * 1000 + clock[1]!;
    let unreadable = 0;
    const stop = start + count * stride;
    for (let at = start, n = first; at < stop; at += stride, n++) {
      const row = (n & LAST_ROW) * ROW;
      const direction = wire.getUint8(at + layout.direction);
      let family = families[wire.getUint8(at + layout.family)]!;
      let protocol = wire.getUint8(at + layout.protocol);
      doubles[(n & LAST_ROW) * ROW_DOUBLES + OBSERVED] = time;
      words[row + PROTOCOLS] = family | (family << 8) | (protocol << 16) | (protocol << 24);
      // Directions are 1 and 2.
      if (family === 0 || ((direction - 1) & 0xfe) !== 0) {
        words[row + PROTOCOLS] = 0;
        unreadable++;
        continue;
      }
      let kind = 8 * direction;
      if (layout.stackFamily !== layout.family) {
        const protocols = keyProtocols(layout, wire, at, direction, family, protocol);
        words[row + PROTOCOLS] = protocols;
        const isAfTo = ((protocols >>> 8) & 255) !== (protocols & 255);
        kind += isAfTo ? 16 : 0;
        family = isAfTo ? 6 : protocols & 255;
        protocol = (protocols >>> 16) & 255;
      }
      const source = at + layout.sourcePeer;
      const destination = at + layout.destinationPeer;
      words[row + STATE] =
        direction |
        (wire.getUint8(at + layout.timeout) << 8) |
        (wire.getUint8(source + PEER_STATE) << 16) |
        (wire.getUint8(destination + PEER_STATE) << 24);
      words[row + ID] = wire.getInt32(at, true);
      words[row + ID + 1] = wire.getInt32(at + 4, true);
      words[row + CREATOR] = wire.getInt32(at + layout.creatorId, true);
      words[row + RULE] = wire.getInt32(at + layout.rule);
      words[row + ANCHOR] = wire.getInt32(at + layout.anchor);
      words[row + INTERFACE] = interfaces.numberAt(wire, at + layout.interfaceName);
      words[row + AGE] = wire.getInt32(at + layout.creation);
      words[row + EXPIRE] = wire.getInt32(at + layout.expire);
      words[row + SOURCE_SEQLO] = wire.getInt32(source + PEER_SEQLO);
      words[row + DESTINATION_SEQLO] = wire.getInt32(destination + PEER_SEQLO);
      if (layout.counterSize === 8) {
        const octets = at + layout.octets;
        const packets = at + layout.packets;
        words[row + OCTETS] = wire.getInt32(octets, true);
        words[row + OCTETS + 1] = wire.getInt32(octets + 4, true);
        words[row + PACKETS] = wire.getInt32(packets, true);
        words[row + PACKETS + 1] = wire.getInt32(packets + 4, true);
        words[row + OCTETS + REPLY_COUNTERS] = wire.getInt32(octets + 8, true);
        words[row + OCTETS + REPLY_COUNTERS + 1] = wire.getInt32(octets + 12, true);
        words[row + PACKETS + REPLY_COUNTERS] = wire.getInt32(packets + 8, true);
        words[row + PACKETS + REPLY_COUNTERS + 1] = wire.getInt32(packets + 12, true);
      } else {
        readSmallCounters(words, row, layout, wire, at);
      }
      // A state's direction cannot be predicted: its offsets are looked up.
      const originalSource = at + ends[kind]!;
      const originalDestination = at + ends[kind + 1]!;
      const translatedSource = at + ends[kind + 2]!;
      const translatedDestination = at + ends[kind + 3]!;
      let differ = kind > 16 ? 1 : 0;
      if (family === 4) {
        const one = wire.getInt32(originalSource, true);
        const other = wire.getInt32(originalDestination, true);
        const oneAfter = wire.getInt32(translatedSource, true);
        const otherAfter = wire.getInt32(translatedDestination, true);
        words[row + ADDRESSES] = one;
        words[row + ADDRESSES + ADDRESS] = other;
        words[row + ADDRESSES + 2 * ADDRESS] = oneAfter;
        words[row + ADDRESSES + 3 * ADDRESS] = otherAfter;
        differ |= (one ^ oneAfter) | (other ^ otherAfter);
      } else {
        differ |=
          readAddresses(words, row + ADDRESSES, wire, originalSource, translatedSource) |
          readAddresses(words, row + ADDRESSES + ADDRESS, wire, originalDestination, translatedDestination);
      }
      const mask = masks[protocol]!;
      const port = wire.getUint16(at + ends[kind + 4]!, true);
      const otherPort = wire.getUint16(at + ends[kind + 5]!, true);
      const portAfter = wire.getUint16(at + ends[kind + 6]!, true);
      const otherPortAfter = wire.getUint16(at + ends[kind + 7]!, true);
      words[row + PORTS] = (port | (otherPort << 16)) & mask;
      words[row + REPLY_PORTS] = (otherPort | (port << 16)) & mask;
      words[row + TRANSLATED_PORTS] = (portAfter | (otherPortAfter << 16)) & mask;
      words[row + TRANSLATED_REPLY_PORTS] = (otherPortAfter | (portAfter << 16)) & mask;
      // Where a version names the firewall's sides instead of source and destination, an inbound state's id is its destination's.
      const id = port === 0 ? otherPort : port;
      const idAfter = portAfter === 0 ? otherPortAfter : portAfter;
      words[row + IDENTIFIERS] = (id | (idAfter << 16)) & ~mask;
      differ |= ((port ^ portAfter) | (otherPort ^ otherPortAfter)) & mask;
      words[row + FACTS] = (differ | -differ) >>> 31;
      if (layout.stateFlags !== 0) {
        words[row + FACTS]! |= (wire.getUint16(at + layout.stateFlags) & NOSYNC) === 0 ? 0 : NEVER_SYNCED;
      }
      words[row + ROUTE] = layout.route === 0 ? 0 : routeOf(layout, wire, at, interfaces);
      words[row + TAG] = layout.tag === 0 ? 0 : tags.numberAt(wire, at + layout.tag);
      if (layout.originalInterface !== 0 && words[row + INTERFACE] === NO_INTERFACE) {
        const number = interfaces.numberAt(wire, at + layout.originalInterface);
        words[row + INTERFACE] = number;
        words[row + FACTS]! |= number === NO_INTERFACE ? 0 : INTERFACE_FROM_RECORD;
      }
      if (layout.tellsIcmpType && isIcmp(protocol) && wire.getUint8(at + layout.wireFamily) !== 0) {
        const id = ((port & 255) << 8) | (port >>> 8);
        const type = ((otherPort & 255) << 8) | (otherPort >>> 8);
        words[row + FACTS]! |= icmpFacts(id, type, words[row + PROTOCOLS]! & 255, protocol);
      }
    }
    return unreadable;
  };
}

/**
 * PROTOCOLS of a record whose keys have families of their own (OpenBSD 5.0 and later, layout 1500). They differ in an af-to
 * state, whose record tells the protocol of the key on the wire.
 */
function keyProtocols(
  layout: StateLayout,
  wire: DataView,
  at: number,
  direction: number,
  family: number,
  protocol: number,
): number {
  const onWire = FAMILIES[wire.getUint8(at + layout.wireFamily)]! || family;
  const onStack = FAMILIES[wire.getUint8(at + layout.stackFamily)]! || onWire;
  if (onWire === onStack) return family | (family << 8) | (protocol << 16) | (protocol << 24);
  const stackProtocol =
    layout.stackProtocol === layout.protocol ? otherIcmp(protocol) : wire.getUint8(at + layout.stackProtocol);
  return direction === 1
    ? onWire | (onStack << 8) | (protocol << 16) | (stackProtocol << 24)
    : onStack | (onWire << 8) | (stackProtocol << 16) | (protocol << 24);
}

/** ROUTE of a record: interface and kind of its route-to or reply-to. */
function routeOf(layout: StateLayout, wire: DataView, at: number, interfaces: InterfaceTable): number {
  const kind = wire.getUint8(at + layout.route);
  if (kind !== ROUTE_TO && kind !== REPLY_TO) return 0;
  return interfaces.numberAt(wire, at + layout.routeInterface) | (kind << 24);
}

function isIcmp(protocol: number): boolean {
  return protocol === ICMP || protocol === ICMP6;
}

function otherIcmp(protocol: number): number {
  if (protocol === ICMP) return ICMP6;
  return protocol === ICMP6 ? ICMP : protocol;
}

/** Copies an address and what it was translated to. Returns 0 where they are the same. */
function readAddresses(
  words: Int32Array,
  to: number,
  wire: DataView,
  original: number,
  translated: number,
): number {
  let differ = 0;
  for (let word = 0; word < ADDRESS; word++) {
    const one = wire.getInt32(original + 4 * word, true);
    const other = wire.getInt32(translated + 4 * word, true);
    words[to + word] = one;
    words[to + 2 * ADDRESS + word] = other;
    differ |= one ^ other;
  }
  return differ;
}

function readSmallCounters(
  words: Int32Array,
  row: number,
  layout: StateLayout,
  wire: DataView,
  at: number,
): void {
  for (let reply = 0; reply < 2; reply++) {
    const to = row + REPLY_COUNTERS * reply;
    words[to + OCTETS] = 0;
    words[to + OCTETS + 1] = wire.getInt32(at + layout.octets + 4 * reply, true);
    words[to + PACKETS] = 0;
    words[to + PACKETS + 1] = wire.getInt32(at + layout.packets + 4 * reply, true);
  }
}

const MLD_QUERY = 130;

/**
 * The octets of FACTS that tell the type of the ICMP message which opened the state; 0 where that is not certain. The kernels
 * that write the keys' families put a type in place of the destination port; it is the type of the request, also of a state
 * that a reply opened, but then it stands in place of the source port: where that could be a type, nothing is certain. What
 * stands there for a multicast listener's report is the type of the query.
 */
function icmpFacts(id: number, type: number, family: number, protocol: number): number {
  const isIpv4 = family === 4;
  if ((protocol === ICMP) !== isIpv4) return 0;
  // The types that have a reply: both echo requests are the lowest.
  const first = isIpv4 ? 8 : 128;
  const last = isIpv4 ? 38 : 255;
  if (type === 0 || type > 255 || (type === MLD_QUERY && !isIpv4)) return 0;
  return id >= first && id <= last ? 0 : (type << 8) | ICMP_TYPE_KNOWN;
}
