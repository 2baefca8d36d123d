/**
 * How a kernel gathers what it has to say and when it lets it go: pfsync-wire.md sections 4 and 5. Versions 2 to 4 keep one
 * message with one action and pack a record when something happens; versions 5 and 6 keep queues of states and pack when
 * the message leaves, up to a second later.
 */
import {
  type Action,
  encodeBus,
  encodeClear,
  encodeCompressedDelete,
  encodeCompressedUpdate,
  encodeState,
  type Region,
  SIZES,
  type SimKey,
  type SimPeer,
  type SimState,
  type WireVersion,
} from './pfsync-writer.js';

export interface Counters {
  packets: [bigint, bigint];
  bytes: [bigint, bigint];
}

/** A state inside the firewall. Index 0 of a pair is the initiator; index 0 of `counted` is the first firewall. */
export interface LiveState {
  readonly serial: number;
  /** Addresses, names and numbers that do not change. */
  readonly identity: Omit<SimState, 'packets' | 'bytes' | 'creation' | 'expire' | 'timeout' | 'peers'>;
  /** The firewall that created it. */
  readonly owner: number;
  readonly createdMs: number;
  /** Under a `no sync` rule: pfsync never hears of it. */
  readonly isSilent: boolean;
  /** What each firewall forwarded; a backup does not import its peer's counters. */
  readonly counted: readonly Counters[];
  readonly peers: [SimPeer, SimPeer];
  /** How far each side's sequence numbers have come from its first one, in all: they do not wrap around here. */
  readonly advanced: [number, number];
  /** TCP flags that each side has sent. */
  readonly sentFlags: [number, number];
  timeout: number;
  lastPacketMs: number;
  isAlive: boolean;
  /** When it went; null while it is alive. */
  goneMs: number | null;
  /** The firewall removed it before its time. */
  isKilled: boolean;
  /** It was killed so soon after a packet that nothing may tell of that. */
  isHiding: boolean;
  /** A full record of it has left its firewall. */
  isAnnounced: boolean;
}

/** What one record of a message says, for those who want to know without decoding it. */
export interface Told {
  readonly action: Action;
  readonly key: SimKey;
  readonly live?: LiveState;
  /** As packed. A compressed update shows its peers, timeout and expire only. */
  readonly state?: SimState;
  /** What the sequence numbers of `state.peers` stand for, without wrapping around; null while there is none. */
  readonly advanced?: readonly [number | null, number | null];
  readonly ifname?: string;
  readonly status?: 'start' | 'end';
}

/** What a firewall's pf calls in its pfsync. Times are milliseconds since the epoch. */
export interface Sender {
  insert(live: LiveState, now: number): void;
  update(live: LiveState, now: number): void;
  delete(live: LiveState, now: number): void;
  /** Full updates that somebody asked for. They leave at once. */
  answer(lives: readonly LiveState[], now: number): void;
  /** Full updates that leave with what comes next. */
  queueAnswers(lives: readonly LiveState[], now: number): void;
  /** What is waiting leaves, with the record or before it. */
  bus(status: 'start' | 'end', now: number): void;
  /** `cleared` are gone already. Today's OpenBSD still says what it had queued of them, others do not. */
  clear(ifname: string, cleared: ReadonlySet<LiveState>, now: number): void;
  /** What is waiting is lost with the machine. */
  reboot(): void;
}

export interface SenderWorld {
  readonly version: WireVersion;
  readonly role: 'tap' | 'net';
  /** This firewall's place among the two. */
  readonly number: number;
  readonly creatorId: number;
  /** Queues that send independently of each other (FreeBSD 12 and later); versions 5 and 6. */
  readonly buckets: number;
  /** How long a first record waits for company, at most a second. */
  patience(): number;
  later(atMs: number, what: (now: number) => void): void;
  emit(now: number, regions: readonly Region[], told: readonly Told[]): void;
}

