/**
 * A firewall, or a pair of them, that answers requests for updates as the kernels do (pfsync-wire.md section 9): states live
 * and end by themselves or are killed, and beside the messages stands what was true of each. Only what requests touch is told
 * here; `firewall.ts` knows the rest of pfsync.
 */

import { addressOctets } from './address.js';
import { Agenda } from './agenda.js';
import {
  encodeBus,
  encodeCompressedDelete,
  encodeCompressedUpdate,
  encodeMessage,
  encodeState,
  type Region,
  SIZES,
  type SimState,
} from './pfsync-writer.js';
import { Random } from './random.js';

export interface AnsweringOptions {
  readonly version: 'v5-1301' | 'v5-1400' | 'v6';
  readonly states: number;
  /** `pair`: two firewalls; the second takes over in the middle where `failover` is set. */
  readonly firewalls?: 'single' | 'pair';
  readonly failover?: boolean;
  /** Of `set optimization`. */
  readonly optimization?: 'normal' | 'aggressive';
  /** Share of the requests and of the answers to them that get lost. */
  readonly loss?: number;
  /** Share of the states that are killed. */
  readonly kills?: number;
}

export interface TrueLife {
  readonly id: bigint;
  readonly proto: number;
  readonly packets: [bigint, bigint];
  readonly octets: [bigint, bigint];
  /** How it ended; `open` until then. `untold`: before any message named it. */
  ended: 'open' | 'natural' | 'killed' | 'untold';
  /** Firewalls that carried packets of it. */
  endedMs: number;
  readonly carriers: Set<number>;
  /** A packet passed in the very second in which the other firewall ended the state: no message tells of it. */
  isUnknowable: boolean;
}

/** A message on the sync link: from the pfsync header on, and the source of its IP packet. */
export type Receive = (message: Buffer, source: string, timeMs: number) => void;

/** pf.conf(5): by PFTM number. */
const NORMAL = [120, 30, 86400, 900, 45, 90, 60, 30, 60, 20, 10, 60, 30, 60];
const AGGRESSIVE = [30, 5, 18000, 60, 30, 30, 60, 30, 60, 20, 10, 60, 30, 60];
const SCTP: Readonly<Record<number, number>> = { 20: 120, 21: 30, 22: 86400, 23: 900, 24: 90 };

const START = 1_700_000_000_000;
/** States begin within this time. */
const SPAN = 240_000;
const LONGEST_QUEUE = 1000;
const LONGEST_PURGE = 10_000;
const ROOM = 1480;
const CREATOR = 0xa1b2c3d4;

type Kind = 'insert' | 'update' | 'compressedUpdate' | 'compressedDelete';

interface Entry {
  readonly life: Life;
  readonly counted: { packets: [bigint, bigint]; octets: [bigint, bigint] };
  /** When the last packet passed, or the other firewall's message came. */
  refreshedMs: number;
  timeout: number;
  peers: [number, number];
  isAlive: boolean;
}

interface Life extends TrueLife {
  readonly identity: Omit<SimState, 'packets' | 'bytes' | 'creation' | 'expire' | 'timeout' | 'peers'>;
  readonly createdMs: number;
  isTold: boolean;
}

export class AnsweringFirewalls {
  readonly agenda = new Agenda();
  readonly lives: TrueLife[] = [];
  readonly options: AnsweringOptions;
  readonly random: Random;
  /** When everything that ends by itself in time has ended. */
  readonly endMs: number;
  readonly startMs = START;
  readonly boxes: readonly Box[];
  readonly #receive: Receive;
  #master = 0;

