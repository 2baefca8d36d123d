/** NetFlow v1 and v5: messages of records of one fixed layout of 48 octets, IPv4 only, 32-bit counters and uptimes. */
import {
  ADDRESS,
  ADDRESSES,
  DIRECTION,
  DIRECTIONS,
  FAMILY,
  IF_INDEX,
  OBSERVED,
  OCTETS,
  PACKETS,
  PROTOCOL,
  REPLY_COUNTERS,
  ROW,
} from '../protocol/flow-row';
import { FORWARD, REPLY } from '../protocol/flow-terms';
import { INBOUND } from '../protocol/pf-terms';
import { pair, rotate32, swap32, swap64 } from './byte-order';
import { portsFrom, sourceEnd } from './source-end';
import { partsFor, share, writtenParts } from './split';
import { countClipped, headerTime, openClock, setTimes, UptimeClock } from './uptime';

const RECORD: usize = 48;

/** In the order in which `protocol/fixed-record` lays it down. */
@unmanaged
export class FixedEncoder {
  clock: UptimeClock;
  /** The message; where its first record stands, where the next one goes, and where the last one ends. */
  message: usize;
  first: usize;
  next: usize;
  end: usize;
  /** The end that a forward record shows as its source, of inbound and of outbound states. */
  inboundSource: u32;
  outboundSource: u32;
  /** Records that the format cannot carry, and those whose counters were clamped. */
  unsupported: u32;
  clamped: u32;
  version: u32;
  /** Version 5: flow records sent before the message, and engine type and id with two octets of sampling, in wire order. */
  sequence: u32;
  engine: u32;
  /** Records of the message that is complete and waits for the owner to send it; else 0. */
  complete: u32;
  /** Records of the flow at hand that stand in messages already. */
  written: u32;
}

/**
 * Writes the flows among the rows, up to the end of a message. The answer is how many of the rows are done: for the others the
 * call is made again, when the owner has sent the message that is complete.
 */
export function addFixed(encoder: FixedEncoder, row: usize, count: i32): i32 {
  for (let done = 0; done < count; done++, row += ROW) {
    if (load<u8>(row, DIRECTIONS) === 0) continue;
    if (!addFlow(encoder, row)) return done;
    if (encoder.complete !== 0) return done + 1;
  }
  return count;
}

/** False when the message was complete before all records of the flow were in it. */
function addFlow(encoder: FixedEncoder, row: usize): bool {
  const directions: i32 = load<u8>(row, DIRECTIONS);
  const isInbound = load<u8>(row, DIRECTION) === INBOUND;
  const source = sourceEnd(changetype<usize>(encoder) + offsetof<FixedEncoder>('inboundSource'), row);
  // What belongs to the translation stands one octet behind what it is of, in families and protocols.
  const side = source >> 1;
  if (load<u8>(row + side, FAMILY) !== 4) {
    encoder.unsupported += directions === (FORWARD | REPLY) ? 2 : 1;
    return true;
  }
  const clock = encoder.clock;
  const observed = load<f64>(row, OBSERVED);
  if (encoder.next !== encoder.first) {
    if (observed > clock.holdsUntil) {
      closeFixed(encoder, observed);
      return false;
    }
    setTimes(clock, row);
  }
  const from = load<u32>(row + <usize>ADDRESS * source, ADDRESSES);
  const to = load<u32>(row + <usize>ADDRESS * (source ^ 1), ADDRESSES);
  const protocol: u32 = load<u8>(row + side, PROTOCOL);
  const ports = portsFrom(row, source);
  const interfaces = (<u32>bswap<u16>(<u16>load<u32>(row, IF_INDEX))) << (isInbound ? 0 : 16);
  let records: u32 = 0;
  if ((directions & FORWARD) !== 0) {
    const addresses = pair(from, to);
    records = addDirection(encoder, row, row, addresses, interfaces, pair(ports, protocol << 16), 0);
  }
  if ((directions & REPLY) !== 0) {
    const addresses = pair(to, from);
    const rest = pair(rotate32(ports, 16), protocol << 16);
    const counters = row + REPLY_COUNTERS;
    records = addDirection(encoder, row, counters, addresses, rotate32(interfaces, 16), rest, records);
  }
  if (encoder.written < records) return false;
  encoder.written = 0;
  return true;
}

