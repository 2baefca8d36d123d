/** What NetFlow v1 and v5 have in common: messages of records of one fixed layout, which the core makes (`assembly/fixed-record`). */
import { allocate, core, viewOf, writeWords } from '../core.js';
import type { NatView } from '../flow/terms.js';
import { type FlowRows, sourceEnds } from '../flow/flow-record.js';
import { ROW } from '../flow/row.js';
import type { EncoderLosses, FlowEncoder, MessageRoom } from './message.js';
import { type MessagePlaces, placesIn } from './message-place.js';
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
const MESSAGE = 4;
const FIRST = 8;
const NEXT = 12;
const END = 16;
const UNSUPPORTED = 28;
const CLAMPED = 32;
const SEQUENCE = 40;
const COMPLETE = 48;
const ENCODER_LENGTH = 56;

export class FixedRecordEncoder implements FlowEncoder, EncoderLosses {
  readonly #clock = new UptimeClock();
  readonly #places: MessagePlaces;
  readonly #headerLength: number;
  /** Octets of the records that fill a message. */
  readonly #full: number;
  /** Address of what the core knows of the encoder. */
  readonly #at: number;
  readonly #encoder: DataView;

  constructor(room: MessageRoom, format: FixedFormat, nat: NatView) {
    const { version, headerLength, mostRecords, engineType = 0, engineId = 0, sequence = 0 } = format;
    this.#places = placesIn(room);
    this.#headerLength = headerLength;
    const fitting = Math.floor((room.longest - headerLength) / RECORD_LENGTH);
    this.#full = Math.min(mostRecords, fitting) * RECORD_LENGTH;
    this.#at = allocate(ENCODER_LENGTH, this);
    this.#encoder = viewOf(this.#at, ENCODER_LENGTH);
    const tail = [version, sequence, engineType | (engineId << 8)];
    writeWords(this.#at, [this.#clock.at, 0, 0, 0, 0, ...sourceEnds(nat), 0, 0, ...tail]);
    this.#begin();
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
    let { row, count } = flows;
    let records = -this.#open;
    for (;;) {
      const done = core.addFixed(this.#at, row, count);
      const complete = this.#sendComplete();
      if (complete === 0) return records + this.#open;
      records += complete;
      row += done * ROW;
      count -= done;
    }
  }

  flush(now: number): void {
    if (this.#open === 0) return;
    core.closeFixed(this.#at, now);
    this.#sendComplete();
  }

  end(now: number): void {
    this.flush(now);
  }

  restart(): void {
    this.#encoder.setUint32(SEQUENCE, 0, true);
  }

  /** Records of the message that is being filled. */
  get #open(): number {
    return (this.#encoder.getUint32(NEXT, true) - this.#encoder.getUint32(FIRST, true)) / RECORD_LENGTH;
  }

  /** The answer is how many records were in it; 0 where no message is complete. */
  #sendComplete(): number {
    const records = this.#encoder.getUint32(COMPLETE, true);
    if (records > 0) {
      this.#places.sendPlaced(this.#headerLength + records * RECORD_LENGTH, records);
      this.#begin();
    }
    return records;
  }

  /** The next message is made in the next place. */
  #begin(): void {
    const encoder = this.#encoder;
    const message = this.#places.place.at;
    const first = message + this.#headerLength;
    encoder.setUint32(MESSAGE, message, true);
    encoder.setUint32(FIRST, first, true);
    encoder.setUint32(NEXT, first, true);
    encoder.setUint32(END, first + this.#full, true);
    encoder.setUint32(COMPLETE, 0, true);
  }
}
