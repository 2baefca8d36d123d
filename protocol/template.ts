/**
 * Templates of NetFlow v9 and IPFIX. A template is a list of parts; a part is a few Information Elements that always
 * stand together, with the one function that writes them. Which parts a record needs follows from the record.
 */
import { ELEMENTS, type Field } from './element.js';
import { type FlowRecord, familyAt, protocolAt } from './flow-record.js';
import { NONE, TCPSEQ } from './flow-terms.js';
import { hasPorts } from './pfsync-state.js';
import { tcpControlBits } from './tcp-control-bits.js';
import {
  ADDRESSES4,
  ADDRESSES6,
  CLASS_PROTOCOL,
  COUNTERS,
  DESCRIPTION,
  ESTIMATE,
  FLAGS,
  FLOW_ID,
  ICMP_TYPE4,
  ICMP_TYPE6,
  INTERFACES,
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
} from './template-part.js';
import type { UptimeClock } from './uptime.js';

/** A Template Record, or with scopes an Options Template Record. */
export class Template {
  readonly id: number;
  readonly scopes: readonly Field[];
  readonly isOptions: boolean;
  readonly fields: readonly Field[];
  /** Octets of the Template Record. */
  readonly announcementLength: number;
  /** How often it has been sent in this transport session. */
  announcements = 0;

  constructor(id: number, fields: readonly Field[], scopes: readonly Field[] = []) {
    this.id = id;
    this.scopes = scopes;
    this.isOptions = scopes.length > 0;
    this.fields = fields;
    const all = [...scopes, ...fields];
    const enterprises = all.filter(({ enterprise }) => enterprise !== undefined).length;
    this.announcementLength = (scopes.length > 0 ? 6 : 4) + 4 * (all.length + enterprises);
  }
}

export class FlowTemplate extends Template {
  readonly parts: readonly Part[];
  /** Octets of a record. */
  readonly recordLength: number;

  constructor(id: number, parts: readonly Part[]) {
    super(
      id,
      parts.flatMap((part) => part.elements.map((name): Field => ELEMENTS[name])),
    );
    this.parts = parts;
    this.recordLength = parts.reduce((sum, { length }) => sum + length, 0);
  }

  write(to: DataView, start: number, flow: FlowRecord, source: number, clock: UptimeClock): void {
    let at = start;
    for (const part of this.parts) {
      part.write(to, at, flow, source, clock);
      at += part.length;
    }
  }
}

/** Chooses the template of a record. */
export interface Profile {
  /** What the templates of the flow's records have in common. `source` is an end of the view that is told. */
  kindOf(flow: FlowRecord, source: number): number;
  /** Whether flows of a kind become one record that tells of both directions (RFC 5103). */
  isBiflow(kind: number): boolean;
  /** The template of the record at hand. */
  select(kind: number, flow: FlowRecord): FlowTemplate;
  /** Chooses the template of a NAT event; absent where there is none. */
  readonly selectEvent?: (flow: FlowRecord, source: number) => FlowTemplate;
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

/** A kind of record in the full profile: a bit, or two, for each choice. The template's id is the kind and FIRST_ID. */
const SIX = 1;
const NO_PORTS = 2;
const POST_NAT_FOUR = 4;
const POST_NAT_SIX = 8;
const ESTIMATED = 16;
const UNCOUNTED = 32;
const HAS_FLAGS = 64;
const TYPE_FOUR = 128;
const TYPE_SIX = 256;
const BOTH = 512;
const HAS_REVERSE_FLAGS = 1024;

/** The parts of a record, in their order. */
function partsOf(kind: number, times: Part, flowId: boolean): readonly Part[] {
  const has = (bits: number) => (kind & bits) !== 0;
  const ports = !has(NO_PORTS);
  const parts: readonly (Part | false)[] = [
    has(SIX) ? ADDRESSES6 : ADDRESSES4,
    ports && PORTS,
    DESCRIPTION,
    INTERFACES,
    flowId && FLOW_ID,
    has(HAS_FLAGS) && FLAGS,
    times,
    has(ESTIMATED) ? ESTIMATE : !has(UNCOUNTED) && COUNTERS,
    has(POST_NAT_FOUR) && POST_NAT4,
    has(POST_NAT_SIX) && POST_NAT6,
    ports && has(POST_NAT_FOUR | POST_NAT_SIX) && POST_NAT_PORTS,
    has(TYPE_FOUR) && ICMP_TYPE4,
    has(TYPE_SIX) && ICMP_TYPE6,
    has(BOTH) && REVERSE,
    has(HAS_REVERSE_FLAGS) && REVERSE_FLAGS,
  ];
  return parts.filter((part) => part !== false);
}

/** Kinds that most records have besides NAT, flags and the lack of ports: IPv4, counted, one direction. */
const UNCOMMON = SIX | POST_NAT_SIX | ESTIMATED | UNCOUNTED | TYPE_FOUR | TYPE_SIX | BOTH | HAS_REVERSE_FLAGS;

/**
 * A template of most records. The loop over parts of any kind is one that V8 cannot inline: here it sees which they are, and
 * an IPFIX flow takes 4,300 instructions from packet to message in place of 5,700.
 */
class CommonTemplate extends FlowTemplate {
  readonly #kind: number;
  readonly #times: Part;
  readonly #flowId: boolean;

