/**
 * What is true of each state a firewall spoke of, kept from the inside: the real counters, and what of them the messages
 * that arrived have told. pfsync-wire.md sections 4 and 9 and DESIGN.md section 2 say what follows from what.
 */
import type { Counters, LiveState, Told } from './pfsync-sender.js';
import { type Action, SIZES, type SimEnd, type SimState, type WireVersion } from './pfsync-writer.js';

/** `dead`: the record of a dead state, with its final counters. */
export type Ending = 'delete' | 'dead' | 'compressedDelete' | 'clear' | 'reboot' | 'open';

export interface TrueFlow {
  /** As pfctl prints it: 16 hexadecimal digits. */
  readonly stateId: string;
  /** 8 hexadecimal digits. */
  readonly creatorId: string;
  readonly ifname: string;
  readonly direction: 'in' | 'out';
  readonly rule: number;
  readonly af: 4 | 6;
  readonly afAfter: 4 | 6;
  readonly proto: number;
  readonly protoAfter: number;
  readonly originalSource: SimEnd;
  readonly originalDestination: SimEnd;
  readonly translatedSource: SimEnd;
  readonly translatedDestination: SimEnd;
  /** What told of the end. `reboot`: an insert of the same key with other addresses. `open`: nothing did. */
  readonly ended: Ending;
  /** What the firewalls that can be seen had counted when the state ended, told or not. */
  readonly final: Counters;
  /** The same of both firewalls, seen or not. */
  readonly total: Counters;
  /** The sum of what each firewall's last full record told. */
  readonly told: Counters & { readonly isZero: boolean };
  /** What told the counters of the firewall that told of the state first, and when. */
  readonly by: 'insert' | 'update' | 'delete';
  readonly toldMs: number;
  /**
   * Octets by which each side's sequence numbers have advanced since counters were last told; of a side that was not seen
   * then since its first number. Known from what the simulated peers have really sent.
   */
  readonly advance: readonly [number, number];
  /** The rule of DESIGN.md section 2 holds: what was told is final. */
  readonly isProven: boolean;
  /** The state was removed before its time, and perhaps so soon after a packet that no message could tell of it. */
  readonly isKilled: boolean;
  readonly isHiding: boolean;
  /** When the state went, told or not; null while it lives. */
  readonly goneMs: number | null;
  /** When the last packet passed, through either firewall. */
  readonly lastPacketMs: number;
  /** TCP flags that each side has sent. */
  readonly sentFlags: readonly [number, number];
  /** The earliest start that a full record gives: its capture time less its age. */
  readonly startMs: number;
  /** Capture time of the message that told of the end; null while open. */
  readonly endedMs: number | null;
  /**
   * Capture time of the last sign of traffic: an insert or a compressed update; before version 5 also a full update outside
   * a bulk transfer. Null without any.
   */
  readonly lastSignMs: number | null;
  /** Capture time of the last full update; null without any. */
  readonly lastAnswerMs: number | null;
  /** An insert of it was seen. */
  readonly insertSeen: boolean;
  /** Records about it in messages that were lost, by action. */
  readonly lost: Readonly<Partial<Record<Action, number>>>;
}

export interface Expected {
  /** Flows by how they ended; `open` ones give no record unless the program is made to give them up. */
  readonly ended: Readonly<Record<Ending, number>>;
  /** Records in the messages that arrived. */
  readonly records: Readonly<Partial<Record<Action, number>>>;
  /** Compressed updates and deletes of states that the messages had not told of. */
  readonly unknownUpdates: number;
  readonly unknownDeletes: number;
  /** Deletes and full updates of states that had ended. */
  readonly lateRecords: number;
  /** Full updates of states that are never synchronised. */
  readonly neverSynced: number;
}

/** What one firewall has told of a state. */
interface Report {
  counters: Counters;
  by: 'insert' | 'update' | 'delete';
  /** Capture time of the last full record, and the seconds left to live in it; null where none came. */
  toldMs: number | null;
  remaining: number;
  /** Capture time of the last sign of traffic. */
  signMs: number | null;
}