/**
 * Writes what is not written yet, as far as the message goes. `direction` is where the counters stand as those of the row do; the
 * others are as `write` wants them. `before` is how many records the flow has up to this direction; the answer is the same behind it.
 */
function addDirection(
  encoder: FixedEncoder,
  row: usize,
  direction: usize,
  addresses: u64,
  interfaces: u32,
  rest: u64,
  before: u32,
): u32 {
  if ((load<u32>(direction, OCTETS) | load<u32>(direction, PACKETS)) === 0) {
    const counters = pair(load<u32>(direction, PACKETS + 4), load<u32>(direction, OCTETS + 4));
    if (isNext(encoder, before)) write(encoder, row, addresses, interfaces, counters, rest);
    return before + 1;
  }
  const octets = swap64(load<u64>(direction, OCTETS));
  const packets = swap64(load<u64>(direction, PACKETS));
  const wanted = max(partsFor(octets), max(partsFor(packets), 1));
  const parts = writtenParts(wanted);
  if (parts < wanted && isNext(encoder, before)) encoder.clamped++;
  for (let part: u64 = 0; part < parts; part++) {
    if (!isNext(encoder, before + <u32>part)) continue;
    const packetsOfPart = swap32(share(packets, parts, part));
    const counters = pair(packetsOfPart, swap32(share(octets, parts, part)));
    write(encoder, row, addresses, interfaces, counters, rest);
  }
  return before + <u32>parts;
}

/** Whether the flow's record that has so many before it is the one to be written. */
function isNext(encoder: FixedEncoder, record: u32): bool {
  return encoder.complete === 0 && encoder.written === record;
}

/** In wire order and in pairs: the addresses, packets and octets, and the ports with the word that has the protocol. */
function write(
  encoder: FixedEncoder,
  row: usize,
  addresses: u64,
  interfaces: u32,
  counters: u64,
  rest: u64,
): void {
  const clock = encoder.clock;
  const at = encoder.next;
  if (at === encoder.first) {
    openClock(clock, load<f64>(row, OBSERVED));
    setTimes(clock, row);
  }
  countClipped(clock);
  store<u64>(at, addresses);
  store<u64>(at, (<u64>interfaces) << 32, 8);
  store<u64>(at, counters, 16);
  store<u64>(at, clock.times, 24);
  store<u64>(at, rest, 32);
  store<u64>(at, 0, 40);
  encoder.next = at + RECORD;
  encoder.written++;
  if (at + RECORD === encoder.end) closeFixed(encoder, load<f64>(row, OBSERVED));
}

/** Completes the message that is being filled, for the owner to send. `now` is the data's clock. */
export function closeFixed(encoder: FixedEncoder, now: f64): void {
  const message = encoder.message;
  const records = <u32>((encoder.next - encoder.first) / RECORD);
  const time = headerTime(encoder.clock, now);
  const milliseconds = <u64>time;
  store<u16>(message, bswap<u16>(<u16>encoder.version));
  store<u16>(message, bswap<u16>(<u16>records), 2);
  store<u32>(message, swap32(<u32>(time - encoder.clock.boot)), 4);
  store<u32>(message, swap32(<u32>(milliseconds / 1000)), 8);
  store<u32>(message, swap32(<u32>(milliseconds % 1000) * 1_000_000), 12);
  if (encoder.version === 5) {
    store<u32>(message, swap32(encoder.sequence), 16);
    store<u32>(message, encoder.engine, 20);
  }
  encoder.sequence += records;
  encoder.next = encoder.first;
  encoder.complete = records;
}
