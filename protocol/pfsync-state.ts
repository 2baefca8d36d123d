/**
 * A state of any pfsync version, read where it lies. A state is never copied to be read: `StateView` points at the octets
 * of a packet (or of a state table row) and each field is fetched when it is asked for.
 */
import {
  ICMP,
  ICMP6,
  INBOUND,
  ORIGINAL_DESTINATION,
  ORIGINAL_SOURCE,
  OUTBOUND,
  PEER_SEQLO,
  PEER_STATE,
  PORTS,
  TRANSLATED_DESTINATION,
  TRANSLATED_SOURCE,
} from './pf-terms.js';
import { type Endpoints, STATE_V3, STATE_V6, type StateLayout } from './pfsync-layout.js';
import {
  clear,
  DIRECTION,
  OCTETS_HIGH,
  OCTETS_LOW,
  PACKETS_HIGH,
  PACKETS_LOW,
  type Volume,
} from './volume.js';

/**
 * The address family behind a sender's af number: 4, 6, or 0 when it is neither.
 * AF_INET is 2 everywhere; AF_INET6 is 24 (OpenBSD, NetBSD), 28 (FreeBSD, DragonFly), 30 (macOS) or 10 (Linux).
 */
export function addressFamily(af: number): 4 | 6 | 0 {
  if (af === 2) return 4;
  return af === 24 || af === 28 || af === 30 || af === 10 ? 6 : 0;
}

/** Whether pf's ports of this protocol are ports: those of ICMP are an id and a type, others have none. */
export function hasPorts(protocol: number): boolean {
  return protocol === 6 || protocol === 17 || protocol === 132;
}

/** A cursor on one state record. Reused: it is valid until the next `read`. */
export class StateView {
  view: DataView = new DataView(new ArrayBuffer(0));
  at = 0;
  layout: StateLayout = STATE_V3;
  endpoints: Endpoints = STATE_V3.inbound;
  direction = 0;
  /** Families of the original and of the translated addresses: 4, 6, or 0 when the af number is unknown. */
  family = 0;
  translatedFamily = 0;
  protocol = 0;
  translatedProtocol = 0;

  /**
   * Points at the record at `at`; the caller has checked that `layout.size` octets are there.
   * The answer is false when the address family or the direction is none that pf writes: such a record tells nothing.
   */
  read(view: DataView, at: number, layout: StateLayout): boolean {
    this.view = view;
    this.at = at;
    this.layout = layout;
    const direction = view.getUint8(at + layout.direction);
    const inbound = direction === INBOUND;
    this.direction = direction;
    this.endpoints = inbound ? layout.inbound : layout.outbound;
    this.family = this.translatedFamily = addressFamily(view.getUint8(at + layout.family));
    this.protocol = this.translatedProtocol = view.getUint8(at + layout.protocol);
    if (layout.stackFamily !== layout.family) this.#readKeyFamilies(inbound);
    return this.family !== 0 && (inbound || direction === OUTBOUND);
  }

  /** af-to: the keys have families of their own (0 where an older kernel leaves them out). */
  #readKeyFamilies(inbound: boolean): void {
    const { view, at, layout } = this;
    const wire = addressFamily(view.getUint8(at + layout.wireFamily)) || this.family;
    const stack = addressFamily(view.getUint8(at + layout.stackFamily)) || wire;
    if (wire === stack) return;
    const wireProtocol = this.protocol;
    const stackProtocol =
      layout.stackProtocol === layout.protocol
        ? otherIcmp(wireProtocol)
        : view.getUint8(at + layout.stackProtocol);
    this.endpoints = inbound ? layout.inboundAfTo : layout.outboundAfTo;
    this.family = inbound ? wire : stack;
    this.translatedFamily = inbound ? stack : wire;
    this.protocol = inbound ? wireProtocol : stackProtocol;
    this.translatedProtocol = inbound ? stackProtocol : wireProtocol;
  }

  get idHigh(): number {
    return this.view.getInt32(this.at);
  }

  get idLow(): number {
    return this.view.getInt32(this.at + 4);
  }

  get creatorId(): number {
    return this.view.getInt32(this.at + this.layout.creatorId);
  }

  /** Seconds since the state was made, when the record was packed. */
  get age(): number {
    return this.view.getUint32(this.at + this.layout.creation);
  }

  /** Seconds left to live; 0 at a natural end and always in versions 2 and 3. */
  get expire(): number {
    return this.view.getUint32(this.at + this.layout.expire);
  }

  /** Number of the rule that made the state; -1 for none. */
  get rule(): number {
    return this.view.getInt32(this.at + this.layout.rule);
  }

  get timeout(): number {
    return this.view.getUint8(this.at + this.layout.timeout);
  }

  get sourceState(): number {
    return this.view.getUint8(this.at + this.layout.sourcePeer + PEER_STATE);
  }

  get destinationState(): number {
    return this.view.getUint8(this.at + this.layout.destinationPeer + PEER_STATE);
  }

  get sourceSeqlo(): number {
    return this.view.getUint32(this.at + this.layout.sourcePeer + PEER_SEQLO);
  }

  get destinationSeqlo(): number {
    return this.view.getUint32(this.at + this.layout.destinationPeer + PEER_SEQLO);
  }

  /** Asked of every deleted state: a sequence number beyond 31 bits would cost an allocation where it is not inlined. */
  get hasDestinationSeqlo(): boolean {
    return this.view.getInt32(this.at + this.layout.destinationPeer + PEER_SEQLO) !== 0;
  }

  /** Copies the counters of both directions. */
  readVolume(volume: Volume): void {
    const { view, at, layout } = this;
    if (layout.counterSize === 8) readWide(view, at + layout.octets, at + layout.packets, volume);
    else readNarrow(view, at + layout.octets, at + layout.packets, volume);
  }

  /** Offset in `view` of an end's address: 4 octets in IPv4, 16 in IPv6. */
  addressAt(end: number): number {
    return this.at + this.endpoints[end]!;
  }

  port(end: number): number {
    return this.view.getUint16(this.at + this.endpoints[PORTS + end]!);
  }

  /** Whether NAT, rdr or af-to changed an address or a port on the way. */
  get isTranslated(): boolean {
    return (
      this.translatedFamily !== this.family ||
      !this.#sameEnd(ORIGINAL_SOURCE, TRANSLATED_SOURCE) ||
      !this.#sameEnd(ORIGINAL_DESTINATION, TRANSLATED_DESTINATION)
    );
  }

  #sameEnd(one: number, other: number): boolean {
    const { at, endpoints, view } = this;
    const a = endpoints[one]!;
    const b = endpoints[other]!;
    if (a === b) return true;
    if (!isSameAddress(view, at + a, view, at + b, this.family)) return false;
    if (!hasPorts(this.protocol)) return true;
    return view.getUint16(at + endpoints[PORTS + one]!) === view.getUint16(at + endpoints[PORTS + other]!);
  }
}

