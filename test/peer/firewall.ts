/**
 * The life of a pf firewall, or of a pair of them, told in pfsync: states open, carry traffic and end, and the messages come
 * out as the kernels of that version send them. Beside the messages stands what is true of every state, to hold against what
 * a reader makes of them. The same seed and options give the same life. Facts: pfsync-wire.md; the shape of a TCP state's
 * life is that of pf_test_state_tcp in pf.c.
 */
import { Agenda } from './agenda.js';
import {
  type Counters,
  type LiveState,
  openSender,
  type Sender,
  type SenderWorld,
  TIMEOUT_SECONDS,
  type Told,
} from './pfsync-sender.js';
import {
  encodeAcknowledge,
  encodeMessage,
  encodeTdb,
  encodeUpdateRequest,
  type Region,
  SIZES,
  type SimEnd,
  type WireVersion,
} from './pfsync-writer.js';
import { Random } from './random.js';
import { type Expected, type TrueFlow, Truth } from './truth.js';

export interface SimulationOptions {
  readonly version: WireVersion;
  /** Where the messages are seen: on the first firewall's own pfsync interface, or on the sync network. `tap` unless told. */
  readonly role?: 'tap' | 'net';
  /** 20 unless told. */
  readonly states?: number;
  /** `pair`: two firewalls create states, carry each other's traffic at times, and both delete (versions 5 and 6). */
  readonly firewalls?: 'single' | 'pair';
  /** How many times a firewall sends all of its states again. */
  readonly bulkTransfers?: number;
  /** How many times a peer asks for one state's update. */
  readonly requests?: number;
  /** `pfctl -F states`, in turn for everything and for one interface. */
  readonly clears?: number;
  /** The machine starts anew in the middle: same creator id, ids from the start, all states gone without a word. Not in a pair. */
  readonly reboots?: 0 | 1;
  /** Share of the messages that are lost. Bulk transfer brackets, and inserts that use a key again, always arrive. */
  readonly loss?: number;
  /** Independent send queues, so that states interleave (versions 5 and 6). 1 unless told. */
  readonly buckets?: number;
  /** Share of the states that are older than the capture. */
  readonly older?: number;
  /** Share of the states that live for a moment only, or under a `no sync` rule. */
  readonly untold?: number;
  /** Share of the TCP states that end with a reset. 0.1 unless told. */
  readonly resets?: number;
  /** Acknowledgements, requests and IPsec updates between the rest. */
  readonly noise?: number;
  /**
   * The initiator's sequence number in a state that has seen one SYN only. `afterSyn`: the SYN is counted. `isn`: it is not,
   * until the next packet of the initiator, as every pf.c but the earliest has it (pf_create_state).
   */
  readonly firstSeqlo?: 'afterSyn' | 'isn';
  /** Octets after a version 5 EOF. */
  readonly strayOctets?: number;
}

export interface SimulatedPacket {
  readonly timeMs: number;
  /** From the pfsync header on. */
  readonly message: Buffer;
  /** 0 is the first firewall. */
  readonly sender: number;
  /** What it says, record by record. */
  readonly told: readonly Told[];
}

export interface UntoldState {
  readonly key: { readonly id: bigint; readonly creatorId: number };
  /** `silent`: no sync; `unseen`: its firewall told, but not where or when we looked; `neverSent`: gone too soon. */
  readonly why: 'silent' | 'unseen' | 'neverSent';
}

export interface Simulation {
  /** What arrived, by time. */
  readonly packets: readonly SimulatedPacket[];
  readonly lostPackets: readonly SimulatedPacket[];
  /** Every state that the packets tell of in full, in the order of their ends, open ones last. */
  readonly truth: readonly TrueFlow[];
  readonly untold: readonly UntoldState[];
  readonly expected: Expected;
}

const START = 1_700_000_000_000;
/** States open within this time; what ends by itself has ended a few minutes later. */
const SPAN = 600_000;
/** Milliseconds that a record waits at most for others. */
const LONGEST_QUEUE = 1000;

const FIN = 1;
const SYN = 2;
const RST = 4;
const ACK = 16;

export function simulate(seed: number, options: SimulationOptions): Simulation {
  return new Firewalls(seed, options).run();
}

