/**
 * What pfsync's messages mean for the states: who opens, moves and ends them, and what is known of each at its end.
 * This is the stage between the records of `protocol/pfsync` and the flows.
 */
import { core } from '../../protocol/core.js';
import { FlowRecord, type FlowRows } from '../../protocol/flow/flow-record.js';
import { INTERFACE_NAME } from '../../protocol/flow/row.js';
import {
  ACTIVE_TIMEOUT,
  END_OF_FLOW,
  FORCED_END,
  IDLE_TIMEOUT,
  LACK_OF_RESOURCES,
  NONE,
  PARTIAL,
  TCPSEQ,
} from '../../protocol/flow/terms.js';
import type { PfsyncHandler } from '../../protocol/pfsync/message.js';
import type { RecordKind, StateAction } from '../../protocol/pfsync/action.js';
import type { BulkView, ClearView, CompressedUpdateView, StateKeyView } from '../../protocol/pfsync/record.js';
import { StateRow } from '../../protocol/pfsync/state.js';
import { newVolume } from '../../protocol/flow/volume.js';
import type { FlowMapper } from '../flow/mapper.js';
import type { InterfaceTable } from '../../protocol/flow/interface.js';
import { readPrinted, type StateCounters } from '../source/pfctl-text.js';
import { NO_SLOT, StateTable } from './table.js';
import type { Stats } from '../observe/statistics.js';

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
  appeared(state: StateRow, since: number, now: number): void;
  /** The firewall let go of a state, or has started anew without it; not when it is only no longer followed. */
  ended(state: StateRow, since: number, now: number): void;
}

/** A bulk transfer whose end is never heard of ends by itself. Milliseconds. */
const LONGEST_BULK = 300_000;

export class StateTracker implements PfsyncHandler {
  readonly table = new StateTable();
  readonly #interfaces: InterfaceTable;
  readonly #mapper: FlowMapper;
  readonly #stats: Stats;
  readonly #options: TrackerOptions;
  readonly #observer: StateObserver | undefined;
  readonly #state = new StateRow();
  /** For the interface that a message names. */
  readonly #cleared = new FlowRecord();
  readonly #told = newVolume();
  /** Time of the message that told what is at hand, in milliseconds since the epoch. */
  #time = 0;
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

