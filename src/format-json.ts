/** Flows as one JSON object a line: keys are Information Element names; what has no element stands under `pf`. */
import { decimal, hexWord, milliseconds, writeAddress } from '../protocol/address.js';
import {
  EXACT,
  type FlowRecord,
  familyAt,
  type NatView,
  PARTIAL,
  PROVENANCE,
  protocolAt,
  sourceEnd,
  TCPSEQ,
} from '../protocol/flow-record.js';
import { hasPorts, INBOUND, TRANSLATED_SOURCE } from '../protocol/pfsync-state.js';
import { escapeText, type FlowFormat, rememberNames } from './text-output.js';

/** The keys of one pair of ends, up to the values. */
interface EndKeys {
  readonly source4: string;
  readonly destination4: string;
  readonly source6: string;
  readonly destination6: string;
  readonly sourcePort: string;
  readonly destinationPort: string;
}

const KEYS: EndKeys = {
  source4: ',"sourceIPv4Address":"',
  destination4: '","destinationIPv4Address":"',
  source6: ',"sourceIPv6Address":"',
  destination6: '","destinationIPv6Address":"',
  sourcePort: '","sourceTransportPort":',
  destinationPort: ',"destinationTransportPort":',
};

const POST_NAT_KEYS: EndKeys = {
  source4: ',"postNATSourceIPv4Address":"',
  destination4: '","postNATDestinationIPv4Address":"',
  source6: ',"postNATSourceIPv6Address":"',
  destination6: '","postNATDestinationIPv6Address":"',
  sourcePort: '","postNAPTSourceTransportPort":',
  destinationPort: ',"postNAPTDestinationTransportPort":',
};

const DIRECTIONS = { in: '","direction":"in","rule":', out: '","direction":"out","rule":' } as const;
const ENDINGS = PROVENANCE.map((counters) => [
  `,"counters":"${counters}","reply":false`,
  `,"counters":"${counters}","reply":true`,
]);

/** `nat` undefined or `original`: the original view, and the post-NAT elements of translated flows; else that view alone. */
export function jsonFormat(nat: NatView | undefined): FlowFormat {
  const view = nat ?? 'original';
  const writeInterface = rememberNames(writeInterfaceName);

  function writeFlow(flow: FlowRecord): string {
    const { state } = flow;
    const source = sourceEnd(state.direction, view) ^ flow.reply;
    const postNat = view === 'original' && flow.isTranslated;
    return (
      `{"flowStartMilliseconds":${milliseconds(flow.start)},"flowEndMilliseconds":${milliseconds(flow.end)}` +
      writeEnds(flow, source, KEYS) +
      `,"protocolIdentifier":${protocolAt(state, source)}` +
      writeCounters(flow) +
      `,"flowDirection":${flow.flowDirection}` +
      (postNat ? writeEnds(flow, TRANSLATED_SOURCE ^ flow.reply, POST_NAT_KEYS) : '') +
      writeInterface(flow.interface.name) +
      `,"flowEndReason":${flow.endReason},"pf":{"stateId":"${hexWord(state.idHigh)}${hexWord(state.idLow)}` +
      `","creatorId":"${hexWord(state.creatorId)}` +
      (state.direction === INBOUND ? DIRECTIONS.in : DIRECTIONS.out) +
      state.rule +
      ENDINGS[flow.counters]![flow.reply]! +
      (flow.counters === PARTIAL ? `,"countersAge":${flow.countersAge}}}\n` : '}}\n')
    );
  }

  return { header: () => '', flow: writeFlow };
}

function writeEnds(flow: FlowRecord, source: number, keys: EndKeys): string {
  const { state } = flow;
  const destination = source ^ 1;
  const family = familyAt(state, source);
  const addresses =
    (family === 4 ? keys.source4 : keys.source6) +
    writeAddress(state.view, state.addressAt(source), family) +
    (family === 4 ? keys.destination4 : keys.destination6) +
    writeAddress(state.view, state.addressAt(destination), family);
  if (!hasPorts(protocolAt(state, source))) return `${addresses}"`;
  return addresses + keys.sourcePort + state.port(source) + keys.destinationPort + state.port(destination);
}

function writeCounters(flow: FlowRecord): string {
  if (flow.counters === EXACT || flow.counters === PARTIAL)
    return (
      `,"octetDeltaCount":${decimal(flow.octetsHigh, flow.octetsLow)}` +
      `,"packetDeltaCount":${decimal(flow.packetsHigh, flow.packetsLow)}`
    );
  if (flow.counters !== TCPSEQ) return '';
  return `,"initiatorOctets":${flow.initiatorOctets},"responderOctets":${flow.responderOctets}`;
}

function writeInterfaceName(name: string): string {
  return name === '' ? '' : `,"interfaceName":"${escapeText(name).replaceAll('"', '\\"')}"`;
}
