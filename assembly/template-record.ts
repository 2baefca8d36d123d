/** Records of NetFlow v9 and IPFIX: which kind a flow's records are, and their words in the order of the template. */

import {
  COUNTERS,
  DIRECTIONS,
  FAMILY,
  IF_INDEX,
  IS_TRANSLATED,
  OBSERVED,
  PROTOCOL,
  ROW,
  TRANSLATED_FAMILY,
} from '../protocol/flow-row';
import { FORWARD, NONE, REPLY, TCPSEQ } from '../protocol/flow-terms';
import { UPTIMES } from '../protocol/flow-word';
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
import { describeBoth, FlowDescription, gather, gatherEvent } from './flow-words';
import { addTemplate, placeRecord, sendRun, useInterface } from './imports';
import { sourceEnd } from './source-end';
import { hasPorts } from './state-record';
import { countClipped, setTimes, UptimeClock } from './uptime';

/** In the order in which `protocol/template-message` lays it down. */
@unmanaged
export class TemplateEncoder {
  /** The end that a forward record shows as its source, of inbound and of outbound states. */
  inboundSource: u32;
  outboundSource: u32;
  /** 1 or 0: the choices of the profile. */
  isPflow: u32;
  tellsTranslation: u32;
  tellsEstimate: u32;
  isBiflow: u32;
  /** The owner wants to know when another interface is named, and which ifIndex was named last. */
  announcesInterfaces: u32;
  lastIndex: u32;
  /** Templates by kind, of u32 each; 0 is none yet. */
  templates: usize;
  /** The words of the flow at hand. */
  words: usize;
  description: FlowDescription;
  /** Of the message that is being filled, where times are uptimes; else 0. */
  clock: UptimeClock | null;
  /** The latest moment that a record in a run is from. */
  latest: f64;
}

/** In the order in which `protocol/template` lays it down. */
@unmanaged
export class TemplateProgram {
  /** Octets of a record. */
  recordLength: u32;
  /** Where the words of a record stand among the flow's, the last of which may be cut: u32 each, of a forward and of a reply record. */
  forward: usize;
  reply: usize;
  /** Records that wait, one behind the other; 0 is none. */
  run: usize;
  runLength: u32;
  runCapacity: u32;
}

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
  const kind = kindOf(encoder, row, source);
  const words = encoder.words;
  const description = encoder.description;
  gather(words, description, row, source, (kind & (POST_NAT_FOUR | POST_NAT_SIX)) !== 0);
  if ((kind & BOTH) !== 0) {
    describeBoth(words, description);
    write(encoder, withFlags(encoder, kind, false), row, false);
    return 1;
  }
  const directions: i32 = load<u8>(row, DIRECTIONS);
  if ((directions & FORWARD) !== 0) write(encoder, withFlags(encoder, kind, false), row, false);
  if ((directions & REPLY) !== 0) write(encoder, withFlags(encoder, kind, true), row, true);
  return directions === (FORWARD | REPLY) ? 2 : 1;
}

/** What the kinds of the flow's records have in common. */
function kindOf(encoder: TemplateEncoder, row: usize, source: usize): i32 {
  const side = source >> 1;
  const isIpv6 = load<u8>(row + side, FAMILY) === 6;
  let kind = isIpv6 ? SIX : 0;
  if (encoder.isPflow !== 0) return kind;
  const provenance: i32 = load<u8>(row, COUNTERS);
  kind |= hasPorts(load<u8>(row + side, PROTOCOL)) ? 0 : NO_PORTS;
  if (provenance === TCPSEQ && encoder.tellsEstimate !== 0) kind |= ESTIMATED;
  else if (provenance === TCPSEQ || provenance === NONE) kind |= UNCOUNTED;
  else if (encoder.isBiflow !== 0) kind |= BOTH;
  if (encoder.tellsTranslation !== 0 && load<u8>(row, IS_TRANSLATED) !== 0) {
    kind |= load<u8>(row, TRANSLATED_FAMILY) === 4 ? POST_NAT_FOUR : POST_NAT_SIX;
  }
  return kind;
}

/** The kind of the forward or the reply record. */
function withFlags(encoder: TemplateEncoder, common: i32, isReply: bool): i32 {
  if (encoder.isPflow !== 0) return common;
  const description = encoder.description;
  let kind = common;
  kind |= (isReply ? description.replyFlags : description.flags) !== 0 ? HAS_FLAGS : 0;
  if ((common & BOTH) !== 0 && description.replyFlags !== 0) kind |= HAS_REVERSE_FLAGS;
  if (!isReply && description.icmpType >= 0) kind |= (common & SIX) !== 0 ? TYPE_SIX : TYPE_FOUR;
  return kind;
}

function write(encoder: TemplateEncoder, kind: i32, row: usize, isReply: bool): void {
  const entry = encoder.templates + 4 * <usize>kind;
  let program = changetype<TemplateProgram>(<usize>load<u32>(entry));
  if (changetype<usize>(program) === 0) {
    program = changetype<TemplateProgram>(addTemplate(kind));
    store<u32>(entry, changetype<usize>(program));
  }
  if (program.run !== 0) {
    const observed = load<f64>(row, OBSERVED);
    if (observed > encoder.latest) encoder.latest = observed;
    copyWords(program, encoder.words, program.run + program.runLength, isReply);
    program.runLength += program.recordLength;
    if (program.runLength === program.runCapacity) sendRun(kind);
    return;
  }
  const at = placeRecord(kind, row);
  tellUptimes(encoder, row);
  copyWords(program, encoder.words, at, isReply);
}

/** Writes an event of the row's flow by a template of the owner's own choice. `kind` is its number there. */
export function addEvent(
  encoder: TemplateEncoder,
  program: TemplateProgram,
  kind: i32,
  row: usize,
  source: usize,
): void {
  gather(encoder.words, encoder.description, row, source, true);
  gatherEvent(encoder.words, row, source);
  copyWords(program, encoder.words, placeRecord(kind, row), false);
}

/** Times as uptimes, which each message counts anew. */
function tellUptimes(encoder: TemplateEncoder, row: usize): void {
  const clock = encoder.clock;
  if (!clock) return;
  setTimes(clock, row);
  countClipped(clock);
  store<u64>(encoder.words, clock.times, 4 * UPTIMES);
}

/** Set in the place of a word: the next one belongs behind it, and both are copied at once. */
const PAIR: u32 = 1;

function copyWords(program: TemplateProgram, words: usize, to: usize, isReply: bool): void {
  let place = isReply ? program.reply : program.forward;
  const end = to + (program.recordLength & ~3);
  for (; to < end; place += 4) {
    const from = words + load<u32>(place);
    if ((from & PAIR) !== 0) {
      store<u64>(to, load<u64>(from - PAIR));
      to += 8;
    } else {
      store<u32>(to, load<u32>(from));
      to += 4;
    }
  }
  const rest = program.recordLength & 3;
  if (rest === 0) return;
  let word = load<u32>(words + load<u32>(place));
  for (let octet: u32 = 0; octet < rest; octet++, word >>= 8) store<u8>(to + octet, word);
}
