/** Brings what a flow's records show into wire order: the last words of a row, which the encoders copy from. */
import type { InterfaceTable } from './interface.js';
import { REPLY_TO, TCP_MASKS } from './pf-terms.js';
import {
  DESCRIPTION,
  DESTINATION_SEQLO,
  EVENT,
  FACTS,
  FLOW,
  ICMP,
  INTERFACE,
  INTERFACES,
  JOINED,
  LAST_ROW,
  ORIGIN,
  OTHER_INTERFACE,
  PROTOCOLS,
  ROUTE,
  ROW,
  STATE,
} from './row.js';
import type { FlowRows } from './rows.js';
import { ACKNOWLEDGED, SENT, SENT_BY_INITIATOR } from './tcp-control-bits.js';

/** Prepares the flows among `count` rows from `first` on. Their state, directions and flowEndReason are set. */
export type Preparer = (first: number, count: number) => void;

export function preparer({ words }: FlowRows, interfaces: InterfaceTable): Preparer {
  /** flowDirection (61) of an egress record, in its octet of DESCRIPTION. */
  const egress = 1 << 8;
  /** biflowDirection (239): the forward direction is the initiator's. In its octet of EVENT. */
  const fromInitiator = 1 << 16;
  const tcp = TCP_MASKS;
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
      const row = (n & LAST_ROW) * ROW;
      const flow = words[row + FLOW]!;
      if ((flow & 0xff00) === 0) continue;
      const state = words[row + STATE]!;
      const protocols = words[row + PROTOCOLS]!;
      // A state's direction and protocol cannot be predicted: nothing branches by them.
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
      // Without sequence numbers of the responder pf may have seen nothing of that end. A continued flow proves no flags:
      // `isFirst` is 0 there, else all ones.
      const hasAnswered = (seqlo | -seqlo) >> 31;
      const protocol = (protocols >>> 16) & 255;
      const isFirst = (flow >>> 24) - 1;
      const tells = tcp[protocol]! & isFirst;
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
    }
  };
}
