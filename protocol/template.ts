/**
 * Templates of NetFlow v9 and IPFIX. A template is a list of parts; a part is a few Information Elements that always
 * stand together, with the one function that writes them. Which parts a record needs follows from the record.
 */
import { ELEMENTS, type ElementName, type Field } from './element.js';
import { type FlowRecord, familyAt, NONE, postNatSourceEnd, protocolAt, TCPSEQ } from './flow-record.js';
import { hasPorts, type StateView } from './pfsync-state.js';
import { tcpControlBits } from './tcp-control-bits.js';
import type { UptimeClock } from './uptime.js';

export interface Part {
  readonly elements: readonly ElementName[];
  /** Writes the elements at `at`. `source` is the end that the record shows as its source. */
  write(to: DataView, at: number, flow: FlowRecord, source: number, clock: UptimeClock): void;
}

/** A Template Record, or with scopes an Options Template Record. */
export class Template {
  readonly id: number;
  readonly scopes: readonly Field[];
  readonly fields: readonly Field[];
  /** Octets of the Template Record. */
  readonly announcementLength: number;
  /** How often it has been sent in this transport session. */
  announcements = 0;

  constructor(id: number, fields: readonly Field[], scopes: readonly Field[] = []) {
    this.id = id;
    this.scopes = scopes;
    this.fields = fields;
    const all = [...scopes, ...fields];
    const enterprises = all.filter(({ enterprise }) => enterprise !== undefined).length;
    this.announcementLength = (scopes.length > 0 ? 6 : 4) + 4 * (all.length + enterprises);
  }
}

export class FlowTemplate extends Template {
  readonly parts: readonly Part[];
  /** Octets of each part, and of a whole record. */
  readonly lengths: readonly number[];
  readonly recordLength: number;
  /** Offset in a record of the counters of the other direction; -1 where the record tells of one direction. */
  readonly reverseAt: number;

  constructor(id: number, parts: readonly Part[]) {
    super(
      id,
      parts.flatMap((part) => part.elements.map((name): Field => ELEMENTS[name])),
    );
    this.parts = parts;
    this.lengths = parts.map(lengthOf);
    this.recordLength = this.lengths.reduce((sum, length) => sum + length, 0);
    const reverse = parts.indexOf(REVERSE);
    this.reverseAt =
      reverse < 0 ? -1 : this.lengths.slice(0, reverse).reduce((sum, length) => sum + length, 0);
  }

  write(to: DataView, start: number, flow: FlowRecord, source: number, clock: UptimeClock): void {
    const { parts, lengths } = this;
    let at = start;
    for (let i = 0; i < parts.length; i++) {
      parts[i]!.write(to, at, flow, source, clock);
      at += lengths[i]!;
    }
  }
}

/** Chooses the template of a record. */
export interface Profile {
  select(flow: FlowRecord, source: number): FlowTemplate;
  /** Chooses the template of a NAT event; absent where there is none. */
  readonly selectEvent?: Profile['select'];
  /** Templates announced from the start on; the others with their first record. */
  readonly fixed: readonly Template[];
  /** pflow(4): templates in messages of their own, and one data set in a message. */
  readonly oneSetPerMessage: boolean;
}

const FIRST_ID = 256;

export interface FullProfileOptions {
  /** Show the translated addresses beside the original ones. */
  readonly postNat: boolean;
  /** Tell payload known from TCP sequence numbers in elements of its own. */
  readonly estimate: boolean;
  /** Tell the state's id. */
  readonly flowId: boolean;
  /** One record for both directions (RFC 5103). */
  readonly biflow: boolean;
}

