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
  /** TCP payload sent so far, each way. */
  readonly payload: [number, number];
  timeout: number;
  lastPacketMs: number;
  isAlive: boolean;
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
  /** What `state.peers` stand for: TCP payload octets sent by each peer, null while its sequence number is 0. */
  readonly payload?: readonly [number | null, number | null];
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
  /** What is waiting leaves, then the record. */
  bus(status: 'start' | 'end', now: number): void;
  /** `cleared` are gone already and are not spoken of again. */
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

export function openSender(world: SenderWorld): Sender {
  return SIZES[world.version].version < 5 ? new OneActionSender(world) : new QueueSender(world);
}

/** The state as a record packed now shows it. */
export function snapshot(world: SenderWorld, live: LiveState, now: number): SimState {
  const counted = live.counted[world.number]!;
  const idle = live.lastPacketMs + TIMEOUT_SECONDS[live.timeout]! * 1000;
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

function payloadTold(live: LiveState): [number | null, number | null] {
  return [live.peers[0].seqlo ? live.payload[0] : null, live.peers[1].seqlo ? live.payload[1] : null];
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

  bus(status: 'start' | 'end', now: number): void {
    this.#flush(now);
    sendBus(this.#world, status, now);
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
        payload: payloadTold(live),
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
      payload: payloadTold(live),
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
    const touched = new Set<number>();
    for (const live of lives) {
      const { queue } = this.#bucket(live);
      if (queue.get(live) === 'insert') continue;
      queue.delete(live);
      this.#queue(live, 'update', now);
      touched.add(this.#bucketNumber(live));
    }
    for (const bucket of touched) this.#flush(bucket, now);
  }

  bus(status: 'start' | 'end', now: number): void {
    this.#flush(0, now);
    sendBus(this.#world, status, now);
  }

  clear(ifname: string, cleared: ReadonlySet<LiveState>, now: number): void {
    for (const live of cleared) this.#bucket(live).queue.delete(live);
    this.#flush(0, now);
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
    const sizes = SIZES[this.#world.version];
    // 24: the EOF of version 5 and the subheader that a first record of its kind needs, with room to spare.
    let length = sizes.header + 24 + sizeOf(this.#world.version, kind);
    for (const queued of bucket.queue.values()) length += sizeOf(this.#world.version, queued);
    if (length > ROOM) this.#flush(number, now);
    bucket.queue.set(live, kind);
    if (bucket.queue.size > 1) return;
    const { round } = bucket;
    this.#world.later(now + this.#world.patience(), (then) => {
      if (round === bucket.round) this.#flush(number, then);
    });
  }

  #flush(number: number, now: number): void {
    const bucket = this.#buckets[number]!;
    bucket.round++;
    if (bucket.queue.size === 0) return;
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
          payload: payloadTold(live),
        }));
      if (told.length === 0) continue;
      regions.push(stateRegion(version, action, told));
      said.push(...told);
    }
    bucket.queue.clear();
    this.#world.emit(now, regions, said);
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

function sendBus(world: SenderWorld, status: 'start' | 'end', now: number): void {
  const { creatorId, version } = world;
  const records = [encodeBus(version, { creatorId, endtime: 0, status })];
  world.emit(now, [{ action: 'bus', records }], [{ action: 'bus', key: { id: 0n, creatorId }, status }]);
}

function sendClear(world: SenderWorld, ifname: string, now: number): void {
  const { creatorId, version } = world;
  const records = [encodeClear(version, { creatorId, ifname })];
  world.emit(now, [{ action: 'clear', records }], [{ action: 'clear', key: { id: 0n, creatorId }, ifname }]);
}
