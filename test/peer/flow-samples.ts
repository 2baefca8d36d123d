/** Flow records for tests of what comes after them. Each can be found again by its number. */

import { FlowRecord } from '../../protocol/flow-record.js';
import { EXACT, FORWARD, NONE, REPLY, TCPSEQ } from '../../protocol/flow-terms.js';
import { STATE_V6 } from '../../protocol/pfsync-layout.js';
import { newVolume } from '../../protocol/volume.js';
import { setInterface, volumeOf } from '../flow-sample.js';
import { readState } from '../read-states.js';
import type { CollectedFlow } from './collector.js';
import { encodeState } from './pfsync-writer.js';

export const NOW = 1_700_000_000_500;

export interface FlowSample {
  /** The state's id. */
  readonly number: number;
  readonly family?: 4 | 6;
  readonly isTranslated?: boolean;
  readonly counters?: 'exact' | 'tcpseq' | 'none';
  readonly direction?: 'in' | 'out';
  readonly reply?: 0 | 1;
  readonly interface?: string;
  readonly observed?: number;
}

const COUNTERS = { exact: EXACT, tcpseq: TCPSEQ, none: NONE };
const ADDRESSES = {
  4: ['192.168.1.50', '203.0.113.5', '198.51.100.1'],
  6: ['2001:db8::50', '2001:db8:1::5', '2001:db8:2::1'],
} as const;

export function sampleFlow(sample: FlowSample): FlowRecord {
  const { number, observed = NOW, counters = 'exact', reply = 0, interface: name = 'em1' } = sample;
  const octets = Buffer.from(stateOf(sample));
  octets.writeBigUInt64BE(BigInt(number));
  const flow = new FlowRecord();
  readState(flow.state, octets, STATE_V6);
  const isCounted = counters === 'exact';
  flow.state.writeVolume(isCounted ? volumeOf(reply, BigInt(1000 + number), 10n) : newVolume());
  setInterface(flow, name, name.charCodeAt(name.length - 1));
  return Object.assign(flow, {
    directions: reply === 1 ? REPLY : FORWARD,
    reply,
    start: observed - 61_000,
    end: observed,
    observed,
    counters: COUNTERS[counters],
    initiatorOctets: counters === 'tcpseq' ? 500 + number : 0,
  });
}

const STATES = new Map<string, Buffer>();

/** A state's record, which begins with its id. */
function stateOf({
  family = 4,
  isTranslated = false,
  direction = 'out',
  interface: ifname = 'em1',
}: FlowSample): Buffer {
  const key = `${family} ${isTranslated} ${direction} ${ifname}`;
  const known = STATES.get(key);
  if (known !== undefined) return known;
  const [inside, outside, translated] = ADDRESSES[family];
  const source = { address: inside, port: 40000 };
  const destination = { address: outside, port: 80 };
  const octets = encodeState('v6', {
    id: 0n,
    creatorId: 0xa1b2c3d4,
    ifname,
    direction,
    af: family,
    afAfter: family,
    proto: 6,
    protoAfter: 6,
    originalSource: source,
    originalDestination: destination,
    translatedSource: isTranslated ? { address: translated, port: 61234 } : source,
    translatedDestination: destination,
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
  });
  STATES.set(key, octets);
  return octets;
}

/** The number of the sample, from the flowId (148) that it became. */
export function numberOf(flow: CollectedFlow): number {
  return Number(flow.fields.get('148') ?? -1);
}
