/**
 * The open states, by (creatorid, id), for every pfsync version: what a firewall has reported of a state that has not ended.
 * pfsync v5 and v6 announce an end with the key alone; everything else a flow needs is kept here.
 */
import { CLOSING, countsBothDirections, hasPorts, TCP, TIME_WAIT } from '../../protocol/flow/pf-terms.js';
import {
  ADDRESS,
  ADDRESSES,
  AGE,
  END,
  EXPIRE,
  ID,
  INTERFACE,
  OCTETS,
  PORTS,
  PROTOCOLS,
  ROW,
  CREATOR as ROW_CREATOR,
  DESTINATION_SEQLO as ROW_DESTINATION_SEQLO,
  ROW_DOUBLES,
  ROW_OCTETS,
  SOURCE_SEQLO as ROW_SOURCE_SEQLO,
  START,
  STATE,
  TRANSLATED_PORTS,
} from '../../protocol/flow/row.js';
import type { FlowRows } from '../../protocol/flow/rows.js';
import { addCounters, addOctets, areCounted, raiseCounters, subtractCounters } from './counters.js';
import {
  BEGINNING_SEEN,
  COUNTED_AT,
  CREATOR,
  DESTINATION_ADVANCE,
  FLAGS,
  HAS_PEER,
  HEARD,
  ID_FIRST,
  ID_SECOND,
  IS_TCP,
  NO_SLOT,
  ORIGIN,
  OWN_TRAFFIC,
  PEER_COUNTED_AT,
  PEER_COUNTERS,
  PEER_DOUBLES,
  PEER_REMAINING,
  PEER_SENDER,
  PEER_SHOWED_TRAFFIC,
  PEER_TRAFFIC,
  PEER_WORDS,
  PEERS,
  RECORD_DOUBLES,
  REMAINING,
  REPORTED,
  ROW_MASK,
  SENDER,
  SEQUENCE_SEEN,
  SHOWED_TRAFFIC,
  SOURCE_ADVANCE,
  STARTED,
  TIMEOUT_TOLD,
  TRAFFIC,
  UNPROVABLE,
} from './hot-row.js';
import { StateIndex } from './index.js';
import { LongestUnheard } from './longest-unheard.js';
import { StateRows } from './slab.js';
import { followSequence, forgetSequence, restartAdvance } from './tcp-sequence.js';

export { NO_SLOT } from './hot-row.js';

/** Words as rows have them. */
export interface StateKey {
  readonly idFirst: number;
  readonly idSecond: number;
  readonly creatorId: number;
}

/** What a second firewall has reported of a state, and the last traffic of the first one. */
export interface PeerReport {
  /** Number of the firewall. */
  readonly sender: number;
  readonly showedTraffic: boolean;
  readonly isCounted: boolean;
  readonly countedAt: number;
  /** Seconds that the state had left to live then. */
  readonly remaining: number;
  readonly traffic: number;
  readonly ownTraffic: number;
}

/** Part of a millisecond between records of the same one: times of messages are whole milliseconds. */
const LATER = 1 / 64;

export class StateTable {
  /** Time of the message at hand, in milliseconds since the epoch. Set by the tracker. */
  readonly now = new Float64Array(1);
  /** Number of the firewall that sent the message; 0 where all come from one, as on a tap. Set by the tracker. */
  sender = 0;
  /** Two firewalls have told of states. Set by the tracker. */
  hasPair = false;
  readonly #rows = new StateRows();
  readonly #index = new StateIndex(this.#rows);
  readonly #flows: FlowRows;
  readonly #creators = new Map<number, { states: number }>();
  #lastCreator = 0;
  #lastCount: { states: number } | undefined;
  /** Nobody needs it, but without it `prefetch` would not have to read. */
  seen = 0;
  readonly #unheard = new LongestUnheard(this.#rows);

  /** States come from rows of this memory, and go there. */
  constructor(flows: FlowRows) {
    this.#flows = flows;
  }

