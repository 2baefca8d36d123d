/** Messages about one state at a time, for tests that say what a firewall reports record by record. */
import {
  type Action,
  encodeBus,
  encodeClear,
  encodeCompressedDelete,
  encodeCompressedUpdate,
  encodeMessage,
  encodeState,
  type MessageOptions,
  type SimState,
  type WireVersion,
} from './pfsync-writer.js';

export const CREATOR = 0xa1b2c3d4;

/** A UDP state of this number, without packets, which has a minute to live. */
export function simState(n: number, more: Partial<SimState> = {}): SimState {
  const end = (address: string, port: number) => ({ address, port });
  return {
    id: BigInt(n),
    creatorId: CREATOR,
    ifname: 'em0',
    direction: 'in',
    af: 4,
    afAfter: 4,
    proto: 17,
    protoAfter: 17,
    originalSource: end('192.0.2.1', 1000 + n),
    originalDestination: end('198.51.100.1', 53),
    translatedSource: end('192.0.2.1', 1000 + n),
    translatedDestination: end('198.51.100.1', 53),
    packets: [0n, 0n],
    bytes: [0n, 0n],
    creation: 0,
    expire: 60,
    timeout: 8,
    rule: 1,
    peers: [
      { seqlo: 0, state: 2 },
      { seqlo: 0, state: 2 },
    ],
    ...more,
  };
}

/** The same for TCP: sequence numbers and states of the initiator and the responder. */
export function tcpState(
  n: number,
  seqlo: readonly [number, number],
  states: readonly [number, number] = [4, 4],
  more: Partial<SimState> = {},
): SimState {
  return simState(n, {
    proto: 6,
    protoAfter: 6,
    expire: 86_400,
    timeout: 2,
    peers: [
      { seqlo: seqlo[0], state: states[0] },
      { seqlo: seqlo[1], state: states[1] },
    ],
    ...more,
  });
}

/** As many packets and octets in both directions. */
export function counted(packets: number, octets: number): Pick<SimState, 'packets' | 'bytes'> {
  return { packets: [BigInt(packets), BigInt(packets)], bytes: [BigInt(octets), BigInt(octets)] };
}

const full =
  (action: Action, usual: WireVersion) =>
  (state: SimState, version = usual, options: MessageOptions = {}): Buffer =>
    encodeMessage(version, [{ action, records: [encodeState(version, state)] }], options);

export const insertOf = full('insert', 'v6');
export const updateOf = full('update', 'v6');
/** With the counters. */
export const fullDeleteOf = full('delete', 'v3');

export function compressedUpdateOf(state: SimState, version: WireVersion = 'v6'): Buffer {
  return encodeMessage(version, [
    { action: 'compressedUpdate', records: [encodeCompressedUpdate(version, state)] },
  ]);
}

export function deleteOf(state: SimState, version: WireVersion = 'v6'): Buffer {
  return encodeMessage(version, [
    { action: 'compressedDelete', records: [encodeCompressedDelete(version, state)] },
  ]);
}

export function clearOf(ifname = '', version: WireVersion = 'v6', creatorId = CREATOR): Buffer {
  return encodeMessage(version, [
    { action: 'clear', records: [encodeClear(version, { creatorId, ifname })] },
  ]);
}

export function busOf(status: 'start' | 'end', version: WireVersion = 'v6'): Buffer {
  return encodeMessage(version, [
    { action: 'bus', records: [encodeBus(version, { creatorId: CREATOR, endtime: 0, status })] },
  ]);
}
