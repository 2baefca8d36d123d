/**
 * Writes pfsync as the kernels do: every record of versions 2 to 6 and the messages around them, from pfsync-wire.md
 * sections 1 to 4. An independent other end: it shares no table and no code with the reader it is meant to test, so each
 * offset stands here as a literal.
 */
import { addressOctets } from './address.js';

/** The layouts a firewall can speak. The version octet alone does not name them. */
export type WireVersion =
  | 'v2'
  | 'v3'
  | 'v4'
  | 'v4-dragonfly'
  | 'v5-openbsd'
  | 'v5-1301'
  | 'v5-1400'
  | 'v5-1500'
  | 'v6-openbsd47'
  | 'v6';

export const WIRE_VERSIONS: readonly WireVersion[] = [
  'v2',
  'v3',
  'v4',
  'v4-dragonfly',
  'v5-openbsd',
  'v5-1301',
  'v5-1400',
  'v5-1500',
  'v6-openbsd47',
  'v6',
];

export interface SimEnd {
  readonly address: string;
  /** ICMP: what pf keeps in its place (id, type or 0), see pfsync-wire.md section 4. */
  readonly port: number;
}

export interface SimPeer {
  seqlo: number;
  seqhi?: number;
  /** TCPS_* for TCP: 0 closed, 2 SYN sent, 4 established, 7 closing, 9 FIN wait 2, 10 time wait. */
  state: number;
}

/** A state in neutral terms. Index 0 of counters and peers is the initiator. */
export interface SimState {
  readonly id: bigint;
  readonly creatorId: number;
  readonly ifname: string;
  readonly direction: 'in' | 'out';
  /** Family and protocol of the original view; after af-to the translated view has others. */
  readonly af: 4 | 6;
  readonly afAfter: 4 | 6;
  readonly proto: number;
  readonly protoAfter: number;
  /** What the initiator sent. */
  readonly originalSource: SimEnd;
  readonly originalDestination: SimEnd;
  /** The other side of the NAT. */
  readonly translatedSource: SimEnd;
  readonly translatedDestination: SimEnd;
  packets: readonly [bigint, bigint];
  bytes: readonly [bigint, bigint];
  /** Age in seconds when packed. */
  creation: number;
  /** Seconds left; 0 in versions 2 and 3. */
  expire: number;
  timeout: number;
  /** -1 is none. */
  rule: number;
  /** -1 is none, which is what stands when not told. Versions 2 and 3 never fill the NAT rule, today's version 6 neither. */
  anchor?: number;
  natRule?: number;
  log?: number;
  rtAddress?: string;
  /** pf.conf's tag; version 1500 only. */
  tag?: string;
  /** PFSTATE_NOSYNC is among its flags; today's version 6 only. */
  isNoSync?: boolean;
  peers: readonly [SimPeer, SimPeer];
}

export interface SimKey {
  readonly id: bigint;
  readonly creatorId: number;
}

export type Action =
  | 'clear'
  | 'insert'
  | 'acknowledge'
  | 'update'
  | 'compressedUpdate'
  | 'updateRequest'
  | 'delete'
  | 'compressedDelete'
  | 'bus'
  | 'tdb';

export interface Region {
  readonly action: Action;
  readonly records: readonly Buffer[];
}

export interface MessageOptions {
  /** Octets after a version 5 EOF, inside the length: 20 in OpenBSD 4.5. */
  readonly strayOctets?: number;
  /** The ruleset's MD5; zero unless told. */
  readonly ruleset?: Buffer;
}

interface Sizes {
  readonly version: number;
  readonly header: number;
  readonly state: number;
  readonly compressedUpdate: number;
  readonly compressedDelete: number;
  readonly clear: number;
  readonly tdb: number;
}

const OLD = { header: 20, compressedUpdate: 88, compressedDelete: 16, clear: 24, tdb: 48 };
const NEW = { header: 20, compressedUpdate: 84, compressedDelete: 12, clear: 20, tdb: 48 };

