/** From states that ended to flows: what each tells, whether it is wanted, and what was counted on the way. */

import {
  AGE,
  COUNTERS,
  DESTINATION_SEQLO,
  DESTINATION_STATE,
  DIRECTIONS,
  END,
  END_REASON,
  EXPIRE,
  FAMILY,
  HAS_RESPONDER_SEQUENCE,
  IS_CONTINUED,
  OBSERVED,
  OCTETS,
  PACKETS,
  PROTOCOL,
  REPLY_COUNTERS,
  ROW,
  SOURCE_STATE,
  START,
} from '../protocol/flow-row';
import {
  END_OF_FLOW,
  EXACT,
  FORCED_END,
  FORWARD,
  IDLE_TIMEOUT,
  NONE,
  PARTIAL,
  REPLY,
  TCPSEQ,
} from '../protocol/flow-terms';
import { CLOSING, TCP, TIME_WAIT } from '../protocol/pf-terms';
import { pair, swapPair } from './byte-order';
import { FlowFilter, reasonToSkip, SKIP_DIRECTION, SKIP_SELF, SKIP_UNCOUNTED, takesAll } from './filter';
import { HalfDetector, noteHalves } from './halves';

/** What a run counted of its flows, in the order in which `src/stats` looks at it. */
@unmanaged
export class FlowCounts {
  /** States that ended: exported ones and those skipped. */
  ended: f64;
  exported: f64;
  skippedDirection: f64;
  skippedNoPackets: f64;
  skippedSelf: f64;
  skippedUncounted: f64;
  flows: f64;
  /** Flows by where their counters come from. */
  exact: f64;
  partial: f64;
  tcpseq: f64;
  none: f64;
  /** Sums over the flows: the lower 32 bits, and what is above them. */
  octetsLow: u64;
  octetsHigh: u64;
  packetsLow: u64;
  packetsHigh: u64;
}

/** Full deletes of states of which nothing else is known: the way of most states where deletes have counters. */
export function endDeleted(
  filter: FlowFilter,
  counts: FlowCounts,
  halves: HalfDetector,
  row: usize,
  count: i32,
): i32 {
  describeDeleted(row, count);
  return endStates(filter, counts, halves, row, count);
}

/** The rows of full deletes become what is known of their flows, as far as the rows tell it. */
export function describeDeleted(row: usize, count: i32): void {
  for (const end = row + <usize>count * ROW; row < end; row += ROW) {
    const time = load<f64>(row, OBSERVED);
    store<f64>(row, time - 1000 * <f64>load<u32>(row, AGE), START);
    store<f64>(row, time, END);
    store<u8>(row, EXACT, COUNTERS);
    store<u8>(row, endReason(row), END_REASON);
    store<u8>(row, 0, IS_CONTINUED);
    store<u8>(row, load<u32>(row, DESTINATION_SEQLO) !== 0 ? 1 : 0, HAS_RESPONDER_SEQUENCE);
  }
}

/** A TCP connection whose ends both said that they were done ended by itself, not by a timeout. */
function endReason(row: usize): i32 {
  const areDone = isDone(load<u8>(row, SOURCE_STATE)) & isDone(load<u8>(row, DESTINATION_STATE));
  const reason = (load<u8>(row, PROTOCOL) === TCP) & areDone ? END_OF_FLOW : IDLE_TIMEOUT;
  return load<u32>(row, EXPIRE) > 0 ? FORCED_END : reason;
}

function isDone(peerState: i32): bool {
  return (peerState >= CLOSING) & (peerState <= TIME_WAIT);
}

/**
 * The states of these rows ended; the answer is how many of the rows became flows. The others have no DIRECTIONS afterwards. Of
 * a continued flow, earlier records told a part of the volume, and the row has what came since.
 */
export function endStates(
  filter: FlowFilter,
  counts: FlowCounts,
  halves: HalfDetector,
  row: usize,
  count: i32,
): i32 {
  let ended = 0;
  let exported = 0;
  let flows = 0;
  const areAllWanted = takesAll(filter);
  noteHalves(halves, row, count);
  for (const end = row + <usize>count * ROW; row < end; row += ROW) {
    store<u8>(row, 0, DIRECTIONS);
    if (load<u8>(row, FAMILY) === 0) continue;
    ended++;
    const provenance: i32 = load<u8>(row, COUNTERS);
    if (!areAllWanted) {
      const reason = reasonToSkip(filter, row, provenance);
      if (reason !== 0) {
        countSkipped(counts, reason);
        continue;
      }
    }
    const wasReported = load<u8>(row, IS_CONTINUED) !== 0;
    const directions = directionsOf(row, provenance) | ((provenance !== EXACT) & !wasReported ? FORWARD : 0);
    store<u8>(row, directions, DIRECTIONS);
    if (directions !== 0) flows++;
    if (directions !== 0 || wasReported) exported++;
    else counts.skippedNoPackets++;
  }
  counts.ended += ended;
  counts.exported += exported;
  if (flows > 0) countFlows(counts, row - <usize>count * ROW, count);
  return flows;
}

