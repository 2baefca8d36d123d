/**
 * Where the fields of a state record lie, in every pfsync version: one row of offsets for each layout. Facts: pfvar.h of OpenBSD
 * 3.5-2026, FreeBSD 6-15, NetBSD and DragonFly. A new layout is a row here, and its actions in `action.ts`.
 */

/** Offsets of the addresses of the four ends (pf-terms), and then of their ports. */
interface Ends {
  readonly inbound: readonly number[];
  readonly outbound: readonly number[];
  /** The same for af-to states, whose second key has source and destination swapped. */
  readonly inboundAfTo: readonly number[];
  readonly outboundAfTo: readonly number[];
}

/** Offsets of fields that all layouts have; those of versions 3, 4 and 5 agree in octets 0 to 231. */
const COMMON = {
  interfaceName: 8,
  sourcePeer: 96,
  destinationPeer: 128,
  rule: 176,
  anchor: 180,
  creation: 188,
  expire: 192,
  packets: 196,
  octets: 212,
  creatorId: 228,
  family: 232,
  protocol: 233,
  direction: 234,
  timeout: 237,
  /** Octets of one counter: 4 in version 2, else 8. */
  counterSize: 8,
};

type Fields = typeof COMMON & {
  /** Octets of the record. */
  readonly size: number;
  /** Families and protocol of the two keys, where the layout tells them apart (af-to); else the offsets of the state's own. */
  readonly wireFamily?: number;
  readonly stackFamily?: number;
  readonly stackProtocol?: number;
  /** 16 bits, of which 0x0008 says that pf never synchronises the state; only some layouts show such states. */
  readonly stateFlags?: number;
  /** The interface that a floating state was made on: 16 octets. */
  readonly originalInterface?: number;
  /** What route-to or reply-to does, and its interface: 16 octets. */
  readonly route?: number;
  readonly routeInterface?: number;
  /** The tag: 64 octets. */
  readonly tag?: number;
  /** The type of an ICMP message may stand in place of the destination port. */
  readonly tellsIcmpType?: true;
};

/** A layout: plain numbers, so that the reader of records finds every field at a fixed place. */
export class StateLayout {
  readonly size: number;
  readonly interfaceName: number;
  readonly sourcePeer: number;
  readonly destinationPeer: number;
  readonly rule: number;
  readonly anchor: number;
  readonly creation: number;
  readonly expire: number;
  readonly packets: number;
  readonly octets: number;
  readonly counterSize: number;
  readonly creatorId: number;
  readonly family: number;
  readonly protocol: number;
  readonly direction: number;
  readonly timeout: number;
  readonly wireFamily: number;
  readonly stackFamily: number;
  readonly stackProtocol: number;
  /** 0 where the layout has no such field, in these five. */
  readonly stateFlags: number;
  readonly originalInterface: number;
  readonly route: number;
  readonly routeInterface: number;
  readonly tag: number;
  readonly tellsIcmpType: boolean;
  /**
   * Eight offsets for each direction (pf-terms, so from index 8 on), and two directions further on the same for af-to states:
   * addresses of the four ends, then their ports.
   */
  readonly ends: Int32Array;

  constructor(fields: Fields, { inbound, outbound, inboundAfTo, outboundAfTo }: Ends) {
    this.size = fields.size;
    this.interfaceName = fields.interfaceName;
    this.sourcePeer = fields.sourcePeer;
    this.destinationPeer = fields.destinationPeer;
    this.rule = fields.rule;
    this.anchor = fields.anchor;
    this.creation = fields.creation;
    this.expire = fields.expire;
    this.packets = fields.packets;
    this.octets = fields.octets;
    this.counterSize = fields.counterSize;
    this.creatorId = fields.creatorId;
    this.family = fields.family;
    this.protocol = fields.protocol;
    this.direction = fields.direction;
    this.timeout = fields.timeout;
    this.wireFamily = fields.wireFamily ?? fields.family;
    this.stackFamily = fields.stackFamily ?? fields.family;
    this.stackProtocol = fields.stackProtocol ?? fields.protocol;
    this.stateFlags = fields.stateFlags ?? 0;
    this.originalInterface = fields.originalInterface ?? 0;
    this.route = fields.route ?? 0;
    this.routeInterface = fields.routeInterface ?? 0;
    this.tag = fields.tag ?? 0;
    this.tellsIcmpType = fields.tellsIcmpType ?? false;
    const none = [0, 0, 0, 0, 0, 0, 0, 0];
    this.ends = Int32Array.of(...none, ...inbound, ...outbound, ...inboundAfTo, ...outboundAfTo);
  }
}

