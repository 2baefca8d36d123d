/** Records of NetFlow v9 and IPFIX: which kind a flow's records are, and their parts in the order of the template. */

import {
  COUNTERS,
  DIRECTIONS,
  FAMILY,
  ICMP_TYPE,
  IF_INDEX,
  IS_TRANSLATED,
  OBSERVED,
  PROTOCOL,
  ROW,
  TRANSLATED_FAMILY,
} from '../protocol/flow-row';
import { FORWARD, NONE, REPLY, TCPSEQ } from '../protocol/flow-terms';
import { TRANSLATED_SOURCE } from '../protocol/pf-terms';
import {
  BOTH,
  ESTIMATED,
  HAS_FLAGS,
  HAS_REVERSE_FLAGS,
  NO_PORTS,
  POST_NAT_FOUR,
  POST_NAT_SIX,
  SIX,
  TYPE_FOUR,
  TYPE_SIX,
  UNCOUNTED,
} from '../protocol/record-kind';
import { addTemplate, placeRecord, sendRun, useInterface } from './imports';
import {
  descriptionOf,
  FlowParts,
  gather,
  putAddresses,
  putClassAndProtocol,
  putCounters,
  putEstimate,
  putEvent,
  putEventTime,
  putId,
  putInterfaces,
  putOtherPorts,
  putPflowCounters,
  putPorts,
  putTimes,
} from './record-part';
import { sourceEnd } from './source-end';
import { hasPorts } from './state-record';
import { tcpControlBits } from './tcp-control-bits';
import { countClipped, setTimes, UptimeClock } from './uptime';

/** In the order in which `protocol/template-message` lays it down. */
@unmanaged
export class TemplateEncoder {
  /** The end that a forward record shows as its source, of inbound and of outbound states. */
  inboundSource: u32;
  outboundSource: u32;
  /** 1 or 0: the choices of the profile. */
  isPflow: u32;
  pads: u32;
  tellsId: u32;
  tellsTranslation: u32;
  tellsEstimate: u32;
  isBiflow: u32;
  /** The owner wants to know when another interface is named, and which ifIndex was named last. */
  announcesInterfaces: u32;
  lastIndex: u32;
  /** Templates by kind, of u32 each; 0 is none yet. */
  templates: usize;
  /** Of the flow at hand. */
  parts: FlowParts;
  /** Of the message that is being filled, where times are uptimes; else 0. */
  clock: UptimeClock | null;
  /** The latest moment that a record in a run is from. */
  latest: f64;
}

/** In the order in which `protocol/template` lays it down. */
@unmanaged
export class RecordTemplate {
  /** Octets of a record. */
  recordLength: u32;
  /** Records that wait, one behind the other; 0 is none. */
  run: usize;
  runLength: u32;
  runCapacity: u32;
}

/** biflowDirection (239): the forward direction is the initiator's. */
const FROM_INITIATOR: u32 = 1;

/** Writes the flows among the rows; the answer is how many records they became. */
export function addTemplated(encoder: TemplateEncoder, row: usize, count: i32): u32 {
  let records: u32 = 0;
  for (let i = 0; i < count; i++, row += ROW) {
    if (load<u8>(row, DIRECTIONS) !== 0) records += addFlow(encoder, row);
  }
  return records;
}

function addFlow(encoder: TemplateEncoder, row: usize): u32 {
  if (encoder.announcesInterfaces !== 0 && load<u32>(row, IF_INDEX) !== encoder.lastIndex) {
    encoder.lastIndex = load<u32>(row, IF_INDEX);
    useInterface(row);
  }
  const source = sourceEnd(changetype<usize>(encoder) + offsetof<TemplateEncoder>('inboundSource'), row);
  gather(encoder.parts, row, source);
  const common = kindOf(encoder, row, source);
  const bits = encoder.isPflow !== 0 ? 0 : tcpControlBits(row);
  const replyFlags = bits >> 8;
  const type = encoder.isPflow !== 0 ? -1 : icmpType(row, source);
  let directions: i32 = load<u8>(row, DIRECTIONS);
  let kind = withType(withFlags(common, bits & 255), type);
  let flags = type >= 0 ? <u32>type : bits & 255;
  if ((common & BOTH) !== 0) {
    directions = FORWARD;
    kind |= replyFlags !== 0 ? HAS_REVERSE_FLAGS : 0;
    flags |= replyFlags << 8;
  }
  for (let direction = FORWARD; direction <= REPLY; direction++) {
    const end = direction === FORWARD ? source : source ^ 1;
    if ((directions & direction) !== 0) write(encoder, kind, row, end, flags);
    kind = withFlags(common, replyFlags);
    flags = replyFlags;
  }
  return directions === (FORWARD | REPLY) ? 2 : 1;
}

/** What the kinds of the flow's records have in common. */
function kindOf(encoder: TemplateEncoder, row: usize, source: usize): i32 {
  const side = source >> 1;
  const provenance: i32 = load<u8>(row, COUNTERS);
  let kind = load<u8>(row + side, FAMILY) === 6 ? SIX : 0;
  if (encoder.isPflow !== 0) return kind;
  kind |= hasPorts(load<u8>(row + side, PROTOCOL)) ? 0 : NO_PORTS;
  if (provenance === TCPSEQ && encoder.tellsEstimate !== 0) kind |= ESTIMATED;
  else if (provenance === TCPSEQ || provenance === NONE) kind |= UNCOUNTED;
  else if (encoder.isBiflow !== 0) kind |= BOTH;
  if (encoder.tellsTranslation !== 0 && load<u8>(row, IS_TRANSLATED) !== 0) {
    kind |= load<u8>(row, TRANSLATED_FAMILY) === 4 ? POST_NAT_FOUR : POST_NAT_SIX;
  }
  return kind;
}