  insert(states: FlowRows): void {
    const { table } = this;
    this.#stats.records.insert += states.count;
    this.#interfaces.identify(states);
    // Nearly all are new: there are no rows to wait for.
    this.#forEach(states, ({ state }) => {
      this.#learn(table.find(state.idHigh, state.idLow, state.creatorId), state, true, false);
    });
  }

  update(states: FlowRows): void {
    const { table } = this;
    this.#stats.records.update += states.count;
    this.#interfaces.identify(states);
    this.#expect(states);
    this.#forEach(states, ({ state }, n) => {
      this.#learn(table.findExpected(n), state, this.#time > this.#bulkUntil, true);
    });
  }

  delete(states: FlowRows): void {
    this.#stats.records.delete += states.count;
    this.#interfaces.identify(states);
    if (this.table.size === 0 && this.#observer === undefined) {
      this.#mapper.deleted(states);
    } else {
      this.#deleteKnown(states);
    }
  }

  compressedUpdate(updates: CompressedUpdateView): void {
    const { table } = this;
    this.#stats.records.compressedUpdate += updates.count;
    this.#time = updates.time;
    this.#expectKeys(updates, false);
    for (let n = 0; n < updates.count; n++) this.#follow(table.findExpected(n), updates.select(n));
  }

  compressedDelete(keys: StateKeyView): void {
    const { table } = this;
    this.#stats.records.compressedDelete += keys.count;
    this.#time = keys.time;
    this.#expectKeys(keys, true);
    for (let n = 0; n < keys.count; n++) this.#letGo(table.findExpected(n));
  }

  clear(clear: ClearView): void {
    this.#stats.records.clear++;
    this.#time = clear.time;
    const named = this.#cleared;
    const everywhere = clear.view.getUint8(clear.interfaceNameAt) === 0;
    for (let octet = 0; octet < 16; octet++) {
      named.state.view.setUint8(INTERFACE_NAME + octet, clear.view.getUint8(clear.interfaceNameAt + octet));
    }
    this.#interfaces.identify(named);
    for (const slot of this.table.ofCreator(clear.creatorId)) {
      if (everywhere || this.table.hasInterfaceOf(slot, named.state)) this.#deleted(slot, FORCED_END);
    }
  }

  bulkUpdate(status: BulkView): void {
    this.#stats.records.bulkUpdate++;
    this.#bulkUntil = status.isStart ? status.time + LONGEST_BULK : 0;
  }

  unreadableStates(action: StateAction, count: number): void {
    if (action !== 'delete') {
      this.#stats.states.unreadable += count;
      return;
    }
    this.#stats.states.ended += count;
    this.#stats.skipped.add('unreadable', count);
  }

  otherRecord(kind: RecordKind): void {
    this.#stats.records[kind]++;
  }

  unknownRecords(_version: number, _action: number, count: number): void {
    this.#stats.unknownActions += count;
  }

  /** pfctl told a state's counters at `time`. The answer is whether the state is known; of others only pfsync may tell. */
  told(printed: StateCounters, time: number): boolean {
    const { table } = this;
    this.#time = time;
    const slot = table.find(printed.idHigh, printed.idLow, printed.creatorId);
    if (slot === NO_SLOT) return false;
    readPrinted(printed, this.#told);
    const moved = table.learnCounters(slot, this.#told, time, true);
    table.learnAge(slot, time - printed.age * 1000);
    table.heard(slot, time, moved);
    if (moved) this.#reportLongFlow(slot);
    return true;
  }

  /** Whether states end that are not heard of. */
  get expires(): boolean {
    return this.#options.stateTimeout > 0;
  }

  /** Ends states that were not heard of for `stateTimeout`. */
  expire(time: number): void {
    const { table } = this;
    const limit = time - this.#options.stateTimeout;
    this.#time = time;
    for (let slot = table.oldestBefore(limit); slot !== NO_SLOT; slot = table.oldestBefore(limit)) {
      this.#stats.states.timedOut++;
      this.#end(slot, IDLE_TIMEOUT);
    }
  }

  /** At the end of the input: every open state becomes a flow. */
  flushOpen(time: number): void {
    this.#time = time;
    for (const slot of this.table) this.#end(slot, FORCED_END);
  }

  /** Calls `use` for each row that is readable, at the time of its message. */
  #forEach(states: FlowRows, use: (flow: FlowRecord, n: number) => void): void {
    for (let n = 0; n < states.count; n++) {
      const flow = states.flow(n);
      if (!flow.state.isReadable) continue;
      this.#time = flow.observed;
      use(flow, n);
    }
  }

  #expect(states: FlowRows): void {
    const { table } = this;
    for (let n = 0; n < states.count; n++) {
      const { idHigh, idLow, creatorId } = states.flow(n).state;
      table.expect(n, idHigh, idLow, creatorId);
    }
    table.fetch(states.count, true);
  }

  #expectKeys(records: CompressedUpdateView | StateKeyView, whole: boolean): void {
    const { table } = this;
    for (let n = 0; n < records.count; n++) {
      const { idHigh, idLow, creatorId } = records.select(n);
      table.expect(n, idHigh, idLow, creatorId);
    }
    table.fetch(records.count, whole);
  }

  #learn(known: number, state: StateRow, isTraffic: boolean, isUseful: boolean): void {
    const { table } = this;
    const time = this.#time;
    let slot = known;
    if (slot !== NO_SLOT && !table.isSameConnection(slot, state)) {
      // The firewall has started anew and counts its ids from the beginning.
      this.#deleted(slot, FORCED_END);
      slot = NO_SLOT;
    }
    if (slot === NO_SLOT) {
      if (table.size >= this.#options.maxStates) {
        this.#stats.states.evicted++;
        this.#end(table.oldest, LACK_OF_RESOURCES);
      }
      slot = table.insert(state, time, isUseful);
      this.#observer?.appeared(state, table.start(slot), time);
      if (isUseful && this.#options.activeTimeout > 0 && state.isCounted) this.#reportLongFlow(slot);
      return;
    }
    const told = this.#told;
    state.readVolume(told);
    table.heard(slot, time, isTraffic);
    table.learnAge(slot, time - state.age * 1000);
    table.learnPeers(slot, state);
    const moved = table.learnCounters(slot, told, time, isUseful);
    if (moved && isUseful) this.#reportLongFlow(slot);
  }

  #follow(slot: number, update: CompressedUpdateView): void {
    if (slot === NO_SLOT) {
      this.#stats.states.unknownUpdates++;
      return;
    }
    this.table.learnPeers(slot, update);
    this.table.heard(slot, this.#time, true);
  }

  #letGo(slot: number): void {
    if (slot === NO_SLOT) this.#stats.states.unknownDeletes++;
    else this.#deleted(slot, this.table.isClosedTcp(slot) ? END_OF_FLOW : IDLE_TIMEOUT);
  }

  /** Full deletes of which the table may know more. */
  #deleteKnown(states: FlowRows): void {
    core.describeDeleted(states.row, states.count);
    this.#expect(states);
    if (this.#observer !== undefined) {
      this.#deleteObserved(states, this.#observer);
      return;
    }
    this.#forEach(states, (flow, n) => this.#complete(n, flow));
    this.#mapper.ended(states);
  }

  /** Each event comes before its flow. */
  #deleteObserved(states: FlowRows, observer: StateObserver): void {
    this.#forEach(states, (flow, n) => {
      observer.ended(flow.state, this.#complete(n, flow), this.#time);
      this.#mapper.ended(flow);
    });
  }

  /** Adds what the table knows of a state that was deleted, and takes it out. The answer is the state's creation. */
  #complete(n: number, flow: FlowRecord): number {
    const { table } = this;
    const { state } = flow;
    const slot = table.findExpected(n);
    if (slot === NO_SLOT) return flow.start;
    if (!table.isSameConnection(slot, state)) {
      this.#deleted(slot, FORCED_END);
      return flow.start;
    }
    const since = Math.min(flow.start, table.start(slot));
    const wasReported = table.wasReported(slot);
    flow.start = wasReported ? table.reportedUntil(slot) : since;
    flow.isContinued = wasReported;
    table.subtractReported(slot, state);
    table.remove(slot);
    return since;
  }

  /** The firewall no longer has the state in `slot`. */
  #deleted(slot: number, endReason: number): void {
    const { table } = this;
    if (this.#observer !== undefined) {
      table.read(slot, this.#state);
      this.#observer.ended(this.#state, table.start(slot), this.#time);
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
    table.subtractReported(slot, flow.state);
    this.#mapper.ended(flow);
    table.remove(slot);
  }

  #describe(slot: number, endReason: number): void {
    const { table } = this;
    const { flow } = this.#mapper;
    table.describe(slot, flow);
    flow.observed = this.#time;
    flow.endReason = endReason;
  }

  #tellAge(slot: number): void {
    const age = (this.#time - this.table.lastCounted(slot)) / 1000;
    this.#mapper.flow.countersAge = Math.max(0, Math.round(age));
  }

  #provenance(slot: number): number {
    const { state, initiatorOctets, responderOctets } = this.#mapper.flow;
    const { isCounted } = state;
    if (isCounted && this.table.hasUsefulCounters(slot)) return PARTIAL;
    if (initiatorOctets + responderOctets > 0) return TCPSEQ;
    return isCounted ? PARTIAL : NONE;
  }

  #reportLongFlow(slot: number): void {
    const { activeTimeout } = this.#options;
    if (activeTimeout === 0) return;
    const { table } = this;
    const time = this.#time;
    if (time - table.reportedUntil(slot) < activeTimeout) return;
    this.#describe(slot, ACTIVE_TIMEOUT);
    this.#tellAge(slot);
    table.subtractReported(slot, this.#mapper.flow.state);
    this.#mapper.flow.end = time;
    this.#mapper.flow.counters = PARTIAL;
    this.#mapper.lives();
    table.report(slot, time);
  }
}
