/**
 * The export profiles of NetFlow v9 and IPFIX: which template a record has. A template is a list of parts; a part is a few
 * Information Elements that always stand together. Which parts a record needs follows from the flow.
 */
import { type FlowRecord, familyAt, protocolAt } from './flow-record.js';
import { NONE, TCPSEQ } from './flow-terms.js';
import type { GatheredFlow } from './gathered-flow.js';
import { hasPorts } from './pfsync-state.js';
import {
  BOTH,
  ESTIMATED,
  HAS_FLAGS,
  HAS_REVERSE_FLAGS,
  NO_PORTS,
  POST_NAT_FOUR,
  POST_NAT_SIX,
  SIX,
  TYPE_FOUR,
  TYPE_SIX,
  UNCOUNTED,
} from './record-kind.js';
import { FlowTemplate, type Template } from './template.js';
import {
  ADDRESSES4,
  ADDRESSES6,
  biflowFlags,
  CLASS_PROTOCOL,
  COUNTERS,
  description,
  ESTIMATE,
  FLOW_ID,
  type Flags,
  INTERFACES,
  NAT_EVENT,
  NAT_EVENT_TIME,
  type Part,
  PFLOW_COUNTERS,
  PORTS,
  POST_NAT_PORTS,
  POST_NAT4,
  POST_NAT6,
  REVERSE,
  TIMES,
  UPTIMES,
} from './template-part.js';

/** Chooses the template of a record. */
export interface Profile {
  /** What the templates of the flow's records have in common. `source` is an end of the view that is told. */
  kindOf(flow: FlowRecord, source: number): number;
  /** Whether flows of a kind become one record that tells of both directions (RFC 5103). */
  isBiflow(kind: number): boolean;
  /** Whether records of a kind tell of the translation. */
  tellsTranslation(kind: number): boolean;
  /** The template of the forward record (0) or the reply record (1) of a flow of this kind. */
  select(kind: number, flow: GatheredFlow, reply: 0 | 1): FlowTemplate;
  /** Chooses the template of a NAT event; absent where there is none. */
  readonly selectEvent?: (flow: FlowRecord, source: number) => FlowTemplate;
  /** Templates announced from the start on; the others with their first record. */
  readonly fixed: readonly Template[];
  /** pflow(4): templates in messages of their own, and one data set in a message. */
  readonly oneSetPerMessage: boolean;
  /** Times are uptimes, which each message counts anew. */
  readonly hasUptimes: boolean;
}

const FIRST_ID = 256;

export interface FullProfileOptions {
  /** Times are uptimes, not times of day. */
  readonly uptimes: boolean;
  /** Fill records up to whole words, which are written faster. A collector that knows IPFIX knows the element of that. */
  readonly pads: boolean;
  /** Show the translated addresses beside the original ones. */
  readonly postNat: boolean;
  /** Tell payload known from TCP sequence numbers in elements of its own. */
  readonly estimate: boolean;
  /** Tell the state's id. */
  readonly flowId: boolean;
  /** One record for both directions (RFC 5103). */
  readonly biflow: boolean;
}

/** The parts of a record, in their order. */
function partsOf(kind: number, { flowId, pads, uptimes }: FullProfileOptions): readonly Part[] {
  const has = (bits: number) => (kind & bits) !== 0;
  const ports = !has(NO_PORTS);
  const parts: readonly (Part | false)[] = [
    has(SIX) ? ADDRESSES6 : ADDRESSES4,
    ports && PORTS,
    INTERFACES,
    flowId && FLOW_ID,
    uptimes ? UPTIMES : TIMES,
    has(ESTIMATED) ? ESTIMATE : !has(UNCOUNTED) && COUNTERS,
    has(POST_NAT_FOUR) && POST_NAT4,
    has(POST_NAT_SIX) && POST_NAT6,
    ports && has(POST_NAT_FOUR | POST_NAT_SIX) && POST_NAT_PORTS,
    has(BOTH) && REVERSE,
    description(has(BOTH) ? 'biflowDirection' : (flagsOf(kind) ?? (pads ? 'padding' : 'nothing'))),
    has(BOTH) && biflowFlags(flagsOf(kind), has(HAS_REVERSE_FLAGS)),
  ];
  return parts.filter((part) => part !== false);
}

function flagsOf(kind: number): Flags | undefined {
  if ((kind & HAS_FLAGS) !== 0) return 'tcpControlBits';
  if ((kind & TYPE_FOUR) !== 0) return 'icmpTypeIPv4';
  return (kind & TYPE_SIX) !== 0 ? 'icmpTypeIPv6' : undefined;
}

/** The full profile: one template for each kind that occurs. */
export function fullProfile(options: FullProfileOptions): Profile {
  const { biflow, estimate, postNat, uptimes } = options;
  const templates: (FlowTemplate | undefined)[] = [];
  return {
    fixed: [],
    oneSetPerMessage: false,
    hasUptimes: uptimes,
    isBiflow: (kind) => (kind & BOTH) !== 0,
    tellsTranslation: (kind) => (kind & (POST_NAT_FOUR | POST_NAT_SIX)) !== 0,
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
    select(common, flow, reply) {
      let kind = common;
      if ((reply === 0 ? flow.flags : flow.replyFlags) !== 0) kind |= HAS_FLAGS;
      if ((common & BOTH) !== 0 && flow.replyFlags !== 0) kind |= HAS_REVERSE_FLAGS;
      if (reply === 0 && flow.icmpType >= 0) kind |= (common & SIX) !== 0 ? TYPE_SIX : TYPE_FOUR;
      const known = templates[kind];
      if (known !== undefined) return known;
      const template = new FlowTemplate(FIRST_ID + kind, partsOf(kind, options));
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
      NAT_EVENT_TIME,
      TIMES,
      family === 6 ? ADDRESSES6 : ADDRESSES4,
      after === 6 ? POST_NAT6 : POST_NAT4,
      ...(ports ? [PORTS, POST_NAT_PORTS] : []),
      NAT_EVENT,
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
    hasUptimes: false,
    isBiflow: () => false,
    tellsTranslation: () => false,
    kindOf: (flow, source) => familyAt(flow.state, source),
    select: (kind) => (kind === 6 ? ipv6 : ipv4),
  };
}