  constructor(seed: number, options: AnsweringOptions, receive: Receive) {
    this.options = options;
    this.random = new Random(seed);
    this.#receive = receive;
    this.boxes = (options.firewalls === 'pair' ? [0, 1] : [0]).map((number) => new Box(this, number));
    this.endMs = START + SPAN + 400_000;
    for (let n = 1; n <= options.states; n++) this.#plan(n);
    if (options.failover) this.agenda.at(START + SPAN / 2, () => (this.#master = 1));
  }

  get master(): Box {
    return this.boxes[this.#master]!;
  }

  /** Seconds. */
  timeoutSeconds(timeout: number): number {
    const table = this.options.optimization === 'aggressive' ? AGGRESSIVE : NORMAL;
    return table[timeout] ?? SCTP[timeout]!;
  }

  /** An IP packet of protocol 240 for `address`, which arrives at `now`. Only what the kernels accept is answered. */
  request(address: string, message: Uint8Array, now: number): void {
    if (this.isLost()) return;
    for (const box of this.boxes) if (box.address === address) box.request(Buffer.from(message), now);
  }

  isLost(): boolean {
    return this.random.chance(this.options.loss ?? 0);
  }

  /** A message of one box: the converter sees it, and the other box takes it in. */
  emit(from: Box, regions: readonly Region[], entries: readonly [Kind, Entry][], now: number): void {
    const isAnswer = entries.length > 0 && entries.every(([kind]) => kind === 'update');
    if (isAnswer && this.isLost()) return;
    for (const [, { life }] of entries) life.isTold = true;
    this.#receive(encodeMessage(this.options.version, regions), from.address, now);
    for (const box of this.boxes) if (box !== from) box.takeIn(entries, from, now);
  }

  #plan(serial: number): void {
    const { random, agenda } = this;
    const begin = START + 1000 + random.integer(0, SPAN);
    const kinds = ['tcp', 'tcp', 'udp', 'udp', 'icmp', 'other'];
    const kind = random.pick(this.options.version === 'v5-1400' ? [...kinds, 'sctp'] : kinds);
    const proto = { tcp: 6, udp: 17, icmp: 1, other: 47, sctp: 132 }[kind]!;
    agenda.at(begin, (now) => {
      const life = newLife(serial, proto, now);
      this.lives.push(life);
      const entry = this.master.open(life, now);
      if (kind === 'tcp') this.#tcp(life, entry);
      else if (kind === 'sctp') this.#sctp(life, entry);
      else this.#plain(life, entry, kind);
      if (random.chance(this.options.kills ?? 0)) {
        agenda.at(now + random.integer(100, 100_000), (then) => this.#kill(life, then));
      }
    });
  }

  /** A packet passes through the firewall that is the master now; without a state there it is dropped. */
  #packet(life: Life, from: 0 | 1, now: number, move: (entry: Entry) => void): void {
    const entry = this.master.entries.get(life);
    if (entry === undefined) return;
    move(entry);
    this.master.pass(entry, from, BigInt(this.random.integer(40, 1500)), now);
    life.carriers.add(this.#master);
  }

  #plain(life: Life, first: Entry, kind: string): void {
    const { random } = this;
    const base = kind === 'udp' ? 6 : kind === 'icmp' ? 9 : 11;
    first.timeout = base;
    this.#packet(life, 0, life.createdMs, () => {});
    let at = life.createdMs;
    for (let n = random.integer(0, 12); n > 0; n--) {
      at += random.chance(0.5) ? random.integer(1, 300) : random.integer(1, 25_000);
      const from = random.integer(0, 1) as 0 | 1;
      this.agenda.at(at, (now) =>
        this.#packet(life, from, now, (entry) => {
          if (kind === 'icmp') return;
          if (from === 1) entry.peers[1] = 2;
          entry.timeout = base + (entry.peers[1] === 2 ? 2 : 1);
        }),
      );
    }
  }

