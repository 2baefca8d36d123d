/** Flows as comma-separated values (RFC 4180, lines ended by LF): a cell is empty where nothing is known. */
import { decimal, hexWord, milliseconds, writeAddress } from '../protocol/address.js';
import {
  type FlowRecord,
  familyAt,
  type NatView,
  PROVENANCE,
  protocolAt,
  sourceEnd,
} from '../protocol/flow-record.js';
import { EXACT, PARTIAL, TCPSEQ } from '../protocol/flow-terms.js';
import { INBOUND, TRANSLATED_SOURCE } from '../protocol/pf-terms.js';
import { hasPorts } from '../protocol/pfsync-state.js';
import { escapeText, type FlowFormat, LineBuffer, rememberNames } from './text-output.js';

/** In the order in which `writeFlow` writes them. */
const COLUMNS = [
  'flowStartMilliseconds',
  'flowEndMilliseconds',
  'sourceAddress',
  'destinationAddress',
  'sourceTransportPort',
  'destinationTransportPort',
  'protocolIdentifier',
  'octetDeltaCount',
  'packetDeltaCount',
  'initiatorOctets',
  'responderOctets',
  'flowDirection',
  'postNATSourceAddress',
  'postNATDestinationAddress',
  'postNAPTSourceTransportPort',
  'postNAPTDestinationTransportPort',
  'interfaceName',
  'flowEndReason',
  'stateId',
  'creatorId',
  'direction',
  'rule',
  'counters',
  'reply',
];

const ENDINGS = PROVENANCE.map((counters) => [`,${counters},false\n`, `,${counters},true\n`]);

/** `nat` undefined or `original`: the original view, and the post-NAT cells of translated flows; else that view alone. */
export function csvFormat(nat: NatView = 'original'): FlowFormat {
  const lines = new LineBuffer();
  const writeName = rememberNames(cell);

  function writeFlow(flow: FlowRecord): string {
    const { state } = flow;
    const source = sourceEnd(state.direction, nat) ^ flow.reply;
    const postNat = nat === 'original' && state.isTranslated;
    return (
      `${milliseconds(flow.start)},${milliseconds(flow.end)},` +
      writeEnds(flow, source) +
      `,${protocolAt(state, source)},` +
      writeCounters(flow) +
      `,${flow.flowDirection},` +
      (postNat ? writeEnds(flow, TRANSLATED_SOURCE ^ flow.reply) : ',,,') +
      `,${writeName(flow.interfaceName)},${flow.endReason},` +
      hexWord(state.idHigh) +
      hexWord(state.idLow) +
      `,${hexWord(state.creatorId)}` +
      (state.direction === INBOUND ? ',in,' : ',out,') +
      state.rule +
      ENDINGS[flow.counters]![flow.reply]!
    );
  }

  return { header: () => `${COLUMNS.join(',')}\n`, lines, write: (flow) => lines.text(writeFlow(flow)) };
}

function writeEnds(flow: FlowRecord, source: number): string {
  const { state } = flow;
  const destination = source ^ 1;
  const family = familyAt(state, source);
  const addresses =
    `${writeAddress(state.view, state.addressAt(source), family)},` +
    writeAddress(state.view, state.addressAt(destination), family);
  if (!hasPorts(protocolAt(state, source))) return `${addresses},,`;
  return `${addresses},${state.port(source)},${state.port(destination)}`;
}

function writeCounters(flow: FlowRecord): string {
  if (flow.counters === EXACT || flow.counters === PARTIAL)
    return `${decimal(flow.octetsHigh, flow.octetsLow)},${decimal(flow.packetsHigh, flow.packetsLow)},,`;
  return flow.counters === TCPSEQ ? `,,${flow.initiatorOctets},${flow.responderOctets}` : ',,,';
}

/** A text from a packet: a spreadsheet must not take it for a formula, nor a parser for two cells. */
function cell(text: string): string {
  const escaped = escapeText(text);
  const plain = /^[=+\-@]/.test(escaped) ? `'${escaped}` : escaped;
  return /[",]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}
