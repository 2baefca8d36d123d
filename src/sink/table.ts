/** Flows as a table for the eye, after `nfdump -o long`. Times are UTC, numbers exact. */
import type { NatView } from '../../protocol/flow/terms.js';
import { CoreFormat } from './core-format.js';
import { escapeText, type FlowFormat } from './text-output.js';

/** Above the columns of `assembly/table`. */
const HEADER =
  'Date first seen (UTC)    Duration Proto        Src IP Addr:Port           Dst IP Addr:Port  ' +
  'Dir Interface Packets       Bytes -> Translated\n';

/** `nat` undefined or `original`: the original view, and where it was translated to; else that view alone. */
export function tableFormat(nat: NatView = 'original'): FlowFormat {
  return new CoreFormat(nat, {
    header: HEADER,
    write: 'writeTable',
    writeRecord: 'writeTableRecord',
    // In one piece, so that columns can be counted by blanks.
    interfaceText: (name) => escapeText(name).replaceAll(' ', '\\u0020'),
  });
}