/** Defaults of pf.conf(5), in seconds, by PFTM number. */
export const TIMEOUT_SECONDS = [120, 30, 86400, 900, 45, 90, 60, 30, 60, 20, 10, 60, 30, 60] as const;

/** The largest message in an Ethernet frame, without the IP header. */
const ROOM = 1480;
/** A subheader and a record that tells of a bulk transfer. */
const BUS_ROOM = 16;
/** PFTM_UNLINKED. */
const UNLINKED = 22;

export function openSender(world: SenderWorld): Sender {
  return SIZES[world.version].version < 5 ? new OneActionSender(world) : new QueueSender(world);
}

/** The state as a record packed now shows it. */
export function snapshot(world: SenderWorld, live: LiveState, now: number): SimState {
  const counted = live.counted[world.number]!;
  const idle = live.lastPacketMs + TIMEOUT_SECONDS[live.timeout]! * 1000;
  if (!live.isAlive && world.version === 'v6') return dead(world, live, now);
  return {
    ...live.identity,
    packets: [...counted.packets],
    bytes: [...counted.bytes],
    creation: age(world.version, live.createdMs, now),
    expire: Math.max(0, Math.floor((idle - now) / 1000)),
    timeout: live.timeout,
    peers: [{ ...live.peers[0] }, { ...live.peers[1] }],
  };
}

/** The record of a dead state: PFTM_UNLINKED, no peers, nothing left to live. */
function dead(world: SenderWorld, live: LiveState, now: number): SimState {
  const counted = live.counted[world.number]!;
  return {
    ...live.identity,
    packets: [...counted.packets],
    bytes: [...counted.bytes],
    creation: age(world.version, live.createdMs, now),
    expire: 0,
    timeout: UNLINKED,
    peers: [
      { seqlo: 0, state: 0 },
      { seqlo: 0, state: 0 },
    ],
  };
}

function advancedTold({ peers, advanced }: LiveState): [number | null, number | null] {
  return [peers[0].seqlo ? advanced[0] : null, peers[1].seqlo ? advanced[1] : null];
}

/** FreeBSD 14 counts milliseconds and cuts the difference; the others subtract seconds of the clock. */
function age(version: WireVersion, createdMs: number, now: number): number {
  if (version === 'v5-1400' || version === 'v5-1500') return Math.floor((now - createdMs) / 1000);
  return Math.floor(now / 1000) - Math.floor(createdMs / 1000);
}

/** Versions 2 to 4. */
class OneActionSender implements Sender {
  readonly #world: SenderWorld;
  readonly #most: number;
  #action: 'insert' | 'update' | 'delete' = 'insert';
  #waiting: Told[] = [];
  #round = 0;

  constructor(world: SenderWorld) {
    const sizes = SIZES[world.version];
    this.#world = world;
    this.#most = Math.floor((ROOM - sizes.header) / sizes.state);
  }

  insert(live: LiveState, now: number): void {
    this.#pack('insert', live, now);
  }

  update(live: LiveState, now: number): void {
    this.#pack('update', live, now);
  }