interface Followed {
  readonly live: LiveState;
  readonly identity: SimState;
  /** By the number of the firewall; the one that told of it first stands first. */
  readonly reports: Map<number, Report>;
  readonly first: number;
  startMs: number;
  lastSignMs: number | null;
  lastAnswerMs: number | null;
  insertSeen: boolean;
  readonly sides: [Side, Side];
}

/** How far a side's sequence numbers had come when counters were last told, and since; null while none was seen. */
interface Side {
  base: number | null;
  last: number | null;
}

/** Milliseconds around the time at which a state dies of age. */
const EARLIEST_END = -1000;
const LATEST_END = 25_000;
/** PFTM_MAX of OpenBSD. */
const DEAD = 20;

export interface TruthOptions {
  readonly version: WireVersion;
  readonly role: 'tap' | 'net';
}

/** Is told, in the order of the wire, what arrives; knows at the end what that was worth. */
export class Truth {
  readonly flows: TrueFlow[] = [];
  readonly #options: TruthOptions;
  readonly #isOld: boolean;
  readonly #open = new Map<string, Followed>();
  readonly #known = new Set<LiveState>();
  /** States that have ended, by key. */
  readonly #gone = new Map<string, LiveState>();
  readonly #lost = new Map<LiveState, Partial<Record<Action, number>>>();
  readonly #records: Partial<Record<Action, number>> = {};
  readonly #transfers = new Set<number>();
  /** Those that have told of states. */
  readonly #firewalls = new Set<number>();
  #lastLossMs = Number.NEGATIVE_INFINITY;
  #unknownUpdates = 0;
  #unknownDeletes = 0;
  #lateRecords = 0;
  #neverSynced = 0;

  constructor(options: TruthOptions) {
    this.#options = options;
    this.#isOld = SIZES[options.version].version < 5;
  }

  /** `sender` is the number of the firewall. */
  arrived(told: readonly Told[], now: number, sender: number): void {
    for (const one of told) {
      this.#records[one.action] = (this.#records[one.action] ?? 0) + 1;
      if (one.live) this.#firewalls.add(sender);
      this.#learn(one, now, sender);
    }
  }

  lost(told: readonly Told[], now: number): void {
    this.#lastLossMs = now;
    for (const { action, live } of told) {
      if (!live) continue;
      const counts = this.#lost.get(live) ?? {};
      counts[action] = (counts[action] ?? 0) + 1;
      this.#lost.set(live, counts);
    }
  }

  /** A full record of it arrived. */
  knows(live: LiveState): boolean {
    return this.#known.has(live);
  }