/** The full profile: one template for each combination that occurs, with a bit of its number for each choice. */
export function fullProfile(times: Part, options: FullProfileOptions): Profile {
  const templates: (FlowTemplate | undefined)[] = [];
  const description = options.flowId ? DESCRIPTION_ID : DESCRIPTION;
  const select = (flow: FlowRecord, source: number): FlowTemplate => {
    const family = familyAt(flow, source);
    const ports = hasPorts(protocolAt(flow, source));
    const after = options.postNat && flow.isTranslated ? flow.state.translatedFamily : 0;
    const counters = flow.counters === TCPSEQ && !options.estimate ? NONE : flow.counters;
    const nat = after === 0 ? 0 : after === 4 ? 1 : 2;
    const volume = counters === NONE ? 2 : counters === TCPSEQ ? 1 : 0;
    const flags = tcpControlBits(flow, flow.reply) !== 0;
    const both = options.biflow && volume === 0;
    const reverseFlags = both && tcpControlBits(flow, 1) !== 0;
    const hasType = flow.icmpType >= 0 && flow.reply === 0 && family === flow.state.family;
    const type = !hasType ? 0 : family === 4 ? 1 : 2;
    const key =
      (family === 6 ? 1 : 0) |
      (ports ? 0 : 2) |
      (nat << 2) |
      (volume << 4) |
      (flags ? 64 : 0) |
      (type << 7) |
      (both ? 512 : 0) |
      (reverseFlags ? 1024 : 0);
    return (
      templates[key] ??
      // biome-ignore lint/suspicious/noAssignInExpressions: the first record of its kind.
      (templates[key] = new FlowTemplate(FIRST_ID + key, [
        family === 6 ? ADDRESSES6 : ADDRESSES4,
        ...(ports ? [PORTS] : []),
        flags ? withFlags(description) : description,
        times,
        ...[[COUNTERS], [ESTIMATE], []][volume]!,
        ...[[], [POST_NAT4], [POST_NAT6]][nat]!,
        ...(ports && nat !== 0 ? [POST_NAT_PORTS] : []),
        ...[[], [ICMP_TYPE4], [ICMP_TYPE6]][type]!,
        ...(both ? [REVERSE] : []),
        ...(reverseFlags ? [REVERSE_FLAGS] : []),
      ]))
    );
  };
  return { fixed: [], oneSetPerMessage: false, select, selectEvent: natEventTemplates() };
}

const FIRST_EVENT_ID = 4096;

/**
 * NAT events (RFC 8158): the elements of the template 258 of FreeBSD's pflow(4), and the times of a flow, without which a
 * collector that has no use for events takes the record for one of 1970. Never counters: some collectors drop those beside 230.
 */
function natEventTemplates(): Profile['select'] {
  const templates: (FlowTemplate | undefined)[] = [];
  return (flow, source) => {
    const family = familyAt(flow, source);
    const ports = hasPorts(protocolAt(flow, source));
    const after = flow.state.translatedFamily;
    const key = (family === 6 ? 1 : 0) | (ports ? 0 : 2) | (after === 6 ? 4 : 0);
    templates[key] ??= new FlowTemplate(FIRST_EVENT_ID + key, [
      NAT_EVENT,
      TIMES,
      family === 6 ? ADDRESSES6 : ADDRESSES4,
      after === 6 ? POST_NAT6 : POST_NAT4,
      ...(ports ? [PORTS, POST_NAT_PORTS] : []),
    ]);
    return templates[key];
  };
}

/** Field for field what pflow(4) of OpenBSD and FreeBSD sends: templates 256 and 257. */
export function pflowProfile(): Profile {
  const rest = [INTERFACES, PFLOW_COUNTERS, TIMES, PORTS, CLASS_PROTOCOL];
  const ipv4 = new FlowTemplate(FIRST_ID, [ADDRESSES4, ...rest]);
  const ipv6 = new FlowTemplate(FIRST_ID + 1, [ADDRESSES6, ...rest]);
  return {
    fixed: [ipv4, ipv6],
    oneSetPerMessage: true,
    select: (flow, source) => (familyAt(flow, source) === 6 ? ipv6 : ipv4),
  };
}

// In these functions no argument of a DataView's method branches: V8 would make a call with boxed numbers of it,
// at half the speed of the whole conversion.

const ADDRESSES4: Part = {
  elements: ['sourceIPv4Address', 'destinationIPv4Address'],
  write(to, at, flow, source) {
    writeAddress4(to, at, flow.state, source);
    writeAddress4(to, at + 4, flow.state, source ^ 1);
  },
};

