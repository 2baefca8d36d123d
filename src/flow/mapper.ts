/** From states that ended to flows: which of them are wanted, and which records each has. */
import { CLOSING, TCP_MASKS, TIME_WAIT } from '../../protocol/flow/pf-terms.js';
import {
  AGE,
  END,
  EXPIRE,
  FLOW,
  LAST_ROW,
  OBSERVED,
  OCTETS,
  ORIGIN,
  PACKETS,
  PROTOCOLS,
  REPLY_COUNTERS,
  ROW,
  ROW_DOUBLES,
  START,
  STATE,
} from '../../protocol/flow/row.js';
import type { FlowConsumer, FlowMemory } from '../../protocol/flow/rows.js';
import {
  END_OF_FLOW,
  EXACT,
  FORCED_END,
  FORWARD,
  FROM_DELETE,
  IDLE_TIMEOUT,
  REPLY,
} from '../../protocol/flow/terms.js';
import type { Statistics } from '../observe/statistics.js';
import type { StateFilter } from './filter.js';
import { HalfDetector } from './halves.js';

/** What the state room does with its rows. */
export interface FlowMapper {
  /** Full deletes become flows as far as their records tell: times, exact counters, flowEndReason. */
  describeDeleted(first: number, count: number): void;
  /**
   * The states of these rows ended. Their times, counters, provenance and flowEndReason are set; of a continued flow the
   * counters are what came since the last record.
   */
  ended(first: number, count: number): void;
  /** The state of this row lives on, and what it has gathered is reported now, unless that is nothing. */
  lives(row: number): void;
}

/** By the state of a peer: 1 where it has sent its FIN, or a reset was seen. */
const IS_DONE = new Uint8Array(256).fill(1, CLOSING, TIME_WAIT + 1);

/**
 * Makes the mapper of a pipeline, whose flows go to `next`. Its loops run for every state: they hold no more than they need,
 * and branch on nothing that cannot be predicted, as protocols and directions.
 */
export function flowMapper(
  memory: FlowMemory,
  filter: StateFilter,
  statistics: Statistics,
  next: FlowConsumer,
): FlowMapper {
  const { words, doubles } = memory.rows;
  const { states, skipped } = statistics;
  const halves = new HalfDetector(memory.rows, statistics.halves);
  const isDone = IS_DONE;
  const tcp = TCP_MASKS;
  const directionsInFlow = 0xff00;

  function describeDeleted(first: number, count: number): void {
    for (let n = first; n < first + count; n++) {
      const row = (n & LAST_ROW) * ROW;
      const double = (n & LAST_ROW) * ROW_DOUBLES;
      const time = doubles[double + OBSERVED]!;
      const age = words[row + AGE]!;
      // An age with its highest bit set comes of a clock that was set back.
      doubles[double + START] = age < 0 ? time : time - 1000 * age;
      doubles[double + END] = time;
      const state = words[row + STATE]!;
      const isTcp = tcp[(words[row + PROTOCOLS]! >>> 16) & 255]!;
      const isClosed = isTcp & isDone[(state >>> 16) & 255]! & isDone[state >>> 24]!;
      const reason =
        words[row + EXPIRE] !== 0 ? FORCED_END : IDLE_TIMEOUT + (END_OF_FLOW - IDLE_TIMEOUT) * isClosed;
      words[row + FLOW] = EXACT | (reason << 16);
      words[row + ORIGIN] = FROM_DELETE;
    }
  }

  function ended(first: number, count: number): void {
    halves.add(first, count);
    const { takesAll } = filter;
    let total = 0;
    let exported = 0;
    for (let n = first; n < first + count; n++) {
      const row = (n & LAST_ROW) * ROW;
      const flow = words[row + FLOW]! & ~directionsInFlow;
      words[row + FLOW] = flow;
      if (words[row + PROTOCOLS] === 0) continue;
      total++;
      if (!takesAll && isSkipped(n, flow & 255)) continue;
      const forward = words[row + PACKETS]! | words[row + PACKETS + 1]!;
      const reply = words[row + PACKETS + REPLY_COUNTERS]! | words[row + PACKETS + REPLY_COUNTERS + 1]!;
      // Nearly every state has packets in both directions.
      const directions = forward !== 0 && reply !== 0 ? FORWARD | REPLY : directionsOf(row, flow);
      words[row + FLOW] = flow | (directions << 8);
      if (directions !== 0) exported++;
      else skipped.add('noPackets');
    }
    states.ended += total;
    states.exported += exported;
    if (exported > 0) next.add(first, count);
  }

  function lives(row: number): void {
    const flow = words[row * ROW + FLOW]! & ~directionsInFlow;
    const isWanted = filter.reasonToSkip(row, flow & 255) === undefined;
    const directions = isWanted
      ? seen(row * ROW, flow & 255, FORWARD) | seen(row * ROW + REPLY_COUNTERS, flow & 255, REPLY)
      : 0;
    words[row * ROW + FLOW] = flow | (directions << 8);
    if (directions !== 0) next.add(row, 1);
  }

  function isSkipped(row: number, provenance: number): boolean {
    const reason = filter.reasonToSkip(row, provenance);
    if (reason !== undefined) skipped.add(reason);
    return reason !== undefined;
  }

  /** A state has a forward record at least, unless its exact counters are all 0 and no earlier record reported it. */
  function directionsOf(row: number, flow: number): number {
    const provenance = flow & 255;
    const least = provenance !== EXACT || flow >>> 24 !== 0 ? FORWARD : 0;
    return least | seen(row, provenance, FORWARD) | seen(row + REPLY_COUNTERS, provenance, REPLY);
  }

  /** `direction` where it has packets; of counters that are not exact, octets alone count as well. Else it has no counters. */
  function seen(at: number, provenance: number, direction: number): number {
    if ((words[at + PACKETS]! | words[at + PACKETS + 1]!) !== 0) return direction;
    if ((words[at + OCTETS]! | words[at + OCTETS + 1]!) === 0) return 0;
    if (provenance !== EXACT) return direction;
    words[at + OCTETS] = 0;
    words[at + OCTETS + 1] = 0;
    return 0;
  }

  return { describeDeleted, ended, lives };
}
