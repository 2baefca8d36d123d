/** The flow: what an encoder or a writer is handed. It becomes one record for each direction that had traffic. */
import { allocate } from './core.js';
import {
  COUNTERS,
  COUNTERS_AGE,
  DIRECTIONS,
  END,
  END_REASON,
  HAS_RESPONDER_SEQUENCE,
  INITIATOR_OCTETS,
  IS_CONTINUED,
  NAT_EVENT,
  OBSERVED,
  RESPONDER_OCTETS,
  ROW,
  START,
} from './flow-row.js';
import { END_OF_FLOW, FORWARD, REPLY } from './flow-terms.js';
import { INBOUND, ORIGINAL_DESTINATION, ORIGINAL_SOURCE, OUTBOUND, TRANSLATED_SOURCE } from './pf-terms.js';
import { StateRow } from './pfsync-state.js';

/** Which side of the NAT a record shows. `inside` is the side of the firewall's own hosts, as the original pfflowd. */
export type NatView = 'original' | 'inside' | 'translated';

/** Where a flow's counters come from, by its number in `flow-terms`. */
export const PROVENANCE = ['exact', 'partial', 'tcpseq', 'none'] as const;

/** Rows of the core's memory, one behind the other. Those without directions are no flows. */
export interface FlowRows {
  /** Address of the first row. */
  readonly row: number;
  readonly count: number;
  flow(n: number): FlowRecord;
}

/** A row: a state, and the flow that it became. Reused: valid during the call that hands it on. */
export class FlowRecord implements FlowRows {
  readonly state: StateRow;
  readonly row: number;
  readonly count = 1;
  /** The direction of the record at hand, for who writes one after the other: 0 initiator to responder, 1 the replies. */
  reply: 0 | 1 = 0;
  readonly #view: DataView;

  /** Without an address the row is one of its own, of a flow that ended by itself. */
  constructor(row?: number) {
    this.state = new StateRow(row);
    this.row = this.state.row;
    this.#view = this.state.view;
    if (row !== undefined) return;
    this.directions = FORWARD;
    this.endReason = END_OF_FLOW;
    this.hasResponderSequence = true;
  }

  flow(): FlowRecord {
    return this;
  }

  /** FORWARD, REPLY or both; 0: this is no flow. */
  get directions(): number {
    return this.#view.getUint8(DIRECTIONS);
  }

  set directions(directions: number) {
    this.#view.setUint8(DIRECTIONS, directions);
  }

  /** Milliseconds since the epoch. */
  get start(): number {
    return this.#view.getFloat64(START, true);
  }

  set start(time: number) {
    this.#view.setFloat64(START, time, true);
  }

  get end(): number {
    return this.#view.getFloat64(END, true);
  }

  set end(time: number) {
    this.#view.setFloat64(END, time, true);
  }

  /** Capture time of the message that ended the flow: the data's clock. */
  get observed(): number {
    return this.#view.getFloat64(OBSERVED, true);
  }

  set observed(time: number) {
    this.#view.setFloat64(OBSERVED, time, true);
  }

  get endReason(): number {
    return this.#view.getUint8(END_REASON);
  }

  set endReason(reason: number) {
    this.#view.setUint8(END_REASON, reason);
  }

  get counters(): number {
    return this.#view.getUint8(COUNTERS);
  }

  set counters(provenance: number) {
    this.#view.setUint8(COUNTERS, provenance);
  }

  /** Seconds between the moment the counters were told and the message that ended the flow; with PARTIAL only. */
  get countersAge(): number {
    return this.#view.getInt32(COUNTERS_AGE, true);
  }

  set countersAge(seconds: number) {
    this.#view.setInt32(COUNTERS_AGE, seconds, true);
  }

  /** Earlier records have told of the same state, up to `start`. */
  get isContinued(): boolean {
    return this.#view.getUint8(IS_CONTINUED) !== 0;
  }

  set isContinued(isContinued: boolean) {
    this.#view.setUint8(IS_CONTINUED, isContinued ? 1 : 0);
  }

  /** pf has followed the responder's TCP sequence numbers: it does not under `sloppy`, nor before a packet of that end. */
  get hasResponderSequence(): boolean {
    return this.#view.getUint8(HAS_RESPONDER_SEQUENCE) !== 0;
  }

  set hasResponderSequence(hasSequence: boolean) {
    this.#view.setUint8(HAS_RESPONDER_SEQUENCE, hasSequence ? 1 : 0);
  }

  /** The kind of event (230) where the record tells of a translation instead of traffic; 0: of traffic. */
  get natEvent(): number {
    return this.#view.getUint8(NAT_EVENT);
  }

  set natEvent(kind: number) {
    this.#view.setUint8(NAT_EVENT, kind);
  }

  /** TCP payload of both directions; with TCPSEQ only. Integers below 2^53. */
  get initiatorOctets(): number {
    return this.#view.getFloat64(INITIATOR_OCTETS, true);
  }

  set initiatorOctets(octets: number) {
    this.#view.setFloat64(INITIATOR_OCTETS, octets, true);
  }

  get responderOctets(): number {
    return this.#view.getFloat64(RESPONDER_OCTETS, true);
  }

  set responderOctets(octets: number) {
    this.#view.setFloat64(RESPONDER_OCTETS, octets, true);
  }

  get interfaceName(): string {
    return this.state.interfaceName;
  }

  /** Records that the flow becomes where each tells of one direction. */
  get records(): number {
    return this.directions === (FORWARD | REPLY) ? 2 : 1;
  }
}

/** So many rows, and who looks at them. */
export class FlowBatch implements FlowRows {
  readonly row: number;
  /** Rows that are in use. */
  count = 0;
  /** Made when they are first asked for. */
  readonly #flows: FlowRecord[] = [];

  constructor(rows: number) {
    this.row = allocate(rows * ROW, this);
  }

  flow(n: number): FlowRecord {
    const known = this.#flows[n];
    if (known !== undefined) return known;
    const flow = new FlowRecord(this.row + n * ROW);
    this.#flows[n] = flow;
    return flow;
  }
}

/** Calls `use` for each flow among the rows. */
export function forEachFlow(rows: FlowRows, use: (flow: FlowRecord) => void): void {
  for (let n = 0; n < rows.count; n++) {
    const flow = rows.flow(n);
    if (flow.directions !== 0) use(flow);
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

/** The same for inbound and for outbound states, in the order in which the core wants to know them. */
export function sourceEnds(view: NatView): [inbound: number, outbound: number] {
  return [sourceEnd(INBOUND, view), sourceEnd(OUTBOUND, view)];
}

/** Family and protocol of the addresses at an end. */
export function familyAt(state: StateRow, end: number): number {
  return end <= ORIGINAL_DESTINATION ? state.family : state.translatedFamily;
}

export function protocolAt(state: StateRow, end: number): number {
  return end <= ORIGINAL_DESTINATION ? state.protocol : state.translatedProtocol;
}