  constructor(kind: number, times: Part, flowId: boolean) {
    super(FIRST_ID + kind, partsOf(kind, times, flowId));
    this.#kind = kind;
    this.#times = times;
    this.#flowId = flowId;
  }

  override write(to: DataView, start: number, flow: FlowRecord, source: number, clock: UptimeClock): void {
    const kind = this.#kind;
    const times = this.#times;
    let at = start;
    ADDRESSES4.write(to, at, flow, source, clock);
    at += ADDRESSES4.length;
    if ((kind & NO_PORTS) === 0) {
      PORTS.write(to, at, flow, source, clock);
      at += PORTS.length;
    }
    DESCRIPTION.write(to, at, flow, source, clock);
    at += DESCRIPTION.length;
    INTERFACES.write(to, at, flow, source, clock);
    at += INTERFACES.length;
    if (this.#flowId) {
      FLOW_ID.write(to, at, flow, source, clock);
      at += FLOW_ID.length;
    }
    if ((kind & HAS_FLAGS) !== 0) {
      FLAGS.write(to, at, flow, source, clock);
      at += FLAGS.length;
    }
    times.write(to, at, flow, source, clock);
    at += times.length;
    COUNTERS.write(to, at, flow, source, clock);
    if ((kind & POST_NAT_FOUR) === 0) return;
    at += COUNTERS.length;
    POST_NAT4.write(to, at, flow, source, clock);
    at += POST_NAT4.length;
    if ((kind & NO_PORTS) === 0) POST_NAT_PORTS.write(to, at, flow, source, clock);
  }
}

/** The full profile: one template for each kind that occurs. */
export function fullProfile(times: Part, options: FullProfileOptions): Profile {
  const { biflow, estimate, flowId, postNat } = options;
  const templates: (FlowTemplate | undefined)[] = [];
  return {
    fixed: [],
    oneSetPerMessage: false,
    isBiflow: (kind) => (kind & BOTH) !== 0,
    kindOf(flow, source) {
      const { counters, state } = flow;
      let kind = familyAt(state, source) === 6 ? SIX : 0;
      if (!hasPorts(protocolAt(state, source))) kind |= NO_PORTS;
      if (counters === TCPSEQ && estimate) kind |= ESTIMATED;
      else if (counters === TCPSEQ || counters === NONE) kind |= UNCOUNTED;
      else if (biflow) kind |= BOTH;
      if (postNat && state.isTranslated) kind |= state.translatedFamily === 4 ? POST_NAT_FOUR : POST_NAT_SIX;
      return kind;
    },
    select(common, flow) {
      let kind = common;
      if (tcpControlBits(flow, flow.reply) !== 0) kind |= HAS_FLAGS;
      if ((common & BOTH) !== 0 && tcpControlBits(flow, 1) !== 0) kind |= HAS_REVERSE_FLAGS;
      const family = (common & SIX) !== 0 ? 6 : 4;
      if (flow.icmpType >= 0 && flow.reply === 0 && family === flow.state.family) {
        kind |= family === 6 ? TYPE_SIX : TYPE_FOUR;
      }
      const known = templates[kind];
      if (known !== undefined) return known;
      const isCommon = (kind & UNCOMMON) === 0;
      const template = isCommon
        ? new CommonTemplate(kind, times, flowId)
        : new FlowTemplate(FIRST_ID + kind, partsOf(kind, times, flowId));
      templates[kind] = template;
      return template;
    },
    selectEvent: natEventTemplates(),
  };
}

const FIRST_EVENT_ID = 4096;

/**
 * NAT events (RFC 8158): the elements of the template 258 of FreeBSD's pflow(4), and the times of a flow, without which a
 * collector that has no use for events takes the record for one of 1970. Never counters: some collectors drop those beside 230.
 */
function natEventTemplates(): NonNullable<Profile['selectEvent']> {
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
    kindOf: (flow, source) => familyAt(flow.state, source),
    select: (kind) => (kind === 6 ? ipv6 : ipv4),
  };
}
