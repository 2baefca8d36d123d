/**
 * What pfsync's messages mean for the states: who opens, moves and ends them, and what is known of each at its end.
 * This is the stage between the records of `protocol/pfsync` and the flows.
 */
import {
  ACTIVE_TIMEOUT,
  END_OF_FLOW,
  EXACT,
  FORCED_END,
  IDLE_TIMEOUT,
  LACK_OF_RESOURCES,
  NONE,
  PARTIAL,
  TCPSEQ,
} from '../protocol/flow-terms.js';
import type { PfsyncHandler } from '../protocol/pfsync.js';
import type { RecordKind, StateAction } from '../protocol/pfsync-action.js';
import type { BulkView, ClearView, CompressedUpdateView, StateKeyView } from '../protocol/pfsync-record.js';
import { icmpType, StateView } from '../protocol/pfsync-state.js';
import { isZero, newVolume } from '../protocol/volume.js';
import { type FlowMapper, isClosedTcp } from './flow.js';
import type { InterfaceTable } from './interface.js';
import { readPrinted, type StateCounters } from './pfctl-text.js';
import { NO_SLOT, StateTable } from './state-table.js';
import type { Stats } from './stats.js';

export interface TrackerOptions {
  readonly maxStates: number;
  /** Milliseconds without a word of it after which a state ends; 0: never. */
  readonly stateTimeout: number;
  /** Milliseconds after which a living state's volume is told; 0: only at its end. */
  readonly activeTimeout: number;
}

/** Is told of states, where somebody wants to know. Times are milliseconds since the epoch; `since` is the state's creation. */
export interface StateObserver {
  /** A state that was not known: it may be older than the message. */
  appeared(state: StateView, since: number, now: number): void;
  /** The firewall let go of a state, or has started anew without it; not when it is only no longer followed. */
  ended(state: StateView, since: number, now: number): void;
}

/** A bulk transfer whose end is never heard of ends by itself. Milliseconds. */
const LONGEST_BULK = 300_000;

export class StateTracker implements PfsyncHandler {
  /** Capture time of the message at hand, in milliseconds since the epoch. */
  time = 0;
  readonly table = new StateTable();
  readonly #interfaces: InterfaceTable;
  readonly #mapper: FlowMapper;
  readonly #stats: Stats;
  readonly #options: TrackerOptions;
  readonly #observer: StateObserver | undefined;
  readonly #state = new StateView();
  readonly #told = newVolume();
  #bulkUntil = 0;

  constructor(
    interfaces: InterfaceTable,
    mapper: FlowMapper,
    stats: Stats,
    options: TrackerOptions,
    observer?: StateObserver,
  ) {
    this.#observer = observer;
    this.#interfaces = interfaces;
    this.#mapper = mapper;
    this.#stats = stats;
    this.#options = options;
  }

  insert(state: StateView): void {
    this.#stats.records.insert++;
    this.#learn(state, true, false);
  }

  update(state: StateView): void {
    this.#stats.records.update++;
    this.#learn(state, this.time > this.#bulkUntil, true);
  }