  #tcp(life: Life, first: Entry): void {
    const { random } = this;
    first.timeout = 0;
    first.peers = [2, 0];
    this.#packet(life, 0, life.createdMs, () => {});
    let at = life.createdMs;
    const then = (wait: number, from: 0 | 1, peers: (entry: Entry) => void) => {
      at += random.integer(1, wait);
      this.agenda.at(at, (now) =>
        this.#packet(life, from, now, (entry) => {
          peers(entry);
          entry.timeout = tcpTimeout(entry.peers);
        }),
      );
    };
    if (random.chance(0.1)) return;
    then(200, 1, ({ peers }) => peers.splice(0, 2, 4, 2));
    if (random.chance(0.1)) return;
    then(200, 0, ({ peers }) => peers.splice(0, 2, 4, 4));
    for (let n = random.integer(0, 10); n > 0; n--) {
      then(random.chance(0.5) ? 300 : 12_000, random.integer(0, 1) as 0 | 1, () => {});
    }
    if (random.chance(0.3)) {
      then(3000, 0, ({ peers }) => peers.splice(0, 2, 10, 10));
      if (random.chance(0.3)) then(4000, 1, () => {});
      return;
    }
    then(3000, 0, ({ peers }) => peers.splice(0, 2, 7, 4));
    then(200, 1, ({ peers }) => peers.splice(0, 2, 9, 4));
    then(random.chance(0.2) ? 20_000 : 300, 1, ({ peers }) => peers.splice(0, 2, 9, 7));
    then(200, 0, ({ peers }) => peers.splice(0, 2, 9, 9));
    // A repeated FIN.
    if (random.chance(0.2)) then(10_000, 1, () => {});
  }

  #sctp(life: Life, first: Entry): void {
    const { random } = this;
    first.timeout = 20;
    first.peers = [2, 0];
    this.#packet(life, 0, life.createdMs, () => {});
    let at = life.createdMs;
    const then = (wait: number, from: 0 | 1, timeout: number, peers: [number, number]) => {
      at += random.integer(1, wait);
      this.agenda.at(at, (now) =>
        this.#packet(life, from, now, (entry) => Object.assign(entry, { timeout, peers: [...peers] })),
      );
    };
    then(200, 1, 21, [4, 2]);
    then(200, 0, 22, [8, 0]);
    for (let n = random.integer(0, 8); n > 0; n--) then(10_000, random.integer(0, 1) as 0 | 1, 22, [8, 0]);
    then(3000, 0, 24, [0, 128]);
    then(200, 1, 24, [0, 128]);
  }

  /**
   * `pfctl -k`. A packet that passed less than a second before it at the very end of the state's time cannot be known of: such
   * kills come a little later.
   */
  #kill(life: Life, now: number): void {
    const { master } = this;
    const entry = master.entries.get(life);
    if (entry === undefined) return;
    if (this.boxes.some((box) => box.isQueued(life))) {
      this.agenda.at(now + 1100, (then) => this.#kill(life, then));
      return;
    }
    end(life, 'killed', now);
    master.remove(entry, now);
  }
}

export class Box {
  readonly number: number;
  readonly address: string;
  readonly entries = new Map<Life, Entry>();
  readonly #world: AnsweringFirewalls;
  readonly #queue = new Map<Entry, Kind>();
  #round = 0;
  #bulkUntil = 0;

  constructor(world: AnsweringFirewalls, number: number) {
    this.#world = world;
    this.number = number;
    this.address = number === 0 ? '192.0.2.1' : '192.0.2.2';
  }

  open(life: Life, now: number): Entry {
    const entry = this.#add(life, now);
    this.#enqueue(entry, 'insert', now);
    return entry;
  }

