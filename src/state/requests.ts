/**
 * Which states to request an update for, and when. Counters are final when a state dies of age without traffic after their
 * report (proof), so each state is to be reported once more between its last packet and its death. Times are those of the
 * messages; within, they are ticks.
 */
import { ICMP, ICMP6, SCTP, TCP } from '../../protocol/flow/pf-terms.js';
import type { RequestCounts } from '../observe/statistics.js';
import { BulkRequests } from './bulk-requests.js';
import { ROW_MASK, ROW_SHIFT, ROWS } from './hot-row.js';
import { unreportedBy } from './proof.js';
import { NO_SLOT, type StateTable } from './table.js';
import { Ticks } from './ticks.js';
import { timeoutSeconds } from './timeouts.js';
import { FURTHEST, TimingWheel } from './timing-wheel.js';
import { UnknownStates } from './unknown-states.js';
import { UrgencyQueue } from './urgency-queue.js';

export interface RequestSettings {
  /** Milliseconds from traffic to the request for a state's counters, at most. */
  readonly interval: number;
  /** States a second that are requested at most. */
  readonly rate: number;
}

/** What sends the requests. `sender` is the number of the firewall that is asked, the key as words of rows have it. */
export interface RequestSender {
  requestState(sender: number, idFirst: number, idSecond: number, creatorId: number): void;
  requestAll(sender: number): void;
}

/** Milliseconds. */
const TICK = 100;
const SECOND = 1000 / TICK;
/** A state that is about to end is requested so long after its last sign of traffic. */
const QUIET = 2 * SECOND;
/** A firewall answers at once: without an answer the request is repeated. */
const REPEAT = 2 * SECOND;
const MOST_TRIES = 3;
/** Share of a second whose requests may be sent at once. */
const BURST = 0.2;
/** Share of the requests that states which the table does not have can take from those it has. */
const UNKNOWN_SHARE = 0.5;

/** States of a peer, and pf's timeouts of SCTP (FreeBSD 14 and later), after which a connection carries nothing more. */
const FIN_WAIT_2 = 9;
const TIME_WAIT = 10;
const SCTP_CLOSING = 23;
const SCTP_CLOSED = 24;

/** Words of a slot: the tick at which it stands in the wheel (0: nowhere), the latest tick for the request, flags, and REPORTED. */
const SCHEDULED = 0;
const DEADLINE = 1;
const FLAGS = 2;
/** The last report: pf's timeout in the low octet, and how many seconds were left to live. */
const REPORTED = 3;
const WORDS = 4;
const LONGEST = 0x7f_ffff;
/** A usual timeout in place of one that is not known. Seconds. */
const SOME_TIMEOUT = 30;

/** Flags: what ends the state, tries so far, and whether it needs a report, and waits in the queue. */
const IS_TCP = 1;
const IS_SCTP = 2;
const IS_ICMP = 3;
const KIND = 3;
const TRY = 4;
const TRIES = 3 * TRY;
const NEEDED = 16;
const QUEUED = 32;

export class StateRequests {
  /** Nobody needs it, but without it `prefetch` would not have to read. */
  seen = 0;
  readonly #table: StateTable;
  readonly #counts: RequestCounts;
  readonly #interval: number;
  readonly #rate: number;
  readonly #bulk = new BulkRequests();
  readonly #wheel = new TimingWheel();
  readonly #queue = new UrgencyQueue();
  readonly #unknown: UnknownStates;
  readonly #slabs: (Int32Array | undefined)[] = [];
  readonly #ticks = new Ticks(TICK, FURTHEST);
  /** When `take` was last called, in milliseconds since the epoch. */
  readonly #takenAt = Float64Array.of(Number.NaN);
  /** States that may be requested now; the rest of one is kept. */
  #budget = 0;
  #sender = 0;
  #isFirewall = false;

  constructor(table: StateTable, { interval, rate }: RequestSettings, counts: RequestCounts) {
    this.#table = table;
    this.#counts = counts;
    this.#interval = Math.max(1, Math.round(interval / TICK));
    this.#rate = rate;
    this.#unknown = new UnknownStates(interval / 1000);
  }

  /** What follows comes from this firewall, in messages of this version. */
  source(sender: number, version: number): void {
    this.#sender = sender;
    this.#isFirewall = false;
    this.#bulk.source(sender, version);
  }

