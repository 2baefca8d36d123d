/** Flow records to encode, and a room that keeps what was encoded. */
import { FlowRecord } from '../protocol/flow-record.js';
import { ICMP_TYPE, IF_INDEX, INTERFACE_NAME } from '../protocol/flow-row.js';
import { EXACT, FORWARD, REPLY } from '../protocol/flow-terms.js';
import { type IpfixOptions, ipfixEncoder } from '../protocol/ipfix.js';
import type { FlowEncoder, MessageRoom } from '../protocol/message.js';
import { STATE_V6 } from '../protocol/pfsync-layout.js';
import { DIRECTION, newVolume, OCTETS_HIGH, PACKETS_HIGH, type Volume } from '../protocol/volume.js';
import { Collector } from './peer/collector.js';
import { encodeState, type SimState } from './peer/pfsync-writer.js';
import { readState } from './read-states.js';

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

export const OPTIONS: IpfixOptions = { nat: 'original', domain: 42, refreshTime: 30_000, refreshMessages: 0 };

export type Open = (room: MessageRoom) => FlowEncoder;

/** The full profile of IPFIX. */
export function ipfix(options: Partial<IpfixOptions> = {}): Open {
  return (room) => ipfixEncoder(room, 'full', { ...OPTIONS, ...options });
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
  readonly reply?: 0 | 1;
  readonly octets?: bigint;
  readonly packets?: bigint;
  /** Octets of the other direction, whose packets are 10. Left out: it is not told of. */
  readonly replyOctets?: bigint;
  readonly start?: number;
  readonly end?: number;
  readonly observed?: number;
  readonly counters?: number;
  readonly initiatorOctets?: number;
  readonly responderOctets?: number;
  readonly hasResponderSequence?: boolean;
  readonly isContinued?: boolean;
  readonly icmpType?: number;
  readonly natEvent?: number;
  readonly interfaceName?: string;
  readonly interfaceIndex?: number;
}

/** Counters of one direction; the other one has none. */
export function volumeOf(direction: number, octets: bigint, packets: bigint): Volume {
  const volume = newVolume();
  for (const [word, value] of [
    [OCTETS_HIGH, octets],
    [PACKETS_HIGH, packets],
  ] as const) {
    volume[DIRECTION * direction + word] = Number(BigInt.asIntN(32, value >> 32n));
    volume[DIRECTION * direction + word + 1] = Number(BigInt.asIntN(32, value));
  }
  return volume;
}

export function flowOf(sample: Sample): FlowRecord {
  const record = encodeState('v6', { ...STATE, ...sample.state });
  const flow = new FlowRecord();
  const { state } = flow;
  readState(state, record, STATE_V6);
  const { octets = 1000n, packets = 10n, reply = 0, replyOctets } = sample;
  const volume = volumeOf(reply, octets, packets);
  const other = volumeOf(1 - reply, replyOctets ?? 0n, 10n);
  state.writeVolume(replyOctets === undefined ? volume : volume.map((word, at) => word | other[at]!));
  state.view.setInt16(ICMP_TYPE, sample.icmpType ?? -1, true);
  setInterface(flow, sample.interfaceName ?? 'em1', sample.interfaceIndex ?? 7);
  return Object.assign(flow, {
    directions: replyOctets === undefined ? (reply === 0 ? FORWARD : REPLY) : FORWARD | REPLY,
    reply,
    start: sample.start ?? NOW - 61_000,
    end: sample.end ?? NOW,
    observed: sample.observed ?? NOW,
    counters: sample.counters ?? EXACT,
    initiatorOctets: sample.initiatorOctets ?? 0,
    responderOctets: sample.responderOctets ?? 0,
    hasResponderSequence: sample.hasResponderSequence ?? true,
    isContinued: sample.isContinued ?? false,
    natEvent: sample.natEvent ?? 0,
  });
}

/** A name of 16 characters at most, none of them NUL. */
export function setInterface({ state: { view } }: FlowRecord, name: string, index: number): void {
  for (let i = 0; i < 16; i++) view.setUint8(INTERFACE_NAME + i, i < name.length ? name.charCodeAt(i) : 0);
  view.setUint32(IF_INDEX, index, true);
}

export function collect(messages: readonly Uint8Array[]): Collector {
  const collector = new Collector();
  for (const message of messages) collector.decode(message);
  return collector;
}