export const SIZES: Readonly<Record<WireVersion, Sizes>> = {
  v2: { ...OLD, version: 2, header: 4, state: 224 },
  v3: { ...OLD, version: 3, state: 240 },
  v4: { ...OLD, version: 4, state: 240 },
  'v4-dragonfly': { ...OLD, version: 4, state: 300 },
  'v5-openbsd': { ...NEW, version: 5, state: 240 },
  'v5-1301': { ...NEW, version: 5, state: 242 },
  'v5-1400': { ...NEW, version: 5, state: 277 },
  'v5-1500': { ...NEW, version: 5, state: 360 },
  'v6-openbsd47': { ...NEW, version: 6, state: 264 },
  v6: { ...NEW, version: 6, state: 264, tdb: 52 },
};

const OLD_ACTIONS: Partial<Record<Action, number>> = {
  clear: 0,
  insert: 1,
  update: 2,
  delete: 3,
  compressedUpdate: 4,
  compressedDelete: 5,
  updateRequest: 8,
  bus: 9,
  tdb: 10,
};
const V5_ACTIONS: Record<Action, number> = {
  clear: 0,
  insert: 1,
  acknowledge: 2,
  update: 3,
  compressedUpdate: 4,
  updateRequest: 5,
  delete: 6,
  compressedDelete: 7,
  bus: 10,
  tdb: 11,
};

/** One record of an insert, a full update or a full delete. */
export function encodeState(version: WireVersion, state: SimState): Buffer {
  if (version === 'v6' || version === 'v6-openbsd47') return encodeStateV6(version, state);
  if (version === 'v2') return encodeStateV2(state);
  const out = Buffer.alloc(SIZES[version].state);
  out.writeBigUInt64BE(state.id, 0);
  out.write(state.ifname, 8, 16, 'latin1');
  if (version === 'v3') writeEnds(out, state);
  else writeKeys(out, state, 24, 60);
  writePeer(out, 96, state.peers[0]);
  writePeer(out, 128, state.peers[1]);
  if (state.rtAddress) addressOctets(state.rtAddress).copy(out, 160);
  out.writeInt32BE(state.rule, 176);
  out.writeInt32BE(state.anchor ?? -1, 180);
  out.writeInt32BE(version === 'v3' ? 0 : (state.natRule ?? -1), 184);
  out.writeUInt32BE(state.creation, 188);
  out.writeUInt32BE(version === 'v3' ? 0 : state.expire, 192);
  out.writeBigUInt64BE(state.packets[0], 196);
  out.writeBigUInt64BE(state.packets[1], 204);
  out.writeBigUInt64BE(state.bytes[0], 212);
  out.writeBigUInt64BE(state.bytes[1], 220);
  out.writeUInt32BE(state.creatorId, 228);
  const wire = wireSide(state);
  const stack = stackSide(state);
  const direction = state.direction === 'in' ? 1 : 2;
  const log = state.log ?? 0;
  switch (version) {
    case 'v3':
    case 'v4':
    case 'v4-dragonfly':
    case 'v5-openbsd':
      out[232] = familyNumber(version, wire.af);
      out[233] = wire.proto;
      out[234] = direction;
      out[235] = log;
      out[237] = state.timeout;
      break;
    case 'v5-1301':
    case 'v5-1400':
      out[232] = familyNumber(version, wire.af);
      out[233] = wire.proto;
      out[234] = direction;
      out[237] = log;
      out[239] = state.timeout;
      if (version === 'v5-1400') out.writeInt32BE(-1, 250);
      break;
    case 'v5-1500':
      out.write(state.tag ?? '', 232, 64, 'latin1');
      out.write(state.ifname, 312, 16, 'latin1');
      out.writeInt32BE(-1, 328);
      out[344] = familyNumber(version, wire.af);
      out[345] = familyNumber(version, stack.af);
      out[347] = wire.proto;
      out[348] = stack.proto;
      out[349] = log;
      out[350] = state.timeout;
      out[351] = direction;
  }
  return out;
}

