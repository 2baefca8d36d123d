/** A state whose end is told with its counters: a TCP connection through the firewall, another for each number. */
import type { SimState } from './pfsync-writer.js';

export function endedState(number: number, packets: SimState['packets'], bytes: SimState['bytes']): SimState {
  const client = { address: '10.0.0.1', port: 1024 + number };
  const server = { address: '198.51.100.1', port: 443 };
  const peer = { seqlo: 0, state: 10 };
  return {
    id: BigInt(number),
    creatorId: 1,
    ifname: 'em0',
    direction: 'in',
    af: 4,
    afAfter: 4,
    proto: 6,
    protoAfter: 6,
    originalSource: client,
    originalDestination: server,
    translatedSource: client,
    translatedDestination: server,
    packets,
    bytes,
    creation: 1,
    expire: 0,
    timeout: 0,
    rule: 1,
    peers: [peer, peer],
  };
}