  /** A packet of the state, after it moved the state. */
  pass(entry: Entry, from: 0 | 1, octets: bigint, now: number): void {
    entry.counted.packets[from]++;
    entry.counted.octets[from] += octets;
    entry.life.packets[from]++;
    entry.life.octets[from] += octets;
    entry.refreshedMs = now;
    if (!this.#queue.has(entry)) this.#enqueue(entry, 'compressedUpdate', now);
  }

  isQueued(life: Life): boolean {
    const entry = this.entries.get(life);
    return entry !== undefined && this.#queue.has(entry);
  }

  /** The delete takes the place of an update; a state whose insert has not left is never told of. */
  remove(entry: Entry, now: number): void {
    entry.isAlive = false;
    this.entries.delete(entry.life);
    const queued = this.#queue.get(entry);
    this.#queue.delete(entry);
    if (queued !== 'insert') this.#enqueue(entry, 'compressedDelete', now);
  }

  /** What the other box has sent. */
  takeIn(entries: readonly [Kind, Entry][], from: Box, now: number): void {
    for (const [kind, { life, timeout, peers }] of entries) {
      const own = this.entries.get(life);
      if (kind === 'compressedDelete') {
        if (own === undefined) continue;
        // Nobody will learn of the packet that passed since the other box gave the state up.
        if (this.#queue.has(own)) life.isUnknowable = true;
        // Its packets came too late for the other box to know of them: they would have kept the state alive.
        else if (own.refreshedMs > now - 3000 && life.ended === 'natural') life.ended = 'killed';
        // It announces the end, too, unless it learns of it first.
        if (this.#world.random.chance(0.5)) this.remove(own, now);
        else this.#forget(own);
      } else if (own !== undefined) {
        Object.assign(own, { refreshedMs: now, timeout, peers: [...peers] });
      } else if (kind === 'insert' && from.entries.has(life)) {
        Object.assign(this.#add(life, now), { timeout, peers: [...peers] });
      }
    }
  }

  /** Conditions: pfsync_input and pfsync_in_ureq. */
  request(message: Buffer, now: number): void {
    const { version } = this.#world.options;
    const major = SIZES[version].version;
    if (message.length < 24 || message[0] !== major || message.readUInt16BE(2) > message.length) return;
    const count = message.readUInt16BE(22);
    const stride = major === 6 ? 4 * message[21]! : 12;
    if (message[20] !== 5 || stride < 12 || 24 + count * stride > message.length) return;
    const asked: Entry[] = [];
    for (let at = 24; at < 24 + count * stride; at += stride) {
      const id = message.readBigUInt64BE(at);
      const creatorId = message.readUInt32BE(at + 8);
      if (id === 0n && creatorId === 0) this.#bulk(now);
      for (const entry of this.entries.values()) {
        if (entry.life.id === id && creatorId === CREATOR) asked.push(entry);
      }
    }
    this.#answer(asked, now);
  }

  #add(life: Life, now: number): Entry {
    const counted = { packets: [0n, 0n], octets: [0n, 0n] } as Entry['counted'];
    const entry: Entry = { life, counted, refreshedMs: now, timeout: 0, peers: [1, 0], isAlive: true };
    this.entries.set(life, entry);
    this.#world.agenda.at(now, (then) => this.#purgeLater(entry, then));
    return entry;
  }

  #forget(entry: Entry): void {
    entry.isAlive = false;
    this.entries.delete(entry.life);
    this.#queue.delete(entry);
  }

  #expiresAt(entry: Entry): number {
    return entry.refreshedMs + 1000 * this.#world.timeoutSeconds(entry.timeout);
  }

  /** An expired state waits for the purge. */
  #purgeLater(entry: Entry, now: number): void {
    if (!entry.isAlive) return;
    const expiresAt = this.#expiresAt(entry);
    const { agenda, random, endMs } = this.#world;
    if (expiresAt > now) {
      // A state that was moved may have less to live than it had.
      const at =
        Math.min(expiresAt, now + 1000) + (expiresAt > now + 1000 ? 0 : random.integer(0, LONGEST_PURGE));
      if (at < endMs) agenda.at(at, (then) => this.#purgeLater(entry, then));
      return;
    }
    if (entry.life.ended === 'open') end(entry.life, 'natural', now);
    this.remove(entry, now);
  }

  #enqueue(entry: Entry, kind: Kind, now: number): void {
    this.#queue.set(entry, kind);
    if (this.#queue.size > 1) return;
    const round = this.#round;
    this.#world.agenda.at(now + this.#world.random.integer(1, LONGEST_QUEUE), (then) => {
      if (round === this.#round) this.#flush(then);
    });
  }

  /** Full updates, which take the place of queued ones; an insert that is queued says it all. */
  #answer(entries: readonly Entry[], now: number): void {
    const answered = entries.filter((entry) => entry.isAlive && this.#queue.get(entry) !== 'insert');
    for (const entry of answered) this.#queue.set(entry, 'update');
    const isPushed = this.#world.options.version === 'v6' && entries.length > 0;
    if (answered.length > 0 || isPushed) this.#flush(now);
  }

