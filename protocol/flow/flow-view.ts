/** A row of flow memory, looked at field by field: for what is rare, and for tests. The stages read rows word by word. */
import {
  ADDRESS,
  ADDRESSES,
  AGE,
  ANCHOR,
  COUNTERS_AGE,
  CREATOR,
  DESTINATION_SEQLO,
  END,
  EVENT,
  EXPIRE,
  FACTS,
  FLOW,
  ICMP_TYPE_KNOWN,
  ID,
  INTERFACE,
  OBSERVED,
  OCTETS,
  ORIGIN,
  PACKETS,
  PORTS,
  PROTOCOLS,
  REPLY_COUNTERS,
  ROW,
  ROW_DOUBLES,
  ROW_OCTETS,
  RULE,
  SOURCE_SEQLO,
  START,
  STATE,
  TRANSLATED_PORTS,
} from './row.js';
import type { FlowRows } from './rows.js';

export class FlowView {
  readonly rows: FlowRows;
  /** Number of the row that is shown. */
  row: number;

  constructor(rows: FlowRows, row = 0) {
    this.rows = rows;
    this.row = row;
  }

  /** Shows another row. */
  at(row: number): this {
    this.row = row;
    return this;
  }

  /** False for a record whose family or direction pf does not write: the rest of the row has no meaning then. */
  get isReadable(): boolean {
    return this.#word(PROTOCOLS) !== 0;
  }

  get id(): bigint {
    return this.rows.view.getBigUint64(this.row * ROW_OCTETS + 4 * ID);
  }

  get creatorId(): number {
    return this.rows.view.getUint32(this.row * ROW_OCTETS + 4 * CREATOR);
  }

  get rule(): number {
    return this.#word(RULE);
  }

  get anchor(): number {
    return this.#word(ANCHOR);
  }

  /** Its number in the interface table. */
  get interface(): number {
    return this.#word(INTERFACE);
  }

  set interface(number: number) {
    this.#setWord(INTERFACE, number);
  }

  get family(): number {
    return this.#octet(PROTOCOLS, 0);
  }

  get translatedFamily(): number {
    return this.#octet(PROTOCOLS, 1);
  }

  get protocol(): number {
    return this.#octet(PROTOCOLS, 2);
  }

  get translatedProtocol(): number {
    return this.#octet(PROTOCOLS, 3);
  }

  get direction(): number {
    return this.#octet(STATE, 0);
  }

  get timeout(): number {
    return this.#octet(STATE, 1);
  }

  get sourceState(): number {
    return this.#octet(STATE, 2);
  }

  get destinationState(): number {
    return this.#octet(STATE, 3);
  }

  get isTranslated(): boolean {
    return this.#octet(FACTS, 0) !== 0;
  }

