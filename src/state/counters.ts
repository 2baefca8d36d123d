/** Counters of both directions as they stand in flow rows: 64 bits in wire order. Offsets are octets. */
import { OCTETS, PACKETS, REPLY_COUNTERS } from '../../protocol/flow/row.js';

/** Octets of the counters of both directions, from OCTETS on. */
export const COUNTERS_OCTETS = 4 * 2 * REPLY_COUNTERS;
/** From a counter of the initiator's direction to that of the replies, and from octets to packets. */
const REPLY = 4 * REPLY_COUNTERS;
const TO_PACKETS = 4 * (PACKETS - OCTETS);

const WORD = 2 ** 32;

/** Below 0, 0 or above 0 as a counter of `one` is less than, equals or exceeds one of `other`. */
function compare(one: DataView, at: number, other: DataView, otherAt: number): number {
  return one.getUint32(at) - other.getUint32(otherAt) || one.getUint32(at + 4) - other.getUint32(otherAt + 4);
}

function copy(from: DataView, at: number, to: DataView, toAt: number): void {
  to.setInt32(toAt, from.getInt32(at));
  to.setInt32(toAt + 4, from.getInt32(at + 4));
}

export function copyCounters(from: DataView, at: number, to: DataView, toAt: number): void {
  for (let octet = 0; octet < COUNTERS_OCTETS; octet += 8) copy(from, at + octet, to, toAt + octet);
}

/**
 * Raises the counters at `to` to those at `from`, each direction by itself; a direction whose packets or octets are lower is
 * old and changes nothing. Returns -1 when both directions are old, 1 when one was raised, and else 0.
 */
export function raiseCounters(from: DataView, at: number, to: DataView, toAt: number): number {
  const forward = raiseDirection(from, at, to, toAt);
  const reply = raiseDirection(from, at + REPLY, to, toAt + REPLY);
  return forward < 0 && reply < 0 ? -1 : forward > 0 || reply > 0 ? 1 : 0;
}

function raiseDirection(from: DataView, at: number, to: DataView, toAt: number): number {
  const octets = compare(from, at, to, toAt);
  const packets = compare(from, at + TO_PACKETS, to, toAt + TO_PACKETS);
  if (octets < 0 || packets < 0) return -1;
  if (octets === 0 && packets === 0) return 0;
  copy(from, at, to, toAt);
  copy(from, at + TO_PACKETS, to, toAt + TO_PACKETS);
  return 1;
}

/** Takes the counters at `less` from those at `at`. Where a counter is lower, 0 is left. */
export function subtractCounters(view: DataView, at: number, less: DataView, lessAt: number): void {
  for (let octet = 0; octet < COUNTERS_OCTETS; octet += 8) {
    const low = view.getUint32(at + octet + 4) - less.getUint32(lessAt + octet + 4);
    const high = view.getUint32(at + octet) - less.getUint32(lessAt + octet) - (low < 0 ? 1 : 0);
    view.setInt32(at + octet, Math.max(high, 0));
    view.setInt32(at + octet + 4, high < 0 ? 0 : low);
  }
}

/** Adds the counters at `more` to those at `at`. A sum beyond 64 bits is the largest counter. */
export function addCounters(view: DataView, at: number, more: DataView, moreAt: number): void {
  for (let octet = 0; octet < COUNTERS_OCTETS; octet += 8) {
    const low = view.getUint32(at + octet + 4) + more.getUint32(moreAt + octet + 4);
    const high = view.getUint32(at + octet) + more.getUint32(moreAt + octet) + (low >= WORD ? 1 : 0);
    view.setInt32(at + octet, high >= WORD ? -1 : high);
    view.setInt32(at + octet + 4, high >= WORD ? -1 : low);
  }
}

/**
 * Adds octets to one direction: what its sequence numbers have advanced by. Where it has octets then, it has at least one
 * packet. A sum beyond 64 bits is the largest counter.
 */
export function addOctets(view: DataView, at: number, reply: 0 | 1, octets: number): void {
  const to = at + REPLY * reply;
  const highOctets = Math.floor(octets / WORD);
  const low = view.getUint32(to + 4) + (octets - highOctets * WORD);
  const high = view.getUint32(to) + highOctets + (low >= WORD ? 1 : 0);
  view.setInt32(to, high >= WORD ? -1 : high);
  view.setInt32(to + 4, high >= WORD ? -1 : low);
  const hasPackets = (view.getInt32(to + TO_PACKETS) | view.getInt32(to + TO_PACKETS + 4)) !== 0;
  if (!hasPackets) view.setInt32(to + TO_PACKETS + 4, 1);
}

/** Whether any counter is above 0. */
export function areCounted(view: DataView, at: number): boolean {
  for (let octet = 0; octet < COUNTERS_OCTETS; octet += 4) if (view.getInt32(at + octet) !== 0) return true;
  return false;
}
