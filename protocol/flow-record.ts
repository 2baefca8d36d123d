/** The flow: what an encoder or a writer is handed. It becomes one record for each direction that had traffic. */
import { END_OF_FLOW, EXACT, FORWARD, REPLY } from './flow-terms.js';
import { INBOUND, ORIGINAL_DESTINATION, ORIGINAL_SOURCE, OUTBOUND, TRANSLATED_SOURCE } from './pf-terms.js';
import { hasPorts, StateView } from './pfsync-state.js';
import {
  DIRECTION,
  newVolume,
  OCTETS_HIGH,
  OCTETS_LOW,
  PACKETS_HIGH,
  PACKETS_LOW,
  type Volume,
} from './volume.js';

/** Which side of the NAT a record shows. `inside` is the side of the firewall's own hosts, as the original pfflowd. */
export type NatView = 'original' | 'inside' | 'translated';

export interface NetworkInterface {
  readonly name: string;
  /** ifIndex; 0 is no interface. */
  readonly index: number;
}

export const NO_INTERFACE: NetworkInterface = { name: '', index: 0 };

/** Reused: valid during the call that hands it on. */
export class FlowRecord {
  state: StateView = new StateView();
  interface: NetworkInterface = NO_INTERFACE;
  /** FORWARD, REPLY or both. */
  directions: number = FORWARD;
  /** The direction of the record at hand, for who writes one after the other: 0 initiator to responder, 1 the replies. */
  reply: 0 | 1 = 0;
  /** Zeros in a direction that is not told of, and in both with TCPSEQ and NONE. */
  readonly volume: Volume = newVolume();
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
  /** TCP payload of both directions; with TCPSEQ only. Integers below 2^53. */
  initiatorOctets = 0;
  responderOctets = 0;

  /** Records that the flow becomes where each tells of one direction. */
  get records(): number {
    return this.directions === (FORWARD | REPLY) ? 2 : 1;
  }

  /** Counters of the record at hand: unsigned words. */
  get octetsHigh(): number {
    return this.volume[DIRECTION * this.reply + OCTETS_HIGH]! >>> 0;
  }

  get octetsLow(): number {
    return this.volume[DIRECTION * this.reply + OCTETS_LOW]! >>> 0;
  }

  get packetsHigh(): number {
    return this.volume[DIRECTION * this.reply + PACKETS_HIGH]! >>> 0;
  }

  get packetsLow(): number {
    return this.volume[DIRECTION * this.reply + PACKETS_LOW]! >>> 0;
  }

  /** The direction of the record at hand at its interface: 0 ingress, 1 egress (flowDirection, 61). */
  get flowDirection(): 0 | 1 {
    return (this.state.direction === INBOUND) === (this.reply === 0) ? 0 : 1;
  }
}

/** Calls `write` for each record of the flow, the forward one first, with `flow.reply` set. */
export function forEachRecord(flow: FlowRecord, write: (flow: FlowRecord) => void): void {
  if ((flow.directions & FORWARD) !== 0) {
    flow.reply = 0;
    write(flow);
  }
  if ((flow.directions & REPLY) !== 0) {
    flow.reply = 1;
    write(flow);
  }
}

/**
 * The end that a forward record of a state of this direction shows as its source; XOR 1 it is the destination, and the
 * source of a reply record.
 */
export function sourceEnd(direction: number, view: NatView): number {
  const isOriginal = view === 'original' || (view === 'inside' && direction !== INBOUND);
  return isOriginal ? ORIGINAL_SOURCE : TRANSLATED_SOURCE;
}

/** The same for both directions, by pf's number of the direction: for who asks with every flow. */
export function sourceEnds(view: NatView): Int32Array {
  return Int32Array.from([INBOUND, INBOUND, OUTBOUND], (direction) => sourceEnd(direction, view));
}

/** Family and protocol of the addresses at an end. */
export function familyAt(state: StateView, end: number): number {
  return end <= ORIGINAL_DESTINATION ? state.family : state.translatedFamily;
}

export function protocolAt(state: StateView, end: number): number {
  return end <= ORIGINAL_DESTINATION ? state.protocol : state.translatedProtocol;
}

/** Both ports from an end on, the source's in the upper half; 0 where the protocol has none. */
export function portsAt(state: StateView, source: number): number {
  return hasPorts(protocolAt(state, source)) ? (state.port(source) << 16) | state.port(source ^ 1) : 0;
}