const ADDRESSES6: Part = {
  elements: ['sourceIPv6Address', 'destinationIPv6Address'],
  write(to, at, flow, source) {
    writeAddress6(to, at, flow.state, source);
    writeAddress6(to, at + 16, flow.state, source ^ 1);
  },
};

const PORTS: Part = {
  elements: ['sourceTransportPort', 'destinationTransportPort'],
  write(to, at, flow, source) {
    const isPort = hasPorts(protocolAt(flow, source));
    const ports = isPort ? (flow.state.port(source) << 16) | flow.state.port(source ^ 1) : 0;
    to.setInt32(at, ports);
  },
};

/** What every record of the full profile tells beside addresses, times and volume. */
const DESCRIPTION: Part = {
  elements: ['protocolIdentifier', 'flowDirection', 'flowEndReason', 'ingressInterface', 'egressInterface'],
  write(to, at, flow, source) {
    const protocol = protocolAt(flow, source);
    const { flowDirection } = flow;
    const ingress = flowDirection === 0 ? flow.interface.index : 0;
    const egress = flowDirection === 1 ? flow.interface.index : 0;
    to.setUint8(at, protocol);
    to.setUint8(at + 1, flowDirection);
    to.setUint8(at + 2, flow.endReason);
    to.setUint32(at + 3, ingress);
    to.setUint32(at + 7, egress);
  },
};

const DESCRIPTION_LENGTH = lengthOf(DESCRIPTION);

/** The same with the state's id. */
const DESCRIPTION_ID: Part = {
  elements: [...DESCRIPTION.elements, 'flowId'],
  write(to, at, flow, source, clock) {
    DESCRIPTION.write(to, at, flow, source, clock);
    to.setInt32(at + DESCRIPTION_LENGTH, flow.state.idHigh);
    to.setInt32(at + DESCRIPTION_LENGTH + 4, flow.state.idLow);
  },
};

/** For a TCP connection of which flags are known. */
function withFlags(description: Part): Part {
  const length = lengthOf(description);
  return {
    elements: [...description.elements, 'tcpControlBits'],
    write(to, at, flow, source, clock) {
      description.write(to, at, flow, source, clock);
      const bits = tcpControlBits(flow, flow.reply);
      to.setUint8(at + length, bits);
    },
  };
}

const ICMP_TYPE4: Part = {
  elements: ['icmpTypeIPv4'],
  write: (to, at, flow) => to.setUint8(at, flow.icmpType),
};

const ICMP_TYPE6: Part = {
  elements: ['icmpTypeIPv6'],
  write: (to, at, flow) => to.setUint8(at, flow.icmpType),
};

/** The responder's direction in a record of both: no packets, until the state's other record tells of some. */
const REVERSE: Part = {
  elements: ['reverseOctetDeltaCount', 'reversePacketDeltaCount', 'biflowDirection'],
  write(to, at) {
    for (let word = 0; word < 16; word += 4) to.setInt32(at + word, 0);
    to.setUint8(at + 16, FROM_INITIATOR);
  },
};

const FROM_INITIATOR = 1;

const REVERSE_FLAGS: Part = {
  elements: ['reverseTcpControlBits'],
  write: (to, at, flow) => to.setUint8(at, tcpControlBits(flow, 1)),
};

const NAT_EVENT: Part = {
  elements: ['observationTimeMilliseconds', 'natEvent', 'protocolIdentifier'],
  write(to, at, flow, source) {
    writeInteger(to, at, flow.end);
    to.setUint8(at + 8, flow.natEvent);
    to.setUint8(at + 9, protocolAt(flow, source));
  },
};

const INTERFACES: Part = {
  elements: ['ingressInterface', 'egressInterface'],
  write(to, at, flow) {
    const { ingressInterface, egressInterface } = flow;
    to.setUint32(at, ingressInterface);
    to.setUint32(at + 4, egressInterface);
  },
};

