/** What NetFlow v1 and v5 have in common: messages of records of one fixed layout, which the core makes (`assembly/fixed-record`). */
import { allocate, type CoreOwner, octetsAt, onBehalfOf, viewOf, writeWords } from './core.js';
import { type FlowRows, type NatView, sourceEnds } from './flow-record.js';
import type { EncoderLosses, FlowEncoder, MessageRoom } from './message.js';
import { UptimeClock } from './uptime.js';

export interface FixedFormat {
  readonly version: 1 | 5;
  readonly headerLength: number;
  readonly mostRecords: number;
  /** Version 5: engine type and engine id, of 8 bits each; `sequence` is the number of the first message. */
  readonly engineType?: number;
  readonly engineId?: number;
  readonly sequence?: number;
}

/** The record is the same in both versions, as far as it is filled. */
const RECORD_LENGTH = 48;

/** What stands where in what the core knows of an encoder: words of 32 bits. */
const FIRST = 8;
const NEXT = 12;
const UNSUPPORTED = 28;
const CLAMPED = 32;
const SEQUENCE = 40;
const ENCODER_LENGTH = 48;

export class FixedRecordEncoder implements FlowEncoder, EncoderLosses, CoreOwner {
  readonly #clock = new UptimeClock();
  readonly #room: MessageRoom;
  readonly #headerLength: number;
  /** The message that is being filled, in the core's memory. */
  readonly #octets: Uint8Array;
  /** Address of what the core knows of the encoder. */
  readonly #at: number;
  readonly #encoder: DataView;

  constructor(room: MessageRoom, format: FixedFormat, nat: NatView) {
    const { version, headerLength, mostRecords, engineType = 0, engineId = 0, sequence = 0 } = format;
    this.#room = room;
    this.#headerLength = headerLength;
    const message = allocate(room.longest, this);
    this.#octets = octetsAt(message, room.longest);
    this.#at = allocate(ENCODER_LENGTH, this);
    this.#encoder = viewOf(this.#at, ENCODER_LENGTH);
    const fitting = Math.floor((room.longest - headerLength) / RECORD_LENGTH);
    const first = message + headerLength;
    const end = first + Math.min(mostRecords, fitting) * RECORD_LENGTH;
    const tail = [version, sequence, engineType | (engineId << 8)];
    writeWords(this.#at, [this.#clock.at, message, first, first, end, ...sourceEnds(nat), 0, 0, ...tail]);
  }

  get losses(): EncoderLosses {
    return this;
  }

  get clippedTimes(): number {
    return this.#clock.clipped;
  }

  get clampedCounters(): number {
    return this.#encoder.getUint32(CLAMPED, true);
  }

  get unsupported(): number {
    return this.#encoder.getUint32(UNSUPPORTED, true);
  }

  add(flows: FlowRows): number {
    return onBehalfOf(this).addFixed(this.#at, flows.row, flows.count);
  }

  flush(now: number): void {
    const isOpen = this.#encoder.getUint32(NEXT, true) !== this.#encoder.getUint32(FIRST, true);
    if (isOpen) onBehalfOf(this).closeFixed(this.#at, now);
  }

  end(now: number): void {
    this.flush(now);
  }

  restart(): void {
    this.#encoder.setUint32(SEQUENCE, 0, true);
  }

  sendMessage(records: number): void {
    this.#room.send(this.#octets, this.#headerLength + records * RECORD_LENGTH, records);
  }
}
