/** The flow record: what an encoder or a writer is handed. One state gives one for each direction that had traffic. */
import {
  INBOUND,
  ORIGINAL_DESTINATION,
  ORIGINAL_SOURCE,
  StateView,
  TRANSLATED_DESTINATION,
  TRANSLATED_SOURCE,
} from './pfsync-state.js';

/** Which side of the NAT a record shows. `inside` is the side of the firewall's own hosts, as the original pfflowd. */
export type NatView = 'original' | 'inside' | 'translated';

/** Where a flow's counters come from. */
export const EXACT = 0;
export const PARTIAL = 1;
export const TCPSEQ = 2;
export const NONE = 3;
export const PROVENANCE = ['exact', 'partial', 'tcpseq', 'none'] as const;

/** flowEndReason (136), RFC 7012. */
export const IDLE_TIMEOUT = 1;
export const ACTIVE_TIMEOUT = 2;
export const END_OF_FLOW = 3;
export const FORCED_END = 4;
export const LACK_OF_RESOURCES = 5;

export interface NetworkInterface {
  readonly name: string;
  /** ifIndex; 0 is no interface. */
  readonly index: number;
}

export const NO_INTERFACE: NetworkInterface = { name: '', index: 0 };

/** Reused: valid during the call that hands it on. Counters are unsigned 64-bit integers as two words. */
export class FlowRecord {
  state: StateView = new StateView();
  interface: NetworkInterface = NO_INTERFACE;
  /** Counter index: 0 initiator to responder, 1 the replies. */
  reply: 0 | 1 = 0;
  /** Milliseconds since the epoch. */
  start = 0;
  end = 0;
  /** Capture time of the message that ended the flow: the data's clock. */
  observed = 0;
  endReason = END_OF_FLOW;
  counters: number = EXACT;
  /** Seconds between the moment the counters were told and the message that ended the flow; with PARTIAL only. */
  countersAge = 0;
  /** Earlier records have told of the same state, up to `start`. */
  isContinued = false;
  /** pf has followed the responder's TCP sequence numbers: it does not under `sloppy`, nor before a packet of that end. */
  hasResponderSequence = true;
  /** Type of the ICMP message that opened the state; -1 where it is not known, or the protocol is another. */
  icmpType = -1;
  /** The kind of event (230) where the record tells of a translation instead of traffic; 0: of traffic. */
  natEvent = 0;
  octetsHigh = 0;
  octetsLow = 0;
  packetsHigh = 0;
  packetsLow = 0;
  /** TCP payload of both directions; with TCPSEQ only, when the four counters above are 0. Integers below 2^53. */
  initiatorOctets = 0;
  responderOctets = 0;

  /** Whether the views differ. Looked up when it is asked for: NetFlow v1 and v5 never do. */
  get isTranslated(): boolean {
    return this.state.isTranslated;
  }

  /** The record's own direction at its interface: 0 ingress, 1 egress (flowDirection, 61). */
  get flowDirection(): 0 | 1 {
    return (this.state.direction === INBOUND) === (this.reply === 0) ? 0 : 1;
  }

  get ingressInterface(): number {
    return this.flowDirection === 0 ? this.interface.index : 0;
  }

  get egressInterface(): number {
    return this.flowDirection === 1 ? this.interface.index : 0;
  }
}

/** The end of the state that a record shows as its source; its destination is the same XOR 1. */
export function sourceEnd(flow: FlowRecord, view: NatView): number {
  const inside = view === 'inside' && flow.state.direction === INBOUND;
  const source = view === 'translated' || inside ? TRANSLATED_SOURCE : ORIGINAL_SOURCE;
  return source + flow.reply;
}

/** The end shown as postNATSource beside the original view; the post-NAT destination is the same XOR 1. */
export function postNatSourceEnd(flow: FlowRecord): number {
  return flow.reply === 0 ? TRANSLATED_SOURCE : TRANSLATED_DESTINATION;
}

/** Family and protocol of the addresses at an end. */
export function familyAt(flow: FlowRecord, end: number): number {
  return end <= ORIGINAL_DESTINATION ? flow.state.family : flow.state.translatedFamily;
}

export function protocolAt(flow: FlowRecord, end: number): number {
  return end <= ORIGINAL_DESTINATION ? flow.state.protocol : flow.state.translatedProtocol;
}