const CLASS_PROTOCOL: Part = {
  elements: ['ipClassOfService', 'protocolIdentifier'],
  write(to, at, flow, source) {
    const protocol = protocolAt(flow, source);
    to.setUint8(at, 0);
    to.setUint8(at + 1, protocol);
  },
};

export const TIMES: Part = {
  elements: ['flowStartMilliseconds', 'flowEndMilliseconds'],
  write(to, at, flow) {
    writeInteger(to, at, flow.start);
    writeInteger(to, at + 8, flow.end);
  },
};

export const UPTIMES: Part = {
  elements: ['flowStartSysUpTime', 'flowEndSysUpTime'],
  write(to, at, flow, _source, clock) {
    clock.write(to, at, flow);
  },
};

export const COUNTERS: Part = {
  elements: ['octetDeltaCount', 'packetDeltaCount'],
  write(to, at, flow) {
    to.setUint32(at, flow.octetsHigh);
    to.setUint32(at + 4, flow.octetsLow);
    to.setUint32(at + 8, flow.packetsHigh);
    to.setUint32(at + 12, flow.packetsLow);
  },
};

const PFLOW_COUNTERS: Part = {
  elements: ['packetDeltaCount', 'octetDeltaCount'],
  write(to, at, flow) {
    to.setUint32(at, flow.packetsHigh);
    to.setUint32(at + 4, flow.packetsLow);
    to.setUint32(at + 8, flow.octetsHigh);
    to.setUint32(at + 12, flow.octetsLow);
  },
};

/** Never beside octetDeltaCount: some collectors add the two up. */
const ESTIMATE: Part = {
  elements: ['initiatorOctets', 'responderOctets'],
  write(to, at, flow) {
    writeInteger(to, at, flow.initiatorOctets);
    writeInteger(to, at + 8, flow.responderOctets);
  },
};

const POST_NAT4: Part = {
  elements: ['postNATSourceIPv4Address', 'postNATDestinationIPv4Address'],
  write(to, at, flow) {
    const source = postNatSourceEnd(flow);
    writeAddress4(to, at, flow.state, source);
    writeAddress4(to, at + 4, flow.state, source ^ 1);
  },
};

const POST_NAT6: Part = {
  elements: ['postNATSourceIPv6Address', 'postNATDestinationIPv6Address'],
  write(to, at, flow) {
    const source = postNatSourceEnd(flow);
    writeAddress6(to, at, flow.state, source);
    writeAddress6(to, at + 16, flow.state, source ^ 1);
  },
};

const POST_NAT_PORTS: Part = {
  elements: ['postNAPTSourceTransportPort', 'postNAPTDestinationTransportPort'],
  write(to, at, flow) {
    const source = postNatSourceEnd(flow);
    to.setUint16(at, flow.state.port(source));
    to.setUint16(at + 2, flow.state.port(source ^ 1));
  },
};

// Addresses are copied as they lie: the same order read and written saves two swaps a word.

function writeAddress4(to: DataView, at: number, state: StateView, end: number): void {
  to.setInt32(at, state.view.getInt32(state.addressAt(end), true), true);
}

function writeAddress6(to: DataView, at: number, state: StateView, end: number): void {
  const from = state.view;
  const source = state.addressAt(end);
  to.setInt32(at, from.getInt32(source, true), true);
  to.setInt32(at + 4, from.getInt32(source + 4, true), true);
  to.setInt32(at + 8, from.getInt32(source + 8, true), true);
  to.setInt32(at + 12, from.getInt32(source + 12, true), true);
}

function lengthOf(part: Part): number {
  return part.elements.reduce((sum, name) => sum + ELEMENTS[name].length, 0);
}

/** A whole number below 2^53, as unsigned 64 bits; a time before 1970 becomes 0. */
export function writeInteger(to: DataView, at: number, value: number): void {
  const whole = Math.max(value, 0);
  to.setUint32(at, whole / 2 ** 32);
  // Its lower 32 bits: DataView takes them so, and a remainder of floats would be a call into C.
  to.setUint32(at + 4, whole);
}
