/** Flows to encode, in rows as the stages before an encoder leave them, and a room that keeps what was encoded. */
import type { FlowEncoder, MessageRoom } from '../../protocol/export/message.js';
import { FlowView } from '../../protocol/flow/flow-view.js';
import { InterfaceTable } from '../../protocol/flow/interface.js';
import { preparer } from '../../protocol/flow/prepare.js';
import { ROWS } from '../../protocol/flow/row.js';
import { type FlowMemory, FlowRows } from '../../protocol/flow/rows.js';
import { TagTable } from '../../protocol/flow/tags.js';
import { END_OF_FLOW, EXACT, FORWARD, FROM_DELETE, REPLY } from '../../protocol/flow/terms.js';
import { STATE_V6 } from '../../protocol/pfsync/layout.js';
import { stateReader } from '../../protocol/pfsync/state-reader.js';
import { Collector } from './collector.js';
import { encodeState, type SimState } from './pfsync-writer.js';

export const NOW = 1_700_000_000_500;
export const DAY = 86_400_000;

export class Room implements MessageRoom {
  readonly longest: number;
  readonly messages: Uint8Array[] = [];

  constructor(length = 1472) {
    this.longest = length;
  }

  send(octets: Uint8Array, length: number): void {
    this.messages.push(octets.slice(0, length));
    // What an encoder leaves unwritten must show: what comes after a message is never zero.
    octets.fill(0xa5);
  }
}

export const STATE: SimState = {
  id: 0x5f00000000000101n,
  creatorId: 0xa1b2c3d4,
  ifname: 'em1',
  direction: 'out',
  af: 4,
  afAfter: 4,
  proto: 6,
  protoAfter: 6,
  originalSource: { address: '192.168.1.50', port: 40000 },
  originalDestination: { address: '203.0.113.5', port: 80 },
  translatedSource: { address: '198.51.100.1', port: 61234 },
  translatedDestination: { address: '203.0.113.5', port: 80 },
  packets: [0n, 0n],
  bytes: [0n, 0n],
  creation: 0,
  expire: 0,
  timeout: 5,
  rule: 1,
  peers: [
    { seqlo: 1, state: 9 },
    { seqlo: 2, state: 9 },
  ],
};

export interface Sample {
  readonly state?: Partial<SimState>;
  /** The direction that the flow has a record for, unless `replyOctets` gives it both. */
  readonly reply?: 0 | 1;
  readonly octets?: bigint;
  readonly packets?: bigint;
  /** Octets of the other direction, whose packets are 10. */
  readonly replyOctets?: bigint;
  readonly start?: number;
  readonly end?: number;
  readonly observed?: number;
  readonly counters?: number;
  readonly origin?: number;
  readonly countersAge?: number;
  readonly endReason?: number;
  readonly hasResponderSequence?: boolean;
  readonly isContinued?: boolean;
  readonly icmpType?: number;
  readonly natEvent?: number;
  readonly interfaceName?: string;
}

/** Rows of samples, and what the stages share. Each sample is one row more. */
export class SampleRows {
  readonly rows: FlowRows;
  readonly interfaces: InterfaceTable;
  readonly tags = new TagTable();
  count = 0;
  readonly #view: FlowView;

  constructor(capacity = 64, interfaces = new InterfaceTable(new Map([['em1', 7]]))) {
    if (capacity > ROWS) throw new RangeError(`stages share ${ROWS} rows at most`);
    this.rows = new FlowRows(capacity);
    this.interfaces = interfaces;
    this.#view = new FlowView(this.rows);
  }

  /** Returns the number of the row. */
  add(sample: Sample = {}): number {
    const row = this.count++;
    fill(this, this.#view.at(row), sample);
    return row;
  }

  view(row: number): FlowView {
    return new FlowView(this.rows, row);
  }
}

function fill(memory: FlowMemory, flow: FlowView, sample: Sample): void {
  const { octets = 1000n, packets = 10n, reply = 0, replyOctets, interfaceName = 'em1' } = sample;
  const record = encodeState('v6', { ...STATE, ...sample.state, ifname: interfaceName });
  const view = new DataView(record.buffer, record.byteOffset, record.length);
  stateReader(memory)(STATE_V6, view, 0, STATE_V6.size, 1, new Float64Array(2), flow.row);
  flow.setCounters(0, 0n, 0n);
  flow.setCounters(1, 0n, 0n);
  flow.setCounters(reply, octets, packets);
  if (replyOctets !== undefined) flow.setCounters(reply === 0 ? 1 : 0, replyOctets, 10n);
  if (sample.icmpType !== undefined) flow.icmpType = sample.icmpType;
  if (sample.hasResponderSequence === false) flow.destinationSeqlo = 0;
  flow.directions = replyOctets === undefined ? (reply === 0 ? FORWARD : REPLY) : FORWARD | REPLY;
  flow.start = sample.start ?? NOW - 61_000;
  flow.end = sample.end ?? NOW;
  flow.observed = sample.observed ?? NOW;
  flow.counters = sample.counters ?? EXACT;
  flow.origin = sample.origin ?? FROM_DELETE;
  flow.countersAge = sample.countersAge ?? 0;
  flow.endReason = sample.endReason ?? END_OF_FLOW;
  flow.isContinued = sample.isContinued ?? false;
  preparer(memory.rows, memory.interfaces)(flow.row, 1);
  flow.natEvent = sample.natEvent ?? 0;
}

/** Opens an encoder for rows of this memory. */
export type Open = (samples: SampleRows, room: MessageRoom) => FlowEncoder;

export function collect(messages: readonly Uint8Array[]): Collector {
  const collector = new Collector();
  for (const message of messages) collector.decode(message);
  return collector;
}
