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
import { ADD_TEMPLATE, MAKE_ROOM, NOTHING, SEND_RUN, USE_INTERFACE } from '../protocol/owner-task';
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
import { LentMessage, placeRecord, RecordTemplate } from './lent-message';
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
  /** Records that were written so far, and how many of those are the flow's at hand. */
  records: u32;
  written: u32;
  /** What the owner has to do before the core goes on, and for which kind of records. */
  task: i32;
  kind: i32;
  message: LentMessage;
}

/** biflowDirection (239): the forward direction is the initiator's. */
const FROM_INITIATOR: u32 = 1;

/**
 * Writes the flows among the rows, up to where the owner has something to do. The answer is how many of the rows are done: for
 * the others the call is made again.
 */
export function addTemplated(encoder: TemplateEncoder, row: usize, count: i32): i32 {
  encoder.task = NOTHING;
  for (let done = 0; done < count; done++, row += ROW) {
    if (load<u8>(row, DIRECTIONS) === 0) continue;
    if (!addFlow(encoder, row)) return done;
    if (encoder.task !== NOTHING) return done + 1;
  }
  return count;
}

/** False when not all records of the flow are written. */
function addFlow(encoder: TemplateEncoder, row: usize): bool {
  if (encoder.announcesInterfaces !== 0 && load<u32>(row, IF_INDEX) !== encoder.lastIndex) {
    encoder.lastIndex = load<u32>(row, IF_INDEX);
    encoder.task = USE_INTERFACE;
    return false;
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
  let records: u32 = 0;
  for (let direction = FORWARD; direction <= REPLY; direction++) {
    const end = direction === FORWARD ? source : source ^ 1;
    if ((directions & direction) !== 0) {
      const isNext = encoder.task === NOTHING && encoder.written === records;
      if (isNext) write(encoder, kind, row, end, flags);
      records++;
    }
    kind = withFlags(common, replyFlags);
    flags = replyFlags;
  }
  if (encoder.written < records) return false;
  encoder.written = 0;
  return true;
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
 * Writes a record where others of its kind wait or into a message, or leaves it to the owner to make room for it. `flags` is what
 * the elements behind the description tell: tcpControlBits or an ICMP type, and in the octet above it the reverse tcpControlBits.
 */
function write(encoder: TemplateEncoder, kind: i32, row: usize, end: usize, flags: u32): void {
  encoder.kind = kind;
  const template = changetype<RecordTemplate>(<usize>load<u32>(encoder.templates + 4 * <usize>kind));
  if (changetype<usize>(template) === 0) {
    encoder.task = ADD_TEMPLATE;
    return;
  }
  const observed = load<f64>(row, OBSERVED);
  const waits = template.run !== 0;
  const to = waits ? template.run + template.runLength : placeRecord(encoder.message, template, observed);
  if (to === 0) {
    encoder.task = MAKE_ROOM;
    return;
  }
  if (encoder.isPflow !== 0) writePflow(encoder.parts, kind, row, end, to);
  else writeFull(encoder, kind, row, end, flags, to);
  encoder.records++;
  encoder.written++;
  if (!waits) return;
  if (observed > encoder.latest) encoder.latest = observed;
  template.runLength += template.recordLength;
  if (template.runLength === template.runCapacity) encoder.task = SEND_RUN;
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

/** Writes an event of the row's flow at `to`, with the parts of `natEventTemplates` of `protocol/profile`. */
export function writeEvent(encoder: TemplateEncoder, row: usize, source: usize, to: usize): void {
  const side = source >> 1;
  const parts = encoder.parts;
  gather(parts, row, source);
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
