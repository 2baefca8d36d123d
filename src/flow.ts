/** From a state that ended to its flow records: one for each direction that had traffic. */
import { FlowRecord } from '../protocol/flow-record.js';
import { EXACT, FORWARD, NONE, REPLY, TCPSEQ } from '../protocol/flow-terms.js';
import { CLOSING, TCP, TIME_WAIT } from '../protocol/pf-terms.js';
import type { StateView } from '../protocol/pfsync-state.js';
import { clear, clearDirection, hasCounts, hasPackets } from '../protocol/volume.js';
import type { StateFilter } from './filter.js';
import type { Stats } from './stats.js';

export class FlowMapper {
  /** The state at hand: its owner fills in everything but direction and counters, and then calls `ended` or `lives`. */
  readonly flow = new FlowRecord();
  readonly #filter: StateFilter;
  readonly #stats: Stats;
  readonly #emit: (flow: FlowRecord) => void;

  constructor(filter: StateFilter, stats: Stats, emit: (flow: FlowRecord) => void) {
    this.#filter = filter;
    this.#stats = stats;
    this.#emit = emit;
  }

  /** The state ended. `wasReported`: earlier records told a part of its volume, and the flow has what came since. */
  ended(wasReported: boolean): void {
    const { flow } = this;
    const { states, skipped, halves } = this.#stats;
    states.ended++;
    halves.note(flow.state);
    const reason = this.#filter.reasonToSkip(flow.state, flow.counters);
    if (reason !== undefined) skipped.add(reason);
    else if (this.#send(flow.counters !== EXACT && !wasReported) || wasReported) states.exported++;
    else skipped.add('noPackets');
  }

  /** The state lives on, and what it gathered is told now. */
  lives(): void {
    const { flow } = this;
    if (this.#filter.reasonToSkip(flow.state, flow.counters) === undefined) this.#send(false);
  }

  /** With `always` there is a forward record also where nothing was counted. False when there was nothing to send. */
  #send(always: boolean): boolean {
    const { flow } = this;
    flow.directions = directionsOf(flow) | (always ? FORWARD : 0);
    if (flow.directions === 0) return false;
    this.#stats.addFlow(flow);
    this.#emit(flow);
    return true;
  }
}

/** The directions to tell of; counters of the other ones are wiped out. */
function directionsOf({ counters, volume }: FlowRecord): number {
  if (counters === TCPSEQ || counters === NONE) {
    clear(volume);
    return FORWARD;
  }
  const isExact = counters === EXACT;
  const forward = isExact ? hasPackets(volume, 0) : hasCounts(volume, 0);
  const reply = isExact ? hasPackets(volume, 1) : hasCounts(volume, 1);
  if (!forward) clearDirection(volume, 0);
  if (!reply) clearDirection(volume, 1);
  return (forward ? FORWARD : 0) | (reply ? REPLY : 0);
}

/** Whether both ends of a TCP connection said that they were done: it ended by itself, not by a timeout. */
export function isClosedTcp(state: StateView): boolean {
  return state.protocol === TCP && isDone(state.sourceState) && isDone(state.destinationState);
}

function isDone(peerState: number): boolean {
  return peerState >= CLOSING && peerState <= TIME_WAIT;
}
