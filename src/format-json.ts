/** Flows as one JSON object a line: keys are Information Element names; what has no element stands under `pf`. */
import { type FlowRecord, familyAt, type NatView, protocolAt, sourceEnd } from '../protocol/flow-record.js';
import { EXACT, PARTIAL, PROVENANCE, TCPSEQ } from '../protocol/flow-terms.js';
import { INBOUND, TRANSLATED_SOURCE } from '../protocol/pf-terms.js';
import { hasPorts, type StateView } from '../protocol/pfsync-state.js';
import { type AsciiWriter, type Piece, piece } from './ascii-writer.js';
import { escapeText, type FlowFormat, rememberNames } from './text-output.js';

/** The keys of one pair of ends, up to the values. */
interface EndKeys {
  readonly source4: Piece;
  readonly destination4: Piece;
  readonly source6: Piece;
  readonly destination6: Piece;
  readonly sourcePort: Piece;
  readonly destinationPort: Piece;
}

const KEYS: EndKeys = {
  source4: piece(',"sourceIPv4Address":"'),
  destination4: piece('","destinationIPv4Address":"'),
  source6: piece(',"sourceIPv6Address":"'),
  destination6: piece('","destinationIPv6Address":"'),
  sourcePort: piece('","sourceTransportPort":'),
  destinationPort: piece(',"destinationTransportPort":'),
};

const POST_NAT_KEYS: EndKeys = {
  source4: piece(',"postNATSourceIPv4Address":"'),
  destination4: piece('","postNATDestinationIPv4Address":"'),
  source6: piece(',"postNATSourceIPv6Address":"'),
  destination6: piece('","postNATDestinationIPv6Address":"'),
  sourcePort: piece('","postNAPTSourceTransportPort":'),
  destinationPort: piece(',"postNAPTDestinationTransportPort":'),
};

const START = piece('{"flowStartMilliseconds":');
const END = piece(',"flowEndMilliseconds":');
const PROTOCOL = piece(',"protocolIdentifier":');
const OCTETS = piece(',"octetDeltaCount":');
const PACKETS = piece(',"packetDeltaCount":');
const INITIATOR_OCTETS = piece(',"initiatorOctets":');
const RESPONDER_OCTETS = piece(',"responderOctets":');
const FLOW_DIRECTION = piece(',"flowDirection":');
const END_REASON = piece(',"flowEndReason":');
const STATE_ID = piece(',"pf":{"stateId":"');
const CREATOR_ID = piece('","creatorId":"');
const INBOUND_RULE = piece('","direction":"in","rule":');
const OUTBOUND_RULE = piece('","direction":"out","rule":');
const COUNTERS_AGE = piece(',"countersAge":');
const LINE_END = piece('}}\n');
const ADDRESS_END = piece('"');
/** By provenance and direction. */
const ENDINGS = PROVENANCE.map((counters) => [
  piece(`,"counters":"${counters}","reply":false`),
  piece(`,"counters":"${counters}","reply":true`),
]);

/** `nat` undefined or `original`: the original view, and the post-NAT elements of translated flows; else that view alone. */
export function jsonFormat(nat: NatView | undefined): FlowFormat {
  const view = nat ?? 'original';
  const interfaceOf = rememberNames((name) => piece(interfaceMember(name)));

  function write(flow: FlowRecord, out: AsciiWriter): void {
    const { reply, state } = flow;
    const source = sourceEnd(state.direction, view) ^ reply;
    out.piece(START);
    out.milliseconds(flow.start);
    out.piece(END);
    out.milliseconds(flow.end);
    writeEnds(out, state, source, KEYS);
    out.piece(PROTOCOL);
    out.integer(protocolAt(state, source));
    writeCounters(out, flow);
    out.piece(FLOW_DIRECTION);
    out.integer(flow.flowDirection);
    if (view === 'original' && state.isTranslated) {
      writeEnds(out, state, TRANSLATED_SOURCE ^ reply, POST_NAT_KEYS);
    }
    out.piece(interfaceOf(flow.interface.name));
    out.piece(END_REASON);
    out.integer(flow.endReason);
    out.piece(STATE_ID);
    out.hexWord(state.idHigh);
    out.hexWord(state.idLow);
    out.piece(CREATOR_ID);
    out.hexWord(state.creatorId);
    out.piece(state.direction === INBOUND ? INBOUND_RULE : OUTBOUND_RULE);
    out.integer(state.rule);
    out.piece(ENDINGS[flow.counters]![reply]!);
    if (flow.counters === PARTIAL) {
      out.piece(COUNTERS_AGE);
      out.decimal(0, flow.countersAge);
    }
    out.piece(LINE_END);
  }

  return { header: () => '', write };
}

function writeEnds(out: AsciiWriter, state: StateView, source: number, keys: EndKeys): void {
  const destination = source ^ 1;
  const family = familyAt(state, source);
  out.piece(family === 4 ? keys.source4 : keys.source6);
  out.address(state.view, state.addressAt(source), family);
  out.piece(family === 4 ? keys.destination4 : keys.destination6);
  out.address(state.view, state.addressAt(destination), family);
  if (!hasPorts(protocolAt(state, source))) {
    out.piece(ADDRESS_END);
    return;
  }
  out.piece(keys.sourcePort);
  out.integer(state.port(source));
  out.piece(keys.destinationPort);
  out.integer(state.port(destination));
}

function writeCounters(out: AsciiWriter, flow: FlowRecord): void {
  if (flow.counters === EXACT || flow.counters === PARTIAL) {
    out.piece(OCTETS);
    out.decimal(flow.octetsHigh, flow.octetsLow);
    out.piece(PACKETS);
    out.decimal(flow.packetsHigh, flow.packetsLow);
  } else if (flow.counters === TCPSEQ) {
    out.piece(INITIATOR_OCTETS);
    out.text(`${flow.initiatorOctets}`);
    out.piece(RESPONDER_OCTETS);
    out.text(`${flow.responderOctets}`);
  }
}

function interfaceMember(name: string): string {
  return name === '' ? '' : `,"interfaceName":"${escapeText(name).replaceAll('"', '\\"')}"`;
}
