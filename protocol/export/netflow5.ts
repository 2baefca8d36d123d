/** NetFlow version 5: header of 24 octets, records of 48. Cisco, "NetFlow Export Datagram Format". */
import { FixedRecordEncoder } from './fixed-record.js';
import type { NatView } from '../flow/terms.js';
import type { FlowEncoder, MessageRoom } from './message.js';

/** The engine type is that of pflow(4), so that its users find their exporter again. */
const NETFLOW5 = { version: 5, headerLength: 24, mostRecords: 30, engineType: 42 } as const;

/** `engineId` is 0 to 255. flow_sequence counts the flow records sent before the datagram, from `sequence` on. */
export function netflow5Encoder(
  room: MessageRoom,
  nat: NatView,
  engineId: number,
  sequence = 0,
): FlowEncoder {
  return new FixedRecordEncoder(room, { ...NETFLOW5, engineId, sequence }, nat);
}
