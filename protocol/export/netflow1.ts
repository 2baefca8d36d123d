/** NetFlow version 1: header of 16 octets, records of 48 (as nfcapd and Wireshark read them), no sequence. */
import type { FlowMemory } from '../flow/rows.js';
import type { NatView } from '../flow/terms.js';
import { type FixedFormat, fixedRecordEncoder } from './fixed-record.js';
import type { FlowEncoder, MessageRoom } from './message.js';

/** tcp_flags is octet 40 of a record. */
const NETFLOW1: FixedFormat = {
  version: 1,
  headerLength: 4,
  mostRecords: 24,
  flags: { word: 10, shift: 0 },
};

export function netflow1Encoder(memory: FlowMemory, room: MessageRoom, nat: NatView): FlowEncoder {
  return fixedRecordEncoder(memory, room, NETFLOW1, nat);
}