  /** The end of the simulation: what is still open is listed last. */
  finish(): Expected {
    for (const followed of this.#open.values()) this.#end(followed, 'open', null);
    this.#open.clear();
    const ended = { delete: 0, dead: 0, compressedDelete: 0, clear: 0, reboot: 0, open: 0 };
    for (const flow of this.flows) ended[flow.ended]++;
    return {
      ended,
      records: this.#records,
      unknownUpdates: this.#unknownUpdates,
      unknownDeletes: this.#unknownDeletes,
      lateRecords: this.#lateRecords,
      neverSynced: this.#neverSynced,
    };
  }

  #learn(told: Told, now: number, sender: number): void {
    const key = `${told.key.creatorId}/${told.key.id}`;
    const known = this.#open.get(key);
    switch (told.action) {
      case 'insert':
      case 'update':
        this.#full(key, told, now, sender);
        return;
      case 'delete':
        this.#report(key, told, now, sender);
        this.#finish(key, this.#open.get(key)!, 'delete', now);
        return;
      case 'compressedUpdate':
        if (!known) {
          this.#unknownUpdates++;
          return;
        }
        learnSides(known, told);
        this.#sign(known, now, sender);
        return;
      case 'compressedDelete':
        if (known) this.#finish(key, known, 'compressedDelete', now);
        else if (this.#gone.get(key) === told.live) this.#lateRecords++;
        else this.#unknownDeletes++;
        return;
      case 'clear':
        for (const [other, followed] of this.#open) {
          const { creatorId, ifname } = followed.identity;
          if (creatorId !== told.key.creatorId) continue;
          if (told.ifname === '' || told.ifname === ifname) this.#finish(other, followed, 'clear', now);
        }
        return;
      case 'bus':
        if (told.status === 'start') this.#transfers.add(told.key.creatorId);
        else this.#transfers.delete(told.key.creatorId);
    }
  }

  #full(key: string, told: Told, now: number, sender: number): void {
    const { live, state, action } = told;
    if (!live || !state) throw new Error(`a full record without its state: ${action}`);
    if (state.isNoSync) {
      this.#neverSynced++;
      return;
    }
    const isDead = this.#options.version === 'v6' && state.timeout >= DEAD;
    const isLate = this.#gone.get(key) === live && (action === 'update' || isDead);
    if (isLate) {
      this.#lateRecords++;
      return;
    }
    const known = this.#open.get(key);
    if (known && known.live !== live) this.#finish(key, known, 'reboot', now);
    const followed = this.#report(key, told, now, sender);
    if (isDead) {
      this.#finish(key, followed, 'dead', now);
      return;
    }
    const isPacket = action === 'insert' || (this.#isOld && this.#transfers.size === 0);
    if (isPacket) this.#sign(followed, now, sender);
    followed.insertSeen ||= action === 'insert';
    if (action === 'update') followed.lastAnswerMs = now;
  }

  /** Takes in the counters of a full record. */
  #report(key: string, told: Told, now: number, sender: number): Followed {
    const { live, state } = told;
    if (!live || !state) throw new Error(`a full record without its state: ${told.action}`);
    const by = told.action as 'insert' | 'update' | 'delete';
    const followed = this.#open.get(key) ?? this.#follow(key, live, state, sender);
    if (followed.live !== live) throw new Error(`${by} of ${key} is of another state than the one known`);
    followed.startMs = Math.min(followed.startMs, now - state.creation * 1000);
    learnSides(followed, told);
    const isZero = sum(state) === 0n;
    // A backup that has forwarded nothing tells nothing, unless it might have before the first message.
    if (sender !== followed.first && isZero && followed.insertSeen) return followed;
    const report = reportOf(followed, sender);
    const hasMoved = [0, 1].some(
      (index) =>
        state.packets[index]! > report.counters.packets[index]! ||
        state.bytes[index]! > report.counters.bytes[index]!,
    );
    report.counters = { packets: [...state.packets], bytes: [...state.bytes] };
    report.by = by;
    report.toldMs = now;
    report.remaining = state.expire;
    if (hasMoved) for (const side of followed.sides) side.base = side.last;
    return followed;
  }

