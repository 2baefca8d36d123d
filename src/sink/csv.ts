/** Flows as comma-separated values (RFC 4180, lines ended by LF): a cell is empty where nothing is known. */
import type { NatView } from '../../protocol/flow/terms.js';
import { CoreFormat } from './core-format.js';
import { escapeText, type FlowFormat } from './text-output.js';

/** In the order in which `assembly/csv` writes them. */
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

/** `nat` undefined or `original`: the original view, and the post-NAT cells of translated flows; else that view alone. */
export function csvFormat(nat: NatView = 'original'): FlowFormat {
  return new CoreFormat(nat, {
    header: `${COLUMNS.join(',')}\n`,
    write: 'writeCsv',
    writeRecord: 'writeCsvRecord',
    interfaceText: cell,
  });
}

/** A text from a packet: a spreadsheet must not take it for a formula, nor a parser for two cells. */
function cell(text: string): string {
  const escaped = escapeText(text);
  const plain = /^[=+\-@]/.test(escaped) ? `'${escaped}` : escaped;
  return /[",]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}
