/** The parts of a flow record in NetFlow v9 and IPFIX: a few Information Elements that stand together, and what writes them. */
import { ELEMENTS, type ElementName } from './element.js';
import { type FlowRecord, portsAt, protocolAt } from './flow-record.js';
import { TRANSLATED_SOURCE } from './pf-terms.js';
import type { StateView } from './pfsync-state.js';
import { tcpControlBits } from './tcp-control-bits.js';
import type { UptimeClock } from './uptime.js';
import { DIRECTION, OCTETS_HIGH, PACKETS_HIGH, type Volume } from './volume.js';

export interface Part {
  readonly elements: readonly ElementName[];
  /** Octets of them all. */
  readonly length: number;
  /** Writes the elements at `at`. `source` is the end that the record shows as its source. */
  write(to: DataView, at: number, flow: FlowRecord, source: number, clock: UptimeClock): void;
}

function part({ elements, write }: Omit<Part, 'length'>): Part {
  return { elements, write, length: elements.reduce((sum, name) => sum + ELEMENTS[name].length, 0) };
}

export const ADDRESSES4 = part({
  elements: ['sourceIPv4Address', 'destinationIPv4Address'],
  write: (to, at, flow, source) => writeAddresses4(to, at, flow.state, source),
});

export const ADDRESSES6 = part({
  elements: ['sourceIPv6Address', 'destinationIPv6Address'],
  write: (to, at, flow, source) => writeAddresses6(to, at, flow.state, source),
});

export const PORTS = part({
  elements: ['sourceTransportPort', 'destinationTransportPort'],
  write(to, at, flow, source) {
    const ports = portsAt(flow.state, source);
    to.setInt32(at, ports);
  },
});

/** What every record of the full profile tells beside addresses, interfaces, times and volume. */
export const DESCRIPTION = part({
  elements: ['protocolIdentifier', 'flowDirection', 'flowEndReason'],
  write(to, at, flow, source) {
    const protocol = protocolAt(flow.state, source);
    const { flowDirection, endReason } = flow;
    to.setUint8(at, protocol);
    to.setUint8(at + 1, flowDirection);
    to.setUint8(at + 2, endReason);
  },
});

export const FLOW_ID = part({
  elements: ['flowId'],
  write(to, at, { state }) {
    to.setInt32(at, state.idHigh);
    to.setInt32(at + 4, state.idLow);
  },
});

/** For a TCP connection of which flags are known. */
export const FLAGS = part({
  elements: ['tcpControlBits'],
  write: (to, at, flow) => to.setUint8(at, tcpControlBits(flow, flow.reply)),
});

export const ICMP_TYPE4 = part({
  elements: ['icmpTypeIPv4'],
  write: (to, at, flow) => to.setUint8(at, flow.icmpType),
});

export const ICMP_TYPE6 = part({
  elements: ['icmpTypeIPv6'],
  write: (to, at, flow) => to.setUint8(at, flow.icmpType),
});

/** The responder's direction in a record of both. */
export const REVERSE = part({
  elements: ['reverseOctetDeltaCount', 'reversePacketDeltaCount', 'biflowDirection'],
  write(to, at, flow) {
    writeCounters(to, at, flow.volume, DIRECTION);
    to.setUint8(at + 16, FROM_INITIATOR);
  },
});

const FROM_INITIATOR = 1;

export const REVERSE_FLAGS = part({
  elements: ['reverseTcpControlBits'],
  write: (to, at, flow) => to.setUint8(at, tcpControlBits(flow, 1)),
});

export const NAT_EVENT = part({
  elements: ['observationTimeMilliseconds', 'natEvent', 'protocolIdentifier'],
  write(to, at, flow, source) {
    writeInteger(to, at, flow.end);
    to.setUint8(at + 8, flow.natEvent);
    to.setUint8(at + 9, protocolAt(flow.state, source));
  },
});

export const INTERFACES = part({
  elements: ['ingressInterface', 'egressInterface'],
  write(to, at, flow) {
    const { ingressInterface, egressInterface } = flow;
    to.setUint32(at, ingressInterface);
    to.setUint32(at + 4, egressInterface);
  },
});