  /**
   * Whether states may have gone through another firewall, too: two have told of states, or have made those that are open. A
   * tap shows what went through its own firewall alone.
   */
  get mayHavePair(): boolean {
    return this.hasPair || (this.sender !== 0 && this.#creators.size > 1);
  }

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

  /** The state that no message has named for the longest time; NO_SLOT in an empty table. */
  get oldest(): number {
    return this.#unheard.oldest();
  }

  /** The same, when it was last named before `limit`, in milliseconds since the epoch; NO_SLOT otherwise. */
  oldestBefore(limit: number): number {
    return this.#unheard.oldestBefore(limit);
  }

  /** The slot of a state by its key, words as rows have them; NO_SLOT when it is not in the table. */
  find(idFirst: number, idSecond: number, creatorId: number): number {
    return this.#index.find(idFirst, idSecond, creatorId);
  }

  /** The same for a state in a row. */
  findRow(row: number): number {
    const { words } = this.#flows;
    return this.find(words[row * ROW + ID]!, words[row * ROW + ID + 1]!, words[row * ROW + ROW_CREATOR]!);
  }

  /** Prepares for `findExpected(n)` of this state; `n` is below MOST_EXPECTED. */
  expect(n: number, idFirst: number, idSecond: number, creatorId: number): void {
    this.#index.expect(n, idFirst, idSecond, creatorId);
  }

  /**
   * Has the processor load the rows of the expected states, with `whole` their records too. A state makes it wait for memory
   * twice, for the index and for the row, and here the waits overlap.
   */
  prefetch(count: number, whole: boolean): void {
    const rows = this.#rows;
    let seen = 0;
    for (let n = 0; n < count; n++) {
      const slot = this.#index.guess(n);
      if (slot === NO_SLOT) continue;
      seen ^= rows.word(slot, ID_SECOND);
      if (whole) seen ^= rows.recordWord(slot, 0) ^ rows.recordWord(slot, 16) ^ rows.recordWord(slot, 32);
    }
    this.seen = seen;
  }

  /** The slot that an expected state probably has; NO_SLOT where it has none. */
  guess(n: number): number {
    return this.#index.guess(n);
  }

  findExpected(n: number): number {
    return this.#index.findExpected(n);
  }

  /**
   * Takes up a state that is not in the table, from its row. `origin` is who reported its counters (terms), `flags` are those of
   * a hot row. Until something else is known the last packet is that of the message at hand.
   */
  insert(row: number, origin: number, flags: number): number {
    const rows = this.#rows;
    const { words } = this.#flows;
    const from = row * ROW;
    const now = this.now[0]!;
    const slot = rows.allocate();
    const { hot, doubles, records, recordDoubles } = rows.slab(slot);
    rows.write(slot, this.#flows, row);
    const double = (slot & ROW_MASK) * RECORD_DOUBLES;
    recordDoubles[double + COUNTED_AT] = now;
    const age = words[from + AGE]!;
    // An age with its highest bit set comes of a clock that was set back.
    recordDoubles[double + STARTED] = age < 0 ? now : now - 1000 * age;
    const record = rows.recordAt(slot);
    records[record + REMAINING] = words[from + EXPIRE]!;
    records[record + ORIGIN] = origin;
    const at = rows.hotAt(slot);
    const creatorId = words[from + ROW_CREATOR]!;
    const idFirst = words[from + ID]!;
    const idSecond = words[from + ID + 1]!;
    hot[at + ID_FIRST] = idFirst;
    hot[at + ID_SECOND] = idSecond;
    hot[at + CREATOR] = creatorId;
    hot[at + FLAGS] = flags | (((words[from + PROTOCOLS]! >>> 16) & 255) === TCP ? IS_TCP : 0);
    hot[at + PEERS] = 0;
    hot[at + SENDER] = this.sender;
    const doublesAt = rows.doublesAt(slot);
    doubles[doublesAt + HEARD] = now;
    doubles[doublesAt + TRAFFIC] = now;
    doubles[doublesAt + SOURCE_ADVANCE] = 0;
    doubles[doublesAt + DESTINATION_ADVANCE] = 0;
    this.learnPeersOfRow(slot, row);
    this.#index.add(slot, idFirst, idSecond, creatorId);
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
  isSameConnection(slot: number, row: number): boolean {
    const { words } = this.#flows;
    const { records } = this.#rows.slab(slot);
    const at = this.#rows.recordAt(slot);
    const from = row * ROW;
    // Families and protocols of both sides are one word.
    const protocols = words[from + PROTOCOLS]!;
    if (records[at + PROTOCOLS] !== protocols) return false;
    if (((records[at + STATE]! ^ words[from + STATE]!) & 255) !== 0) return false;
    const wordsOfAddress = (protocols & 0xffff) === 0x0404 ? 1 : ADDRESS;
    for (let end = ADDRESSES; end < ADDRESSES + 4 * ADDRESS; end += ADDRESS) {
      for (let word = end; word < end + wordsOfAddress; word++) {
        if (records[at + word] !== words[from + word]) return false;
      }
    }
    if (!hasPorts((protocols >>> 16) & 255)) return true;
    return (
      records[at + PORTS] === words[from + PORTS] &&
      records[at + TRANSLATED_PORTS] === words[from + TRANSLATED_PORTS]
    );
  }

  /** A message named the state. */
  hear(slot: number): void {
    const rows = this.#rows;
    rows.slab(slot).doubles[rows.doublesAt(slot) + HEARD] = this.now[0]!;
  }

  /** A message named the state, and shows that packets have passed through its sender, the last of them at `time`. */
  hearTraffic(slot: number, time = this.now[0]!): void {
    const rows = this.#rows;
    const { hot, doubles } = rows.slab(slot);
    const at = rows.doublesAt(slot);
    const hotAt = rows.hotAt(slot);
    const isPeer = hot[hotAt + SENDER] !== this.sender;
    // Its report keeps when the record's own firewall last showed traffic: that is not now.
    if (isPeer) this.#hearPeer(slot, time);
    doubles[at + HEARD] = this.now[0]!;
    if (time > doubles[at + TRAFFIC]!) doubles[at + TRAFFIC] = time;
    if (!isPeer) {
      hot[hotAt + FLAGS]! |= SHOWED_TRAFFIC;
      if ((hot[hotAt + FLAGS]! & HAS_PEER) !== 0) {
        rows.peersOf(slot).doubles[(slot & ROW_MASK) * PEER_DOUBLES + OWN_TRAFFIC] = time;
      }
    }
  }

  /** The same for a compressed update, which tells of packets behind the last report, be it of the same millisecond. */
  hearPacket(slot: number): void {
    const now = this.now[0]!;
    const last = this.lastSign(slot);
    this.hearTraffic(slot, last < now || last >= now + 1 - LATER ? now + LATER : last + LATER);
  }

  /**
   * A full record that shows no traffic says when the last packet passed, to about a second: `time`, in milliseconds since the
   * epoch. In a state that was not known before this replaces the time of the record.
   */
  guessTraffic(slot: number, time: number): void {
    const rows = this.#rows;
    const { hot, doubles } = rows.slab(slot);
    const at = rows.doublesAt(slot) + TRAFFIC;
    const isSure = (hot[rows.hotAt(slot) + FLAGS]! & (SHOWED_TRAFFIC | HAS_PEER)) !== 0;
    doubles[at] = Math.max(time, isSure ? doubles[at]! : this.start(slot));
  }

  #hearPeer(slot: number, time: number): void {
    if (!this.#hasPeerReport(slot)) return;
    const { words, doubles } = this.#rows.peersOf(slot);
    words[(slot & ROW_MASK) * PEER_WORDS + PEER_SHOWED_TRAFFIC] = 1;
    doubles[(slot & ROW_MASK) * PEER_DOUBLES + PEER_TRAFFIC] = time;
  }

  /** Makes the peer report where there is none. False for a third firewall: nothing is proven then. */
  #hasPeerReport(slot: number): boolean {
    const rows = this.#rows;
    const { words, doubles } = rows.peersOf(slot);
    const at = (slot & ROW_MASK) * PEER_WORDS;
    if ((rows.word(slot, FLAGS) & HAS_PEER) === 0) {
      words.fill(0, at, at + PEER_WORDS);
      words[at + PEER_SENDER] = this.sender;
      doubles[(slot & ROW_MASK) * PEER_DOUBLES + OWN_TRAFFIC] = rows.double(slot, TRAFFIC);
      this.setFlag(slot, HAS_PEER);
    }
    if (words[at + PEER_SENDER] === this.sender) return true;
    this.setFlag(slot, UNPROVABLE);
    return false;
  }

  /** Takes in the state's age in seconds: the earliest start that any record gives is the true one. */
  learnAge(slot: number, age: number): void {
    if (age < 0) return;
    const { recordDoubles } = this.#rows.slab(slot);
    const at = (slot & ROW_MASK) * RECORD_DOUBLES + STARTED;
    const start = this.now[0]! - 1000 * age;
    if (start < recordDoubles[at]!) recordDoubles[at] = start;
  }

  /**
   * Takes in counters (at octet `at` of `view`, as rows have them) that `origin` reported, with the seconds that the state has
   * left to live. Counters only grow: lower ones are old and change nothing. Returns whether they moved.
   */
  learnCounters(slot: number, view: DataView, at: number, remaining: number, origin: number): boolean {
    const rows = this.#rows;
    if (rows.word(slot, SENDER) !== this.sender) return this.#learnPeerCounters(slot, view, at, remaining);
    const { records, recordDoubles, recordView } = rows.slab(slot);
    const record = rows.recordAt(slot);
    const moved = raiseCounters(view, at, recordView, 4 * (record + OCTETS));
    if (moved < 0) return false;
    recordDoubles[(slot & ROW_MASK) * RECORD_DOUBLES + COUNTED_AT] = this.#behind(this.lastSign(slot));
    records[record + REMAINING] = remaining;
    records[record + ORIGIN] = origin;
    // Where they stand still, what has advanced went through another firewall.
    if (moved > 0) restartAdvance(rows, slot);
    return moved > 0;
  }

  /**
   * Takes in counters that another program read from the firewall of the record. The sequence numbers at hand are older than
   * they are: the next ones are where the advance begins.
   */
  learnReported(slot: number, view: DataView, remaining: number, origin: number): boolean {
    const sender = this.sender;
    this.sender = this.#rows.word(slot, SENDER);
    const moved = this.learnCounters(slot, view, 0, remaining, origin);
    if (moved) this.hearTraffic(slot);
    this.sender = sender;
    forgetSequence(this.#rows, slot);
    return moved;
  }

  /**
   * A second firewall counts what went through itself. The zeros of a backup change nothing; only where the state's beginning
   * was not seen do they tell anything.
   */
  #learnPeerCounters(slot: number, view: DataView, at: number, remaining: number): boolean {
    const isNews = areCounted(view, at) || (this.flags(slot) & BEGINNING_SEEN) === 0;
    if (!isNews || !this.#hasPeerReport(slot)) return false;
    const { words, doubles, view: peers } = this.#rows.peersOf(slot);
    const peer = (slot & ROW_MASK) * PEER_WORDS;
    const moved = raiseCounters(view, at, peers, 4 * (peer + PEER_COUNTERS));
    if (moved < 0) return false;
    words[peer + PEER_REMAINING] = remaining;
    const report = (slot & ROW_MASK) * PEER_DOUBLES;
    doubles[report + PEER_COUNTED_AT] = this.#behind(doubles[report + PEER_TRAFFIC]!);
    if (moved > 0) restartAdvance(this.#rows, slot);
    return moved > 0;
  }

  /** The time of a report, which lies behind traffic of the same millisecond that came before it. */
  #behind(traffic: number): number {
    const now = this.now[0]!;
    return traffic > now && traffic < now + 1 ? traffic : now;
  }

  /** Takes in the counters of a full record in a row. */
  learnCountersOfRow(slot: number, row: number, origin: number): boolean {
    const { view, words } = this.#flows;
    return this.learnCounters(slot, view, row * ROW_OCTETS + 4 * OCTETS, words[row * ROW + EXPIRE]!, origin);
  }

  /** Takes in the peers of a message: how far a connection has come, pf's timeout, and TCP sequence numbers. */
  learnPeers(
    slot: number,
    sourceState: number,
    destinationState: number,
    timeout: number,
    sourceSeqlo: number,
    destinationSeqlo: number,
  ): void {
    const rows = this.#rows;
    const { hot } = rows.slab(slot);
    const at = rows.hotAt(slot);
    if ((hot[at + FLAGS]! & IS_TCP) !== 0) {
      followSequence(rows, slot, sourceSeqlo, destinationSeqlo, sourceState, destinationState);
    }
    const peers = sourceState | (destinationState << 8) | (timeout << 16);
    if ((hot[at + PEERS]! ^ peers) >>> 16 !== 0) hot[at + FLAGS]! &= ~TIMEOUT_TOLD;
    hot[at + PEERS] = peers;
  }

  /** The same for the peers of a full record in a row. */
  learnPeersOfRow(slot: number, row: number): void {
    const { words } = this.#flows;
    const at = row * ROW;
    const state = words[at + STATE]!;
    const seqlo = words[at + ROW_SOURCE_SEQLO]!;
    const otherSeqlo = words[at + ROW_DESTINATION_SEQLO]!;
    this.learnPeers(slot, (state >>> 16) & 255, state >>> 24, (state >>> 8) & 255, seqlo, otherSeqlo);
    this.setFlag(slot, TIMEOUT_TOLD);
  }

  /** Copies what the table knows of the state into a row: the state, its counters, and its start and end. */
  read(slot: number, row: number): void {
    const rows = this.#rows;
    const { words, doubles } = this.#flows;
    rows.read(slot, this.#flows, row);
    const hot = rows.slab(slot);
    const flags = hot.hot[rows.hotAt(slot) + FLAGS]!;
    // The mapper asks only whether pf has followed the responder's numbers.
    words[row * ROW + ROW_DESTINATION_SEQLO] = (flags & (SEQUENCE_SEEN << 1)) !== 0 ? 1 : 0;
    const start = this.reportedUntil(slot);
    const traffic = Math.floor(hot.doubles[rows.doublesAt(slot) + TRAFFIC]!);
    doubles[row * ROW_DOUBLES + START] = start;
    doubles[row * ROW_DOUBLES + END] = Math.max(traffic, start);
  }

  /** Adds to the counters of a row those that a second firewall has reported. */
  addPeerCounters(slot: number, row: number): void {
    if ((this.flags(slot) & HAS_PEER) === 0) return;
    const at = 4 * ((slot & ROW_MASK) * PEER_WORDS + PEER_COUNTERS);
    addCounters(this.#flows.view, row * ROW_OCTETS + 4 * OCTETS, this.#rows.peersOf(slot).view, at);
  }

  /** What a second firewall has reported; undefined where there is none. Times are milliseconds since the epoch. */
  peer(slot: number): PeerReport | undefined {
    if ((this.flags(slot) & HAS_PEER) === 0) return undefined;
    const { words, doubles, view } = this.#rows.peersOf(slot);
    const word = (slot & ROW_MASK) * PEER_WORDS;
    const double = (slot & ROW_MASK) * PEER_DOUBLES;
    return {
      sender: words[word + PEER_SENDER]!,
      showedTraffic: words[word + PEER_SHOWED_TRAFFIC] !== 0,
      isCounted: areCounted(view, 4 * (word + PEER_COUNTERS)),
      countedAt: doubles[double + PEER_COUNTED_AT]!,
      remaining: words[word + PEER_REMAINING]!,
      traffic: doubles[double + PEER_TRAFFIC]!,
      ownTraffic: doubles[double + OWN_TRAFFIC]!,
    };
  }

  /**
   * Adds to the counters of a row what the sequence numbers have advanced by since they were reported: of an af-to state
   * everything to the initiator's, as pf counts. Returns whether that is anything.
   */
  addAdvance(slot: number, row: number): boolean {
    const { doubles } = this.#rows.slab(slot);
    const at = this.#rows.doublesAt(slot);
    const sent = doubles[at + SOURCE_ADVANCE]!;
    const answered = doubles[at + DESTINATION_ADVANCE]!;
    const { view, words } = this.#flows;
    const counters = row * ROW_OCTETS + 4 * OCTETS;
    if (sent > 0) addOctets(view, counters, 0, sent);
    const side = countsBothDirections(words[row * ROW + PROTOCOLS]!) ? 0 : 1;
    if (answered > 0) addOctets(view, counters, side, answered);
    return sent + answered > 0;
  }

  /** Whether the state belongs to this interface. */
  isOnInterface(slot: number, number: number): boolean {
    return this.#rows.recordWord(slot, INTERFACE) === number;
  }

  /** Milliseconds since the epoch: the earliest start that was reported, or the last sign of traffic where that is earlier still. */
  start(slot: number): number {
    const reported = this.#rows.slab(slot).recordDoubles[(slot & ROW_MASK) * RECORD_DOUBLES + STARTED]!;
    return Math.min(reported, Math.floor(this.lastSign(slot)));
  }

  /** Milliseconds since the epoch of the last sign of traffic. */
  lastSign(slot: number): number {
    return this.#rows.double(slot, TRAFFIC);
  }

  /** Whether both ends of a TCP connection were done: it ended by itself, not by a timeout. */
  isClosedTcp(slot: number): boolean {
    const peers = this.#rows.word(slot, PEERS);
    const isTcp = (this.#rows.word(slot, FLAGS) & IS_TCP) !== 0;
    return isTcp && isDone(peers & 255) && isDone((peers >>> 8) & 255);
  }

  /** States of the source peer and of the destination peer in the two low octets, then pf's timeout. */
  peers(slot: number): number {
    return this.#rows.word(slot, PEERS);
  }

  /** IP protocol of the state's key on the initiator's side. */
  protocol(slot: number): number {
    return (this.#rows.recordWord(slot, PROTOCOLS) >>> 16) & 255;
  }

  /** Number of the firewall whose counters the record holds. */
  senderOf(slot: number): number {
    return this.#rows.word(slot, SENDER);
  }

  /** The key, words as rows have them. */
  keyOf(slot: number): StateKey {
    const rows = this.#rows;
    return {
      idFirst: rows.word(slot, ID_FIRST),
      idSecond: rows.word(slot, ID_SECOND),
      creatorId: rows.word(slot, CREATOR),
    };
  }

  /** Milliseconds since the epoch when the counters were reported. */
  countedAt(slot: number): number {
    return this.#rows.slab(slot).recordDoubles[(slot & ROW_MASK) * RECORD_DOUBLES + COUNTED_AT]!;
  }

  /** Seconds that the state had left to live then. */
  remaining(slot: number): number {
    return this.#rows.recordWord(slot, REMAINING);
  }

  /** Who reported the counters (terms). */
  origin(slot: number): number {
    return this.#rows.recordWord(slot, ORIGIN);
  }

  /** Whether any counter is above 0. */
  isCounted(slot: number): boolean {
    return areCounted(this.#rows.slab(slot).recordView, 4 * (this.#rows.recordAt(slot) + OCTETS));
  }

  flags(slot: number): number {
    return this.#rows.word(slot, FLAGS);
  }

  setFlag(slot: number, flag: number): void {
    this.#rows.setWord(slot, FLAGS, this.#rows.word(slot, FLAGS) | flag);
  }

  /** Earlier records have reported a part of the flow. */
  wasReported(slot: number): boolean {
    return (this.#rows.word(slot, FLAGS) & REPORTED) !== 0;
  }

  /** Milliseconds since the epoch up to which the flow has been reported; its start where it has not. */
  reportedUntil(slot: number): number {
    return this.wasReported(slot) ? this.#rows.reported(slot).time : this.start(slot);
  }

  /** Leaves in the counters of a row what they have gained since the last report. */
  subtractReported(slot: number, row: number): void {
    if (!this.wasReported(slot)) return;
    const { view, at } = this.#rows.reported(slot);
    subtractCounters(this.#flows.view, row * ROW_OCTETS + 4 * OCTETS, view, at);
  }

  /** Keeps counters, as rows have them, that have been reported by `time`. */
  setReported(slot: number, counters: DataView, time: number): void {
    this.#rows.setReported(slot, counters, time);
    this.setFlag(slot, REPORTED);
  }

  /** The open states that were last named before the limit of their timeout. The loop may remove what it is given. */
  *overdue(limits: Float64Array): Generator<number> {
    const rows = this.#rows;
    for (let slot = rows.nextOverdue(0, limits); slot !== NO_SLOT; slot = rows.nextOverdue(slot + 1, limits))
      yield slot;
  }

  /** All open states. The loop may remove what it is given. */
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