class Firewalls {
  readonly #random: Random;
  readonly #options: SimulationOptions;
  readonly #role: 'tap' | 'net';
  readonly #isPair: boolean;
  readonly #isNew: boolean;
  readonly #agenda = new Agenda();
  readonly #senders: Sender[];
  readonly #creators: number[];
  readonly #nextId: bigint[];
  readonly #firstId: bigint;
  readonly #usedKeys = new Set<string>();
  readonly #reusedKeys = new Set<LiveState>();
  readonly #lives: LiveState[] = [];
  readonly #truth: Truth;
  readonly #packets: SimulatedPacket[] = [];
  readonly #lostPackets: SimulatedPacket[] = [];
  readonly #beginMs: number;
  #transfers = 0;

  constructor(seed: number, options: SimulationOptions) {
    const pair = options.firewalls === 'pair';
    if (pair && options.reboots) throw new Error('a reboot is simulated for a single firewall');
    this.#random = new Random(seed);
    this.#options = options;
    this.#role = options.role ?? 'tap';
    this.#isPair = pair;
    this.#isNew = SIZES[options.version].version >= 5;
    this.#truth = new Truth({ version: options.version, role: this.#role });
    this.#beginMs = START + this.#random.integer(0, 999_999);
    this.#creators = [0xa1b2c3d4, 0x0badcafe];
    // FreeBSD's ids start at 1 at each boot, OpenBSD's at the time of the boot.
    const isFreeBsd = options.version.startsWith('v5-1');
    this.#firstId = isFreeBsd ? 1n : BigInt(Math.floor(this.#beginMs / 1000)) << 32n;
    this.#nextId = [this.#firstId, this.#firstId];
    this.#senders = [0, 1].map((number) => openSender(this.#world(number)));
  }

