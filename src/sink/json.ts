/** Flows as one JSON object a line. */
import type { NatView } from '../../protocol/flow/terms.js';
import { CoreFormat } from './core-format.js';
import { escapeText, type FlowFormat } from './text-output.js';

/** `nat` undefined or `original`: the original view, and the post-NAT elements of translated flows; else that view alone. */
export function jsonFormat(nat: NatView = 'original'): FlowFormat {
  return new CoreFormat(nat, {
    header: '',
    write: 'writeJson',
    writeRecord: 'writeJsonRecord',
    interfaceText: (name) =>
      name === '' ? '' : `,"interfaceName":"${escapeText(name).replaceAll('"', '\\"')}"`,
  });
}
