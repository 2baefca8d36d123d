/**
 * The export profiles of NetFlow v9 and IPFIX: which template a record has. A template is a list of parts; a part is a few
 * Information Elements that always stand together. Which parts a record needs follows from the flow; `assembly/template-record`
 * writes them in the order that they have here.
 */
import { type FlowRecord, familyAt, protocolAt } from '../flow/flow-record.js';
import { hasPorts } from '../flow/pf-terms.js';
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

/** What the records of flows tell, and by which templates. Which kind a record is of, the core finds out (`assembly/template-record`). */
export interface Profile {
  /** The template of records of this kind. */
  template(kind: number): FlowTemplate;
  /** Chooses the template of a NAT event; absent where there is none. */
  readonly selectEvent?: (flow: FlowRecord, source: number) => FlowTemplate;
  /** The id of the template of kind 0: others have that and their kind. */
  readonly firstId: number;
  /** Templates announced from the start on; the others with their first record. */
  readonly fixed: readonly Template[];
  /** pflow(4): templates in messages of their own, and one data set in a message. */
  readonly oneSetPerMessage: boolean;
  /** Times are uptimes, which each message counts anew. */
  readonly hasUptimes: boolean;
  /** Kinds are those of pflow(4): SIX or none. */
  readonly isPflow: boolean;
  /** Records are filled up to whole words. */
  readonly pads: boolean;
  /** Records tell the state's id. */
  readonly tellsId: boolean;
  /** Records of translated flows show the translated addresses too. */
  readonly tellsTranslation: boolean;
  /** Payload known from TCP sequence numbers has elements of its own. */
  readonly tellsEstimate: boolean;
  /** Flows with counters become one record that tells of both directions (RFC 5103). */
  readonly isBiflow: boolean;
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
  const { biflow, estimate, flowId, pads, postNat, uptimes } = options;
  return {
    template: (kind) => new FlowTemplate(FIRST_ID + kind, partsOf(kind, options)),
    selectEvent: natEventTemplates(),
    firstId: FIRST_ID,
    fixed: [],
    oneSetPerMessage: false,
    hasUptimes: uptimes,
    isPflow: false,
    pads,
    tellsId: flowId,
    tellsTranslation: postNat,
    tellsEstimate: estimate,
    isBiflow: biflow,
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
    template: (kind) => (kind === SIX ? ipv6 : ipv4),
    firstId: FIRST_ID,
    fixed: [ipv4, ipv6],
    oneSetPerMessage: true,
    hasUptimes: false,
    isPflow: true,
    pads: false,
    tellsId: false,
    tellsTranslation: false,
    tellsEstimate: false,
    isBiflow: false,
  };
}
