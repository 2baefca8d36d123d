/**
 * What pfsync's messages mean for the states: which records open, move and end them, and what is known of each at its end.
 * This is the stage between the records of `protocol/pfsync` and the flows.
 */
import { type InterfaceTable, nameAt } from '../../protocol/flow/interface.js';
import { PFSYNC } from '../../protocol/flow/pf-terms.js';
import {
  AGE,
  COUNTERS_AGE,
  CREATOR,
  END,
  END_ASSUMED,
  EXPIRE,
  FACTS,
  FLOW,
  ID,
  NEVER_SYNCED,
  OBSERVED,
  OCTETS,
  ORIGIN,
  PROTOCOLS,
  ROW,
  ROW_DOUBLES,
  ROW_OCTETS,
  START,
  STATE,
} from '../../protocol/flow/row.js';
import type { FlowMemory, FlowRows, RowRange } from '../../protocol/flow/rows.js';
import {
  ACTIVE_TIMEOUT,
  END_OF_FLOW,
  EXACT,
  FORCED_END,
  FROM_INSERT,
  FROM_NOBODY,
  FROM_PFCTL,
  FROM_SEQUENCE,
  FROM_UPDATE,
  IDLE_TIMEOUT,
  LACK_OF_RESOURCES,
  NONE,
  PARTIAL,
  TCPSEQ,
} from '../../protocol/flow/terms.js';
import type { RecordKind, StateAction } from '../../protocol/pfsync/action.js';
import type { PfsyncHandler } from '../../protocol/pfsync/message.js';
import type {
  BulkView,
  ClearView,
  CompressedUpdateView,
  StateKeyView,
} from '../../protocol/pfsync/record.js';
import type { Statistics } from '../observe/statistics.js';
import { areCounted, COUNTERS_OCTETS, copyCounters, subtractCounters } from './counters.js';
import { GivenUpStates } from './given-up.js';
import { BEGINNING_SEEN, SHOWED_TRAFFIC, UNPROVABLE } from './hot-row.js';
import { MOST_EXPECTED } from './index.js';
import { OverdueStates } from './overdue.js';
import { type Ending, endingOf } from './proof.js';
import { RecentKeys } from './recent-keys.js';
import { type RequestSettings, StateRequests } from './requests.js';
import { NO_SLOT, StateTable } from './table.js';
import { timeoutSeconds } from './timeouts.js';

export interface TrackerOptions {
  readonly maxStates: number;
  /** Milliseconds without a message about it after which a state ends; 0: never. */
  readonly stateTimeout: number;
  /** Milliseconds after which a living state's counters are reported; 0: only at its end. */
  readonly activeTimeout: number;
  /** Find out which states to request an update for, and when. */
  readonly requests?: RequestSettings;
}

/** What the flow room does with states; rows are valid during the call. */
export interface StateConsumer {
  describeDeleted(first: number, count: number): void;
  ended(first: number, count: number): void;
  lives(row: number): void;
}

/** Watches states come and go. Times are milliseconds since the epoch; `since` is the state's creation. */
export interface StateObserver {
  /** A state that was not known: it may be older than the message. */
  appeared(row: number, since: number, now: number): void;
  /** The firewall let go of a state, or has started anew without it; not when it is only no longer followed. */
  ended(row: number, since: number, now: number): void;
}

/** A state's counters as another program prints them. `view` holds them as rows do. */
export interface ReportedCounters {
  /** The key, words as rows have them. */
  readonly idFirst: number;
  readonly idSecond: number;
  readonly creatorId: number;
  /** Seconds since the state was made, and that it has left to live; below 0 where unknown. */
  readonly age: number;
  readonly remaining: number;
  readonly view: DataView;
}

/** A bulk transfer whose end never comes ends by itself. Milliseconds. */
const LONGEST_BULK = 300_000;
/** PFTM_MAX of OpenBSD: a record of version 6 with this timeout or more is that of a dead state, with its final counters. */
const DEAD = 20;
/** States that time out are ended in slices, so that sinks can keep up. */
const MOST_TIMED_OUT = 4096;
/** Seconds for which records of a state that ended may still come. A bulk update of a large table takes 45. */
const LATE = 300;