  /** FreeBSD sends all states within 76 ms, the last ones after the end; OpenBSD five in 30 ms, and ignores other requests meanwhile. */
  #bulk(now: number): void {
    const entries = [...this.entries.values()];
    const isOpenBsd = this.#world.options.version === 'v6';
    if (isOpenBsd && now < this.#bulkUntil) return;
    const slices = Math.ceil(entries.length / 5);
    const slice = isOpenBsd ? 30 : Math.floor(70 / Math.max(1, slices));
    this.#bulkUntil = now + slices * slice;
    if (!isOpenBsd || slices > 0) this.#bus('start', now);
    for (let n = 0; n < slices; n++) {
      this.#world.agenda.at(now + n * slice, (then) => this.#answer(entries.slice(5 * n, 5 * n + 5), then));
    }
    this.#world.agenda.at(now + (isOpenBsd ? slices * slice : Math.floor(slices * 0.9) * slice), (then) =>
      this.#bus('end', then),
    );
  }

  #bus(status: 'start' | 'end', now: number): void {
    const record = encodeBus(this.#world.options.version, { creatorId: CREATOR, endtime: 0, status });
    this.#world.emit(this, [{ action: 'bus', records: [record] }], [], now);
  }

  /** Everything that is queued leaves, in as many messages as it needs. */
  #flush(now: number): void {
    this.#round++;
    const { version } = this.#world.options;
    const order: readonly Kind[] =
      version === 'v6'
        ? ['compressedUpdate', 'compressedDelete', 'insert', 'update']
        : ['insert', 'update', 'compressedUpdate', 'compressedDelete'];
    const queued = [...this.#queue];
    this.#queue.clear();
    let regions: { action: Kind; records: Buffer[] }[] = [];
    let said: [Kind, Entry][] = [];
    let length = 0;
    const send = () => {
      if (said.length > 0) this.#world.emit(this, regions, said, now);
      [regions, said, length] = [[], [], 0];
    };
    for (const action of order) {
      for (const [entry] of queued.filter(([, kind]) => kind === action)) {
        const record = this.#encode(action, entry, now);
        if (length + record.length + 32 + 4 * order.length > ROOM) send();
        if (regions.at(-1)?.action !== action) regions.push({ action, records: [] });
        regions.at(-1)!.records.push(record);
        said.push([action, entry]);
        length += record.length;
      }
    }
    send();
  }

  #encode(kind: Kind, entry: Entry, now: number): Buffer {
    const { version } = this.#world.options;
    const { life, counted, timeout, peers } = entry;
    if (kind === 'compressedDelete') return encodeCompressedDelete(version, life.identity);
    const state: SimState = {
      ...life.identity,
      packets: [...counted.packets],
      bytes: [...counted.octets],
      creation: Math.floor((now - life.createdMs) / 1000),
      expire: Math.max(0, Math.floor((this.#expiresAt(entry) - now) / 1000)),
      timeout,
      peers: [
        { seqlo: 1, state: peers[0] },
        { seqlo: 1, state: peers[1] },
      ],
    };
    return kind === 'compressedUpdate' ? encodeCompressedUpdate(version, state) : encodeState(version, state);
  }
}

function end(life: Life, how: 'natural' | 'killed', now: number): void {
  life.ended = life.isTold ? how : 'untold';
  life.endedMs = now;
}

function newLife(serial: number, proto: number, now: number): Life {
  const hasPorts = proto === 6 || proto === 17 || proto === 132;
  const source = { address: `10.0.${serial >> 8}.${serial & 255}`, port: hasPorts ? 1024 + serial : 0 };
  const destination = { address: '198.51.100.1', port: hasPorts ? 443 : 0 };
  return {
    id: BigInt(serial),
    proto,
    packets: [0n, 0n],
    octets: [0n, 0n],
    ended: 'open',
    endedMs: Number.POSITIVE_INFINITY,
    carriers: new Set(),
    isUnknowable: false,
    createdMs: now,
    isTold: false,
    identity: {
      id: BigInt(serial),
      creatorId: CREATOR,
      ifname: 'em0',
      direction: 'in',
      af: 4,
      afAfter: 4,
      proto,
      protoAfter: proto,
      originalSource: source,
      originalDestination: destination,
      translatedSource: source,
      translatedDestination: destination,
      rule: 1,
    },
  };
}

/** PFTM number by the states of the two peers: pf_test_state_tcp. */
function tcpTimeout([source, destination]: readonly [number, number]): number {
  const low = Math.min(source, destination);
  const high = Math.max(source, destination);
  if (low >= 9) return 5;
  if (low >= 7) return 4;
  if (low < 4) return 1;
  return high >= 7 ? 3 : 2;
}

/** An IPv4 packet of protocol 240 that came from this link. */
export function ipPacket(source: string, message: Buffer): Buffer {
  const header = Buffer.from('45100000000040' + '00fff0' + '0000' + '00000000' + 'e00000f0', 'hex');
  header.writeUInt16BE(header.length + message.length, 2);
  addressOctets(source).copy(header, 12);
  return Buffer.concat([header, message]);
}
