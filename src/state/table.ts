/**
 * The open states, by (creatorid, id), for every pfsync version: what a firewall has told of a state that has not ended.
 * pfsync v5 and v6 announce an end with the key alone; everything else a flow needs is kept here.
 */
import type { FlowRecord } from '../../protocol/flow/flow-record.js';
import { ADDRESS, ADDRESSES, DIRECTION, FAMILY, INTERFACE_NAME, PORTS } from '../../protocol/flow/row.js';
import { CLOSING, TCP, TIME_WAIT, hasPorts } from '../../protocol/flow/pf-terms.js';
import type { CompressedUpdateView } from '../../protocol/pfsync/record.js';
import { type StateRow } from '../../protocol/pfsync/state.js';
import { newVolume, subtract, type Volume } from '../../protocol/flow/volume.js';
import { LongestUnheard } from './longest-unheard.js';
import { StateIndex } from './index.js';
import {
  COUNTERS_USEFUL,
  CREATOR,
  DESTINATION_ADVANCE,
  FLAGS,
  HEARD,
  ID_HIGH,
  ID_LOW,
  IS_TCP,
  NO_SLOT,
  PEERS,
  RECORD_COUNTED,
  RECORD_START,
  REPORTED,
  SEQUENCE_SEEN,
  SOURCE_ADVANCE,
  TRAFFIC,
} from './hot-row.js';
import { StateRows } from './slab.js';
import { followSequence } from './tcp-sequence.js';

export { NO_SLOT } from './hot-row.js';

export class StateTable {
  readonly #rows = new StateRows();
  readonly #index = new StateIndex(this.#rows);
  readonly #volume = newVolume();
  readonly #reported = newVolume();
  readonly #creators = new Map<number, { states: number }>();
  #lastCreator = 0;
  #lastCount: { states: number } | undefined;
  /** Of no use to anybody, but without it `fetch` would not have to read. */
  seen = 0;
  readonly #unheard = new LongestUnheard(this.#rows);

  get size(): number {
    return this.#index.size;
  }

  /** Octets taken by the index and the rows. */
  get octets(): number {
    return this.#index.octets + this.#rows.octets;
  }

  /** Octets of the index and of what every message touches. */
  get hotOctets(): number {
    return this.#index.octets + this.#rows.hotOctets;
  }

  /** The state not heard of for the longest time; NO_SLOT in an empty table. */
  get oldest(): number {
    return this.#unheard.oldest();
  }

  /** The same, when it was last heard of before `limit`, in milliseconds since the epoch; NO_SLOT otherwise. */
  oldestBefore(limit: number): number {
    return this.#unheard.oldestBefore(limit);
  }

  find(idHigh: number, idLow: number, creatorId: number): number {
    return this.#index.find(idHigh, idLow, creatorId);
  }

  /** Announces that `findExpected(n)` will look for this state; `n` is below MOST_RECORDS. */
  expect(n: number, idHigh: number, idLow: number, creatorId: number): void {
    this.#index.expect(n, idHigh, idLow, creatorId);
  }

  /**
   * Has the processor bring in the rows of the expected states, with `whole` all that is known of them. A state makes it wait
   * for memory twice, for the index and for the row, and here the waits overlap: with a million states an update takes
   * about 270 ns in place of 480.
   */
  fetch(count: number, whole: boolean): void {
    const rows = this.#rows;
    let seen = 0;
    for (let n = 0; n < count; n++) {
      const slot = this.#index.guess(n);
      if (slot === NO_SLOT) continue;
      seen ^= rows.word(slot, ID_LOW);
      if (whole) seen ^= rows.wordOfRecord(slot);
    }
    this.seen = seen;
  }

  findExpected(n: number): number {
    return this.#index.findExpected(n);
  }