/** Versions 2 and 3: lan, gwy and ext, each an address, a port and padding: 24 octets. */
function threeHosts(lan: number, gwy: number, ext: number): Ends {
  const inbound = [ext, gwy, ext, lan, ext + 16, gwy + 16, ext + 16, lan + 16];
  const outbound = [lan, ext, gwy, ext, lan + 16, ext + 16, gwy + 16, ext + 16];
  return { inbound, outbound, inboundAfTo: inbound, outboundAfTo: outbound };
}

/** Version 4 and later: key[WIRE] and key[STACK], each two addresses and two ports; index 1 is the source of an outbound state. */
function twoKeys(wire: number, stack: number): Ends {
  const ends = (original: number, translated: number, source: 0 | 1, translatedSource: 0 | 1) => {
    const address = (key: number, index: number) => key + 16 * index;
    const port = (key: number, index: number) => key + 32 + 2 * index;
    const pairs: [number, number][] = [
      [original, source],
      [original, 1 - source],
      [translated, translatedSource],
      [translated, 1 - translatedSource],
    ];
    return [...pairs.map((pair) => address(...pair)), ...pairs.map((pair) => port(...pair))];
  };
  return {
    inbound: ends(wire, stack, 0, 0),
    outbound: ends(stack, wire, 1, 1),
    inboundAfTo: ends(wire, stack, 0, 1),
    outboundAfTo: ends(stack, wire, 1, 0),
  };
}

const HOSTS = threeHosts(24, 48, 72);
const KEYS = twoKeys(24, 60);

export const STATE_V2 = new StateLayout(
  {
    ...COMMON,
    size: 224,
    packets: 196,
    octets: 204,
    counterSize: 4,
    creatorId: 212,
    family: 216,
    protocol: 217,
    direction: 218,
    timeout: 221,
  },
  HOSTS,
);
export const STATE_V3 = new StateLayout({ ...COMMON, size: 240 }, HOSTS);
export const STATE_V4 = new StateLayout({ ...COMMON, size: 240 }, KEYS);
export const STATE_V4_DRAGONFLY = new StateLayout({ ...COMMON, size: 300 }, KEYS);
export const STATE_V5_OPENBSD = new StateLayout({ ...COMMON, size: 240 }, KEYS);
export const STATE_V5_1301 = new StateLayout({ ...COMMON, size: 242, timeout: 239 }, KEYS);
export const STATE_V5_1400 = new StateLayout(
  { ...COMMON, size: 277, timeout: 239, route: 260, routeInterface: 261 },
  KEYS,
);
export const STATE_V5_1500 = new StateLayout(
  {
    ...COMMON,
    size: 360,
    family: 344,
    stackFamily: 345,
    protocol: 347,
    stackProtocol: 348,
    timeout: 350,
    direction: 351,
    tag: 232,
    routeInterface: 296,
    originalInterface: 312,
    route: 352,
  },
  KEYS,
);
export const STATE_V6 = new StateLayout(
  {
    ...COMMON,
    size: 264,
    sourcePeer: 104,
    destinationPeer: 136,
    rule: 184,
    anchor: 188,
    creation: 196,
    expire: 200,
    packets: 204,
    octets: 220,
    creatorId: 236,
    family: 250,
    protocol: 251,
    direction: 252,
    timeout: 255,
    wireFamily: 62,
    stackFamily: 102,
    stateFlags: 260,
    tellsIcmpType: true,
  },
  twoKeys(24, 64),
);