function countSkipped(counts: FlowCounts, reason: i32): void {
  if (reason === SKIP_DIRECTION) counts.skippedDirection++;
  else if (reason === SKIP_SELF) counts.skippedSelf++;
  else if (reason === SKIP_UNCOUNTED) counts.skippedUncounted++;
}

/** The state of the row lives on, and what it gathered is told now. False when that is nothing, or nothing that is wanted. */
export function tellLiving(filter: FlowFilter, counts: FlowCounts, row: usize): bool {
  const provenance: i32 = load<u8>(row, COUNTERS);
  const isWanted = reasonToSkip(filter, row, provenance) === 0;
  store<u8>(row, isWanted ? directionsOf(row, provenance) : 0, DIRECTIONS);
  countFlows(counts, row, 1);
  return load<u8>(row, DIRECTIONS) !== 0;
}

/** The directions to tell of; counters of the other ones are wiped out. */
function directionsOf(row: usize, provenance: i32): i32 {
  if (provenance === TCPSEQ || provenance === NONE) {
    clearDirection(row);
    clearDirection(row + REPLY_COUNTERS);
    return FORWARD;
  }
  const forward = hasTraffic(row, provenance);
  const reply = hasTraffic(row + REPLY_COUNTERS, provenance);
  if (forward & reply) return FORWARD | REPLY;
  if (!forward) clearDirection(row);
  if (!reply) clearDirection(row + REPLY_COUNTERS);
  return (forward ? FORWARD : 0) | (reply ? REPLY : 0);
}

function hasTraffic(direction: usize, provenance: i32): bool {
  const isCounted = provenance !== EXACT && load<u64>(direction, OCTETS) !== 0;
  return (load<u64>(direction, PACKETS) !== 0) | isCounted;
}

function clearDirection(direction: usize): void {
  store<u64>(direction, 0, OCTETS);
  store<u64>(direction, 0, PACKETS);
}

/** The flows among the rows go to the collectors and writers. */
export function countFlows(counts: FlowCounts, row: usize, count: i32): void {
  let octets: u64 = 0;
  let packets: u64 = 0;
  let exact = 0;
  for (const end = row + <usize>count * ROW; row < end; row += ROW) {
    const directions: i32 = load<u8>(row, DIRECTIONS);
    if (directions === 0) continue;
    const records = directions === (FORWARD | REPLY) ? 2 : 1;
    const provenance: i32 = load<u8>(row, COUNTERS);
    if (provenance === EXACT) exact += records;
    else countInexact(counts, provenance, records);
    const reply = row + REPLY_COUNTERS;
    octets += ofBoth(row, OCTETS + LOW);
    packets += ofBoth(row, PACKETS + LOW);
    const highs =
      load<u32>(row, OCTETS) | load<u32>(reply, OCTETS) | load<u32>(row, PACKETS) | load<u32>(reply, PACKETS);
    if (highs === 0) continue;
    counts.octetsHigh += ofBoth(row, OCTETS);
    counts.packetsHigh += ofBoth(row, PACKETS);
  }
  counts.exact += exact;
  counts.flows += exact;
  octets += counts.octetsLow;
  packets += counts.packetsLow;
  counts.octetsLow = octets & 0xffff_ffff;
  counts.octetsHigh += octets >> 32;
  counts.packetsLow = packets & 0xffff_ffff;
  counts.packetsHigh += packets >> 32;
}

/** Where the lower 32 bits of a counter stand in it. */
const LOW = 4;

/** The sum of a word of the counters, of both directions. */
function ofBoth(row: usize, word: usize): u64 {
  const both = swapPair(pair(load<u32>(row + word), load<u32>(row + word + REPLY_COUNTERS)));
  return (both >> 32) + <u64>(<u32>both);
}

function countInexact(counts: FlowCounts, provenance: i32, records: i32): void {
  counts.flows += records;
  if (provenance === PARTIAL) counts.partial += records;
  else if (provenance === TCPSEQ) counts.tcpseq += records;
  else counts.none += records;
}
