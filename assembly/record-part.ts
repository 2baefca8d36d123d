/**
 * The parts of a flow record in NetFlow v9 and IPFIX: `protocol/template-part` has the Information Elements of each. A function
 * writes one at `to`, and answers where the next part goes. `end` is the end of the state that the record shows as its source:
 * in a record of the replies it is a destination, which is an odd number.
 */
import {
  ADDRESS,
  ADDRESSES,
  DIRECTION,
  END,
  END_REASON,
  ID,
  IF_INDEX,
  INITIATOR_OCTETS,
  NAT_EVENT,
  OCTETS,
  PACKETS,
  PROTOCOL,
  REPLY_COUNTERS,
  RESPONDER_OCTETS,
  START,
} from '../protocol/flow-row';
import { INBOUND } from '../protocol/pf-terms';
import { rotate32, rotate64, swap32, swap64 } from './byte-order';
import { portsFrom } from './source-end';

/** What is worked out once for all records of a flow: in wire order, and as the forward record has it. */
@unmanaged
export class FlowParts {
  interfaces: u64;
  start: u64;
  end: u64;
  ports: u32;
  /** Protocol, flowDirection and flowEndReason, and behind them 0. */
  description: u32;
}

/** `source` is the end that a forward record shows as its source. */
export function gather(parts: FlowParts, row: usize, source: usize): void {
  // pf tells one interface of a state: it is the ingress where flowDirection (61) is 0, the egress where that is 1.
  const direction: u32 = load<u8>(row, DIRECTION) !== INBOUND ? 1 : 0;
  const protocol: u32 = load<u8>(row + (source >> 1), PROTOCOL);
  parts.interfaces = (<u64>swap32(load<u32>(row, IF_INDEX))) << (32 * direction);
  parts.start = wireNumber(load<f64>(row, START));
  parts.end = wireNumber(load<f64>(row, END));
  parts.ports = portsFrom(row, source);
  parts.description = protocol | (direction << 8) | ((<u32>load<u8>(row, END_REASON)) << 16);
}

export function putAddresses(to: usize, row: usize, end: usize, areIpv6: bool): usize {
  const source = row + <usize>ADDRESS * end;
  const destination = row + <usize>ADDRESS * (end ^ 1);
  if (!areIpv6) {
    const second: u64 = load<u32>(destination, ADDRESSES);
    store<u64>(to, <u64>load<u32>(source, ADDRESSES) | (second << 32));
    return to + 8;
  }
  store<u64>(to, load<u64>(source, ADDRESSES));
  store<u64>(to, load<u64>(source, ADDRESSES + 8), 8);
  store<u64>(to, load<u64>(destination, ADDRESSES), 16);
  store<u64>(to, load<u64>(destination, ADDRESSES + 8), 24);
  return to + 32;
}

export function putPorts(to: usize, parts: FlowParts, end: usize): usize {
  store<u32>(to, rotate32(parts.ports, 16 * <u32>(end & 1)));
  return to + 4;
}

/** The ports of another pair of ends than the one that was gathered. */
export function putOtherPorts(to: usize, row: usize, end: usize): usize {
  store<u32>(to, rotate32(portsFrom(row, end & ~1), 16 * <u32>(end & 1)));
  return to + 4;
}

export function putInterfaces(to: usize, parts: FlowParts, end: usize): usize {
  store<u64>(to, rotate64(parts.interfaces, 32 * <u64>(end & 1)));
  return to + 8;
}

export function putId(to: usize, row: usize): usize {
  store<u64>(to, load<u64>(row, ID));
  return to + 8;
}

export function putTimes(to: usize, parts: FlowParts): usize {
  store<u64>(to, parts.start);
  store<u64>(to, parts.end, 8);
  return to + 16;
}

/** The octets before the packets. */
export function putCounters(to: usize, row: usize, end: usize): usize {
  const counters = row + <usize>REPLY_COUNTERS * (end & 1);
  store<u64>(to, load<u64>(counters, OCTETS));
  store<u64>(to, load<u64>(counters, PACKETS), 8);
  return to + 16;
}

/** The packets before the octets. */
export function putPflowCounters(to: usize, row: usize, end: usize): usize {
  const counters = row + <usize>REPLY_COUNTERS * (end & 1);
  store<u64>(to, load<u64>(counters, PACKETS));
  store<u64>(to, load<u64>(counters, OCTETS), 8);
  return to + 16;
}

/** TCP payload of the initiator and of the responder. */
export function putEstimate(to: usize, row: usize): usize {
  store<u64>(to, wireNumber(load<f64>(row, INITIATOR_OCTETS)));
  store<u64>(to, wireNumber(load<f64>(row, RESPONDER_OCTETS)), 8);
  return to + 16;
}

/** The three octets of every description, and a fourth that is free. */
export function descriptionOf(parts: FlowParts, end: usize): u32 {
  return parts.description ^ ((<u32>end & 1) << 8);
}

/** ipClassOfService, which nobody knows, and the protocol. */
export function putClassAndProtocol(to: usize, parts: FlowParts): usize {
  store<u16>(to, <u16>(parts.description << 8));
  return to + 2;
}

/** When the event was: its row's END. */
export function putEventTime(to: usize, parts: FlowParts): usize {
  store<u64>(to, parts.end);
  return to + 8;
}

export function putEvent(to: usize, row: usize, parts: FlowParts): usize {
  store<u8>(to, load<u8>(row, NAT_EVENT));
  store<u8>(to, <u8>parts.description, 1);
  return to + 2;
}

/** A whole number as 64 bits in wire order; a time before 1970 becomes 0. */
function wireNumber(value: f64): u64 {
  return swap64(<u64>max<i64>(<i64>value, 0));
}