  /** Only the creator tells of a state's end. */
  delete(live: LiveState, now: number): void {
    if (live.owner === this.#world.number) this.#pack('delete', live, now);
  }

  answer(lives: readonly LiveState[], now: number): void {
    this.#flush(now);
    for (let at = 0; at < lives.length; at += this.#most) {
      const told = lives.slice(at, at + this.#most).map((live) => this.#tell('update', live, now));
      this.#world.emit(now, [stateRegion(this.#world.version, 'update', told)], told);
    }
  }

  queueAnswers(lives: readonly LiveState[], now: number): void {
    this.answer(lives, now);
  }

  bus(status: 'start' | 'end', now: number): void {
    this.#flush(now);
    const { region, told } = busRegion(this.#world, status);
    this.#world.emit(now, [region], told);
  }

  clear(ifname: string, _cleared: ReadonlySet<LiveState>, now: number): void {
    this.#flush(now);
    sendClear(this.#world, ifname, now);
  }

  reboot(): void {
    this.#waiting = [];
    this.#round++;
  }

  #pack(action: 'insert' | 'update' | 'delete', live: LiveState, now: number): void {
    if (action !== this.#action) this.#flush(now);
    this.#action = action;
    const again = action === 'update' ? this.#waiting.findIndex((told) => told.live === live) : -1;
    if (again >= 0) {
      // A repeated update refreshes peers and expire; the counters stay as they were packed.
      const { state } = this.#waiting[again]!;
      const { peers, expire } = snapshot(this.#world, live, now);
      this.#waiting[again] = {
        ...this.#waiting[again]!,
        state: { ...state!, peers, expire },
        advanced: advancedTold(live),
      };
      return;
    }
    this.#waiting.push(this.#tell(action, live, now));
    if (this.#waiting.length === this.#most) this.#flush(now);
    if (this.#waiting.length !== 1) return;
    const round = this.#round;
    this.#world.later(now + this.#world.patience(), (then) => {
      if (round === this.#round) this.#flush(then);
    });
  }

  #tell(action: Action, live: LiveState, now: number): Told {
    return {
      action,
      key: live.identity,
      live,
      state: snapshot(this.#world, live, now),
      advanced: advancedTold(live),
    };
  }

  #flush(now: number): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#round++;
    if (waiting.length === 0) return;
    const { role, version } = this.#world;
    const action = role === 'tap' || this.#action === 'insert' ? this.#action : compressed(this.#action);
    const told = waiting.map((one) => ({ ...one, action }));
    this.#world.emit(now, [stateRegion(version, action, told)], told);
  }
}

type Queued = 'insert' | 'update' | 'compressedUpdate' | 'compressedDelete';

/** Versions 5 and 6. */
class QueueSender implements Sender {
  readonly #world: SenderWorld;
  readonly #buckets: { queue: Map<LiveState, Queued>; round: number }[];

  constructor(world: SenderWorld) {
    this.#world = world;
    this.#buckets = Array.from({ length: world.buckets }, () => ({ queue: new Map(), round: 0 }));
  }

  insert(live: LiveState, now: number): void {
    this.#queue(live, 'insert', now);
  }

  update(live: LiveState, now: number): void {
    if (!this.#bucket(live).queue.has(live)) this.#queue(live, 'compressedUpdate', now);
  }

  delete(live: LiveState, now: number): void {
    const { queue } = this.#bucket(live);
    const queued = queue.get(live);
    queue.delete(live);
    // "We never got to tell the world so just forget about it": the kernel's own words.
    if (queued !== 'insert') this.#queue(live, 'compressedDelete', now);
  }

  answer(lives: readonly LiveState[], now: number): void {
    this.queueAnswers(lives, now);
    for (const bucket of new Set(lives.map((live) => this.#bucketNumber(live)))) this.#flush(bucket, now);
  }

  /** In place of a queued compressed update. A queued insert tells as much. */
  queueAnswers(lives: readonly LiveState[], now: number): void {
    for (const live of lives) {
      const { queue } = this.#bucket(live);
      if (queue.get(live) === 'insert') continue;
      queue.delete(live);
      this.#queue(live, 'update', now);
    }
  }

  /** One message with what is queued in the first bucket; what the others have comes behind the end of a bulk transfer. */
  bus(status: 'start' | 'end', now: number): void {
    if (this.#length(0) + BUS_ROOM > ROOM) this.#flush(0, now);
    const { regions, told } = this.#take(0, now);
    const bus = busRegion(this.#world, status);
    const isFirst = this.#world.version === 'v6-openbsd47';
    if (isFirst) this.#world.emit(now, [bus.region, ...regions], [...bus.told, ...told]);
    else this.#world.emit(now, [...regions, bus.region], [...told, ...bus.told]);
  }

  clear(ifname: string, cleared: ReadonlySet<LiveState>, now: number): void {
    if (this.#world.version !== 'v6') {
      for (const live of cleared) this.#bucket(live).queue.delete(live);
      this.#flush(0, now);
    }
    sendClear(this.#world, ifname, now);
  }

  reboot(): void {
    for (const bucket of this.#buckets) {
      bucket.queue.clear();
      bucket.round++;
    }
  }

  #bucketNumber(live: LiveState): number {
    return Number(live.identity.id % BigInt(this.#buckets.length));
  }

  #bucket(live: LiveState) {
    return this.#buckets[this.#bucketNumber(live)]!;
  }

  #queue(live: LiveState, kind: Queued, now: number): void {
    const number = this.#bucketNumber(live);
    const bucket = this.#buckets[number]!;
    if (this.#length(number) + sizeOf(this.#world.version, kind) > ROOM) this.#flush(number, now);
    bucket.queue.set(live, kind);
    if (bucket.queue.size > 1) return;
    const { round } = bucket;
    this.#world.later(now + this.#world.patience(), (then) => {
      if (round === bucket.round) this.#flush(number, then);
    });
  }

  #flush(number: number, now: number): void {
    const { regions, told } = this.#take(number, now);
    if (regions.length > 0) this.#world.emit(now, regions, told);
  }

  /** Octets of the message that a bucket would make. */
  #length(number: number): number {
    const { version } = this.#world;
    // 24: the EOF of version 5 and the subheaders of four kinds of records, with room to spare.
    let length = SIZES[version].header + 24;
    for (const queued of this.#buckets[number]!.queue.values()) length += sizeOf(version, queued);
    return length;
  }

  /** Empties a bucket. */
  #take(number: number, now: number): { regions: Region[]; told: Told[] } {
    const bucket = this.#buckets[number]!;
    bucket.round++;
    const { version } = this.#world;
    const order: readonly Queued[] =
      SIZES[version].version === 5
        ? ['insert', 'update', 'compressedUpdate', 'compressedDelete']
        : ['compressedUpdate', 'compressedDelete', 'insert', 'update'];
    const regions: Region[] = [];
    const said: Told[] = [];
    for (const action of order) {
      const told = [...bucket.queue]
        .filter(([, kind]) => kind === action)
        .map(([live]) => ({
          action,
          key: live.identity,
          live,
          state: snapshot(this.#world, live, now),
          advanced: advancedTold(live),
        }));
      if (told.length === 0) continue;
      regions.push(stateRegion(version, action, told));
      said.push(...told);
    }
    bucket.queue.clear();
    return { regions, told: said };
  }
}

function compressed(action: 'update' | 'delete'): 'compressedUpdate' | 'compressedDelete' {
  return action === 'update' ? 'compressedUpdate' : 'compressedDelete';
}

function sizeOf(version: WireVersion, kind: Queued): number {
  const sizes = SIZES[version];
  if (kind === 'compressedUpdate') return sizes.compressedUpdate;
  return kind === 'compressedDelete' ? sizes.compressedDelete : sizes.state;
}

function stateRegion(version: WireVersion, action: Action, told: readonly Told[]): Region {
  const records = told.map((one) => {
    if (action === 'compressedUpdate') return encodeCompressedUpdate(version, one.state!);
    if (action === 'compressedDelete') return encodeCompressedDelete(version, one.key);
    return encodeState(version, one.state!);
  });
  return { action, records };
}

function busRegion(
  { creatorId, version }: SenderWorld,
  status: 'start' | 'end',
): { region: Region; told: Told[] } {
  const records = [encodeBus(version, { creatorId, endtime: 0, status })];
  return {
    region: { action: 'bus', records },
    told: [{ action: 'bus', key: { id: 0n, creatorId }, status }],
  };
}

function sendClear(world: SenderWorld, ifname: string, now: number): void {
  const { creatorId, version } = world;
  const records = [encodeClear(version, { creatorId, ifname })];
  world.emit(now, [{ action: 'clear', records }], [{ action: 'clear', key: { id: 0n, creatorId }, ifname }]);
}