  run(): Simulation {
    const { states = 20, older = 0, bulkTransfers = 0, requests = 0, clears = 0, noise = 0 } = this.#options;
    const begins: number[] = [];
    for (let serial = 1; serial <= states; serial++) {
      const isOlder = this.#random.chance(older);
      const at =
        this.#beginMs + (isOlder ? -this.#random.integer(1000, SPAN) : this.#random.integer(0, SPAN));
      begins.push(at);
      this.#agenda.at(at, (now) => this.#begin(serial, now));
    }
    for (let n = 0; n < bulkTransfers; n++) this.#sometime((now) => this.#bulkTransfer(now));
    for (let n = 0; n < requests; n++) this.#sometime((now) => this.#request(now));
    for (let n = 0; n < clears; n++) {
      // Half of them while a state is so young that nothing has been said of it yet.
      const young = this.#random.pick(begins) + this.#random.integer(0, LONGEST_QUEUE);
      if (this.#random.chance(0.5)) this.#sometime((now) => this.#clear(n, now));
      else this.#agenda.at(young, (now) => this.#clear(n, now));
    }
    for (let n = 0; n < noise; n++) this.#sometime((now) => this.#noise(now));
    if (this.#options.reboots) this.#agenda.at(this.#beginMs + SPAN / 2, (now) => this.#reboot(now));
    this.#agenda.run();
    const expected = this.#truth.finish();
    return {
      packets: this.#packets,
      lostPackets: this.#lostPackets,
      truth: this.#truth.flows,
      untold: this.#lives
        .filter((live) => !this.#truth.knows(live))
        .map((live) => ({
          key: { id: live.identity.id, creatorId: live.identity.creatorId },
          why: live.isSilent ? 'silent' : live.isAnnounced ? 'unseen' : 'neverSent',
        })),
      expected,
    };
  }

  #world(number: number): SenderWorld {
    return {
      version: this.#options.version,
      role: this.#role,
      number,
      creatorId: this.#creators[number]!,
      buckets: this.#options.buckets ?? 1,
      patience: () => this.#random.integer(50, 1000),
      later: (at, what) => this.#agenda.at(at, what),
      emit: (now, regions, told) => this.#emit(number, now, regions, told),
    };
  }

  #emit(sender: number, timeMs: number, regions: readonly Region[], told: readonly Told[]): void {
    for (const { action, live } of told) {
      if (live && (action === 'insert' || action === 'update' || action === 'delete'))
        live.isAnnounced = true;
    }
    if (timeMs < this.#beginMs) return;
    // The tap shows only what its own machine sends.
    if (this.#role === 'tap' && sender !== 0) return;
    const { version, strayOctets = 0, loss = 0 } = this.#options;
    const packet = { timeMs, message: encodeMessage(version, regions, { strayOctets }), sender, told };
    const mustArrive = told.some(
      ({ action, live }) => action === 'bus' || (action === 'insert' && live && this.#reusedKeys.has(live)),
    );
    if (!mustArrive && this.#random.chance(loss)) {
      this.#lostPackets.push(packet);
      this.#truth.lost(told, timeMs);
      return;
    }
    this.#packets.push(packet);
    this.#truth.arrived(told, timeMs, sender);
  }

  #sometime(what: (now: number) => void): void {
    this.#agenda.at(this.#beginMs + this.#random.integer(0, SPAN + 60_000), what);
  }

  /** Those that a firewall has: its own, and what the other one of a pair has told it of. */
  #statesOf(number: number): LiveState[] {
    return this.#lives.filter(
      (live) =>
        live.isAlive && !live.isSilent && (live.owner === number || (this.#isPair && live.isAnnounced)),
    );
  }

  /** OpenBSD 7.4 and later shows states in a bulk transfer that it never synchronises. */
  #silentStatesOf(number: number): LiveState[] {
    if (this.#options.version !== 'v6') return [];
    return this.#lives.filter((live) => live.isAlive && live.isSilent && live.owner === number);
  }

  #anyFirewall(): number {
    return this.#isPair ? this.#random.integer(0, 1) : 0;
  }

  // What happens to the machine

  /** Start, a firewall's open states a few at a time, end. Other traffic goes on between. One transfer at a time. */
  #bulkTransfer(now: number): void {
    if (this.#transfers > 0) return;
    const number = this.#anyFirewall();
    const sender = this.#senders[number]!;
    const lives = [...this.#statesOf(number), ...this.#silentStatesOf(number)];
    this.#transfers++;
    sender.bus('start', now);
    const step = 7;
    let at = now;
    for (let n = 0; n + step < lives.length; n += step) {
      at += this.#random.integer(1, 400);
      this.#agenda.at(at, (then) => {
        sender.answer(lives.slice(n, n + step).filter(isAlive), then);
      });
    }
    const last = lives.slice(step * (Math.ceil(lives.length / step) - 1));
    this.#agenda.at(at + 10, (then) => {
      sender.queueAnswers(last.filter(isAlive), then);
      sender.bus('end', then);
      this.#transfers--;
    });
  }

  /** Somebody asks a firewall for a state: whichever of a pair, each answers with what it has counted itself. */
  #request(now: number): void {
    const asked = this.#anyFirewall();
    const lives = this.#statesOf(asked).filter((live) => live.isAnnounced);
    if (this.#transfers > 0 || lives.length === 0) return;
    const live = this.#random.pick(lives);
    const records = [encodeUpdateRequest(this.#options.version, live.identity)];
    this.#emit(
      1 - asked,
      now,
      [{ action: 'updateRequest', records }],
      [{ action: 'updateRequest', key: live.identity }],
    );
    this.#senders[asked]!.answer([live], now);
  }

  #clear(n: number, now: number): void {
    const owner = this.#anyFirewall();
    const ifname = n % 2 === 0 ? this.#random.pick(['em0', 'em1', 'vlan7']) : '';
    const cleared = new Set(
      this.#lives.filter(
        (live) => live.isAlive && live.owner === owner && (ifname === '' || live.identity.ifname === ifname),
      ),
    );
    for (const live of cleared) this.#kill(live, now);
    this.#senders[owner]!.clear(ifname, cleared, now);
  }

  #reboot(now: number): void {
    for (const live of this.#lives) if (live.isAlive) this.#kill(live, now);
    this.#senders[0]!.reboot();
    this.#nextId[0] = this.#firstId;
  }

  #noise(now: number): void {
    const { version } = this.#options;
    const key = { id: BigInt(this.#random.integer(1, 1000)), creatorId: this.#creators[0]! };
    const tdb = { spi: 0xcafe0001, destination: '203.0.113.200', rpl: 7, bytes: 123456789012n, protocol: 50 };
    const what = this.#random.pick(['acknowledge', 'updateRequest', 'tdb'] as const);
    const isKnown = (what !== 'acknowledge' || this.#isNew) && (what !== 'tdb' || version !== 'v2');
    if (!isKnown) return;
    const record =
      what === 'acknowledge'
        ? encodeAcknowledge(key)
        : what === 'tdb'
          ? encodeTdb(version, tdb)
          : encodeUpdateRequest(version, key);
    this.#emit(0, now, [{ action: what, records: [record] }], [{ action: what, key }]);
  }

  // What happens to a state

  #begin(serial: number, now: number): void {
    const random = this.#random;
    const owner = this.#anyFirewall();
    const id = this.#nextId[owner]!;
    this.#nextId[owner] = id + 1n;
    const isUntold = random.chance(this.#options.untold ?? 0);
    const isSilent = isUntold && random.chance(0.5);
    const identity = {
      ...this.#identity(serial, id, this.#creators[owner]!),
      ...(isSilent ? { isNoSync: true } : {}),
    };
    const live: LiveState = {
      serial,
      identity,
      owner,
      createdMs: now,
      isSilent,
      counted: [noCounters(), noCounters()],
      peers: [
        { seqlo: 0, seqhi: 0, state: 0 },
        { seqlo: 0, seqhi: 0, state: 0 },
      ],
      advanced: [0, 0],
      sentFlags: [0, 0],
      timeout: 0,
      lastPacketMs: now,
      isAlive: true,
      goneMs: null,
      isKilled: false,
      isHiding: false,
      isAnnounced: false,
    };
    this.#lives.push(live);
    const key = `${identity.creatorId}/${id}`;
    if (this.#usedKeys.has(key)) this.#reusedKeys.add(live);
    this.#usedKeys.add(key);
    if (identity.proto === 6) this.#tcpLife(live, now);
    else this.#plainLife(live, now);
    const isBrief = isUntold && !isSilent;
    if (isBrief || random.chance(0.1)) {
      const at = now + (isBrief ? random.integer(0, 60) : random.integer(1000, 60_000));
      this.#agenda.at(at, (then) => {
        if (!live.isAlive) return;
        this.#kill(live, then);
        this.#announceEnd(live, then);
      });
    }
  }

  /** Handshake, transfers both ways, a close or a reset; or no answer; or a connection that stays. */
  #tcpLife(live: LiveState, begin: number): void {
    const random = this.#random;
    // Half of the numbers start just short of the wrap.
    const isn = [0, 1].map(() =>
      random.chance(0.5) ? 0xffffffff - random.integer(1, 200_000) : random.integer(1, 0xfffffffe),
    );
    const tcp: Tcp = { live, isn, synPending: [false, false], carrier: live.owner };
    const [initiator] = live.peers;
    live.advanced[0] = this.#options.firstSeqlo === 'isn' ? 0 : 1;
    live.sentFlags[0] = SYN;
    initiator.seqlo = (isn[0]! + live.advanced[0]) >>> 0;
    initiator.seqhi = (isn[0]! + 2) >>> 0;
    initiator.state = 2;
    tcp.synPending[0] = this.#options.firstSeqlo === 'isn';
    this.#insert(live, begin);
    this.#count(live, live.owner, 0, 1n, 60n);

    let at = begin;
    const then = (pause: number, what: (now: number) => void) => {
      at += random.integer(0, pause);
      this.#agenda.at(at, (now) => {
        if (live.isAlive) what(now);
      });
    };
    if (random.chance(0.1)) {
      this.#expire(live);
      return;
    }
    then(150, (now) => this.#segment(tcp, 1, { syn: true }, now));
    then(150, (now) => this.#segment(tcp, 0, {}, now));
    // Version 2 counts in 32 bits.
    const isAllSeen =
      !this.#options.loss && !(this.#isPair && this.#role === 'tap') && this.#options.version !== 'v2';
    const isLong = isAllSeen && random.chance(0.1);
    for (let n = random.integer(0, 8); n > 0; n--) {
      const from = random.integer(0, 1) as 0 | 1;
      // A long transfer passes 2^32 in all, but never 2^31 between two messages.
      const payload = isLong
        ? random.integer(1 << 28, 1 << 29)
        : random.integer(1, 1 << random.integer(1, 22));
      if (isLong) at += 2500;
      then(20_000, (now) => {
        tcp.carrier = this.#carrier(live);
        this.#segment(tcp, from, { payload }, now);
        this.#segment(tcp, from === 0 ? 1 : 0, {}, now);
      });
    }
    if (random.chance(0.1)) return;
    const closer = random.integer(0, 1) as 0 | 1;
    const other = closer === 0 ? 1 : 0;
    if (random.chance(this.#options.resets ?? 0.1)) {
      then(5000, (now) => this.#segment(tcp, closer, { reset: true }, now));
      then(0, () => this.#expire(live));
      return;
    }
    then(5000, (now) => this.#segment(tcp, closer, { fin: true }, now));
    then(100, (now) => this.#segment(tcp, other, {}, now));
    if (random.chance(0.8)) {
      then(2000, (now) => this.#segment(tcp, other, { fin: true }, now));
      then(100, (now) => this.#segment(tcp, closer, {}, now));
    }
    then(0, () => this.#expire(live));
  }

  /** pf_test_state_tcp, as far as pfsync shows it: sequence numbers, peers' states, timeout; then the update, then the count. */
  #segment(tcp: Tcp, from: 0 | 1, what: Segment, now: number): void {
    const { live, isn } = tcp;
    const source = live.peers[from];
    const destination = live.peers[from === 0 ? 1 : 0];
    let payload = what.payload ?? 0;
    if (source.seqlo === 0) {
      source.seqlo = isn[from]!;
      if (source.state < 2) source.state = 2;
    }
    const controls = (what.syn || tcp.synPending[from] ? 1 : 0) + (what.fin ? 1 : 0);
    tcp.synPending[from] = false;
    // 0 would say that nothing was seen of this peer.
    if ((source.seqlo + payload + controls) % 2 ** 32 === 0) payload++;
    source.seqlo = (source.seqlo + payload + controls) % 2 ** 32;
    live.advanced[from] += payload + controls;
    const isFirst = from === 0 ? false : live.sentFlags[1] === 0;
    live.sentFlags[from] |= (isFirst ? SYN | ACK : ACK) | (what.fin ? FIN : 0) | (what.reset ? RST : 0);
    if (what.fin && source.state < 7) source.state = 7;
    if (destination.state === 2) destination.state = 4;
    else if (destination.state === 7) destination.state = 9;
    if (what.reset) {
      source.state = 10;
      destination.state = 10;
    }
    live.timeout = tcpTimeout(source.state, destination.state);
    this.#update(live, tcp.carrier, now);
    const packets = Math.max(1, Math.ceil(payload / 1448));
    this.#count(live, tcp.carrier, from, BigInt(packets), BigInt(payload + packets * 52));
  }

  /** UDP, ICMP and the rest: packets one way or both, then silence. */
  #plainLife(live: LiveState, begin: number): void {
    const random = this.#random;
    const { proto } = live.identity;
    const isIcmp = proto === 1 || proto === 58;
    const first = isIcmp ? 9 : proto === 17 ? 6 : 11;
    live.timeout = first;
    live.peers[0].state = isIcmp ? 0 : 1;
    this.#insert(live, begin);
    const isEmpty = random.chance(0.05);
    const isOnlyReplies = random.chance(0.05);
    if (!isEmpty && !isOnlyReplies) this.#count(live, live.owner, 0, 1n, 84n);
    let at = begin;
    for (let n = isEmpty ? 0 : random.integer(isOnlyReplies ? 1 : 0, 8); n > 0; n--) {
      const from = isOnlyReplies ? 1 : (random.integer(0, 1) as 0 | 1);
      const [packets, octets] = this.#burst();
      // Now and then the state is about to die of age.
      at += random.chance(0.8)
        ? random.integer(0, 8000)
        : (isIcmp ? 20_000 : 30_000) - random.integer(1, 1500);
      this.#agenda.at(at, (now) => {
        if (!live.isAlive) return;
        const source = live.peers[from];
        const destination = live.peers[from === 0 ? 1 : 0];
        if (!isIcmp) {
          if (source.state < 1) source.state = 1;
          if (destination.state === 1) destination.state = 2;
          live.timeout = first + (source.state === 2 && destination.state === 2 ? 2 : 1);
        }
        const carrier = this.#carrier(live);
        this.#update(live, carrier, now);
        this.#count(live, carrier, from, packets, octets);
      });
    }
    this.#agenda.at(at, () => this.#expire(live));
  }

  /** Packets and octets of a burst: now and then more than 2^32, or more than a double holds. Version 2 counts in 32 bits. */
  #burst(): [bigint, bigint] {
    const random = this.#random;
    if (random.chance(0.9)) {
      const packets = random.integer(1, 1000);
      return [BigInt(packets), BigInt(packets * random.integer(28, 1500))];
    }
    if (this.#options.version === 'v2')
      return [BigInt(random.integer(1, 100_000)), BigInt(random.integer(1, 2 ** 28))];
    const shift = random.pick([32n, 53n, 58n]);
    return [BigInt(random.integer(1, 9)) << (shift - 10n), (1n << shift) + BigInt(random.integer(1, 99))];
  }

  /** After the idle timeout comes the purge, up to 10 s later; unless something happened meanwhile. */
  #expire(live: LiveState): void {
    const { lastPacketMs } = live;
    const longestPurge = this.#random.chance(0.9) ? 10_000 : 20_000;
    const at = lastPacketMs + TIMEOUT_SECONDS[live.timeout]! * 1000 + this.#random.integer(0, longestPurge);
    this.#agenda.at(at, (now) => {
      if (!live.isAlive || live.lastPacketMs !== lastPacketMs) return;
      live.isAlive = false;
      live.goneMs = now;
      this.#announceEnd(live, now);
    });
  }

  #insert(live: LiveState, now: number): void {
    if (!live.isSilent) this.#senders[live.owner]!.insert(live, now);
  }

  #update(live: LiveState, carrier: number, now: number): void {
    live.lastPacketMs = now;
    if (!live.isSilent) this.#senders[carrier]!.update(live, now);
  }

  /** Before its time. What it had queued may not leave any more. */
  #kill(live: LiveState, now: number): void {
    live.isAlive = false;
    live.goneMs = now;
    live.isKilled = true;
    live.isHiding = now - live.lastPacketMs <= LONGEST_QUEUE;
  }

  #announceEnd(live: LiveState, now: number): void {
    if (live.isSilent) return;
    this.#senders[live.owner]!.delete(live, now);
    const other = 1 - live.owner;
    if (!this.#isPair || !live.isAnnounced || !this.#random.chance(0.5)) return;
    this.#agenda.at(now + this.#random.integer(0, 1500), (then) => this.#senders[other]!.delete(live, then));
  }

  /**
   * Who forwards the next packets. The other one can once it was told of the state. Versions 2 to 4 pack an update when the
   * packet passes, so two senders' updates could overtake each other there: the owner carries all.
   */
  #carrier(live: LiveState): number {
    const canBeOther = this.#isPair && this.#isNew && live.isAnnounced;
    return canBeOther && this.#random.chance(0.2) ? 1 - live.owner : live.owner;
  }

  /** Of an af-to state pf counts both directions at the first place. */
  #count(live: LiveState, carrier: number, from: 0 | 1, packets: bigint, octets: bigint): void {
    const counted = live.counted[carrier]!;
    const index = live.identity.af === live.identity.afAfter ? from : 0;
    counted.packets[index] += packets;
    counted.bytes[index] += octets;
  }

  // What a state is called

  #identity(serial: number, id: bigint, creatorId: number): LiveState['identity'] {
    const random = this.#random;
    const { version } = this.#options;
    const isOld = version === 'v2' || version === 'v3';
    const af = random.chance(0.7) ? 4 : 6;
    const direction = random.chance(0.5) ? 'in' : 'out';
    const kind = random.pick(['tcp', 'tcp', 'tcp', 'udp', 'udp', 'icmp', 'other'] as const);
    const icmp = { 4: 1, 6: 58 } as const;
    const proto = { tcp: 6, udp: 17, icmp: icmp[af], other: random.pick([47, 50, 132]) }[kind];
    const hasPorts = kind === 'tcp' || kind === 'udp' || proto === 132;
    const canChangeFamily =
      (version === 'v6' || version === 'v5-1500') && direction === 'in' && kind !== 'other';

    const number = random.integer(1024, 65535);
    const [sourcePort, destinationPort] = hasPorts
      ? [number, random.pick([22, 53, 443, 8443])]
      : kind === 'icmp'
        ? icmpPorts(version, direction, number, af)
        : [0, 0];
    const inside = insideAddress(af, serial);
    const outside = outsideAddress(af, serial);
    const originalSource = { address: direction === 'out' ? inside : outside, port: sourcePort };
    let originalDestination = { address: direction === 'out' ? outside : inside, port: destinationPort };
    let translatedSource: SimEnd = originalSource;
    let translatedDestination: SimEnd = originalDestination;
    let afAfter: 4 | 6 = af;
    let protoAfter = proto;
    const otherPort = (port: number) => (hasPorts ? random.integer(1024, 65535) : port);

    const what = random.pick(['plain', 'plain', 'nat', 'both', 'family'] as const);
    if (what === 'family' && canChangeFamily) {
      afAfter = af === 4 ? 6 : 4;
      protoAfter = kind === 'icmp' ? icmp[afAfter] : proto;
      const [, typeAfter] =
        kind === 'icmp' ? icmpPorts(version, direction, number, afAfter) : [0, destinationPort];
      originalDestination = { address: af === 6 ? nat64(serial) : '192.0.2.80', port: destinationPort };
      translatedSource = { address: ownAddress(afAfter), port: otherPort(sourcePort) };
      translatedDestination = { address: outsideAddress(afAfter, serial), port: typeAfter };
    } else if (what === 'nat' || what === 'both') {
      if (direction === 'out') {
        translatedSource = { address: ownAddress(af), port: otherPort(sourcePort) };
      } else {
        originalDestination = { address: ownAddress(af), port: destinationPort };
        translatedDestination = {
          address: inside,
          port: hasPorts ? random.integer(1, 1023) : destinationPort,
        };
        if (what === 'both' && !isOld)
          translatedSource = { address: ownAddress(af), port: otherPort(sourcePort) };
      }
    }
    return {
      id,
      creatorId,
      ifname: random.chance(0.1) ? 'all' : direction === 'out' ? 'em1' : random.pick(['em0', 'vlan7']),
      direction,
      af,
      afAfter,
      proto,
      protoAfter,
      originalSource,
      originalDestination,
      translatedSource,
      translatedDestination,
      rule: random.integer(0, 200),
    };
  }
}