  #follow(key: string, live: LiveState, state: SimState, sender: number): Followed {
    const side = (): Side => ({ base: null, last: null });
    const followed: Followed = {
      live,
      identity: state,
      reports: new Map(),
      first: sender,
      startMs: Number.POSITIVE_INFINITY,
      lastSignMs: null,
      lastAnswerMs: null,
      insertSeen: false,
      sides: [side(), side()],
    };
    reportOf(followed, sender);
    this.#open.set(key, followed);
    this.#known.add(live);
    this.#gone.delete(key);
    return followed;
  }

  #sign(followed: Followed, now: number, sender: number): void {
    followed.lastSignMs = now;
    reportOf(followed, sender).signMs = now;
  }

  #finish(key: string, followed: Followed, ended: Ending, now: number): void {
    this.#end(followed, ended, now);
    this.#open.delete(key);
    this.#gone.set(key, followed.live);
  }

  #end(followed: Followed, ended: Ending, endedMs: number | null): void {
    const { live, reports, startMs, lastSignMs, lastAnswerMs, insertSeen, sides } = followed;
    const { id, creatorId, isNoSync: _, ...identity } = live.identity;
    const told = [...reports.values()].reduce((total, { counters }) => plus(total, counters), NOTHING);
    const total = plus(live.counted[0]!, live.counted[1]!);
    const own = reports.get(followed.first)!;
    this.flows.push({
      ...identity,
      stateId: id.toString(16).padStart(16, '0'),
      creatorId: creatorId.toString(16).padStart(8, '0'),
      ended,
      final: this.#options.role === 'tap' ? plus(live.counted[0]!, NOTHING) : total,
      total,
      told: { ...told, isZero: sum(told) === 0n },
      by: own.by,
      toldMs: own.toldMs!,
      advance: [advance(sides[0]), advance(sides[1])],
      isProven: endedMs !== null && this.#isProven(followed, endedMs),
      isKilled: live.isKilled,
      isHiding: live.isHiding,
      goneMs: live.goneMs,
      lastPacketMs: live.lastPacketMs,
      sentFlags: [...live.sentFlags],
      startMs,
      endedMs,
      lastSignMs,
      lastAnswerMs,
      insertSeen,
      // Read when the life is over: the same object goes on counting.
      lost: this.#lostOf(live),
    });
  }

  /**
   * Each firewall that has forwarded something told its counters and was silent since, and the state died of age: traffic through
   * one firewall keeps the state alive in both, so that the latest report knows when that is.
   */
  #isProven({ reports, first, insertSeen }: Followed, endedMs: number): boolean {
    if (this.#isOld) return false;
    const all = [...reports.entries()];
    const isSilent = ({ toldMs, signMs }: Report) =>
      toldMs !== null && toldMs > this.#lastLossMs && (signMs ?? 0) <= toldMs;
    const hasForwarded = ({ signMs, counters }: Report) => signMs !== null || sum(counters) > 0n;
    if (all.some(([, report]) => hasForwarded(report) && !isSilent(report))) return false;
    // What the other one of a pair has forwarded before the first message shows in its counters alone.
    const areBothKnown = all.filter(([, report]) => report.toldMs !== null).length > 1;
    if (this.#firewalls.size > 1 && !insertSeen && !areBothKnown) return false;
    const telling = all.filter(
      ([number, report]) => isSilent(report) && (number === first || sum(report.counters) > 0n),
    );
    const latest = telling.map(([, report]) => report).sort((a, b) => b.toldMs! - a.toldMs!)[0];
    if (latest === undefined) return false;
    const late = endedMs - (latest.toldMs! + 1000 * latest.remaining);
    return late >= EARLIEST_END && late <= LATEST_END;
  }

  #lostOf(live: LiveState): Partial<Record<Action, number>> {
    const counts = this.#lost.get(live) ?? {};
    this.#lost.set(live, counts);
    return counts;
  }
}

function reportOf({ reports }: Followed, sender: number): Report {
  let report = reports.get(sender);
  if (report === undefined) {
    report = { counters: NOTHING, by: 'update', toldMs: null, remaining: 0, signMs: null };
    reports.set(sender, report);
  }
  return report;
}

function learnSides({ sides }: Followed, told: Told): void {
  for (const index of [0, 1] as const) {
    const side = sides[index];
    const now = told.advanced![index];
    if (now === null || told.state!.peers[index].seqlo === 0) continue;
    side.last = Math.max(side.last ?? 0, now);
    side.base ??= now;
  }
}

function advance({ base, last }: Side): number {
  return base === null || last === null ? 0 : last - base;
}

const NOTHING: Counters = { packets: [0n, 0n], bytes: [0n, 0n] };

function plus(one: Counters, other: Counters): Counters {
  return {
    packets: [one.packets[0] + other.packets[0], one.packets[1] + other.packets[1]],
    bytes: [one.bytes[0] + other.bytes[0], one.bytes[1] + other.bytes[1]],
  };
}

function sum({
  packets,
  bytes,
}: {
  packets: readonly [bigint, bigint];
  bytes: readonly [bigint, bigint];
}): bigint {
  return packets[0] + packets[1] + bytes[0] + bytes[1];
}