/** Peers, expire and timeout: 88 octets in versions 2 to 4, 84 later. */
export function encodeCompressedUpdate(version: WireVersion, state: SimState): Buffer {
  const out = Buffer.alloc(SIZES[version].compressedUpdate);
  out.writeBigUInt64BE(state.id, 0);
  writePeer(out, 8, state.peers[0]);
  writePeer(out, 40, state.peers[1]);
  out.writeUInt32BE(state.creatorId, 72);
  out.writeUInt32BE(hasExpire(version) ? state.expire : 0, 76);
  out[80] = state.timeout;
  return out;
}

export function encodeCompressedDelete(version: WireVersion, key: SimKey): Buffer {
  return encodeKey(SIZES[version].compressedDelete, key);
}

/** Id and creator id 0 ask for everything. */
export function encodeUpdateRequest(version: WireVersion, key: SimKey): Buffer {
  return encodeKey(SIZES[version].compressedDelete, key);
}

/** Versions 5 and 6 only. */
export function encodeAcknowledge(key: SimKey): Buffer {
  return encodeKey(12, key);
}

/** All states of a creator, or those of one of its interfaces. */
export function encodeClear(version: WireVersion, clear: { creatorId: number; ifname: string }): Buffer {
  const out = Buffer.alloc(SIZES[version].clear);
  out.write(clear.ifname, 0, 16, 'latin1');
  out.writeUInt32BE(clear.creatorId, 16);
  return out;
}

export function encodeBus(
  version: WireVersion,
  bus: { creatorId: number; endtime: number; status: 'start' | 'end' },
): Buffer {
  const out = Buffer.alloc(SIZES[version].compressedDelete);
  out.writeUInt32BE(bus.creatorId, 0);
  out.writeUInt32BE(bus.endtime, 4);
  out[8] = bus.status === 'start' ? 1 : 2;
  return out;
}

/** An IPsec SA to an IPv4 destination. */
export function encodeTdb(
  version: WireVersion,
  tdb: { spi: number; destination: string; rpl: number; bytes: bigint; protocol: number },
): Buffer {
  const out = Buffer.alloc(SIZES[version].tdb);
  out.writeUInt32BE(tdb.spi, 0);
  out[4] = 16;
  out[5] = 2;
  addressOctets(tdb.destination).copy(out, 8);
  if (version === 'v6') {
    out.writeBigUInt64BE(BigInt(tdb.rpl), 32);
    out.writeBigUInt64BE(tdb.bytes, 40);
    out[48] = tdb.protocol;
  } else {
    out.writeUInt32BE(tdb.rpl, 32);
    out.writeBigUInt64BE(tdb.bytes, 36);
    out[44] = tdb.protocol;
  }
  return out;
}

/** The number of an action on the wire. Throws for an action that the version has not. */
export function actionNumber(version: WireVersion, action: Action): number {
  const major = SIZES[version].version;
  const number = major < 5 ? OLD_ACTIONS[action] : newAction(version, action);
  if (number === undefined) throw new Error(`${version} has no ${action}`);
  return number;
}