  /** Takes up a state that is not in the table. `time` is the message's, in milliseconds; `areUseful` is said of its counters. */
  insert(state: StateRow, time: number, areUseful: boolean): number {
    const rows = this.#rows;
    const slot = rows.allocate();
    const { hot, floats, records } = rows.slab(slot);
    rows.write(slot, state);
    const recordAt = rows.recordAt(slot);
    records.setFloat64(recordAt + RECORD_COUNTED, time, true);
    records.setFloat64(recordAt + RECORD_START, time - state.age * 1000, true);
    const at = rows.hotAt(slot);
    const creatorId = state.creatorId;
    hot[at + ID_HIGH] = state.idHigh;
    hot[at + ID_LOW] = state.idLow;
    hot[at + CREATOR] = creatorId;
    hot[at + FLAGS] = (state.protocol === TCP ? IS_TCP : 0) | (areUseful ? COUNTERS_USEFUL : 0);
    const floatsAt = rows.floatsAt(slot);
    floats[floatsAt + HEARD] = time;
    floats[floatsAt + TRAFFIC] = time;
    floats[floatsAt + SOURCE_ADVANCE] = 0;
    floats[floatsAt + DESTINATION_ADVANCE] = 0;
    this.learnPeers(slot, state);
    this.#index.add(slot);
    this.#countOf(creatorId).states++;
    return slot;
  }

  /** The state is gone. Its row can be read until the next `insert`. */
  remove(slot: number): void {
    const creatorId = this.#rows.word(slot, CREATOR);
    if (--this.#countOf(creatorId).states === 0) {
      this.#creators.delete(creatorId);
      this.#lastCount = undefined;
    }
    this.#index.remove(slot);
    this.#rows.release(slot);
  }

  /** Whether the row is about the same connection: addresses, ports, protocol and direction. */
  isSameConnection(slot: number, state: StateRow): boolean {
    const { records, recordWords } = this.#rows.slab(slot);
    const at = this.#rows.recordAt(slot);
    const { words } = state;
    const isSameWord = (word: number) => recordWords[at / 4 + word] === words[word];
    // Families and protocols of both sides are one word.
    if (!isSameWord(FAMILY / 4)) return false;
    if (records.getUint8(at + DIRECTION) !== state.direction) return false;
    const wordsOfAddress = state.family === 4 && state.translatedFamily === 4 ? 1 : 4;
    for (let end = 0; end < 4; end++) {
      const address = (ADDRESSES + ADDRESS * end) / 4;
      for (let word = 0; word < wordsOfAddress; word++) if (!isSameWord(address + word)) return false;
    }
    return !hasPorts(state.protocol) || (isSameWord(PORTS / 4) && isSameWord(PORTS / 4 + 1));
  }

  /** A message named the state. `isTraffic`: it shows that packets passed. */
  heard(slot: number, time: number, isTraffic: boolean): void {
    const rows = this.#rows;
    const { floats } = rows.slab(slot);
    const at = rows.floatsAt(slot);
    floats[at + HEARD] = time;
    if (isTraffic && time > floats[at + TRAFFIC]!) floats[at + TRAFFIC] = time;
  }

  /** A full record told the state's age: the earliest start that any gives is the true one. */
  learnAge(slot: number, start: number): void {
    const { records } = this.#rows.slab(slot);
    const at = this.#rows.recordAt(slot) + RECORD_START;
    if (start < records.getFloat64(at, true)) records.setFloat64(at, start, true);
  }

  /**
   * Keeps counters if they are news: counters only grow, and the second of two peers counts no more than what passed
   * through itself. The answer is whether they moved.
   */
  learnCounters(slot: number, told: Volume, time: number, isUseful: boolean): boolean {
    const rows = this.#rows;
    const forward = rows.raiseCounters(slot, told, 0);
    const reply = rows.raiseCounters(slot, told, 1);
    if (forward >= 0 || reply >= 0) {
      rows.slab(slot).records.setFloat64(rows.recordAt(slot) + RECORD_COUNTED, time, true);
      if (isUseful) this.#setFlag(slot, COUNTERS_USEFUL);
    }
    return forward > 0 || reply > 0;
  }

  /** A message told the peers: how far a connection has come, and in TCP how much payload went through it. */
  learnPeers(slot: number, peers: StateRow | CompressedUpdateView): void {
    const rows = this.#rows;
    const { hot } = rows.slab(slot);
    const at = rows.hotAt(slot);
    hot[at + PEERS] = peers.sourceState | (peers.destinationState << 8);
    if ((hot[at + FLAGS]! & IS_TCP) !== 0) followSequence(rows, slot, peers);
  }

  /** Copies what is known of the state into its row. */
  read(slot: number, state: StateRow): void {
    this.#rows.read(slot, state);
  }

