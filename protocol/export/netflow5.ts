/** NetFlow version 5: header of 24 octets, records of 48. Cisco, "NetFlow Export Datagram Format". */
import type { FlowMemory } from '../flow/rows.js';
import type { NatView } from '../flow/terms.js';
import { type FixedFormat, fixedRecordEncoder } from './fixed-record.js';
import type { FlowEncoder, MessageRoom } from './message.js';

/** tcp_flags is octet 37 of a record. */
const NETFLOW5: FixedFormat = {
  version: 5,
  headerLength: 6,
  mostRecords: 30,
  flags: { word: 9, shift: 8 },
};

/** That of pflow(4), so that its users find their exporter again. */
const ENGINE_TYPE = 42;
/** Every packet was counted: mode 0, an interval of 1. Some collectors multiply by it. The last octet of the header. */
const SAMPLING = 1 << 24;

/** `engineId` is 0 to 255. flow_sequence counts the flow records sent before the datagram, from `sequence` on. */
export function netflow5Encoder(
  memory: FlowMemory,
  room: MessageRoom,
  nat: NatView,
  engineId: number,
  sequence = 0,
): FlowEncoder {
  const engine = { sequence, word: ENGINE_TYPE | (engineId << 8) | SAMPLING };
  return fixedRecordEncoder(memory, room, NETFLOW5, nat, engine);
}
