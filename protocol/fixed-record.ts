/** What NetFlow v1 and v5 have in common: records of one fixed layout, IPv4 only, 32-bit counters and uptimes. */
import { networkWord, swapHalves, wireWord } from './byte-order.js';
import { type FlowRecord, familyAt, type NatView, portsAt, protocolAt, sourceEnds } from './flow-record.js';
import { FORWARD, REPLY } from './flow-terms.js';
import type { EncoderLosses, FlowEncoder, MessageRoom } from './message.js';
import { INBOUND } from './pf-terms.js';
import { CounterParts } from './split.js';
import { UptimeClock } from './uptime.js';
import { DIRECTION, OCTETS_HIGH, OCTETS_LOW, PACKETS_HIGH, PACKETS_LOW } from './volume.js';

export interface FixedFormat {
  readonly version: number;
  readonly headerLength: number;
  readonly mostRecords: number;
}

/** The record is the same in both versions, as far as it is filled. */
const RECORD_LENGTH = 48;
const RECORD_WORDS = RECORD_LENGTH / 4;

export class FixedRecordEncoder implements FlowEncoder, EncoderLosses {
  clampedCounters = 0;
  readonly #clock = new UptimeClock();
  readonly #parts = new CounterParts();
  readonly #room: MessageRoom;
  readonly #format: FixedFormat;
  readonly #sources: Int32Array;
  readonly #mostRecords: number;
  readonly #writeSequence: (view: DataView, sequence: number) => void;
  #words: Int32Array;
  /** Where the next record begins. */
  #next = 0;
  #count = 0;
  #sequence = 0;
  /** Uptimes of the flow at hand, in network byte order. */
  #first = 0;
  #last = 0;

  constructor(
    room: MessageRoom,
    format: FixedFormat,
    nat: NatView,
    writeSequence: (view: DataView, sequence: number) => void,
    sequence = 0,
  ) {
    this.#sequence = sequence;
    this.#room = room;
    this.#words = room.words;
    this.#format = format;
    this.#sources = sourceEnds(nat);
    this.#writeSequence = writeSequence;
    const fitting = Math.floor((room.view.byteLength - format.headerLength) / RECORD_LENGTH);
    this.#mostRecords = Math.min(format.mostRecords, fitting);
  }

  get losses(): EncoderLosses {
    return this;
  }

  get clippedTimes(): number {
    return this.#clock.clipped;
  }

  add(flow: FlowRecord): number {
    const { state, directions } = flow;
    const source = this.#sources[state.direction]!;
    if (familyAt(state, source) !== 4) return 0;
    const clock = this.#clock;
    if (this.#count > 0 && !clock.holds(flow.observed)) this.#close(flow);
    if (this.#count > 0) this.#setTimes(flow);
    const { view } = state;
    const from = wireWord(view, state.addressAt(source));
    const to = wireWord(view, state.addressAt(source ^ 1));
    const ports = networkWord(portsAt(state, source));
    const { index } = flow.interface;
    const interfaces = networkWord(state.direction === INBOUND ? index << 16 : index);
    const rest = networkWord(protocolAt(state, source) << 8);
    let records = 0;
    if ((directions & FORWARD) !== 0) {
      records += this.#addDirection(flow, 0, from, to, ports, interfaces, rest);
    }
    if ((directions & REPLY) !== 0) {
      records += this.#addDirection(flow, 1, to, from, swapHalves(ports), swapHalves(interfaces), rest);
    }
    return records;
  }

  flush(now: number): void {
    if (this.#count > 0) this.#close({ observed: now });
  }

  end(now: number): void {
    this.flush(now);
  }

  restart(): void {
    this.#sequence = 0;
  }

  #addDirection(
    flow: FlowRecord,
    direction: 0 | 1,
    from: number,
    to: number,
    ports: number,
    interfaces: number,
    rest: number,
  ): number {
    const { volume } = flow;
    const at = DIRECTION * direction;
    if ((volume[at + OCTETS_HIGH]! | volume[at + PACKETS_HIGH]!) === 0) {
      const octets = networkWord(volume[at + OCTETS_LOW]!);
      const packets = networkWord(volume[at + PACKETS_LOW]!);
      this.#write(flow, octets, packets, from, to, ports, interfaces, rest);
      return 1;
    }
    const parts = this.#parts;
    parts.split(volume, direction);
    if (parts.isClamped) this.clampedCounters++;
    for (let part = 0; part < parts.count; part++) {
      const octets = networkWord(parts.octets(part));
      const packets = networkWord(parts.packets(part));
      this.#write(flow, octets, packets, from, to, ports, interfaces, rest);
    }
    return parts.count;
  }

  /** All but the flow in network byte order. `rest` is the word that has the protocol. */
  #write(
    flow: FlowRecord,
    octets: number,
    packets: number,
    from: number,
    to: number,
    ports: number,
    interfaces: number,
    rest: number,
  ): void {
    if (this.#count === 0) this.#open(flow);
    this.#clock.written();
    const words = this.#words;
    // No message has more than 511 words: with the mask, V8 does not look for sums that leave 32 bits.
    const at = this.#next & 511;
    this.#next = at + RECORD_WORDS;
    words[at] = from;
    words[at + 1] = to;
    words[at + 2] = 0;
    words[at + 3] = interfaces;
    words[at + 4] = packets;
    words[at + 5] = octets;
    words[at + 6] = this.#first;
    words[at + 7] = this.#last;
    words[at + 8] = ports;
    words[at + 9] = rest;
    words[at + 10] = 0;
    words[at + 11] = 0;
    if (++this.#count === this.#mostRecords) this.#close(flow);
  }

  #open(flow: FlowRecord): void {
    this.#words = this.#room.words;
    this.#next = this.#format.headerLength / 4;
    this.#clock.open(flow.observed);
    this.#setTimes(flow);
  }

  #setTimes(flow: FlowRecord): void {
    const clock = this.#clock;
    clock.set(flow);
    this.#first = networkWord(clock.first);
    this.#last = networkWord(clock.last);
  }

  /** It takes the flow, not its time: a number beyond 32 bits would be an allocation for each message. */
  #close({ observed }: Pick<FlowRecord, 'observed'>): void {
    const { view } = this.#room;
    const format = this.#format;
    const time = this.#clock.headerTime(observed);
    view.setUint16(0, format.version);
    view.setUint16(2, this.#count);
    view.setUint32(4, time - this.#clock.boot);
    view.setUint32(8, Math.floor(time / 1000));
    view.setUint32(12, (time % 1000) * 1_000_000);
    this.#writeSequence(view, this.#sequence);
    const records = this.#count;
    this.#sequence = (this.#sequence + records) >>> 0;
    this.#count = 0;
    this.#room.send(format.headerLength + records * RECORD_LENGTH, records);
  }
}
