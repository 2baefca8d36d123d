/** What NetFlow v1 and v5 have in common: records of one fixed layout, IPv4 only, 32-bit counters and uptimes. */
import { type FlowRecord, familyAt, type NatView, protocolAt, sourceEnd } from './flow-record.js';
import type { EncoderLosses, FlowEncoder, MessageRoom } from './message.js';
import { hasPorts } from './pfsync-state.js';
import { CounterParts } from './split.js';
import { UptimeClock } from './uptime.js';

export interface FixedFormat {
  readonly version: number;
  readonly headerLength: number;
  readonly mostRecords: number;
}

/** The record is the same in both versions, as far as it is filled. */
const RECORD_LENGTH = 48;
const PROTOCOL = 38;

export class FixedRecordEncoder implements FlowEncoder, EncoderLosses {
  clampedCounters = 0;
  readonly #clock = new UptimeClock();
  readonly #parts = new CounterParts();
  readonly #room: MessageRoom;
  readonly #format: FixedFormat;
  readonly #nat: NatView;
  readonly #mostRecords: number;
  readonly #writeSequence: (view: DataView, sequence: number) => void;
  #count = 0;
  #sequence = 0;

  constructor(
    room: MessageRoom,
    format: FixedFormat,
    nat: NatView,
    writeSequence: (view: DataView, sequence: number) => void,
    sequence = 0,
  ) {
    this.#sequence = sequence;
    this.#room = room;
    this.#format = format;
    this.#nat = nat;
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
    const source = sourceEnd(flow, this.#nat);
    if (familyAt(flow, source) !== 4) return 0;
    if ((flow.octetsHigh | flow.packetsHigh) === 0) {
      this.#write(flow, source, flow.octetsLow, flow.packetsLow);
      return 1;
    }
    const parts = this.#parts;
    parts.split(flow);
    if (parts.isClamped) this.clampedCounters++;
    for (let part = 0; part < parts.count; part++) {
      this.#write(flow, source, parts.octets(part), parts.packets(part));
    }
    return parts.count;
  }

  flush(now: number): void {
    if (this.#count > 0) this.#close(now);
  }

  end(now: number): void {
    this.flush(now);
  }

  restart(): void {
    this.#sequence = 0;
  }

  #write(flow: FlowRecord, source: number, octets: number, packets: number): void {
    const clock = this.#clock;
    if (this.#count > 0 && !clock.holds(flow.observed)) this.#close(flow.observed);
    if (this.#count === 0) clock.open(flow.observed);
    const format = this.#format;
    const state = flow.state;
    const from = state.view;
    const to = this.#room.view;
    const at = format.headerLength + this.#count * RECORD_LENGTH;
    const interfaces = (flow.ingressInterface << 16) | flow.egressInterface;
    const protocol = protocolAt(flow, source);
    const ports = hasPorts(protocol) ? (state.port(source) << 16) | state.port(source ^ 1) : 0;
    // Octets are copied as they lie: the same order read and written saves two swaps.
    to.setInt32(at, from.getInt32(state.addressAt(source), true), true);
    to.setInt32(at + 4, from.getInt32(state.addressAt(source ^ 1), true), true);
    to.setInt32(at + 8, 0);
    to.setInt32(at + 12, interfaces);
    to.setUint32(at + 16, packets);
    to.setUint32(at + 20, octets);
    clock.write(to, at + 24, flow);
    to.setInt32(at + 32, ports);
    to.setInt32(at + 36, 0);
    to.setInt32(at + 40, 0);
    to.setInt32(at + 44, 0);
    to.setUint8(at + PROTOCOL, protocol);
    if (++this.#count === this.#mostRecords) this.#close(flow.observed);
  }

  #close(now: number): void {
    const { view } = this.#room;
    const format = this.#format;
    const time = this.#clock.headerTime(now);
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