/** A whole message. Versions 2 to 4 carry one region of at most 255 records; later ones as many as fit. */
export function encodeMessage(
  version: WireVersion,
  regions: readonly Region[],
  options: MessageOptions = {},
): Buffer {
  const sizes = SIZES[version];
  const header = Buffer.alloc(sizes.header);
  header[0] = sizes.version;
  if (sizes.header === 20) options.ruleset?.copy(header, 4, 0, 16);
  if (sizes.version < 5) {
    const region = regions[0];
    if (regions.length !== 1 || !region) throw new Error(`${version} carries one action in a message`);
    header[2] = actionNumber(version, region.action);
    // The kernels never raise the count for these two, although a record follows.
    header[3] = region.action === 'clear' || region.action === 'bus' ? 0 : region.records.length;
    return Buffer.concat([header, ...region.records]);
  }
  const parts: Buffer[] = [header];
  for (const region of regions) {
    const length = region.records[0]?.length ?? 0;
    const words = sizes.version === 6 ? length / 4 : 0;
    parts.push(
      subheader(actionNumber(version, region.action), words, region.records.length),
      ...region.records,
    );
  }
  if (sizes.version === 5) parts.push(subheader(12, 0, 1), Buffer.alloc(options.strayOctets ?? 0));
  header.writeUInt16BE(
    parts.reduce((sum, part) => sum + part.length, 0),
    2,
  );
  return Buffer.concat(parts);
}

function newAction(version: WireVersion, action: Action): number {
  if (action === 'insert') {
    if (version === 'v5-1500') return 15;
    if (version !== 'v5-openbsd' && version !== 'v5-1301') return 13;
  }
  if (action === 'update') {
    if (version === 'v5-1500') return 16;
    if (version !== 'v5-openbsd' && version !== 'v5-1301') return 14;
  }
  if (action === 'tdb' && version === 'v6') return 15;
  return V5_ACTIONS[action];
}

function subheader(action: number, words: number, count: number): Buffer {
  const out = Buffer.from([action, words, 0, 0]);
  out.writeUInt16BE(count, 2);
  return out;
}

function encodeKey(length: number, key: SimKey): Buffer {
  const out = Buffer.alloc(length);
  out.writeBigUInt64BE(key.id, 0);
  out.writeUInt32BE(key.creatorId, 8);
  return out;
}

function encodeStateV2(state: SimState): Buffer {
  const out = Buffer.alloc(224);
  out.writeBigUInt64BE(state.id, 0);
  out.write(state.ifname, 8, 16, 'latin1');
  writeEnds(out, state);
  writePeer(out, 96, state.peers[0]);
  writePeer(out, 128, state.peers[1]);
  if (state.rtAddress) addressOctets(state.rtAddress).copy(out, 160);
  out.writeInt32BE(state.rule, 176);
  out.writeInt32BE(state.anchor ?? -1, 180);
  out.writeUInt32BE(state.creation, 188);
  out.writeUInt32BE(Number(BigInt.asUintN(32, state.packets[0])), 196);
  out.writeUInt32BE(Number(BigInt.asUintN(32, state.packets[1])), 200);
  out.writeUInt32BE(Number(BigInt.asUintN(32, state.bytes[0])), 204);
  out.writeUInt32BE(Number(BigInt.asUintN(32, state.bytes[1])), 208);
  out.writeUInt32BE(state.creatorId, 212);
  out[216] = familyNumber('v2', state.af);
  out[217] = state.proto;
  out[218] = state.direction === 'in' ? 1 : 2;
  out[219] = state.log ?? 0;
  out[221] = state.timeout;
  return out;
}

function encodeStateV6(version: 'v6' | 'v6-openbsd47', state: SimState): Buffer {
  const out = Buffer.alloc(264);
  const wire = wireSide(state);
  const stack = stackSide(state);
  out.writeBigUInt64BE(state.id, 0);
  out.write(state.ifname, 8, 16, 'latin1');
  writeKeys(out, state, 24, 64);
  if (version === 'v6') {
    out[24 + 38] = familyNumber(version, wire.af);
    out[64 + 38] = familyNumber(version, stack.af);
  }
  writePeer(out, 104, state.peers[0]);
  writePeer(out, 136, state.peers[1]);
  if (state.rtAddress) addressOctets(state.rtAddress).copy(out, 168);
  out.writeInt32BE(state.rule, 184);
  out.writeInt32BE(state.anchor ?? -1, 188);
  out.writeInt32BE(state.natRule ?? -1, 192);
  out.writeUInt32BE(state.creation, 196);
  out.writeUInt32BE(state.expire, 200);
  out.writeBigUInt64BE(state.packets[0], 204);
  out.writeBigUInt64BE(state.packets[1], 212);
  out.writeBigUInt64BE(state.bytes[0], 220);
  out.writeBigUInt64BE(state.bytes[1], 228);
  out.writeUInt32BE(state.creatorId, 236);
  out[250] = familyNumber(version, wire.af);
  out[251] = wire.proto;
  out[252] = state.direction === 'in' ? 1 : 2;
  out[253] = state.log ?? 0;
  out[255] = state.timeout;
  if (state.isNoSync) out.writeUInt16BE(0x0008, 260);
  return out;
}