export class StateTracker implements PfsyncHandler {
  readonly table: StateTable;
  /** Undefined where nothing is requested. */
  readonly requests: StateRequests | undefined;
  readonly #rows: FlowRows;
  readonly #interfaces: InterfaceTable;
  readonly #consumer: StateConsumer;
  readonly #statistics: Statistics;
  readonly #options: TrackerOptions;
  readonly #observer: StateObserver | undefined;
  /** Rows of states that ended and go on together. */
  readonly #ended: RowRange;
  /**
   * Records of such a state may still come: an answer or a bulk update that was on its way, the delete of the other firewall
   * of a pair, updates of the dead after a flush. They must not open it again.
   */
  readonly #recentlyEnded = new RecentKeys(LATE);
  readonly #givenUp: GivenUpStates;
  /** Counters of a long flow that go out with its next record. */
  readonly #reported = new DataView(new ArrayBuffer(COUNTERS_OCTETS));
  /**
   * Milliseconds since the epoch, in an array, since a field would be an object for each: end of the bulk transfer, last loss,
   * and when the states that are still to be ended ended.
   */
  readonly #times = new Float64Array(3);
  readonly #overdue = new OverdueStates();
  /** States among which some still have to be ended, and what ends one of them where it is meant. */
  #ending: Iterator<number> | undefined;
  #endOne: (slot: number) => void = () => {};
  #version = 0;
  #isProvable = true;
  /** The sender of the first record about a state; below 0 before it. */
  #firstSender = -1;

  /** States that end leave in rows of `ended`. */
  constructor(
    { rows, interfaces }: FlowMemory,
    ended: RowRange,
    consumer: StateConsumer,
    statistics: Statistics,
    options: TrackerOptions,
    observer?: StateObserver,
  ) {
    this.table = new StateTable(rows);
    this.requests = options.requests && new StateRequests(this.table, options.requests, statistics.requests);
    this.#rows = rows;
    this.#interfaces = interfaces;
    this.#ended = ended;
    this.#consumer = consumer;
    this.#statistics = statistics;
    this.#options = options;
    this.#observer = observer;
    this.#givenUp = new GivenUpStates(rows);
  }

  source(sender: number, version: number, losesRecords: boolean): void {
    this.table.sender = sender;
    this.#version = version;
    // Up to version 4 inserts and updates carry stale counters and no time to live.
    this.#isProvable = version >= 5 && !losesRecords;
    this.requests?.source(sender, version);
  }

  insert(first: number, count: number): void {
    this.#statistics.records.insert += count;
    this.requests?.heard();
    this.finishEnding();
    this.#hearFirewall();
    const { words, view } = this.#rows;
    for (let n = first; n < first + count; n++) {
      if (!this.#takesUp(n)) continue;
      // It has neither the time to live nor counters.
      const isBare = words[n * ROW + EXPIRE] === 0 && !areCounted(view, n * ROW_OCTETS + 4 * OCTETS);
      if (isBare) words[n * ROW + EXPIRE] = -1;
      this.#learn(this.table.findRow(n), n, FROM_INSERT);
    }
    this.#flushEnded();
  }

  update(first: number, count: number): void {
    this.#statistics.records.update += count;
    this.finishEnding();
    this.#hearFirewall();
    this.#forEachExpected(first, count, (row, slot) => {
      if (this.#takesUp(row)) this.#learn(slot, row, FROM_UPDATE);
    });
    this.#flushEnded();
  }

  delete(first: number, count: number): void {
    this.#statistics.records.delete += count;
    this.finishEnding();
    // An observer hears of each state with its flow, however many deletes have come together.
    const together = this.#observer === undefined ? count : 1;
    for (let n = first; n < first + count; n += together) this.#deleteFully(n, together);
  }

  #deleteFully(first: number, count: number): void {
    this.#consumer.describeDeleted(first, count);
    if (this.table.size > 0 || this.#observer !== undefined || this.#givenUp.size > 0)
      this.#completeDeleted(first, count);
    this.#consumer.ended(first, count);
  }

  compressedUpdate(updates: CompressedUpdateView): void {
    this.#statistics.records.compressedUpdate += updates.count;
    this.requests?.heard();
    this.finishEnding();
    this.#hearFirewall();
    this.#setNow(updates.clock);
    for (let done = 0; done < updates.count; done += MOST_EXPECTED) {
      const count = Math.min(updates.count - done, MOST_EXPECTED);
      this.#expectKeys(updates, done, count, false);
      for (let n = 0; n < count; n++) this.#follow(this.table.findExpected(n), updates.select(done + n));
    }
  }