/** Whether the same address of `family` stands at both places. */
export function isSameAddress(
  one: DataView,
  oneAt: number,
  other: DataView,
  otherAt: number,
  family: number,
): boolean {
  if (one.getInt32(oneAt) !== other.getInt32(otherAt)) return false;
  return family === 4 || isSameRest(one, oneAt, other, otherAt);
}

/** What IPv6 has behind the first word. */
function isSameRest(one: DataView, oneAt: number, other: DataView, otherAt: number): boolean {
  for (let at = 4; at < 16; at += 4) {
    if (one.getInt32(oneAt + at) !== other.getInt32(otherAt + at)) return false;
  }
  return true;
}

/** Multicast Listener Query: a report opens the same state. */
const MLD_QUERY = 130;

/** Where the types lie that have a reply: both echo requests are the lowest. */
const REQUESTS = { 4: [8, 38], 6: [128, 255] } as const;

/**
 * Type of the ICMP message that opened the state, or -1 where that is not certain. Only the kernels that write the keys'
 * families (OpenBSD 5.0) are sure to put a type in place of the destination port; others have an id there, or 0.
 * It is the type of the request, also of a state that a reply opened, but then it stands in place of the source port: where
 * that could be a type, nothing is told. What is there of a multicast listener's report is the type of the query.
 */
export function icmpType(state: StateView): number {
  const { protocol, family, layout } = state;
  if (protocol !== ICMP && protocol !== ICMP6) return -1;
  if (layout !== STATE_V6 || state.view.getUint8(state.at + layout.wireFamily) === 0) return -1;
  if (family === 0 || (protocol === ICMP) !== (family === 4)) return -1;
  const type = state.port(ORIGINAL_DESTINATION);
  const id = state.port(ORIGINAL_SOURCE);
  const [first, last] = REQUESTS[family as 4 | 6];
  if (type === 0 || type > 255 || (type === MLD_QUERY && family === 6)) return -1;
  return id >= first && id <= last ? -1 : type;
}

function otherIcmp(protocol: number): number {
  if (protocol === ICMP) return ICMP6;
  return protocol === ICMP6 ? ICMP : protocol;
}

/** First all loads and then all stores: where they take turns, V8 checks the view anew for each. */
function readWide(view: DataView, octets: number, packets: number, volume: Volume): void {
  const octetsHigh = view.getInt32(octets);
  const octetsLow = view.getInt32(octets + 4);
  const replyOctetsHigh = view.getInt32(octets + 8);
  const replyOctetsLow = view.getInt32(octets + 12);
  const packetsHigh = view.getInt32(packets);
  const packetsLow = view.getInt32(packets + 4);
  const replyPacketsHigh = view.getInt32(packets + 8);
  const replyPacketsLow = view.getInt32(packets + 12);
  volume[OCTETS_HIGH] = octetsHigh;
  volume[OCTETS_LOW] = octetsLow;
  volume[PACKETS_HIGH] = packetsHigh;
  volume[PACKETS_LOW] = packetsLow;
  volume[DIRECTION + OCTETS_HIGH] = replyOctetsHigh;
  volume[DIRECTION + OCTETS_LOW] = replyOctetsLow;
  volume[DIRECTION + PACKETS_HIGH] = replyPacketsHigh;
  volume[DIRECTION + PACKETS_LOW] = replyPacketsLow;
}

function readNarrow(view: DataView, octets: number, packets: number, volume: Volume): void {
  clear(volume);
  volume[OCTETS_LOW] = view.getInt32(octets);
  volume[PACKETS_LOW] = view.getInt32(packets);
  volume[DIRECTION + OCTETS_LOW] = view.getInt32(octets + 4);
  volume[DIRECTION + PACKETS_LOW] = view.getInt32(packets + 4);
}