  /** Type of the ICMP message that opened the state; -1 where that is not certain. */
  get icmpType(): number {
    return (this.#word(FACTS) & ICMP_TYPE_KNOWN) === 0 ? -1 : this.#octet(FACTS, 1);
  }

  set icmpType(type: number) {
    this.#setOctet(FACTS, 1, Math.max(type, 0));
    const others = this.#word(FACTS) & ~ICMP_TYPE_KNOWN;
    this.#setWord(FACTS, others | (type < 0 ? 0 : ICMP_TYPE_KNOWN));
  }

  get age(): number {
    return this.#word(AGE) >>> 0;
  }

  get expire(): number {
    return this.#word(EXPIRE) >>> 0;
  }

  get sourceSeqlo(): number {
    return this.#word(SOURCE_SEQLO) >>> 0;
  }

  get destinationSeqlo(): number {
    return this.#word(DESTINATION_SEQLO) >>> 0;
  }

  set destinationSeqlo(number: number) {
    this.#setWord(DESTINATION_SEQLO, number);
  }

  /** Octets of a direction: 0 initiator to responder, 1 the replies. */
  octets(reply: 0 | 1): bigint {
    return this.rows.view.getBigUint64(this.row * ROW_OCTETS + 4 * (OCTETS + REPLY_COUNTERS * reply));
  }

  packets(reply: 0 | 1): bigint {
    return this.rows.view.getBigUint64(this.row * ROW_OCTETS + 4 * (PACKETS + REPLY_COUNTERS * reply));
  }

  setCounters(reply: 0 | 1, octets: bigint, packets: bigint): void {
    const at = this.row * ROW_OCTETS + 4 * REPLY_COUNTERS * reply;
    this.rows.view.setBigUint64(at + 4 * OCTETS, octets);
    this.rows.view.setBigUint64(at + 4 * PACKETS, packets);
  }

  /** The four octets of an IPv4 address or the sixteen of an IPv6 address, at one of the four ends (pf-terms). */
  address(end: number): Uint8Array {
    const family = end < 2 ? this.family : this.translatedFamily;
    const at = this.row * ROW_OCTETS + 4 * (ADDRESSES + ADDRESS * end);
    return new Uint8Array(this.rows.words.buffer, at, family === 4 ? 4 : 16);
  }

  port(end: number): number {
    const at = 4 * (end < 2 ? PORTS : TRANSLATED_PORTS) + 2 * (end & 1);
    return this.rows.view.getUint16(this.row * ROW_OCTETS + at);
  }

  /** FORWARD, REPLY or both (terms); 0: the row is no flow. */
  get directions(): number {
    return this.#octet(FLOW, 1);
  }

  set directions(directions: number) {
    this.#setOctet(FLOW, 1, directions);
  }

  /** Where the counters come from (terms). */
  get counters(): number {
    return this.#octet(FLOW, 0);
  }

  set counters(provenance: number) {
    this.#setOctet(FLOW, 0, provenance);
  }

  /** Who told them (terms). */
  get origin(): number {
    return this.#octet(ORIGIN, 0);
  }

  set origin(origin: number) {
    this.#setOctet(ORIGIN, 0, origin);
  }

  get endReason(): number {
    return this.#octet(FLOW, 2);
  }

  set endReason(reason: number) {
    this.#setOctet(FLOW, 2, reason);
  }

  /** Earlier records reported a part of the flow, up to `start`. */
  get isContinued(): boolean {
    return this.#octet(FLOW, 3) !== 0;
  }

  set isContinued(isContinued: boolean) {
    this.#setOctet(FLOW, 3, isContinued ? 1 : 0);
  }

  get countersAge(): number {
    return this.#word(COUNTERS_AGE);
  }

  set countersAge(seconds: number) {
    this.#setWord(COUNTERS_AGE, seconds);
  }

  /** Milliseconds since the epoch. */
  get start(): number {
    return this.#double(START);
  }

  set start(time: number) {
    this.#setDouble(START, time);
  }

  get end(): number {
    return this.#double(END);
  }

  set end(time: number) {
    this.#setDouble(END, time);
  }

  /** Capture time of the message that ended the flow: the data's clock. */
  get observed(): number {
    return this.#double(OBSERVED);
  }

  set observed(time: number) {
    this.#setDouble(OBSERVED, time);
  }

  /** The kind of event (230) where the row tells of a translation instead of traffic; 0: of traffic. */
  get natEvent(): number {
    return this.rows.view.getUint8(this.row * ROW_OCTETS + 4 * EVENT + 1);
  }

  set natEvent(kind: number) {
    this.rows.view.setUint8(this.row * ROW_OCTETS + 4 * EVENT + 1, kind);
  }

  #word(word: number): number {
    return this.rows.words[this.row * ROW + word]!;
  }

  #setWord(word: number, value: number): void {
    this.rows.words[this.row * ROW + word] = value;
  }

  /** Octets of a word are counted from the low one up. */
  #octet(word: number, octet: number): number {
    return (this.#word(word) >>> (8 * octet)) & 255;
  }

  #setOctet(word: number, octet: number, value: number): void {
    const others = this.#word(word) & ~(255 << (8 * octet));
    this.#setWord(word, others | (value << (8 * octet)));
  }

  #double(double: number): number {
    return this.rows.doubles[this.row * ROW_DOUBLES + double]!;
  }

  #setDouble(double: number, value: number): void {
    this.rows.doubles[this.row * ROW_DOUBLES + double] = value;
  }
}
