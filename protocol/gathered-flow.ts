/**
 * What NetFlow v9 and IPFIX tell of a flow, as words in network byte order: gathered once, and copied into each of its
 * records in the order of the record's template.
 */
import { networkWord, swapHalves, wireWord } from './byte-order.js';
import { type FlowRecord, familyAt, portsAt, protocolAt } from './flow-record.js';
import { TCPSEQ } from './flow-terms.js';
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
  UPTIMES,
  WORDS,
} from './flow-word.js';
import { INBOUND, TRANSLATED_SOURCE } from './pf-terms.js';
import type { StateView } from './pfsync-state.js';
import { tcpControlBits } from './tcp-control-bits.js';
import type { UptimeClock } from './uptime.js';
import { DIRECTION, OCTETS_HIGH, OCTETS_LOW, PACKETS_HIGH, PACKETS_LOW, type Volume } from './volume.js';

/** biflowDirection (239): the forward direction is the initiator's. */
const FROM_INITIATOR = 1;

/** Reused: the words of what was gathered last. */
export class GatheredFlow {
  readonly words = new Int32Array(WORDS);
  /** tcpControlBits of both directions; 0: none is known. */
  flags = 0;
  replyFlags = 0;
  /** Type of the ICMP message that opened the state, where it belongs to the addresses that are told; else -1. */
  icmpType = -1;
  /** What END holds: the states of a message end together. */
  #end = 0;

  /**
   * Takes up a flow. `source` is the end that a forward record shows as its source. Words that the flow has no value for
   * keep what they had: its template must not ask for them.
   */
  gather(flow: FlowRecord, source: number, isTranslationTold: boolean): void {
    const { words } = this;
    const { state } = flow;
    gatherEnds(words, 0, state, source);
    if (isTranslationTold) gatherEnds(words, POST_SOURCE - SOURCE, state, TRANSLATED_SOURCE);
    this.#describe(flow, source);
    words[STATE_ID] = wireWord(state.view, state.at);
    words[STATE_ID + 1] = wireWord(state.view, state.at + 4);
    setInteger(words, START, flow.start);
    if (flow.end !== this.#end) this.#setEnd(flow);
    copyVolume(words, flow.volume);
    if (flow.counters === TCPSEQ) {
      setInteger(words, PAYLOAD, flow.initiatorOctets);
      setInteger(words, PAYLOAD + 2, flow.responderOctets);
    }
  }

  /** Adds what a record of both directions tells of the flow. */
  describeBoth(): void {
    const { words, flags, replyFlags, icmpType } = this;
    const fourth = icmpType >= 0 ? icmpType : flags;
    words[BIFLOW_DESCRIPTION] = (words[DESCRIPTION]! & networkWord(~255)) | networkWord(FROM_INITIATOR);
    words[BIFLOW_FLAGS] = networkWord((fourth << 24) | (replyFlags << 16));
  }

  /** Takes up the kind and the time of an event of the flow. */
  gatherEvent(flow: FlowRecord, source: number): void {
    const { words } = this;
    this.gather(flow, source, true);
    setInteger(words, EVENT_TIME, flow.end);
    words[EVENT] = networkWord((flow.natEvent << 24) | (protocolAt(flow.state, source) << 16));
  }

  /** Takes up the times of the flow as uptimes of the message that it will stand in. */
  setUptimes(flow: FlowRecord, clock: UptimeClock): void {
    clock.set(flow);
    clock.written();
    this.words[UPTIMES] = networkWord(clock.first);
    this.words[UPTIMES + 1] = networkWord(clock.last);
  }

  #setEnd({ end }: FlowRecord): void {
    this.#end = end;
    setInteger(this.words, END, end);
  }

  #describe(flow: FlowRecord, source: number): void {
    const { words } = this;
    const { state, endReason } = flow;
    const { index } = flow.interface;
    const isInbound = state.direction === INBOUND;
    const atInterface = networkWord(index);
    words[INGRESS] = isInbound ? atInterface : 0;
    words[EGRESS] = isInbound ? 0 : atInterface;
    const protocol = protocolAt(state, source);
    const bits = tcpControlBits(flow);
    const flags = bits & 255;
    const replyFlags = bits >> 8;
    const type = familyAt(state, source) === state.family ? flow.icmpType : -1;
    const common = (protocol << 24) | (endReason << 8);
    const direction = isInbound ? 0 : 1;
    const fourth = type >= 0 ? type : flags;
    words[DESCRIPTION] = networkWord(common | (direction << 16) | fourth);
    words[REPLY_DESCRIPTION] = networkWord(common | ((direction ^ 1) << 16) | replyFlags);
    words[CLASS] = networkWord(protocol << 16);
    this.flags = flags;
    this.replyFlags = replyFlags;
    this.icmpType = type;
  }
}

/** One line for each word: a loop looks at both arrays anew for each. */
function copyVolume(to: Int32Array, volume: Volume): void {
  to[OCTETS] = networkWord(volume[OCTETS_HIGH]!);
  to[OCTETS + 1] = networkWord(volume[OCTETS_LOW]!);
  to[PACKETS] = networkWord(volume[PACKETS_HIGH]!);
  to[PACKETS + 1] = networkWord(volume[PACKETS_LOW]!);
  to[REPLY_OCTETS] = networkWord(volume[DIRECTION + OCTETS_HIGH]!);
  to[REPLY_OCTETS + 1] = networkWord(volume[DIRECTION + OCTETS_LOW]!);
  to[REPLY_PACKETS] = networkWord(volume[DIRECTION + PACKETS_HIGH]!);
  to[REPLY_PACKETS + 1] = networkWord(volume[DIRECTION + PACKETS_LOW]!);
}

/** Addresses and ports from `source` on, in the words of one side of the NAT: those that stand `side` behind the first ones. */
function gatherEnds(words: Int32Array, side: number, state: StateView, source: number): void {
  const { view } = state;
  const from = state.addressAt(source);
  const to = state.addressAt(source ^ 1);
  if (familyAt(state, source) === 4) {
    words[side + SOURCE] = wireWord(view, from);
    words[side + DESTINATION] = wireWord(view, to);
  } else {
    copyAddress6(words, side + SOURCE6, view, from);
    copyAddress6(words, side + DESTINATION6, view, to);
  }
  const ports = networkWord(portsAt(state, source));
  words[side + PORTS] = ports;
  words[side + REPLY_PORTS] = swapHalves(ports);
}

function copyAddress6(to: Int32Array, word: number, view: DataView, at: number): void {
  to[word] = wireWord(view, at);
  to[word + 1] = wireWord(view, at + 4);
  to[word + 2] = wireWord(view, at + 8);
  to[word + 3] = wireWord(view, at + 12);
}

/** A whole number below 2^53, as unsigned 64 bits; a time before 1970 becomes 0. */
function setInteger(to: Int32Array, at: number, value: number): void {
  let whole = value;
  if (whole < 0) whole = 0;
  to[at] = networkWord((whole / 2 ** 32) | 0);
  // Its lower 32 bits: that is how a number becomes an integer here.
  to[at + 1] = networkWord(whole | 0);
}
