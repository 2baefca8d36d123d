/**
 * Records that wait until those of their template fill a message: most messages then hold one set and have one length, and the
 * system sends many of those with one call (UDP_SEGMENT). What a flush finds shares messages.
 */
import { NOW, SPAN } from './message-time.js';
import type { MessageWriter } from './message-writer.js';
import { KINDS } from './record-kind.js';
import type { FlowTemplate } from './template.js';

/** Templates whose records can wait at the same time. */
const TEMPLATES = 16;
/** Messages that the records of a template fill before they go. */
const MESSAGES = 16;
export const WAITING_MESSAGES = TEMPLATES * MESSAGES;

const NONE = -1;

export class WaitingRecords {
  readonly #writer: MessageWriter;
  /** By kind of records: where they wait. */
  readonly #places = new Int32Array(KINDS).fill(NONE);
  #used = 0;
  readonly #room: number;
  /** By place: kind and template; in the writer's memory the first record, the end of those that wait, and that of the place. */
  readonly #kinds = new Int32Array(TEMPLATES);
  readonly #templates: FlowTemplate[] = [];
  readonly #starts: Int32Array;
  readonly #next: Int32Array;
  readonly #ends: Int32Array;
  /** When the first of all came. */
  readonly #since = new Float64Array(1);

  /** The writer has extra memory for as many messages as templates can wait. */
  constructor(writer: MessageWriter) {
    this.#writer = writer;
    const { extraAt, limit, roomForRecords } = writer;
    this.#starts = Int32Array.from({ length: TEMPLATES }, (_, place) => extraAt + place * MESSAGES * limit);
    this.#next = this.#starts.slice();
    this.#ends = new Int32Array(TEMPLATES);
    this.#room = roomForRecords;
  }

  /** Makes room for a record of this kind. Returns its offset in the writer's memory. */
  place(template: FlowTemplate, kind: number): number {
    const known = this.#places[kind]!;
    const place = known === NONE ? this.#open(template, kind) : known;
    if (this.#next[place]! + template.recordLength > this.#ends[place]!) this.#sendFull(place);
    const at = this.#next[place]!;
    this.#next[place] = at + template.recordLength;
    return at;
  }

  /** Sends what has waited for longer than the data's clock may run on while a message is filled. */
  sendOld(): void {
    if (this.#used === 0 || this.#writer.clock.times[NOW]! - this.#since[0]! <= SPAN) return;
    this.send();
    this.#writer.close();
  }

  /** Hands all to the writer. */
  send(): void {
    for (let place = 0; place < this.#used; place++) {
      this.#send(place);
      this.#places[this.#kinds[place]!] = NONE;
    }
    this.#used = 0;
  }

  #open(template: FlowTemplate, kind: number): number {
    if (this.#used === TEMPLATES) this.send();
    if (this.#used === 0) this.#since[0] = this.#writer.clock.times[NOW]!;
    const place = this.#used++;
    this.#places[kind] = place;
    this.#kinds[place] = kind;
    this.#templates[place] = template;
    const records = Math.floor(this.#room / template.recordLength);
    this.#ends[place] = this.#starts[place]! + MESSAGES * records * template.recordLength;
    return place;
  }

  #sendFull(place: number): void {
    this.#writer.close();
    this.#send(place);
  }

  #send(place: number): void {
    this.#writer.placeAll(this.#templates[place]!, this.#starts[place]!, this.#next[place]!);
    this.#next[place] = this.#starts[place]!;
  }
}