function isAlive(live: LiveState): boolean {
  return live.isAlive;
}

interface Tcp {
  readonly live: LiveState;
  readonly isn: readonly number[];
  /** The SYN is seen but not yet in seqlo. */
  readonly synPending: [boolean, boolean];
  carrier: number;
}

interface Segment {
  readonly payload?: number;
  readonly syn?: boolean;
  readonly fin?: boolean;
  readonly reset?: boolean;
}

/** PFTM number by the states of the two peers. */
function tcpTimeout(one: number, other: number): number {
  const low = Math.min(one, other);
  if (low >= 9) return 5;
  if (low >= 7) return 4;
  if (low < 4) return 1;
  return Math.max(one, other) >= 7 ? 3 : 2;
}

/** What stands at the places of the ports: the id, and in version 6 the type of the request at the destination. */
function icmpPorts(version: WireVersion, direction: 'in' | 'out', id: number, af: 4 | 6): [number, number] {
  if (version === 'v6') return [id, af === 4 ? 8 : 128];
  if (version === 'v2' || version === 'v3') return direction === 'out' ? [id, 0] : [0, id];
  return [id, id];
}

function insideAddress(af: 4 | 6, serial: number): string {
  return af === 4 ? `10.${dotted(serial)}` : `2001:db8:1::${serial.toString(16)}`;
}

function outsideAddress(af: 4 | 6, serial: number): string {
  return af === 4
    ? `198.${18 + ((serial >> 16) & 1)}.${(serial >> 8) & 255}.${serial & 255}`
    : `2001:db8:2::${serial.toString(16)}`;
}

function ownAddress(af: 4 | 6): string {
  return af === 4 ? '192.0.2.1' : '2001:db8:ff::1';
}

/** 198.18.x.y in the well-known prefix. */
function nat64(serial: number): string {
  return `64:ff9b::c612:${(serial & 0xffff).toString(16)}`;
}

function dotted(serial: number): string {
  return `${(serial >> 16) & 255}.${(serial >> 8) & 255}.${serial & 255}`;
}

function noCounters(): Counters {
  return { packets: [0n, 0n], bytes: [0n, 0n] };
}
