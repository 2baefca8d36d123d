/**
 * What is true of each state a firewall spoke of, kept from the inside: the real counters, and what of them the messages
 * that arrived have told. pfsync-wire.md section 4 (table rules) and DESIGN.md section 2 say what follows from what.
 */
import type { Counters, LiveState, Told } from './pfsync-sender.js';
import type { Action, SimEnd, SimState } from './pfsync-writer.js';

export type Ending = 'delete' | 'compressedDelete' | 'clear' | 'reboot' | 'open';

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
  /** What the creator had counted when the state ended, told or not. */
  readonly final: Counters;
  /** The counters of the last full record, and its kind: what a `partial` flow shows. Only a state's creator sends them. */
  readonly told: Counters & { readonly by: 'insert' | 'update' | 'delete'; readonly isZero: boolean };
  /** The earliest start that a full record gives: its capture time less its age. */
  readonly startMs: number;
  /** Capture time of the message that told of the end; null while open. */
  readonly endedMs: number | null;
  /** Capture time of the last insert, compressed update, or full update outside a bulk transfer; null without any. */
  readonly lastSignMs: number | null;
  /** The end a flow record shows: of a full delete the capture time, else the last sign of traffic. */
  readonly flowEndMs: number | null;
  /** PFTM number and seconds left as last told. */
  readonly timeout: number;
  readonly expire: number;
  readonly tcp: TrueTcp | null;
  /** An insert of it was seen. */
  readonly insertSeen: boolean;
  /** Records about it in messages that were lost, by action. */
  readonly lost: Readonly<Partial<Record<Action, number>>>;
}

export interface TrueTcp {
  /**
   * Payload octets of the initiator and of the responder between the first and the last sequence number told.
   *
   * seqlo is the sequence number that a peer will use next (the end of the highest segment pf has seen of it), modulo
   * 2^32, and 0 while nothing was seen of that peer. So the number is the sum of the advances from one told non-zero seqlo
   * to the next, each modulo 2^32, less one when a FIN was among them (the peer's state went from below 7 to 7 or above)
   * and, with `firstSeqlo: 'isn'` only, less one when the SYN was. Null when no non-zero seqlo was told, 0 when one was.
   * It is computed from the payload the simulated peers really sent, not from that rule.
   */
  readonly octets: readonly [number | null, number | null];
  /**
   * Per peer 1 when a reset closed it between two messages (state below 7, then 10): nobody can tell from outside whether
   * a FIN went by, and the rule above may be off by one octet.
   */
  readonly slack: readonly [0 | 1, 0 | 1];
}

export interface Expected {
  /** Flows by how they ended; `open` ones give no record unless the program is made to give them up. */
  readonly ended: Readonly<Record<Ending, number>>;
  /** Records in the messages that arrived. */
  readonly records: Readonly<Partial<Record<Action, number>>>;
  /** Compressed updates and deletes of states that the messages had not told of, or no longer. */
  readonly unknownUpdates: number;
  readonly unknownDeletes: number;
}

interface Followed {
  readonly live: LiveState;
  readonly identity: SimState;
  told: Counters;
  by: 'insert' | 'update' | 'delete';
  startMs: number;
  lastSignMs: number | null;
  timeout: number;
  expire: number;
  insertSeen: boolean;
  readonly peers: [FollowedPeer, FollowedPeer];
}

interface FollowedPeer {
  first: number | null;
  last: number | null;
  state: number;
  slack: 0 | 1;
}

/** Is told, in the order of the wire, what arrives; knows at the end what that was worth. */
export class Truth {
  readonly flows: TrueFlow[] = [];
  readonly #open = new Map<string, Followed>();
  readonly #known = new Set<LiveState>();
  readonly #lost = new Map<LiveState, Partial<Record<Action, number>>>();
  readonly #records: Partial<Record<Action, number>> = {};
  readonly #transfers = new Set<number>();
  #unknownUpdates = 0;
  #unknownDeletes = 0;

  arrived(told: readonly Told[], now: number): void {
    for (const one of told) {
      this.#records[one.action] = (this.#records[one.action] ?? 0) + 1;
      this.#learn(one, now);
    }
  }

  lost(told: readonly Told[]): void {
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
    const ended: Record<Ending, number> = { delete: 0, compressedDelete: 0, clear: 0, reboot: 0, open: 0 };
    for (const flow of this.flows) ended[flow.ended]++;
    return {
      ended,
      records: this.#records,
      unknownUpdates: this.#unknownUpdates,
      unknownDeletes: this.#unknownDeletes,
    };
  }