/** Versions 2 and 3: lan at 24, gwy at 48, ext at 72. */
function writeEnds(out: Buffer, state: SimState): void {
  const inbound = state.direction === 'in';
  writeEnd(out, 24, inbound ? state.translatedDestination : state.originalSource);
  writeEnd(out, 48, inbound ? state.originalDestination : state.translatedSource);
  writeEnd(out, 72, inbound ? state.originalSource : state.originalDestination);
}

function writeEnd(out: Buffer, at: number, end: SimEnd): void {
  addressOctets(end.address).copy(out, at);
  out.writeUInt16BE(end.port, at + 16);
}

interface Side {
  readonly af: 4 | 6;
  readonly proto: number;
  readonly source: SimEnd;
  readonly destination: SimEnd;
  /** After af-to the ends of the translated key stand at each other's index. */
  readonly swapped: boolean;
}

function original(state: SimState): Side {
  const { af, proto, originalSource: source, originalDestination: destination } = state;
  return { af, proto, source, destination, swapped: false };
}

function translated(state: SimState): Side {
  const {
    afAfter: af,
    protoAfter: proto,
    translatedSource: source,
    translatedDestination: destination,
  } = state;
  return { af, proto, source, destination, swapped: state.af !== state.afAfter };
}

function wireSide(state: SimState): Side {
  return state.direction === 'in' ? original(state) : translated(state);
}

function stackSide(state: SimState): Side {
  return state.direction === 'in' ? translated(state) : original(state);
}

/** Version 4 and later: a key is addr[0], addr[1], port[0], port[1]; the source is index 0 inbound and 1 outbound. */
function writeKeys(out: Buffer, state: SimState, wireAt: number, stackAt: number): void {
  for (const [at, side] of [
    [wireAt, wireSide(state)],
    [stackAt, stackSide(state)],
  ] as const) {
    const sourceFirst = (state.direction === 'in') !== side.swapped;
    const [first, second] = sourceFirst ? [side.source, side.destination] : [side.destination, side.source];
    addressOctets(first.address).copy(out, at);
    addressOctets(second.address).copy(out, at + 16);
    out.writeUInt16BE(first.port, at + 32);
    out.writeUInt16BE(second.port, at + 34);
  }
}

function writePeer(out: Buffer, at: number, peer: SimPeer): void {
  out.writeUInt32BE(peer.seqlo, at + 8);
  out.writeUInt32BE(peer.seqhi ?? 0, at + 12);
  out[at + 24] = peer.state;
}

/** The sender's own AF_INET6: 24 on OpenBSD and NetBSD, 28 on FreeBSD and DragonFly. */
function familyNumber(version: WireVersion, af: 4 | 6): number {
  if (af === 4) return 2;
  return version === 'v4-dragonfly' || (version.startsWith('v5-') && version !== 'v5-openbsd') ? 28 : 24;
}

/** UPD_C.expire: OpenBSD 4.4 to 4.9 fill it; FreeBSD and today's OpenBSD send 0. */
function hasExpire(version: WireVersion): boolean {
  return (
    version === 'v4' || version === 'v4-dragonfly' || version === 'v5-openbsd' || version === 'v6-openbsd47'
  );
}
