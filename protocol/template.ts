/**
 * Templates of NetFlow v9 and IPFIX. A template is a list of parts; a part is a few Information Elements that always
 * stand together, with the one function that writes them. Which parts a record needs follows from the record.
 */
import { ELEMENTS, type Field } from './element.js';
import { EXACT, type FlowRecord, familyAt, NONE, PARTIAL, protocolAt, TCPSEQ } from './flow-record.js';
import { hasPorts } from './pfsync-state.js';
import { tcpControlBits } from './tcp-control-bits.js';
import {
  ADDRESSES4,
  ADDRESSES6,
  CLASS_PROTOCOL,
  COUNTERS,
  DESCRIPTION,
  DESCRIPTION_ID,
  ESTIMATE,
  ICMP_TYPE4,
  ICMP_TYPE6,
  INTERFACES,
  lengthOf,
  NAT_EVENT,
  type Part,
  PFLOW_COUNTERS,
  PORTS,
  POST_NAT_PORTS,
  POST_NAT4,
  POST_NAT6,
  REVERSE,
  REVERSE_FLAGS,
  TIMES,
  withFlags,
} from './template-part.js';
import type { UptimeClock } from './uptime.js';

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

  constructor(id: number, parts: readonly Part[]) {
    super(
      id,
      parts.flatMap((part) => part.elements.map((name): Field => ELEMENTS[name])),
    );
    this.parts = parts;
    this.lengths = parts.map(lengthOf);
    this.recordLength = this.lengths.reduce((sum, length) => sum + length, 0);
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
  /** Whether the flow becomes one record that tells of both directions (RFC 5103). */
  isBiflow(flow: FlowRecord): boolean;
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
  const isBiflow = ({ counters }: FlowRecord) =>
    options.biflow && (counters === EXACT || counters === PARTIAL);
  const select = (flow: FlowRecord, source: number): FlowTemplate => {
    const family = familyAt(flow.state, source);
    const ports = hasPorts(protocolAt(flow.state, source));
    const after = options.postNat && flow.isTranslated ? flow.state.translatedFamily : 0;
    const counters = flow.counters === TCPSEQ && !options.estimate ? NONE : flow.counters;
    const nat = after === 0 ? 0 : after === 4 ? 1 : 2;
    const volume = counters === NONE ? 2 : counters === TCPSEQ ? 1 : 0;
    const flags = tcpControlBits(flow, flow.reply) !== 0;
    const both = isBiflow(flow);
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
  return { fixed: [], oneSetPerMessage: false, isBiflow, select, selectEvent: natEventTemplates() };
}

const FIRST_EVENT_ID = 4096;

/**
 * NAT events (RFC 8158): the elements of the template 258 of FreeBSD's pflow(4), and the times of a flow, without which a
 * collector that has no use for events takes the record for one of 1970. Never counters: some collectors drop those beside 230.
 */
function natEventTemplates(): Profile['select'] {
  const templates: (FlowTemplate | undefined)[] = [];
  return (flow, source) => {
    const family = familyAt(flow.state, source);
    const ports = hasPorts(protocolAt(flow.state, source));
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
    isBiflow: () => false,
    select: (flow, source) => (familyAt(flow.state, source) === 6 ? ipv6 : ipv4),
  };
}
