/** Brings what a flow's records show into wire order: the last words of a row, which the encoders copy from. */
import { swapOctets } from './byte-order.js';
import type { InterfaceTable } from './interface.js';
import { REPLY_TO, TCP } from './pf-terms.js';
import {
  DESCRIPTION,
  DESTINATION_SEQLO,
  END,
  END_WIRE,
  EVENT,
  FACTS,
  FLOW,
  ICMP,
  INTERFACE,
  INTERFACES,
  JOINED,
  ORIGIN,
  OTHER_INTERFACE,
  PROTOCOLS,
  ROUTE,
  ROW,
  ROW_DOUBLES,
  START,
  START_WIRE,
  STATE,
} from './row.js';
import type { FlowRows } from './rows.js';
import { ACKNOWLEDGED, SENT, SENT_BY_INITIATOR } from './tcp-control-bits.js';

/** Prepares the flows among `count` rows from `first` on. Their state, times, directions and flowEndReason are set. */
export type Preparer = (first: number, count: number) => void;

export function preparer({ words, doubles }: FlowRows, interfaces: InterfaceTable): Preparer {
  const word = 2 ** 32;
  const perWord = 2 ** -32;
  /** flowDirection (61) of an egress record, in its octet of DESCRIPTION. */
  const egress = 1 << 8;
  /** biflowDirection (239): the forward direction is the initiator's. In its octet of EVENT. */
  const fromInitiator = 1 << 16;
  const sent = SENT;
  const sentByInitiator = SENT_BY_INITIATOR;
  const acknowledged = ACKNOWLEDGED;

  /** The record that route-to or reply-to sends another way leaves by that interface. */
  function setRoute(row: number, route: number): void {
    const reply = route >>> 24 === REPLY_TO ? 2 : 0;
    words[row + INTERFACES + reply + 1] = interfaces.indexes[2 * (route & 0xffffff) + 1]!;
  }

  /** A joined flow enters by the inbound state's interface and leaves by the outbound state's; its replies the other way. */
  function setOtherInterface(row: number): void {
    const index = interfaces.indexes[2 * words[row + OTHER_INTERFACE]! + 1]!;
    words[row + INTERFACES + 1] = index;
    words[row + INTERFACES + 2] = index;
  }

  return function prepare(first, count) {
    const { indexes } = interfaces;
    for (let n = first; n < first + count; n++) {
      const row = n * ROW;
      const flow = words[row + FLOW]!;
      if ((flow & 0xff00) === 0) continue;
      const state = words[row + STATE]!;
      const protocols = words[row + PROTOCOLS]!;
      // A state's direction cannot be predicted: nothing branches by it.
      const inbound = -(state & 1);
      const index = indexes[2 * words[row + INTERFACE]! + 1 + inbound]!;
      words[row + INTERFACES] = index & inbound;
      words[row + INTERFACES + 1] = index & ~inbound;
      words[row + INTERFACES + 2] = index & ~inbound;
      words[row + INTERFACES + 3] = index & inbound;
      if (words[row + ROUTE] !== 0) setRoute(row, words[row + ROUTE]!);
      if ((words[row + ORIGIN]! & JOINED) !== 0) setOtherInterface(row);
      const sourceState = (state >>> 16) & 255;
      const destinationState = state >>> 24;
      const seqlo = words[row + DESTINATION_SEQLO]!;
      // Without sequence numbers of the responder pf may have seen nothing of that end. A continued flow proves no flags.
      const hasAnswered = (seqlo | -seqlo) >> 31;
      const protocol = (protocols >>> 16) & 255;
      const isContinued = flow >>> 24 !== 0;
      const tells = protocol === TCP && !isContinued ? -1 : 0;
      const flags = (sentByInitiator[sourceState]! | (acknowledged[destinationState]! & hasAnswered)) & tells;
      const replyFlags = (sent[destinationState]! | acknowledged[sourceState]!) & hasAnswered & tells;
      const rest = flow & 0x00ff_0000;
      const forward = rest | (~inbound & egress) | (flags << 24);
      const reply = rest | (inbound & egress) | (replyFlags << 24);
      const translatedProtocol = protocols >>> 24;
      words[row + DESCRIPTION] = protocol | forward;
      words[row + DESCRIPTION + 1] = protocol | reply;
      words[row + DESCRIPTION + 2] = translatedProtocol | forward;
      words[row + DESCRIPTION + 3] = translatedProtocol | reply;
      words[row + EVENT] = fromInitiator;
      // Those messages of which pf makes states have code 0 (RFC 792, RFC 4443).
      words[row + ICMP] = (words[row + FACTS]! >>> 8) & 255;
      const startTime = doubles[n * ROW_DOUBLES + START]!;
      const endTime = doubles[n * ROW_DOUBLES + END]!;
      const start = Math.max(startTime, 0);
      const end = Math.max(endTime, 0);
      const startHigh = Math.floor(start * perWord);
      const endHigh = Math.floor(end * perWord);
      words[row + START_WIRE] = swapOctets(startHigh | 0);
      words[row + START_WIRE + 1] = swapOctets((start - startHigh * word) | 0);
      words[row + END_WIRE] = swapOctets(endHigh | 0);
      words[row + END_WIRE + 1] = swapOctets((end - endHigh * word) | 0);
    }
  };
}