  compressedDelete(keys: StateKeyView): void {
    this.#statistics.records.compressedDelete += keys.count;
    this.finishEnding();
    this.#hearFirewall();
    this.#setNow(keys.clock);
    for (let done = 0; done < keys.count; done += MOST_EXPECTED) {
      const count = Math.min(keys.count - done, MOST_EXPECTED);
      this.#expectKeys(keys, done, count, true);
      for (let n = 0; n < count; n++) this.#letGo(this.table.findExpected(n), keys.select(done + n));
    }
    this.#flushEnded();
  }

  clear(clear: ClearView): void {
    this.#statistics.records.clear++;
    this.finishEnding();
    this.#setNow(clear.clock);
    const name = nameAt(clear.view, clear.interfaceNameAt);
    // An interface that no state has named has no states.
    const number = name === '' ? undefined : (this.#interfaces.find(name) ?? -1);
    const { table } = this;
    this.#beginEnding(table.ofCreator(clear.creatorId), table.now[0]!, (slot) => {
      if (number === undefined || table.isOnInterface(slot, number)) this.#endByForce(slot);
    });
    this.endSome();
  }

  bulkUpdate(status: BulkView): void {
    this.#statistics.records.bulkUpdate++;
    this.#setNow(status.clock);
    this.#times[0] = status.isStart ? this.table.now[0]! + LONGEST_BULK : 0;
    this.requests?.bulkUpdate(status.isStart ? 'start' : 'end');
  }

  unreadableStates(action: StateAction, count: number): void {
    if (action !== 'delete') {
      this.#statistics.states.unreadable += count;
      return;
    }
    this.#statistics.states.ended += count;
    this.#statistics.skipped.add('unreadable', count);
  }

  otherRecord(kind: RecordKind): void {
    this.#statistics.records[kind]++;
  }

  unknownRecords(_version: number, _action: number, count: number): void {
    this.#statistics.unknownActions += count;
  }

  /** Another program reported a state's counters as they were at `time`. Returns whether the state is open: only pfsync opens states. */
  reportCounters(reported: ReportedCounters, time: number): boolean {
    const { table } = this;
    this.finishEnding();
    const slot = table.find(reported.idFirst, reported.idSecond, reported.creatorId);
    if (slot === NO_SLOT) return false;
    table.now[0] = time;
    const { remaining, age, view } = reported;
    const moved = table.learnReported(slot, view, remaining, FROM_PFCTL);
    table.learnAge(slot, age);
    table.hear(slot);
    this.requests?.counted(slot);
    if (moved) this.#reportLongFlow(slot);
    return true;
  }

  /** Messages were lost: what was reported before `time`, in milliseconds since the epoch, proves nothing. */
  lost(time: number): void {
    if (time > this.#times[1]!) this.#times[1] = time;
  }

  /** Whether states end that no message names. */
  get expires(): boolean {
    return this.#options.stateTimeout > 0;
  }

  /** Ends states that no message has named for `stateTimeout`, some at a time. */
  expire(time: number): void {
    const { table } = this;
    const limit = time - this.#options.stateTimeout;
    table.now[0] = time;
    for (let n = 0; n < MOST_TIMED_OUT; n++) {
      const slot = table.oldestBefore(limit);
      if (slot === NO_SLOT) break;
      this.#statistics.states.timedOut++;
      this.#end(slot, IDLE_TIMEOUT, 'givenUp');
    }
    this.#flushEnded();
  }

  /** Begins to end every open state, at the end of the input: `endSome` goes on. */
  beginFlush(time: number): void {
    this.finishEnding();
    this.#beginEnding(this.table[Symbol.iterator](), time, (slot) => this.#end(slot, FORCED_END, 'unproven'));
  }

  /** Whether it is time to look for states whose end no message has told: `beginOverdue` does. `clock` is that of a message. */
  isOverdueDue(clock: Float64Array): boolean {
    return this.#version >= 5 && this.#overdue.isDue(clock);
  }

  /** Begins to end the states that no message has named for longer than they can live: `endSome` goes on. */
  beginOverdue(time: number): void {
    this.finishEnding();
    const limits = this.#overdue.limits(time, this.#times[1]!);
    this.#beginEnding(this.table.overdue(limits), time, (slot) => {
      this.#statistics.states.timedOut++;
      this.#end(slot, IDLE_TIMEOUT, 'givenUp');
    });
  }

  #beginEnding(slots: Iterator<number>, time: number, endOne: (slot: number) => void): void {
    this.#ending = slots;
    this.#times[2] = time;
    this.#endOne = endOne;
  }

  /** Whether a clear, a flush or a search for overdue states still has states to end. */
  get isEnding(): boolean {
    return this.#ending !== undefined;
  }

  /** Looks at as many of these states as a batch holds. */
  endSome(): void {
    const ending = this.#ending;
    if (ending === undefined) return;
    this.table.now[0] = this.#times[2]!;
    for (let n = 0; n < this.#ended.capacity; n++) {
      const { done, value: slot } = ending.next();
      if (done) {
        this.#ending = undefined;
        break;
      }
      this.#endOne(slot);
    }
    this.#flushEnded();
  }

  /** Ends all of them, whether sinks can keep up or not: the next record must find the table as the firewall has it. */
  finishEnding(): void {
    while (this.#ending !== undefined) this.endSome();
  }

  #setNow(clock: Float64Array): void {
    this.table.now[0] = clock[0]! * 1000 + clock[1]!;
  }

  /** Whether the record in a row is about a state that can be open. Sets the time to that of its message. */
  #takesUp(row: number): boolean {
    const { words, doubles } = this.#rows;
    const protocols = words[row * ROW + PROTOCOLS]!;
    if (protocols === 0) return false;
    this.table.now[0] = doubles[row * ROW_DOUBLES + OBSERVED]!;
    const isNeverSynced =
      (words[row * ROW + FACTS]! & NEVER_SYNCED) !== 0 || ((protocols >>> 16) & 255) === PFSYNC;
    if (isNeverSynced) this.#statistics.states.neverSynced++;
    return !isNeverSynced;
  }

  #keyOf(row: number): [idFirst: number, idSecond: number, creatorId: number] {
    const { words } = this.#rows;
    return [words[row * ROW + ID]!, words[row * ROW + ID + 1]!, words[row * ROW + CREATOR]!];
  }

  #forEachExpected(first: number, count: number, use: (row: number, slot: number) => void): void {
    const { table } = this;
    const { words } = this.#rows;
    for (let done = 0; done < count; done += MOST_EXPECTED) {
      const some = Math.min(count - done, MOST_EXPECTED);
      for (let n = 0; n < some; n++) {
        const row = (first + done + n) * ROW;
        table.expect(n, words[row + ID]!, words[row + ID + 1]!, words[row + CREATOR]!);
      }
      table.prefetch(some, true);
      for (let n = 0; n < some; n++) use(first + done + n, table.findExpected(n));
    }
  }

  #expectKeys(
    records: CompressedUpdateView | StateKeyView,
    first: number,
    count: number,
    whole: boolean,
  ): void {
    const { table } = this;
    for (let n = 0; n < count; n++) {
      const { idFirst, idSecond, creatorId } = records.select(first + n);
      table.expect(n, idFirst, idSecond, creatorId);
    }
    table.prefetch(count, whole);
    this.requests?.prefetch(count);
  }

  /** The sender of the message has states: it is a firewall. */
  #hearFirewall(): void {
    if (this.#firstSender < 0) this.#firstSender = this.table.sender;
    if (this.#firstSender !== this.table.sender) this.table.hasPair = true;
  }

  /** A full record that reports a state as it is. */
  #learn(known: number, row: number, origin: number): void {
    const { table } = this;
    const { words } = this.#rows;
    let slot = known;
    if (slot !== NO_SLOT && !table.isSameConnection(slot, row)) {
      // The firewall has started anew and counts its ids from the beginning: this record is not late.
      this.#endByForce(slot);
      this.#recentlyEnded.forget(...this.#keyOf(row));
      slot = NO_SLOT;
    }
    const timeout = (words[row * ROW + STATE]! >>> 8) & 255;
    this.#overdue.learn(timeout, words[row * ROW + EXPIRE]!);
    if (this.#version === 6 && timeout >= DEAD) {
      this.#learnDead(slot, row, origin);
      return;
    }
    const isTraffic = origin === FROM_INSERT || this.#isPacket();
    if (slot === NO_SLOT) {
      this.#open(row, origin, isTraffic);
      return;
    }
    const isExplained = table.lastSign(slot) > table.countedAt(slot);
    // The record's counters hold what its sequence numbers have advanced by.
    table.learnPeersOfRow(slot, row);
    const moved = table.learnCountersOfRow(slot, row, origin);
    table.learnAge(slot, words[row * ROW + AGE]!);
    if (!this.#isProvable) table.setFlag(slot, UNPROVABLE);
    if (isTraffic) table.hearTraffic(slot);
    else if (moved && !isExplained && this.#version >= 5) this.#hearEarlierTraffic(slot, row);
    else table.hear(slot);
    this.requests?.counted(slot);
    // Of an overdue state it is not known for how long.
    if (moved && isExplained && words[row * ROW + EXPIRE] !== 0) this.#guessLastPacket(slot, row);
    if (moved && origin === FROM_UPDATE) this.#reportLongFlow(slot);
  }

  /** A full update of versions 5 and 6 is an answer. Before, packets make them, outside a bulk update. */
  #isPacket(): boolean {
    return this.#version < 5 && this.table.now[0]! > this.#times[0]!;
  }

  #open(row: number, origin: number, isTraffic: boolean): void {
    const { table } = this;
    const { view } = this.#rows;
    if (origin === FROM_UPDATE && this.#recentlyEnded.has(...this.#keyOf(row), table.now[0]!)) {
      this.#statistics.states.lateRecords++;
      return;
    }
    if (table.size >= this.#options.maxStates) {
      this.#statistics.states.evicted++;
      this.#end(table.oldest, LACK_OF_RESOURCES, 'givenUp');
    }
    const provable = this.#isProvable ? 0 : UNPROVABLE;
    const beginning = origin === FROM_INSERT ? BEGINNING_SEEN : 0;
    const traffic = isTraffic ? SHOWED_TRAFFIC : 0;
    const slot = table.insert(row, origin, provable | beginning | traffic);
    if (!isTraffic) this.#guessLastPacket(slot, row);
    this.requests?.opened(slot);
    const known = this.#givenUp.take(row);
    if (known !== undefined) table.setReported(slot, known.counters, known.time);
    this.#observer?.appeared(row, table.start(slot), table.now[0]!);
    if (
      origin === FROM_UPDATE &&
      this.#options.activeTimeout > 0 &&
      areCounted(view, row * ROW_OCTETS + 4 * OCTETS)
    ) {
      this.#reportLongFlow(slot);
    }
  }

  /** An answer tells of packets that passed before it, and that no other message has told of; when, unless the state is overdue. */
  #hearEarlierTraffic(slot: number, row: number): void {
    const { table } = this;
    const silence = this.#silence(row);
    if (this.#rows.words[row * ROW + EXPIRE] === 0) table.hear(slot);
    else table.hearTraffic(slot, table.now[0]! - (silence > 0 ? 1000 * silence : 0));
  }

  /** A state first seen in an answer, or an answer about one whose last packets are known from other messages. */
  #guessLastPacket(slot: number, row: number): void {
    const { table } = this;
    const silence = this.#silence(row);
    if (this.#version >= 4 && silence >= 0) table.guessTraffic(slot, table.now[0]! - 1000 * silence);
  }

  /**
   * Seconds since the last packet of a full record's state, by its timeout and what is left of it. An earlier sign of traffic
   * is later than that where the firewall's timeouts are shorter than the usual ones.
   */
  #silence(row: number): number {
    const { words } = this.#rows;
    const timeout = (words[row * ROW + STATE]! >>> 8) & 255;
    return timeoutSeconds(timeout) - words[row * ROW + EXPIRE]!;
  }

  /** The record of a dead state has its final counters: it ends, whether it was open or never seen. */
  #learnDead(known: number, row: number, origin: number): void {
    const { table } = this;
    const { words } = this.#rows;
    const at = row * ROW;
    if (known === NO_SLOT && this.#recentlyEnded.has(...this.#keyOf(row), table.now[0]!)) {
      this.#statistics.states.lateRecords++;
      return;
    }
    let slot = known;
    const isKnown = slot !== NO_SLOT;
    const reason = isKnown ? this.#reasonOf(slot, this.#endingOf(slot)) : FORCED_END;
    if (slot === NO_SLOT) {
      slot = table.insert(row, origin, 0);
      this.requests?.opened(slot);
      const given = this.#givenUp.take(row);
      if (given !== undefined) table.setReported(slot, given.counters, given.time);
      this.#observer?.appeared(row, table.start(slot), table.now[0]!);
    } else {
      table.learnCountersOfRow(slot, row, origin);
      table.learnAge(slot, words[at + AGE]!);
    }
    this.#deleted(slot, reason, true);
  }

  #follow(slot: number, update: CompressedUpdateView): void {
    const { table } = this;
    if (slot === NO_SLOT) {
      this.#statistics.states.unknownUpdates++;
      this.#requestUnknown(update);
      return;
    }
    const { sourceState, destinationState, timeout, sourceSeqlo, destinationSeqlo } = update;
    if (this.#version === 6 && timeout >= DEAD) {
      table.hear(slot);
      return;
    }
    table.learnPeers(slot, sourceState, destinationState, timeout, sourceSeqlo, destinationSeqlo);
    table.hearPacket(slot);
    this.requests?.traffic(slot);
  }

  /** The answer opens the state; updates of the dead have none. */
  #requestUnknown({ idFirst, idSecond, creatorId }: CompressedUpdateView): void {
    const { now, size } = this.table;
    if (this.requests === undefined || size >= this.#options.maxStates) return;
    if (this.#recentlyEnded.has(idFirst, idSecond, creatorId, now[0]!)) return;
    this.requests.unknown(idFirst, idSecond, creatorId);
  }

  #letGo(slot: number, key: StateKeyView): void {
    const { states } = this.#statistics;
    if (slot !== NO_SLOT) {
      const ending = this.#endingOf(slot);
      this.#deleted(slot, this.#reasonOf(slot, ending), ending === 'final');
      return;
    }
    const { idFirst, idSecond, creatorId } = key;
    const isLate =
      this.#recentlyEnded.has(idFirst, idSecond, creatorId, this.table.now[0]!) ||
      this.#givenUp.forget(idFirst, idSecond, creatorId);
    if (isLate) states.lateRecords++;
    else states.unknownDeletes++;
  }

  /** A clear, or a new connection in the place of the state, says that the firewall no longer has it. */
  #endByForce(slot: number): void {
    this.#deleted(slot, FORCED_END, this.#endingOf(slot) === 'final');
  }

  #endingOf(slot: number): Ending {
    return endingOf(this.table, slot, this.#times[1]!);
  }

  /** flowEndReason of a state that its firewall has deleted. */
  #reasonOf(slot: number, ending: Ending): number {
    if (ending === 'killed') return FORCED_END;
    return this.table.isClosedTcp(slot) ? END_OF_FLOW : IDLE_TIMEOUT;
  }

  /** Full deletes of which the table may know more. */
  #completeDeleted(first: number, count: number): void {
    const { words, doubles } = this.#rows;
    this.#forEachExpected(first, count, (row, slot) => {
      if (words[row * ROW + PROTOCOLS] === 0) return;
      this.table.now[0] = doubles[row * ROW_DOUBLES + OBSERVED]!;
      const since = this.#complete(row, slot);
      this.#observer?.ended(row, since, this.table.now[0]!);
    });
    this.#flushEnded();
  }

  /** Adds what the table knows of a state that was deleted, and takes it out. Returns the state's creation. */
  #complete(row: number, slot: number): number {
    const { table } = this;
    const { doubles } = this.#rows;
    const start = doubles[row * ROW_DOUBLES + START]!;
    if (slot !== NO_SLOT && !table.isSameConnection(slot, row)) {
      this.#endByForce(slot);
    } else if (slot !== NO_SLOT) {
      const since = Math.min(start, table.start(slot));
      doubles[row * ROW_DOUBLES + START] = since;
      if (table.wasReported(slot)) this.#continueFrom(row, table.reportedUntil(slot));
      table.subtractReported(slot, row);
      this.requests?.ended(slot);
      table.remove(slot);
      return since;
    }
    const known = this.#givenUp.take(row);
    if (known !== undefined) {
      subtractCounters(this.#rows.view, row * ROW_OCTETS + 4 * OCTETS, known.counters, 0);
      this.#continueFrom(row, known.time);
    }
    return start;
  }

  /** Earlier records have reported the flow in a row up to `time`, which the clock may have gone behind since. */
  #continueFrom(row: number, time: number): void {
    const { words, doubles } = this.#rows;
    const at = row * ROW_DOUBLES;
    doubles[at + START] = time;
    doubles[at + END] = Math.max(doubles[at + END]!, time);
    words[row * ROW + FLOW]! |= CONTINUED;
  }

  /** The firewall no longer has the state in `slot`. `isFinal`: its counters are the last ones. */
  #deleted(slot: number, endReason: number, isFinal: boolean): void {
    const since = this.#observer === undefined ? 0 : this.table.start(slot);
    const row = this.#end(slot, endReason, isFinal ? 'final' : 'unproven');
    const { words } = this.#rows;
    const at = row * ROW;
    const now = this.table.now[0]!;
    this.#recentlyEnded.add(words[at + ID]!, words[at + ID + 1]!, words[at + CREATOR]!, now);
    this.#observer?.ended(row, since, now);
    if (this.#ended.count === this.#ended.capacity) this.#flushEnded();
  }

  /**
   * Ends the state in `slot` with what the table knows of it. `final`: its counters are the last ones. `givenUp`: the firewall
   * may still have it, and it may be heard of again. Returns the row of its flow.
   */
  #end(slot: number, endReason: number, end: 'final' | 'unproven' | 'givenUp'): number {
    const { table } = this;
    const row = this.#nextEnded();
    this.#ended.count++;
    this.#describe(slot, row, endReason, end === 'final');
    if (end === 'givenUp') {
      this.#rows.words[row * ROW + ORIGIN]! |= END_ASSUMED;
      // A record that comes later is of a state that lives; an earlier one of this key may have ended.
      this.#recentlyEnded.forget(...this.#keyOf(row));
      this.#givenUp.add(row, table.now[0]!);
    }
    table.subtractReported(slot, row);
    this.requests?.ended(slot);
    table.remove(slot);
    return row;
  }

  #nextEnded(): number {
    const ended = this.#ended;
    if (ended.count === ended.capacity) this.#flushEnded();
    return ended.first + ended.count;
  }

  #flushEnded(): void {
    const { first, count } = this.#ended;
    if (count === 0) return;
    this.#ended.count = 0;
    this.#consumer.ended(first, count);
  }

  /** Fills a row with the flow of an open state. */
  #describe(slot: number, row: number, endReason: number, isFinal: boolean): void {
    const { table } = this;
    const { words, doubles, view } = this.#rows;
    const at = row * ROW;
    table.read(slot, row);
    table.addPeerCounters(slot, row);
    const hasAdvanced = !isFinal && table.addAdvance(slot, row);
    const isCounted = areCounted(view, row * ROW_OCTETS + 4 * OCTETS);
    const provenance = isFinal ? EXACT : hasAdvanced ? TCPSEQ : isCounted ? PARTIAL : NONE;
    const origin = hasAdvanced ? FROM_SEQUENCE : isCounted || isFinal ? table.origin(slot) : FROM_NOBODY;
    const isContinued = table.wasReported(slot) ? CONTINUED : 0;
    words[at + FLOW] = provenance | (endReason << 16) | isContinued;
    words[at + ORIGIN] = origin;
    const now = table.now[0]!;
    doubles[row * ROW_DOUBLES + OBSERVED] = now;
    const age = (now - table.countedAt(slot)) / 1000;
    words[at + COUNTERS_AGE] = age > 0 ? Math.round(age) : 0;
  }

  #reportLongFlow(slot: number): void {
    const { activeTimeout } = this.#options;
    const { table } = this;
    const now = table.now[0]!;
    if (activeTimeout === 0 || now - table.reportedUntil(slot) < activeTimeout) return;
    // What has ended before goes first.
    this.#flushEnded();
    const row = this.#nextEnded();
    this.#describe(slot, row, ACTIVE_TIMEOUT, false);
    const reported = this.#reported;
    copyCounters(this.#rows.view, row * ROW_OCTETS + 4 * OCTETS, reported, 0);
    table.subtractReported(slot, row);
    this.#rows.doubles[row * ROW_DOUBLES + END] = now;
    this.#consumer.lives(row);
    table.setReported(slot, reported, now);
  }
}

/** In the row's FLOW: earlier records reported a part of the flow. */
const CONTINUED = 1 << 24;