function withFlags(kind: i32, flags: u32): i32 {
  return kind | (flags !== 0 ? HAS_FLAGS : 0);
}

function withType(kind: i32, type: i32): i32 {
  if (type < 0) return kind;
  return kind | ((kind & SIX) !== 0 ? TYPE_SIX : TYPE_FOUR);
}

/** Type of the ICMP message that opened the state, where it belongs to the addresses that are told; else -1. */
function icmpType(row: usize, source: usize): i32 {
  const isOriginalFamily = load<u8>(row + (source >> 1), FAMILY) === load<u8>(row, FAMILY);
  return isOriginalFamily ? load<i16>(row, ICMP_TYPE) : -1;
}

/**
 * Writes a record where others of its kind wait, or into a message. `flags` is what the elements behind the description tell:
 * tcpControlBits or an ICMP type, and in the octet above it the reverse tcpControlBits.
 */
function write(encoder: TemplateEncoder, kind: i32, row: usize, end: usize, flags: u32): void {
  const entry = encoder.templates + 4 * <usize>kind;
  let template = changetype<RecordTemplate>(<usize>load<u32>(entry));
  if (changetype<usize>(template) === 0) {
    template = changetype<RecordTemplate>(addTemplate(kind));
    store<u32>(entry, changetype<usize>(template));
  }
  const waits = template.run !== 0;
  const to = waits ? template.run + template.runLength : placeRecord(kind, row);
  if (encoder.isPflow !== 0) writePflow(encoder.parts, kind, row, end, to);
  else writeFull(encoder, kind, row, end, flags, to);
  if (!waits) return;
  const observed = load<f64>(row, OBSERVED);
  if (observed > encoder.latest) encoder.latest = observed;
  template.runLength += template.recordLength;
  if (template.runLength === template.runCapacity) sendRun(kind);
}

/** Parts as `fullProfile` of `protocol/profile` has them. */
function writeFull(encoder: TemplateEncoder, kind: i32, row: usize, end: usize, flags: u32, to: usize): void {
  const parts = encoder.parts;
  const arePortsTold = (kind & NO_PORTS) === 0;
  to = putAddresses(to, row, end, (kind & SIX) !== 0);
  if (arePortsTold) to = putPorts(to, parts, end);
  to = putInterfaces(to, parts, end);
  if (encoder.tellsId !== 0) to = putId(to, row);
  to = encoder.clock ? putUptimes(to, row, encoder.clock!) : putTimes(to, parts);
  if ((kind & ESTIMATED) !== 0) to = putEstimate(to, row);
  else if ((kind & UNCOUNTED) === 0) to = putCounters(to, row, end);
  if ((kind & (POST_NAT_FOUR | POST_NAT_SIX)) !== 0) {
    const translated = TRANSLATED_SOURCE | (<i32>end & 1);
    to = putAddresses(to, row, translated, (kind & POST_NAT_SIX) !== 0);
    if (arePortsTold) to = putOtherPorts(to, row, translated);
  }
  if ((kind & BOTH) !== 0) {
    to = putCounters(to, row, end ^ 1);
    store<u32>(to, descriptionOf(parts, end) | (FROM_INITIATOR << 24));
    if ((kind & (HAS_FLAGS | TYPE_FOUR | TYPE_SIX)) !== 0) store<u32>(to, flags, 4);
    else if ((kind & HAS_REVERSE_FLAGS) !== 0) store<u16>(to, <u16>flags, 4);
    return;
  }
  const word = descriptionOf(parts, end) | (flags << 24);
  if ((encoder.pads !== 0) | ((kind & (HAS_FLAGS | TYPE_FOUR | TYPE_SIX)) !== 0)) {
    store<u32>(to, word);
    return;
  }
  store<u16>(to, <u16>word);
  store<u8>(to, <u8>(word >> 16), 2);
}

/** Parts as `pflowProfile` has them. */
function writePflow(parts: FlowParts, kind: i32, row: usize, end: usize, to: usize): void {
  to = putAddresses(to, row, end, (kind & SIX) !== 0);
  to = putInterfaces(to, parts, end);
  to = putPflowCounters(to, row, end);
  to = putTimes(to, parts);
  to = putPorts(to, parts, end);
  putClassAndProtocol(to, parts);
}

/**
 * Writes an event of the row's flow, with the parts of `natEventTemplates` of `protocol/profile`. `kind` is the number by which
 * the owner knows the template.
 */
export function addEvent(encoder: TemplateEncoder, kind: i32, row: usize, source: usize): void {
  const side = source >> 1;
  const parts = encoder.parts;
  gather(parts, row, source);
  let to = placeRecord(kind, row);
  to = putEventTime(to, parts);
  to = putTimes(to, parts);
  to = putAddresses(to, row, source, load<u8>(row + side, FAMILY) === 6);
  to = putAddresses(to, row, TRANSLATED_SOURCE, load<u8>(row, TRANSLATED_FAMILY) === 6);
  if (hasPorts(load<u8>(row + side, PROTOCOL))) {
    to = putPorts(to, parts, source);
    to = putOtherPorts(to, row, TRANSLATED_SOURCE);
  }
  putEvent(to, row, parts);
}

/** Times as the message counts them that is being filled. */
function putUptimes(to: usize, row: usize, clock: UptimeClock): usize {
  setTimes(clock, row);
  countClipped(clock);
  store<u64>(to, clock.times);
  return to + 8;
}