  /**
   * A record that only a firewall through which packets pass sends: it can be asked from now on. Deletes come from the backup
   * of a pair, too, which has nothing to tell, and whose answers would keep the other one's states alive.
   */
  heard(): void {
    if (!this.#isFirewall) this.#isFirewall = this.#bulk.heard();
  }

  bulkUpdate(status: 'start' | 'end'): void {
    this.heard();
    this.#bulk.seen(status, this.#table.now[0]!);
  }

  /** Has the processor load what is kept of the states that the table expects, as the table does with its rows. */
  prefetch(count: number): void {
    let seen = 0;
    for (let n = 0; n < count; n++) {
      const slot = this.#table.guess(n);
      if (slot !== NO_SLOT) seen ^= this.#wordsOf(slot)[atOf(slot) + FLAGS]!;
    }
    this.seen = seen;
  }

  /** A state was opened, and its counters reported. */
  opened(slot: number): void {
    const words = this.#wordsOf(slot);
    const at = atOf(slot);
    const protocol = this.#table.protocol(slot);
    const isIcmp = protocol === ICMP || protocol === ICMP6;
    words[at + FLAGS] = protocol === TCP ? IS_TCP : protocol === SCTP ? IS_SCTP : isIcmp ? IS_ICMP : 0;
    words[at + REPORTED] = this.#reported(slot);
  }

  /** The counters of a state were reported. */
  counted(slot: number): void {
    const words = this.#wordsOf(slot);
    const at = atOf(slot);
    words[at + REPORTED] = this.#reported(slot);
    const flags = words[at + FLAGS]!;
    const isNeeded = (flags & NEEDED) !== 0 && unreportedBy(this.#table, slot).length > 0;
    if (!isNeeded) words[at + FLAGS] = flags & KIND;
  }

  /** A state showed traffic. */
  traffic(slot: number): void {
    if (!this.#isFirewall) return;
    const words = this.#wordsOf(slot);
    const at = atOf(slot);
    const now = Math.max(this.#ticks.of(this.#table.now[0]!), this.#wheel.current);
    const latest = now + Math.min(this.#interval, this.#lifetime(slot, words[at + REPORTED]!) >> 1);
    let flags = words[at + FLAGS]!;
    if ((flags & NEEDED) === 0) {
      flags = (flags & KIND) | NEEDED;
      words[at + FLAGS] = flags;
      words[at + DEADLINE] = latest;
    } else if (latest < words[at + DEADLINE]!) {
      words[at + DEADLINE] = latest;
    }
    if ((flags & (QUEUED | TRIES)) !== 0) return;
    const due = this.#isEnding(slot, flags)
      ? Math.min(now + QUIET, words[at + DEADLINE]!)
      : words[at + DEADLINE]!;
    if (words[at + SCHEDULED] === 0 || due < words[at + SCHEDULED]!) this.#schedule(slot, due);
  }

  /** A state is not followed any more. */
  ended(slot: number): void {
    const words = this.#wordsOf(slot);
    const flags = words[atOf(slot) + FLAGS]!;
    if ((flags & QUEUED) !== 0) this.#counts.notAsked++;
    words[atOf(slot) + FLAGS] = 0;
  }

  /** A compressed update named a state that the table does not have. */
  unknown(idFirst: number, idSecond: number, creatorId: number): void {
    if (!this.#isFirewall) return;
    const { now } = this.#table;
    if (!this.#unknown.add(this.#sender, idFirst, idSecond, creatorId, now[0]!)) this.#counts.notAsked++;
  }

  /** Hands over what is to be requested at `now`, in milliseconds since the epoch; to be called several times a second. */
  take(now: number, sender: RequestSender): void {
    this.#earn(now);
    this.#wheel.advance(this.#ticks.advance(now), (slot, tick) => this.#due(slot, tick));
    const bulk = this.#bulk.take(now);
    if (bulk !== undefined) sender.requestAll(bulk);
    const unknown = this.#queue.size === 0 ? this.#budget : UNKNOWN_SHARE * this.#budget;
    const left = this.#budget - unknown;
    while (this.#unknown.size > 0 && this.#budget >= left + 1) {
      this.#unknown.take((...key) => this.#askUnknown(sender, ...key));
    }
    while (this.#queue.size > 0 && this.#budget >= 1) this.#ask(this.#queue.take(), sender);
  }

  /** What may be requested grows with the time. */
  #earn(now: number): void {
    const since = Number.isNaN(this.#takenAt[0]!) ? TICK : Math.max(0, now - this.#takenAt[0]!);
    this.#takenAt[0] = now;
    this.#budget = Math.min(Math.max(1, BURST * this.#rate), this.#budget + (this.#rate * since) / 1000);
  }

  #askUnknown(sender: RequestSender, firewall: number, ...key: [number, number, number]): void {
    // The answer to another request may have opened it.
    if (this.#table.find(...key) !== NO_SLOT) return;
    this.#budget--;
    sender.requestState(firewall, ...key);
  }

  /** Requests the counters of each firewall that has shown traffic of the state since it reported them. */
  #ask(slot: number, sender: RequestSender): void {
    const words = this.#wordsOf(slot);
    const at = atOf(slot);
    const flags = words[at + FLAGS]!;
    // It ended, or was reported, while it waited.
    if ((flags & QUEUED) === 0) return;
    const firewalls = unreportedBy(this.#table, slot);
    if (firewalls.length === 0) {
      words[at + FLAGS] = flags & KIND;
      return;
    }
    const { idFirst, idSecond, creatorId } = this.#table.keyOf(slot);
    for (const firewall of firewalls) {
      this.#budget--;
      sender.requestState(firewall, idFirst, idSecond, creatorId);
    }
    words[at + FLAGS] = (flags & ~QUEUED) + TRY;
    this.#schedule(slot, this.#wheel.current + REPEAT);
  }

  /** A slot stood in the wheel at `tick`. */
  #due(slot: number, tick: number): void {
    const words = this.#wordsOf(slot);
    const at = atOf(slot);
    // It was scheduled anew, at another tick.
    if (words[at + SCHEDULED] !== tick) return;
    words[at + SCHEDULED] = 0;
    const flags = words[at + FLAGS]!;
    if ((flags & NEEDED) === 0 || (flags & QUEUED) !== 0) return;
    if ((flags & TRIES) === 0) {
      const due = this.#dueTick(slot, flags, words[at + DEADLINE]!);
      if (due > tick) {
        this.#schedule(slot, due);
        return;
      }
    } else if ((flags & TRIES) === MOST_TRIES * TRY) {
      this.#counts.unanswered++;
      words[at + FLAGS] = flags & KIND;
      return;
    }
    words[at + FLAGS] = flags | QUEUED;
    this.#queue.add(
      slot,
      this.#ticks.of(this.#table.lastSign(slot)) + this.#lifetime(slot, words[at + REPORTED]!),
    );
  }

  #dueTick(slot: number, flags: number, deadline: number): number {
    if (!this.#isEnding(slot, flags)) return deadline;
    return Math.min(deadline, this.#ticks.of(this.#table.lastSign(slot)) + QUIET);
  }

  /** Whether nothing more is expected of the state. */
  #isEnding(slot: number, flags: number): boolean {
    const kind = flags & KIND;
    if (kind === IS_ICMP) return true;
    const peers = this.#table.peers(slot);
    if (kind === IS_TCP) return isClosing(peers & 255) && isClosing((peers >>> 8) & 255);
    const timeout = timeoutOf(peers);
    return kind === IS_SCTP && (timeout === SCTP_CLOSING || timeout === SCTP_CLOSED);
  }

  #reported(slot: number): number {
    const remaining = this.#table.remaining(slot);
    const timeout = timeoutOf(this.#table.peers(slot));
    const isKnown = remaining >= 0 && remaining < LONGEST;
    return ((isKnown ? remaining : LONGEST) << 8) | timeout;
  }

  /**
   * Ticks that the state lives on after a packet, at least: what it had left to live at its last report. Where it has another
   * timeout since, the firewall's are shorter than the usual ones to the same degree.
   */
  #lifetime(slot: number, reported: number): number {
    const remaining = reported >>> 8;
    const timeout = timeoutOf(this.#table.peers(slot));
    const scale = timeout === (reported & 255) ? 1 : usualTimeout(timeout) / usualTimeout(reported & 255);
    return SECOND * Math.min(remaining * scale, LONGEST);
  }

  #schedule(slot: number, tick: number): void {
    const { current } = this.#wheel;
    const at = Math.min(Math.max(tick, current + 1), current + FURTHEST);
    this.#wordsOf(slot)[atOf(slot) + SCHEDULED] = at;
    this.#wheel.add(slot, at);
  }

  #wordsOf(slot: number): Int32Array {
    const slab = slot >>> ROW_SHIFT;
    const words = this.#slabs[slab] ?? new Int32Array(ROWS * WORDS);
    this.#slabs[slab] = words;
    return words;
  }
}

function atOf(slot: number): number {
  return (slot & ROW_MASK) * WORDS;
}

function isClosing(peerState: number): boolean {
  return peerState === FIN_WAIT_2 || peerState === TIME_WAIT;
}

/** pf's timeout, by the peers' word of a hot row. */
function timeoutOf(peers: number): number {
  return (peers >>> 16) & 255;
}

/** Seconds. */
function usualTimeout(timeout: number): number {
  return timeoutSeconds(timeout) || SOME_TIMEOUT;
}