  /** Fills in what the table tells of a flow: the state with its counters, times and payload. `end` is the last sign of traffic. */
  describe(slot: number, flow: FlowRecord): void {
    const rows = this.#rows;
    rows.read(slot, flow.state);
    const { hot, floats } = rows.slab(slot);
    const floatsAt = rows.floatsAt(slot);
    const flags = hot[rows.hotAt(slot) + FLAGS]!;
    flow.isContinued = this.wasReported(slot);
    flow.start = this.reportedUntil(slot);
    flow.end = Math.max(floats[floatsAt + TRAFFIC]!, flow.start);
    flow.hasResponderSequence = (flags & (SEQUENCE_SEEN << 1)) !== 0;
    flow.initiatorOctets = floats[floatsAt + SOURCE_ADVANCE]!;
    flow.responderOctets = floats[floatsAt + DESTINATION_ADVANCE]!;
  }

  /** Whether both are states of one interface. */
  hasInterfaceOf(slot: number, { words }: StateRow): boolean {
    const { recordWords } = this.#rows.slab(slot);
    const at = this.#rows.recordAt(slot) / 4;
    for (let word = INTERFACE_NAME / 4; word < INTERFACE_NAME / 4 + 4; word++) {
      if (recordWords[at + word] !== words[word]) return false;
    }
    return true;
  }

  /** Milliseconds since the epoch: the earliest start that was told, or the last sign of traffic where that is earlier still. */
  start(slot: number): number {
    const told = this.#rows.slab(slot).records.getFloat64(this.#rows.recordAt(slot) + RECORD_START, true);
    return Math.min(told, this.#rows.float(slot, TRAFFIC));
  }

  /** Whether both ends of a TCP connection said that they were done: it ended by itself, not by a timeout. */
  isClosedTcp(slot: number): boolean {
    const peers = this.#rows.word(slot, PEERS);
    return (this.#rows.word(slot, FLAGS) & IS_TCP) !== 0 && isDone(peers & 255) && isDone(peers >> 8);
  }

  /** Milliseconds since the epoch when the counters were told. */
  lastCounted(slot: number): number {
    return this.#rows.slab(slot).records.getFloat64(this.#rows.recordAt(slot) + RECORD_COUNTED, true);
  }

  hasUsefulCounters(slot: number): boolean {
    return (this.#rows.word(slot, FLAGS) & COUNTERS_USEFUL) !== 0;
  }

  /** Earlier records of a long flow have told a part of its volume. */
  wasReported(slot: number): boolean {
    return (this.#rows.word(slot, FLAGS) & REPORTED) !== 0;
  }

  /** Milliseconds since the epoch up to which the flow has been told. */
  reportedUntil(slot: number): number {
    if (!this.wasReported(slot)) return this.start(slot);
    return this.#rows.reportTime(slot);
  }

  /** Leaves in the counters of `state` what they have gained since the last report. */
  subtractReported(slot: number, state: StateRow): void {
    if (!this.wasReported(slot)) return;
    const volume = this.#volume;
    state.readVolume(volume);
    this.#rows.readReported(slot, this.#reported);
    subtract(volume, this.#reported);
    state.writeVolume(volume);
  }

  /** The counters as they stand now have been told. */
  report(slot: number, time: number): void {
    this.#rows.report(slot, time);
    this.#setFlag(slot, REPORTED);
  }

  /** The loop may remove what it is given. */
  *[Symbol.iterator](): Generator<number> {
    for (let slot = this.#rows.next(0); slot !== NO_SLOT; slot = this.#rows.next(slot + 1)) yield slot;
  }

  /** The open states of one creator; none are looked at when it has none. The loop may remove what it is given. */
  *ofCreator(creatorId: number): Generator<number> {
    if (!this.#creators.has(creatorId)) return;
    for (const slot of this) {
      if (this.#rows.word(slot, CREATOR) === creatorId) yield slot;
    }
  }

  #setFlag(slot: number, flag: number): void {
    this.#rows.setWord(slot, FLAGS, this.#rows.word(slot, FLAGS) | flag);
  }

  #countOf(creatorId: number): { states: number } {
    if (this.#lastCount !== undefined && this.#lastCreator === creatorId) return this.#lastCount;
    let count = this.#creators.get(creatorId);
    if (count === undefined) {
      count = { states: 0 };
      this.#creators.set(creatorId, count);
    }
    this.#lastCreator = creatorId;
    this.#lastCount = count;
    return count;
  }
}

function isDone(peerState: number): boolean {
  return peerState >= CLOSING && peerState <= TIME_WAIT;
}
