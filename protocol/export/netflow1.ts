/** NetFlow version 1: header of 16 octets, records of 48 (as nfcapd and Wireshark read them), no sequence. */
import { FixedRecordEncoder } from './fixed-record.js';
import type { NatView } from '../flow/terms.js';
import type { FlowEncoder, MessageRoom } from './message.js';

const NETFLOW1 = { version: 1, headerLength: 16, mostRecords: 24 } as const;

export function netflow1Encoder(room: MessageRoom, nat: NatView): FlowEncoder {
  return new FixedRecordEncoder(room, NETFLOW1, nat);
}