  delete(state: StateView): void {
    this.#stats.records.delete++;
    const { table, time } = this;
    const { flow } = this.#mapper;
    const slot = table.size === 0 ? NO_SLOT : table.find(state.idHigh, state.idLow, state.creatorId);
    const isKnown = slot !== NO_SLOT && table.isSameConnection(slot, state);
    if (slot !== NO_SLOT && !isKnown) this.#deleted(slot, FORCED_END);
    const wasReported = isKnown && table.wasReported(slot);
    let since = time - state.age * 1000;
    if (isKnown) since = Math.min(since, table.start(slot));
    flow.start = wasReported ? table.reportedUntil(slot) : since;
    state.readVolume(flow.volume);
    if (isKnown) {
      table.subtractReported(slot, flow.volume);
      table.remove(slot);
    }
    this.#observer?.ended(state, since, time);
    flow.state = state;
    flow.interface = this.#interfaces.entry(
      this.#interfaces.number(state.view, state.at + state.layout.interfaceName),
    );
    flow.end = time;
    flow.observed = time;
    flow.counters = EXACT;
    flow.isContinued = wasReported;
    flow.hasResponderSequence = state.hasDestinationSeqlo;
    flow.icmpType = icmpType(state);
    flow.endReason = state.expire > 0 ? FORCED_END : isClosedTcp(state) ? END_OF_FLOW : IDLE_TIMEOUT;
    this.#mapper.ended(wasReported);
  }

  compressedUpdate(update: CompressedUpdateView): void {
    this.#stats.records.compressedUpdate++;
    const { table } = this;
    const slot = table.find(update.idHigh, update.idLow, update.creatorId);
    if (slot === NO_SLOT) {
      this.#stats.states.unknownUpdates++;
      return;
    }
    table.learnPeers(slot, update);
    table.heard(slot, this.time, true);
  }

  compressedDelete(key: StateKeyView): void {
    this.#stats.records.compressedDelete++;
    const slot = this.table.find(key.idHigh, key.idLow, key.creatorId);
    if (slot === NO_SLOT) {
      this.#stats.states.unknownDeletes++;
      return;
    }
    this.table.read(slot, this.#state);
    this.#deleted(slot, isClosedTcp(this.#state) ? END_OF_FLOW : IDLE_TIMEOUT);
  }

  clear(clear: ClearView): void {
    this.#stats.records.clear++;
    const name = this.#interfaces.number(clear.view, clear.interfaceNameAt);
    const everywhere = clear.view.getUint8(clear.interfaceNameAt) === 0;
    for (const slot of this.table.ofCreator(clear.creatorId)) {
      if (everywhere || this.table.interfaceNumber(slot) === name) this.#deleted(slot, FORCED_END);
    }
  }

  bulkUpdate(status: BulkView): void {
    this.#stats.records.bulkUpdate++;
    this.#bulkUntil = status.isStart ? this.time + LONGEST_BULK : 0;
  }

  unreadableState(action: StateAction): void {
    this.#stats.records[action]++;
    if (action !== 'delete') {
      this.#stats.states.unreadable++;
      return;
    }
    this.#stats.states.ended++;
    this.#stats.skipped.add('unreadable');
  }

  otherRecord(kind: RecordKind): void {
    this.#stats.records[kind]++;
  }

  unknownRecords(_version: number, _action: number, count: number): void {
    this.#stats.unknownActions += count;
  }

  /** pfctl told a state's counters. The answer is whether the state is known; of others only pfsync may tell. */
  told(printed: StateCounters): boolean {
    const { table, time } = this;
    const slot = table.find(printed.idHigh, printed.idLow, printed.creatorId);
    if (slot === NO_SLOT) return false;
    readPrinted(printed, this.#told);
    const moved = table.learnCounters(slot, this.#told, time, true);
    table.learnAge(slot, time - printed.age * 1000);
    table.heard(slot, time, moved);
    if (moved) this.#reportLongFlow(slot);
    return true;
  }

  /** Ends states that were not heard of for `stateTimeout`. Costs nothing as long as the oldest is young. */
  expire(): void {
    const { stateTimeout } = this.#options;
    if (stateTimeout === 0) return;
    const { table } = this;
    const limit = Math.floor((this.time - stateTimeout) / 1000);
    while (table.size > 0 && table.lastHeard(table.oldest) < limit) {
      this.#stats.states.timedOut++;
      this.#end(table.oldest, IDLE_TIMEOUT);
    }
  }

  /** At the end of the input: every open state becomes a flow. */
  flushOpen(): void {
    for (const slot of this.table) this.#end(slot, FORCED_END);
  }

  #learn(state: StateView, isTraffic: boolean, isUseful: boolean): void {
    const { table, time } = this;
    let slot = table.find(state.idHigh, state.idLow, state.creatorId);
    if (slot !== NO_SLOT && !table.isSameConnection(slot, state)) {
      // The firewall has started anew and counts its ids from the beginning.
      this.#deleted(slot, FORCED_END);
      slot = NO_SLOT;
    }
    const told = this.#told;
    state.readVolume(told);
    if (slot === NO_SLOT) {
      if (table.size >= this.#options.maxStates) {
        this.#stats.states.evicted++;
        this.#end(table.oldest, LACK_OF_RESOURCES);
      }
      const name = this.#interfaces.number(state.view, state.at + state.layout.interfaceName);
      slot = table.insert(state, name, time, told, isUseful);
      this.#observer?.appeared(state, table.start(slot), time);
      if (isUseful && !isZero(told)) this.#reportLongFlow(slot);
      return;
    }
    table.heard(slot, time, isTraffic);
    table.learnAge(slot, time - state.age * 1000);
    table.learnPeers(slot, state);
    const moved = table.learnCounters(slot, told, time, isUseful);
    if (moved && isUseful) this.#reportLongFlow(slot);
  }

  /** The firewall no longer has the state in `slot`. */
  #deleted(slot: number, endReason: number): void {
    const { table } = this;
    if (this.#observer !== undefined) {
      table.read(slot, this.#state);
      this.#observer.ended(this.#state, table.start(slot), this.time);
    }
    this.#end(slot, endReason);
  }

  /** The state in `slot` is over, and all that is known of it is in the table. */
  #end(slot: number, endReason: number): void {
    const { table } = this;
    const { flow } = this.#mapper;
    this.#describe(slot, endReason);
    const wasReported = flow.isContinued;
    flow.counters = wasReported ? PARTIAL : this.#provenance(slot);
    if (flow.counters === PARTIAL) this.#tellAge(slot);
    table.subtractReported(slot, flow.volume);
    this.#mapper.ended(wasReported);
    table.remove(slot);
  }

  #describe(slot: number, endReason: number): void {
    const { table } = this;
    const { flow } = this.#mapper;
    table.describe(slot, this.#state, flow);
    flow.interface = this.#interfaces.entry(table.interfaceNumber(slot));
    flow.observed = this.time;
    flow.endReason = endReason;
  }

  #tellAge(slot: number): void {
    const age = (this.time - this.table.lastCounted(slot)) / 1000;
    this.#mapper.flow.countersAge = Math.max(0, Math.round(age));
  }

  #provenance(slot: number): number {
    const { volume, initiatorOctets, responderOctets } = this.#mapper.flow;
    const isCounted = !isZero(volume);
    if (isCounted && this.table.hasUsefulCounters(slot)) return PARTIAL;
    if (initiatorOctets + responderOctets > 0) return TCPSEQ;
    return isCounted ? PARTIAL : NONE;
  }

  #reportLongFlow(slot: number): void {
    const { activeTimeout } = this.#options;
    if (activeTimeout === 0) return;
    const { table, time } = this;
    if (time - table.reportedUntil(slot) < activeTimeout) return;
    this.#describe(slot, ACTIVE_TIMEOUT);
    this.#tellAge(slot);
    table.subtractReported(slot, this.#mapper.flow.volume);
    this.#mapper.flow.end = time;
    this.#mapper.flow.counters = PARTIAL;
    this.#mapper.lives();
    table.report(slot, time);
  }
}
