/**
 * Flow rows as plain records, with the keys that `--format json` has: what tests of the stages before the sinks look at. Numbers
 * of any size are bigints where they are counters.
 */
import { FlowView } from '../../protocol/flow/flow-view.js';
import { DESCRIPTION, ICMP, ROW_OCTETS } from '../../protocol/flow/row.js';
import type { FlowMemory } from '../../protocol/flow/rows.js';
import { addressText } from './address.js';

export interface FlowJson {
  readonly flowStartMilliseconds: number;
  readonly flowEndMilliseconds: number;
  readonly protocolIdentifier: number;
  readonly octetDeltaCount?: bigint;
  readonly packetDeltaCount?: bigint;
  readonly tcpControlBits?: number;
  readonly flowDirection: number;
  readonly flowEndReason: number;
  readonly interfaceName?: string;
  readonly pf: FlowJsonPf;
  readonly [element: string]: unknown;
}

export interface FlowJsonPf {
  readonly stateId: string;
  readonly creatorId: string;
  readonly direction: 'in' | 'out';
  readonly rule?: number;
  readonly anchor?: number;
  readonly counters: 'exact' | 'partial' | 'tcpseq' | 'none';
  readonly countersFrom?: 'delete' | 'update' | 'insert' | 'pfctl' | 'sequence';
  readonly countersAge?: number;
  readonly reply: boolean;
}

const KINDS = ['exact', 'partial', 'tcpseq', 'none'] as const;
const ORIGINS = ['delete', 'update', 'insert', 'pfctl', 'sequence'] as const;

/** A time as JSON lines and IPFIX show it. */
function wholeTime(time: number): number {
  return Math.floor(Math.max(time, 0));
}

/** The records of the flow in a row, which the mapper has prepared: forward first; none where the row is no flow. */
export function recordsOf(memory: FlowMemory, row: number): FlowJson[] {
  const { directions } = new FlowView(memory.rows, row);
  return ([0, 1] as const)
    .filter((reply) => directions & (1 << reply))
    .map((reply) => record(memory, row, reply));
}

function record({ rows, interfaces }: FlowMemory, row: number, reply: 0 | 1): FlowJson {
  const flow = new FlowView(rows, row);
  const at = row * ROW_OCTETS;
  const description = at + 4 * (DESCRIPTION + reply);
  const octet = (place: number) => rows.view.getUint8(place);
  const { family, translatedFamily, protocol, icmpType } = flow;
  const hasPorts = [6, 17, 132].includes(protocol);
  const source = reply;
  const destination = 1 - reply;
  const counters = KINDS[flow.counters]!;
  const origin = ORIGINS[flow.origin];
  const controlBits = octet(description + 3);
  const name = interfaces.names[flow.interface]!;
  const postNat = {
    [`postNATSourceIPv${translatedFamily}Address`]: addressText(flow.address(2 + source)),
    [`postNATDestinationIPv${translatedFamily}Address`]: addressText(flow.address(2 + destination)),
    ...(hasPorts
      ? {
          postNAPTSourceTransportPort: flow.port(2 + source),
          postNAPTDestinationTransportPort: flow.port(2 + destination),
        }
      : {}),
  };
  return {
    flowStartMilliseconds: wholeTime(flow.start),
    flowEndMilliseconds: wholeTime(flow.end),
    [`sourceIPv${family}Address`]: addressText(flow.address(source)),
    [`destinationIPv${family}Address`]: addressText(flow.address(destination)),
    ...(hasPorts
      ? { sourceTransportPort: flow.port(source), destinationTransportPort: flow.port(destination) }
      : {}),
    protocolIdentifier: octet(description),
    ...(counters === 'none'
      ? {}
      : { octetDeltaCount: flow.octets(reply), packetDeltaCount: flow.packets(reply) }),
    ...(controlBits === 0 ? {} : { tcpControlBits: controlBits }),
    ...(icmpType < 0
      ? {}
      : {
          [`icmpTypeIPv${family}`]: octet(at + 4 * ICMP),
          [`icmpCodeIPv${family}`]: octet(at + 4 * ICMP + 1),
        }),
    flowDirection: octet(description + 1),
    ...(flow.isTranslated ? postNat : {}),
    ...(name === '' ? {} : { interfaceName: name }),
    flowEndReason: octet(description + 2),
    pf: {
      stateId: hexadecimal(flow.id, 16),
      creatorId: hexadecimal(flow.creatorId, 8),
      direction: flow.direction === 1 ? 'in' : 'out',
      ...(flow.rule < 0 ? {} : { rule: flow.rule }),
      ...(flow.anchor < 0 ? {} : { anchor: flow.anchor }),
      counters,
      ...(counters === 'none' || origin === undefined ? {} : { countersFrom: origin }),
      ...(counters === 'partial' || counters === 'tcpseq' ? { countersAge: flow.countersAge } : {}),
      reply: reply === 1,
    },
  };
}

function hexadecimal(number: bigint | number, digits: number): string {
  return number.toString(16).padStart(digits, '0');
}
