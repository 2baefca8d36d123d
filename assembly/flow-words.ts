/**
 * What NetFlow v9 and IPFIX tell of a flow, as words of octets in wire order: gathered once, and copied into each of its
 * records in the order of the record's template. Where each word stands: `protocol/flow-word`.
 */
import {
  ADDRESS,
  ADDRESSES,
  COUNTERS as COUNTERS_AT,
  DIRECTION,
  END as END_AT,
  END_REASON,
  FAMILY,
  ICMP_TYPE,
  ID,
  IF_INDEX,
  INITIATOR_OCTETS,
  NAT_EVENT,
  OCTETS as OCTETS_AT,
  PACKETS as PACKETS_AT,
  PORTS as PORTS_AT,
  PROTOCOL,
  REPLY_COUNTERS,
  RESPONDER_OCTETS,
  START as START_AT,
} from '../protocol/flow-row';
import { TCPSEQ } from '../protocol/flow-terms';
import {
  BIFLOW_DESCRIPTION,
  BIFLOW_FLAGS,
  CLASS,
  DESCRIPTION,
  DESTINATION,
  DESTINATION6,
  EGRESS,
  END,
  EVENT,
  EVENT_TIME,
  INGRESS,
  OCTETS,
  PACKETS,
  PAYLOAD,
  PORTS,
  POST_SOURCE,
  REPLY_DESCRIPTION,
  REPLY_OCTETS,
  REPLY_PACKETS,
  REPLY_PORTS,
  SOURCE,
  SOURCE6,
  START,
  STATE_ID,
} from '../protocol/flow-word';
import { INBOUND, TRANSLATED_SOURCE } from '../protocol/pf-terms';
import { hasPorts } from './state-record';
import { tcpControlBits } from './tcp-control-bits';

/** biflowDirection (239): the forward direction is the initiator's. */
const FROM_INITIATOR: u32 = 1;

/** What was gathered of the flow beside its words. */
@unmanaged
export class FlowDescription {
  /** tcpControlBits of both directions; 0: none is known. */
  flags: u32;
  replyFlags: u32;
  /** Type of the ICMP message that opened the state, where it belongs to the addresses that are told; else -1. */
  icmpType: i32;
}

/**
 * Takes up a flow. `source` is the end that a forward record shows as its source. Words that the flow has no value for
 * keep what they had: its template must not ask for them.
 */
export function gather(
  words: usize,
  description: FlowDescription,
  row: usize,
  source: usize,
  isTranslationTold: bool,
): void {
  gatherEnds(words, row, source);
  if (isTranslationTold) gatherEnds(words + 4 * (POST_SOURCE - SOURCE), row, TRANSLATED_SOURCE);
  describe(words, description, row, source);
  store<u64>(words, load<u64>(row, ID), 4 * STATE_ID);
  store<u64>(words, wireNumber(load<f64>(row, START_AT)), 4 * START);
  store<u64>(words, wireNumber(load<f64>(row, END_AT)), 4 * END);
  store<u64>(words, load<u64>(row, OCTETS_AT), 4 * OCTETS);
  store<u64>(words, load<u64>(row, PACKETS_AT), 4 * PACKETS);
  store<u64>(words, load<u64>(row, OCTETS_AT + REPLY_COUNTERS), 4 * REPLY_OCTETS);
  store<u64>(words, load<u64>(row, PACKETS_AT + REPLY_COUNTERS), 4 * REPLY_PACKETS);
  if (load<u8>(row, COUNTERS_AT) === TCPSEQ) {
    store<u64>(words, wireNumber(load<f64>(row, INITIATOR_OCTETS)), 4 * PAYLOAD);
    store<u64>(words, wireNumber(load<f64>(row, RESPONDER_OCTETS)), 4 * (PAYLOAD + 2));
  }
}

/** Addresses and ports from `source` on: the words of one side of the NAT. */
function gatherEnds(words: usize, row: usize, source: usize): void {
  const from = row + <usize>ADDRESS * source;
  const to = row + <usize>ADDRESS * (source ^ 1);
  const side = source >> 1;
  if (load<u8>(row + side, FAMILY) === 4) {
    store<u32>(words, load<u32>(from, ADDRESSES), 4 * SOURCE);
    store<u32>(words, load<u32>(to, ADDRESSES), 4 * DESTINATION);
  } else {
    store<u64>(words, load<u64>(from, ADDRESSES), 4 * SOURCE6);
    store<u64>(words, load<u64>(from, ADDRESSES + 8), 4 * SOURCE6 + 8);
    store<u64>(words, load<u64>(to, ADDRESSES), 4 * DESTINATION6);
    store<u64>(words, load<u64>(to, ADDRESSES + 8), 4 * DESTINATION6 + 8);
  }
  const ports = hasPorts(load<u8>(row + side, PROTOCOL)) ? load<u32>(row + 2 * source, PORTS_AT) : 0;
  store<u32>(words, ports, 4 * PORTS);
  store<u32>(words, rotl<u32>(ports, 16), 4 * REPLY_PORTS);
}

function describe(words: usize, description: FlowDescription, row: usize, source: usize): void {
  const index = bswap<u32>(load<u32>(row, IF_INDEX));
  const isInbound = load<u8>(row, DIRECTION) === INBOUND;
  store<u32>(words, isInbound ? index : 0, 4 * INGRESS);
  store<u32>(words, isInbound ? 0 : index, 4 * EGRESS);
  const side = source >> 1;
  const protocol: u32 = load<u8>(row + side, PROTOCOL);
  const bits = tcpControlBits(row);
  const flags = bits & 255;
  const replyFlags = bits >> 8;
  const isOriginalFamily = load<u8>(row + side, FAMILY) === load<u8>(row, FAMILY);
  const type = isOriginalFamily ? load<i16>(row, ICMP_TYPE) : -1;
  const direction: u32 = isInbound ? 0 : 1;
  // Octets in wire order: the first is the lowest.
  const common = protocol | ((<u32>load<u8>(row, END_REASON)) << 16);
  store<u32>(words, common | (direction << 8) | ((type >= 0 ? <u32>type : flags) << 24), 4 * DESCRIPTION);
  store<u32>(words, common | ((direction ^ 1) << 8) | (replyFlags << 24), 4 * REPLY_DESCRIPTION);
  store<u32>(words, protocol << 8, 4 * CLASS);
  description.flags = flags;
  description.replyFlags = replyFlags;
  description.icmpType = type;
}

/** Adds what a record of both directions tells of the flow. */
export function describeBoth(words: usize, description: FlowDescription): void {
  const type = description.icmpType;
  const fourth = type >= 0 ? <u32>type : description.flags;
  store<u32>(
    words,
    (load<u32>(words, 4 * DESCRIPTION) & 0x00ff_ffff) | (FROM_INITIATOR << 24),
    4 * BIFLOW_DESCRIPTION,
  );
  store<u32>(words, fourth | (description.replyFlags << 8), 4 * BIFLOW_FLAGS);
}

/** Adds the kind and the time of an event of the flow. */
export function gatherEvent(words: usize, row: usize, source: usize): void {
  store<u64>(words, wireNumber(load<f64>(row, END_AT)), 4 * EVENT_TIME);
  const protocol: u32 = load<u8>(row + (source >> 1), PROTOCOL);
  store<u32>(words, <u32>load<u8>(row, NAT_EVENT) | (protocol << 8), 4 * EVENT);
}

/** A whole number as 64 bits in wire order; a time before 1970 becomes 0. */
function wireNumber(value: f64): u64 {
  return bswap<u64>(<u64>value);
}
