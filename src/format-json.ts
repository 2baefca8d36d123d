/** Flows as one JSON object a line: keys are Information Element names; what has no element stands under `pf`. */
import { type FlowRecord, familyAt, type NatView, protocolAt, sourceEnd } from '../protocol/flow-record.js';
import { EXACT, PARTIAL, PROVENANCE, TCPSEQ } from '../protocol/flow-terms.js';
import { INBOUND, TRANSLATED_SOURCE } from '../protocol/pf-terms.js';
import { hasPorts, type StateView } from '../protocol/pfsync-state.js';
import { DIRECTION, OCTETS_HIGH, OCTETS_LOW, PACKETS_HIGH, PACKETS_LOW } from '../protocol/volume.js';
import {
  loosePiece,
  millisecondsWriter,
  type Piece,
  piece,
  writeAddress,
  writeDecimal,
  writeInteger,
  writeText,
} from './ascii-writer.js';
import { writeFirst, writeHexWord, writeShort } from './digits.js';
import { escapeText, type FlowFormat, LineBuffer, rememberNames } from './text-output.js';

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
const CREATOR_ID = piece('","creatorId":"');
const INBOUND_RULE = piece('","direction":"in","rule":');
const OUTBOUND_RULE = piece('","direction":"out","rule":');
const COUNTERS_AGE = piece(',"countersAge":');
const LINE_END = piece('}}\n');
const QUOTE = piece('"');
const INGRESS = piece(',"flowDirection":0');
const EGRESS = piece(',"flowDirection":1');
const END_REASON = piece(',"flowEndReason":');
const STATE_ID = piece(',"pf":{"stateId":"');
/** By provenance. */
const COUNTERS = PROVENANCE.map((counters) => piece(`,"counters":"${counters}"`));
const EXACT_COUNTERS = COUNTERS[EXACT]!;
const FORWARD_RECORD = piece(',"reply":false');
const REPLY_RECORD = piece(',"reply":true');

/** `nat` undefined or `original`: the original view, and the post-NAT elements of translated flows; else that view alone. */
export function jsonFormat(nat: NatView = 'original'): FlowFormat {
  const interfacePiece = rememberNames((name) =>
    loosePiece(name === '' ? '' : `,"interfaceName":"${escapeText(name).replaceAll('"', '\\"')}"`),
  );
  const lines = new LineBuffer();
  // What a closure holds V8 takes for constant and does not check again: half the instructions of each assignment to `view`.
  const { view } = lines;
  const keys = KEYS;
  const postNatKeys = POST_NAT_KEYS;
  const writeStart = millisecondsWriter();
  const writeEnd = millisecondsWriter();

  function write(flow: FlowRecord): void {
    const { reply, state } = flow;
    const source = sourceEnd(state.direction, nat) ^ reply;
    let at = START(view, lines.length);
    at = writeStart(view, at, flow.start);
    at = END(view, at);
    at = writeEnd(view, at, flow.end);
    at = writeEnds(view, at, state, source, keys);
    at = PROTOCOL(view, at);
    at = writeFirst(view, at, protocolAt(state, source));
    at = writeCounters(view, at, flow);
    at = flow.flowDirection === 0 ? INGRESS(view, at) : EGRESS(view, at);
    if (nat === 'original' && state.isTranslated) {
      at = writeEnds(view, at, state, TRANSLATED_SOURCE ^ reply, postNatKeys);
    }
    at = interfacePiece(flow.interface.name)(view, at);
    at = END_REASON(view, at);
    at = writeFirst(view, at, flow.endReason);
    at = STATE_ID(view, at);
    at = writeHexWord(view, at, state.idHigh);
    at = writeHexWord(view, at, state.idLow);
    at = CREATOR_ID(view, at);
    at = writeHexWord(view, at, state.creatorId);
    at = state.direction === INBOUND ? INBOUND_RULE(view, at) : OUTBOUND_RULE(view, at);
    at = writeInteger(view, at, state.rule);
    at = flow.counters === EXACT ? EXACT_COUNTERS(view, at) : COUNTERS[flow.counters]!(view, at);
    at = reply === 0 ? FORWARD_RECORD(view, at) : REPLY_RECORD(view, at);
    if (flow.counters === PARTIAL) {
      at = COUNTERS_AGE(view, at);
      at = writeDecimal(view, at, 0, flow.countersAge);
    }
    lines.length = LINE_END(view, at);
  }

  return { header: () => '', lines, write };
}

function writeEnds(view: DataView, at: number, state: StateView, source: number, keys: EndKeys): number {
  const destination = source ^ 1;
  const family = familyAt(state, source);
  at = family === 4 ? keys.source4(view, at) : keys.source6(view, at);
  at = writeAddress(view, at, state.view, state.addressAt(source), family);
  at = family === 4 ? keys.destination4(view, at) : keys.destination6(view, at);
  at = writeAddress(view, at, state.view, state.addressAt(destination), family);
  if (!hasPorts(protocolAt(state, source))) return QUOTE(view, at);
  at = keys.sourcePort(view, at);
  at = writeShort(view, at, state.port(source));
  at = keys.destinationPort(view, at);
  return writeShort(view, at, state.port(destination));
}

function writeCounters(view: DataView, at: number, flow: FlowRecord): number {
  if (flow.counters === EXACT || flow.counters === PARTIAL) {
    const { reply, volume } = flow;
    const first = DIRECTION * reply;
    at = OCTETS(view, at);
    at = writeDecimal(view, at, volume[first + OCTETS_HIGH]!, volume[first + OCTETS_LOW]!);
    at = PACKETS(view, at);
    return writeDecimal(view, at, volume[first + PACKETS_HIGH]!, volume[first + PACKETS_LOW]!);
  }
  if (flow.counters !== TCPSEQ) return at;
  at = INITIATOR_OCTETS(view, at);
  at = writeText(view, at, `${flow.initiatorOctets}`);
  at = RESPONDER_OCTETS(view, at);
  return writeText(view, at, `${flow.responderOctets}`);
}
