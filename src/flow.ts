/** From a state that ended to its flow records: one for each direction that had traffic. */
import { EXACT, FlowRecord, NONE, TCPSEQ } from '../protocol/flow-record.js';
import type { StateView } from '../protocol/pfsync-state.js';
import type { Counters } from './counters.js';
import type { StateFilter } from './filter.js';
import type { Stats } from './stats.js';

/** TCPS_* of pf's peers: from CLOSING to TIME_WAIT an end has sent its FIN, or a reset was seen. */
const CLOSING = 7;
const TIME_WAIT = 10;
const TCP = 6;

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

  /** The state ended. `wasReported`: earlier records told a part of its volume, and `counters` are what came since. */
  ended(counters: Counters, wasReported: boolean): void {
    const { flow } = this;
    const { states, skipped } = this.#stats;
    states.ended++;
    this.#stats.halves.note(flow.state);
    const reason = this.#filter.reasonToSkip(flow.state, flow.counters);
    if (reason !== undefined) {
      skipped.add(reason);
      return;
    }
    const records = this.#emitBoth(counters, flow.counters !== EXACT && !wasReported);
    if (records === 0 && !wasReported) skipped.add('noPackets');
    else states.exported++;
  }

  /** The state lives on, and what it gathered is told now. */
  lives(counters: Counters): void {
    const { flow } = this;
    if (this.#filter.reasonToSkip(flow.state, flow.counters) === undefined) this.#emitBoth(counters, false);
  }

  #emitBoth(counters: Counters, always: boolean): number {
    const { flow } = this;
    if (flow.counters === TCPSEQ || flow.counters === NONE) {
      this.#emitUncounted();
      return 1;
    }
    let records = 0;
    for (let index = 0; index < 2; index++) {
      const packetsHigh = counters.packetsHigh(index);
      const packetsLow = counters.packetsLow(index);
      const octetsHigh = counters.octetsHigh(index);
      const octetsLow = counters.octetsLow(index);
      const hasCounts =
        (packetsLow | packetsHigh) !== 0 || (flow.counters !== EXACT && (octetsLow | octetsHigh) !== 0);
      if (!hasCounts && !(always && index === 0)) continue;
      flow.reply = index as 0 | 1;
      flow.packetsHigh = packetsHigh;
      flow.packetsLow = packetsLow;
      flow.octetsHigh = octetsHigh;
      flow.octetsLow = octetsLow;
      this.#send();
      records++;
    }
    return records;
  }

  #emitUncounted(): void {
    const { flow } = this;
    flow.reply = 0;
    flow.packetsHigh = flow.packetsLow = flow.octetsHigh = flow.octetsLow = 0;
    this.#send();
  }

  #send(): void {
    this.#stats.addFlow(this.flow);
    this.#emit(this.flow);
  }
}

/** Whether both ends of a TCP connection said that they were done: it ended by itself, not by a timeout. */
export function isClosedTcp(state: StateView): boolean {
  return state.protocol === TCP && isDone(state.sourceState) && isDone(state.destinationState);
}

function isDone(peerState: number): boolean {
  return peerState >= CLOSING && peerState <= TIME_WAIT;
}