  #learn(told: Told, now: number): void {
    const key = `${told.key.creatorId}/${told.key.id}`;
    const known = this.#open.get(key);
    switch (told.action) {
      case 'insert':
        if (known && known.live !== told.live) this.#finish(key, known, 'reboot', now);
        this.#full(key, told, now).lastSignMs = now;
        return;
      case 'update': {
        const followed = this.#full(key, told, now);
        if (this.#transfers.size === 0) followed.lastSignMs = now;
        return;
      }
      case 'delete':
        this.#finish(key, this.#full(key, told, now), 'delete', now);
        return;
      case 'compressedUpdate':
        if (!known) {
          this.#unknownUpdates++;
          return;
        }
        known.lastSignMs = now;
        known.timeout = told.state!.timeout;
        learnPeers(known, told);
        return;
      case 'compressedDelete':
        if (known) this.#finish(key, known, 'compressedDelete', now);
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

  #full(key: string, told: Told, now: number): Followed {
    const { live, state } = told;
    if (!live || !state) throw new Error(`a full record without its state: ${told.action}`);
    const startMs = now - state.creation * 1000;
    const by = told.action as 'insert' | 'update' | 'delete';
    let known = this.#open.get(key);
    if (known && known.live !== live)
      throw new Error(`${by} of ${key} is of another state than the one known`);
    if (!known) {
      const peer = (): FollowedPeer => ({ first: null, last: null, state: -1, slack: 0 });
      known = {
        live,
        identity: state,
        told: { packets: [0n, 0n], bytes: [0n, 0n] },
        by,
        startMs,
        lastSignMs: null,
        timeout: state.timeout,
        expire: state.expire,
        insertSeen: false,
        peers: [peer(), peer()],
      };
      this.#open.set(key, known);
      this.#known.add(live);
    }
    known.told = { packets: [...state.packets], bytes: [...state.bytes] };
    known.by = by;
    known.startMs = Math.min(known.startMs, startMs);
    known.timeout = state.timeout;
    known.expire = state.expire;
    known.insertSeen ||= by === 'insert';
    learnPeers(known, told);
    return known;
  }

  #finish(key: string, followed: Followed, ended: Ending, now: number): void {
    this.#end(followed, ended, now);
    this.#open.delete(key);
  }

  #end(followed: Followed, ended: Ending, endedMs: number | null): void {
    const { live, told, lastSignMs, startMs, timeout, expire, insertSeen, peers } = followed;
    const { id, creatorId, ...identity } = live.identity;
    const counted = live.counted[live.owner]!;
    this.flows.push({
      ...identity,
      stateId: id.toString(16).padStart(16, '0'),
      creatorId: creatorId.toString(16).padStart(8, '0'),
      ended,
      final: { packets: [...counted.packets], bytes: [...counted.bytes] },
      told: { ...told, by: followed.by, isZero: sum(told) === 0n },
      startMs,
      endedMs,
      lastSignMs,
      flowEndMs: ended === 'delete' ? endedMs : lastSignMs,
      timeout,
      expire,
      tcp:
        identity.proto === 6
          ? { octets: [advance(peers[0]), advance(peers[1])], slack: [peers[0].slack, peers[1].slack] }
          : null,
      insertSeen,
      // Read when the life is over: the same object goes on counting.
      lost: this.#lostOf(live),
    });
  }

  #lostOf(live: LiveState): Partial<Record<Action, number>> {
    const counts = this.#lost.get(live) ?? {};
    this.#lost.set(live, counts);
    return counts;
  }
}

function learnPeers(followed: Followed, told: Told): void {
  for (const index of [0, 1] as const) {
    const peer = followed.peers[index];
    const { state } = told.state!.peers[index];
    const payload = told.payload![index];
    if (peer.state >= 0 && peer.state < 7 && state === 10) peer.slack = 1;
    peer.state = state;
    if (payload === null) continue;
    peer.first ??= payload;
    peer.last = payload;
  }
}

function advance(peer: FollowedPeer): number | null {
  return peer.first === null || peer.last === null ? null : peer.last - peer.first;
}

function sum(counters: Counters): bigint {
  return counters.packets[0] + counters.packets[1] + counters.bytes[0] + counters.bytes[1];
}