export const CLASS_PROTOCOL = part({
  elements: ['ipClassOfService', 'protocolIdentifier'],
  write(to, at, flow, source) {
    const protocol = protocolAt(flow.state, source);
    to.setUint8(at, 0);
    to.setUint8(at + 1, protocol);
  },
});

export const TIMES = part({
  elements: ['flowStartMilliseconds', 'flowEndMilliseconds'],
  write(to, at, flow) {
    writeInteger(to, at, flow.start);
    writeInteger(to, at + 8, flow.end);
  },
});

export const UPTIMES = part({
  elements: ['flowStartSysUpTime', 'flowEndSysUpTime'],
  write(to, at, flow, _source, clock) {
    clock.set(flow);
    clock.write(to, at);
  },
});

export const COUNTERS = part({
  elements: ['octetDeltaCount', 'packetDeltaCount'],
  write(to, at, flow) {
    writeCounters(to, at, flow.volume, DIRECTION * flow.reply);
  },
});

export const PFLOW_COUNTERS = part({
  elements: ['packetDeltaCount', 'octetDeltaCount'],
  write(to, at, flow) {
    const from = DIRECTION * flow.reply;
    writeCounter(to, at, flow.volume, from + PACKETS_HIGH);
    writeCounter(to, at + 8, flow.volume, from + OCTETS_HIGH);
  },
});

/** Never beside octetDeltaCount: some collectors add the two up. */
export const ESTIMATE = part({
  elements: ['initiatorOctets', 'responderOctets'],
  write(to, at, flow) {
    writeInteger(to, at, flow.initiatorOctets);
    writeInteger(to, at + 8, flow.responderOctets);
  },
});

export const POST_NAT4 = part({
  elements: ['postNATSourceIPv4Address', 'postNATDestinationIPv4Address'],
  write: (to, at, flow) => writeAddresses4(to, at, flow.state, TRANSLATED_SOURCE ^ flow.reply),
});

export const POST_NAT6 = part({
  elements: ['postNATSourceIPv6Address', 'postNATDestinationIPv6Address'],
  write: (to, at, flow) => writeAddresses6(to, at, flow.state, TRANSLATED_SOURCE ^ flow.reply),
});

export const POST_NAT_PORTS = part({
  elements: ['postNAPTSourceTransportPort', 'postNAPTDestinationTransportPort'],
  write(to, at, flow) {
    const ports = portsAt(flow.state, TRANSLATED_SOURCE ^ flow.reply);
    to.setInt32(at, ports);
  },
});

function writeCounters(to: DataView, at: number, volume: Volume, from: number): void {
  writeCounter(to, at, volume, from + OCTETS_HIGH);
  writeCounter(to, at + 8, volume, from + PACKETS_HIGH);
}

function writeCounter(to: DataView, at: number, volume: Volume, high: number): void {
  to.setInt32(at, volume[high]!);
  to.setInt32(at + 4, volume[high + 1]!);
}

// Addresses are copied as they lie: the same order read and written saves two swaps a word.

function writeAddresses4(to: DataView, at: number, state: StateView, source: number): void {
  writeAddress4(to, at, state, source);
  writeAddress4(to, at + 4, state, source ^ 1);
}

function writeAddresses6(to: DataView, at: number, state: StateView, source: number): void {
  writeAddress6(to, at, state, source);
  writeAddress6(to, at + 16, state, source ^ 1);
}

function writeAddress4(to: DataView, at: number, state: StateView, end: number): void {
  to.setInt32(at, state.view.getInt32(state.addressAt(end), true), true);
}

function writeAddress6(to: DataView, at: number, state: StateView, end: number): void {
  const from = state.view;
  const source = state.addressAt(end);
  to.setInt32(at, from.getInt32(source, true), true);
  to.setInt32(at + 4, from.getInt32(source + 4, true), true);
  to.setInt32(at + 8, from.getInt32(source + 8, true), true);
  to.setInt32(at + 12, from.getInt32(source + 12, true), true);
}

/** A whole number below 2^53, as unsigned 64 bits; a time before 1970 becomes 0. */
export function writeInteger(to: DataView, at: number, value: number): void {
  let whole = value;
  if (whole < 0) whole = 0;
  to.setInt32(at, (whole / 2 ** 32) | 0);
  // Its lower 32 bits: that is how a number becomes an integer here.
  to.setInt32(at + 4, whole | 0);
}
