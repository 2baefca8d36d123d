/** Flows for tests of the text formats, in few words. */
import type { Sample } from '../peer/flow-sample.js';

/** Source and destination, each an address and a port. */
type Pair = readonly [source: string, sourcePort: number, destination: string, destinationPort: number];

interface Sketch extends Sample {
  readonly direction: 'in' | 'out';
  readonly original: Pair;
  readonly translated?: Pair;
  readonly protocol?: number;
  readonly rule?: number;
  readonly anchor?: number;
}

/** The states of its peers prove no TCP flags, unless `state` has others. */
export function flowOf(sketch: Sketch): Sample {
  const { direction, original, translated = original, protocol = 6, rule = 41, anchor = -1 } = sketch;
  return {
    interfaceName: 'em0',
    octets: 1500n,
    packets: 3n,
    start: 1700000000373.457,
    end: 1700000003623.458,
    ...sketch,
    state: {
      id: 0x5f00000000000101n,
      creatorId: 0xa1b2c3d4,
      direction,
      af: familyOf(original),
      afAfter: familyOf(translated),
      proto: protocol,
      protoAfter: protocol,
      originalSource: { address: original[0], port: original[1] },
      originalDestination: { address: original[2], port: original[3] },
      translatedSource: { address: translated[0], port: translated[1] },
      translatedDestination: { address: translated[2], port: translated[3] },
      rule,
      anchor,
      peers: [
        { seqlo: 0, state: 0 },
        { seqlo: 0, state: 0 },
      ],
      ...sketch.state,
    },
  };
}

function familyOf(pair: Pair): 4 | 6 {
  return pair[0].includes(':') ? 6 : 4;
}

export const PLAIN: Sample = flowOf({
  direction: 'out',
  original: ['192.0.2.10', 51000, '198.51.100.20', 443],
});
export const NATTED: Sample = flowOf({
  direction: 'out',
  original: ['192.168.1.50', 40000, '203.0.113.5', 80],
  translated: ['198.51.100.1', 61234, '203.0.113.5', 80],
});
export const REDIRECTED: Sample = flowOf({
  direction: 'in',
  original: ['203.0.113.77', 55555, '198.51.100.1', 8443],
  translated: ['203.0.113.77', 55555, '10.0.0.8', 443],
});
export const NAT64: Sample = flowOf({
  direction: 'in',
  original: ['2001:db8::64', 40000, '64:ff9b::c000:221', 80],
  translated: ['198.51.100.1', 50001, '192.0.2.33', 80],
});
export const SIX: Sample = flowOf({
  direction: 'in',
  original: ['2001:db8::10', 53000, '2001:db8:1::53', 53],
  protocol: 17,
});
export const PING: Sample = flowOf({
  direction: 'out',
  original: ['192.0.2.10', 77, '198.51.100.20', 8],
  protocol: 1,
});
/** NAT64 of a ping. */
export const PING64: Sample = flowOf({
  direction: 'in',
  original: ['2001:db8::64', 77, '64:ff9b::c000:221', 128],
  translated: ['198.51.100.1', 77, '192.0.2.33', 8],
  protocol: 58,
  state: { protoAfter: 1 },
  icmpType: 128,
});
/** Both ends have sent SYN, ACK and FIN. */
export const FINISHED: Sample = {
  ...PLAIN,
  state: {
    ...PLAIN.state,
    peers: [
      { seqlo: 1, state: 9 },
      { seqlo: 2, state: 9 },
    ],
  },
};
