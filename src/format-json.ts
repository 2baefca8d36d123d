/** Flows as one JSON object a line: keys are Information Element names; what has no element stands under `pf`. */
import { type FlowRecord, familyAt, type NatView, protocolAt, sourceEnd } from '../protocol/flow-record.js';
import { EXACT, LACK_OF_RESOURCES, PARTIAL, PROVENANCE, TCPSEQ } from '../protocol/flow-terms.js';
import { INBOUND, TRANSLATED_SOURCE } from '../protocol/pf-terms.js';
import { hasPorts, type StateView } from '../protocol/pfsync-state.js';
import { DIRECTION, OCTETS_HIGH, OCTETS_LOW, PACKETS_HIGH, PACKETS_LOW } from '../protocol/volume.js';
import { type AsciiWriter, loosePiece, type Piece, piece } from './ascii-writer.js';
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
const INTERFACE_NAME = piece(',"interfaceName":"');
const CREATOR_ID = piece('","creatorId":"');
const INBOUND_RULE = piece('","direction":"in","rule":');
const OUTBOUND_RULE = piece('","direction":"out","rule":');
const COUNTERS_AGE = piece(',"countersAge":');
const LINE_END = piece('}}\n');
const QUOTE = piece('"');
/** By flowDirection. */
const FLOW_DIRECTIONS = [piece(',"flowDirection":0'), piece(',"flowDirection":1')] as const;
/** By flowEndReason. */
const END_REASONS = Array.from({ length: LACK_OF_RESOURCES + 1 }, (_, reason) =>
  piece(`,"flowEndReason":${reason},"pf":{"stateId":"`),
);
/** By provenance and direction. */
const ENDINGS = PROVENANCE.map((counters) => [
  piece(`,"counters":"${counters}","reply":false`),
  piece(`,"counters":"${counters}","reply":true`),
]);

/** `nat` undefined or `original`: the original view, and the post-NAT elements of translated flows; else that view alone. */
export function jsonFormat(nat: NatView | undefined): FlowFormat {
  const view = nat ?? 'original';
  const nameOf = rememberNames((name) => loosePiece(escapeText(name).replaceAll('"', '\\"')));

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
    out.piece(FLOW_DIRECTIONS[flow.flowDirection]);
    if (view === 'original' && state.isTranslated) {
      writeEnds(out, state, TRANSLATED_SOURCE ^ reply, POST_NAT_KEYS);
    }
    const { name } = flow.interface;
    if (name !== '') {
      out.piece(INTERFACE_NAME);
      out.piece(nameOf(name));
      out.piece(QUOTE);
    }
    out.piece(END_REASONS[flow.endReason]!);
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
    out.piece(QUOTE);
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
    const { volume } = flow;
    const at = DIRECTION * flow.reply;
    out.decimal(volume[at + OCTETS_HIGH]!, volume[at + OCTETS_LOW]!);
    out.piece(PACKETS);
    out.decimal(volume[at + PACKETS_HIGH]!, volume[at + PACKETS_LOW]!);
  } else if (flow.counters === TCPSEQ) {
    out.piece(INITIATOR_OCTETS);
    out.text(`${flow.initiatorOctets}`);
    out.piece(RESPONDER_OCTETS);
    out.text(`${flow.responderOctets}`);
  }
}
