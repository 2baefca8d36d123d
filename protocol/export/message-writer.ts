/** Messages of sets, as in NetFlow v9 (RFC 3954) and IPFIX (RFC 7011): fills each up, and announces templates in time. */
import type { Field } from './element.js';
import { FIRST_ANNOUNCEMENTS, type MessageRoom } from './message.js';
import { HOLDS_UNTIL, NOW } from './message-time.js';
import type { Template } from './template.js';
import { MessageClock } from './uptime.js';

/** Where the two formats differ. */
export interface Dialect {
  readonly headerLength: number;
  readonly templateSetId: number;
  readonly optionsTemplateSetId: number;
  /** The header's sequence counts `records` (IPFIX: data records) or `messages` (v9). */
  readonly sequenceOf: 'records' | 'messages';
  /** A set that follows another begins at a multiple of 4 octets. */
  readonly alignsSets: boolean;
  /** `times` are those of the message (message-time). */
  writeHeader(view: DataView, message: MessageHeader, times: Float64Array): void;
  /** The four octets behind the id of an Options Template Record, the numbers or lengths of its scopes and fields. */
  writeScopes(view: DataView, at: number, scopes: number, fields: number): void;
}

/** Reused: what a header may need to know beside the times. */
export class MessageHeader {
  length = 0;
  /** Templates and data records in the message. */
  records = 0;
  sequence = 0;
  domain = 0;
}

export interface WriterOptions {
  /** Observation Domain or Source ID. */
  readonly domain: number;
  /** Templates are sent again after this many milliseconds, and after this many messages (0: only by time). */
  readonly refreshTime: number;
  readonly refreshMessages: number;
  /** The first message's sequence number; 0 by default. */
  readonly sequence?: number;
  /** Templates announced from the start on; the others with their first record. */
  readonly fixed?: readonly Template[];
  /** Templates stand in messages of their own, and each message holds one data set. */
  readonly oneSetPerMessage?: boolean;
  /** Messages that the memory has room for behind the one that is being filled: from `extraAt` on, `limit` octets for each. */
  readonly extraMessages?: number;
}

const SET_HEADER = 4;
/** Octets behind the longest message: whoever copies four words at a turn may write three too many. */
const SPARE = 12;
const NO_SET = -1;
const ENTERPRISE_BIT = 0x8000;

/** The caller sets the time NOW of the clock, or calls `advance`, before it places records. */
export class MessageWriter {
  readonly clock = new MessageClock();
  /** Octets of a message, a multiple of 4, so that a set's padding always has its place. */
  readonly limit: number;
  readonly extraAt: number;
  /** The memory: in front stands the message that is being filled. */
  readonly octets: Uint8Array;
  readonly words: Int32Array;
  readonly view: DataView;
  /**
   * Called before the first message of a session, and before the first behind a `refresh`, which both are sent once it
   * returns: the place for `sendAlone`. `times` is how often a collector that misses datagrams should be sent the same.
   */
  onStart: ((times: number) => void) | undefined;
  /** Called when templates are sent again, and at the start: data that describes the exporter belongs here. */
  onRefresh: (() => void) | undefined;
  /** Called when a message has been sent and the room is free. */
  onSent: (() => void) | undefined;
  /** What was handed to the room so far. Records are flow records; options are none. */
  messages = 0;
  sentOctets = 0;
  flowRecords = 0;
  readonly #message: Uint8Array;
  readonly #room: MessageRoom;
  readonly #dialect: Dialect;
  readonly #options: WriterOptions;
  readonly #oneSetPerMessage: boolean;
  readonly #header = new MessageHeader();
  /** Templates in use, in the order of their first record. */
  readonly #templates: Template[];
  /** All of them have been announced often enough. */
  #areKnown = false;
  #sequence: number;
  #refreshed = Number.NEGATIVE_INFINITY;
  #messagesSinceRefresh = 0;
  /** What `onStart` will be called with; 0 is not. */
  #startTimes: number;
  #isRefreshing = false;
  #isOpen = false;
  #at = 0;
  #setStart = NO_SET;
  /** The template of the data set that is open. */
  #setTemplate: Template | undefined;
  #dataRecords = 0;
  #flowRecords = 0;
  #templateRecords = 0;

  constructor(room: MessageRoom, dialect: Dialect, options: WriterOptions) {
    this.#room = room;
    this.#dialect = dialect;
    this.#options = options;
    this.#header.domain = options.domain;
    this.limit = room.longest & ~3;
    this.extraAt = this.limit + SPARE;
    this.octets = new Uint8Array(this.extraAt + (options.extraMessages ?? 0) * this.limit);
    this.#message = this.octets.subarray(0, this.limit);
    this.words = new Int32Array(this.octets.buffer);
    this.view = new DataView(this.octets.buffer);
    this.#templates = [...(options.fixed ?? [])];
    this.#oneSetPerMessage = options.oneSetPerMessage ?? false;
    this.#sequence = options.sequence ?? 0;
    this.#startTimes = this.#enough;
  }

  /** How often a template is announced before it is taken for known. */
  get #enough(): number {
    return this.#room.keepsTemplates === true ? 1 : FIRST_ANNOUNCEMENTS;
  }

  /** Octets of the records in a message that holds nothing else. */
  get roomForRecords(): number {
    return this.limit - this.#dialect.headerLength - SET_HEADER;
  }

  /** Makes room for a record. Returns its offset in the message. */
  place(template: Template): number {
    const length = template.recordLength;
    if (template !== this.#setTemplate || this.#at + length > this.limit) this.#openSet(template);
    const at = this.#at;
    this.#at = at + length;
    this.#dataRecords++;
    if (!template.isOptions) this.#flowRecords++;
    return at;
  }

  /** Places the flow records that stand from `start` to `end` in the memory. */
  placeAll(template: Template, start: number, end: number): void {
    const length = template.recordLength;
    for (let from = start; from < end; ) {
      const at = this.place(template);
      const more = Math.min(Math.floor((this.limit - this.#at) / length), (end - from) / length - 1);
      this.#at += more * length;
      this.#dataRecords += more;
      this.#flowRecords += more;
      this.octets.copyWithin(at, from, from + (1 + more) * length);
      from += (1 + more) * length;
    }
  }

  /** The data's clock is at `now`: sends the message if that has no place in it. */
  advance(now: number): void {
    const { times } = this.clock;
    times[NOW] = now;
    if (now > times[HOLDS_UNTIL]!) this.close();
  }

  /** Sends the message that is being filled, if there is one, at the clock's NOW. */
  close(): void {
    if (this.#isOpen) this.#close();
  }

  flush(now: number): void {
    this.clock.times[NOW] = now;
    this.close();
  }

  /** Templates, and what is sent with them, go with the next message. */
  refresh(): void {
    this.#refreshed = Number.NEGATIVE_INFINITY;
    this.#startTimes = Math.max(this.#startTimes, 1);
  }

  /** A new transport session. */
  restart(): void {
    this.#sequence = 0;
    this.#startTimes = this.#enough;
    this.#refreshed = Number.NEGATIVE_INFINITY;
    for (const template of this.#templates) template.announcements = 0;
    this.#areKnown = false;
  }

  /**
   * Sends a message that holds the template and one record of it, which `write` writes at the offset that it is given. No
   * message may be open.
   */
  sendAlone(template: Template, write: (view: DataView, at: number) => void): void {
    this.#startMessage();
    this.#startSet(this.#dialect.optionsTemplateSetId);
    this.#writeTemplate(template);
    this.#closeSet();
    this.#startSet(template.id);
    this.#setTemplate = template;
    write(this.view, this.#at);
    this.#at += template.recordLength;
    this.#dataRecords++;
    this.#close();
  }

  /** Opens a data set of `template`: in the message that is open, or in a new one. */
  #openSet(template: Template): void {
    const length = SET_HEADER + template.recordLength;
    this.#closeSet();
    if (template.announcements === 0) this.#openForTemplate(template, length);
    else if (this.#isOpen && (this.#oneSetPerMessage || !this.#fits(length))) this.#close();
    if (!this.#isOpen) this.#openMessage();
    if (template.announcements === 0) this.#announce([template]);
    this.#closeSet();
    // Announcing many templates may have filled the message.
    if (this.#isOpen && !this.#fits(length)) this.#close();
    if (!this.#isOpen) this.#startMessage();
    this.#startSet(template.id);
    this.#setTemplate = template;
  }

  /** The template is new, or new to this session: sends the message if that has no room for it and its first record. */
  #openForTemplate(template: Template, length: number): void {
    if (!this.#templates.includes(template)) {
      this.#templates.push(template);
      this.#areKnown = false;
    }
    const announcement = SET_HEADER + template.announcementLength;
    const mustSend = this.#oneSetPerMessage || !this.#fits(roundUp(announcement) + length);
    if (this.#isOpen && mustSend) this.#close();
  }

  #openMessage(): void {
    if (!this.#isRefreshing) this.#start();
    this.#startMessage();
    const { refreshTime, refreshMessages } = this.#options;
    const isDue =
      !this.#isRefreshing &&
      (Math.abs(this.clock.times[NOW]! - this.#refreshed) >= refreshTime ||
        (refreshMessages > 0 && this.#messagesSinceRefresh >= refreshMessages));
    if (!isDue && this.#areKnown) return;
    const enough = this.#enough;
    const due =
      isDue && this.#room.keepsTemplates !== true
        ? this.#templates
        : this.#templates.filter((template) => template.announcements < enough);
    if (due.length > 0) this.#announce(due);
    this.#areKnown = this.#templates.every(({ announcements }) => announcements >= enough);
    if (isDue) this.#refresh();
  }

  #start(): void {
    const times = this.#startTimes;
    this.#startTimes = 0;
    if (times > 0) this.onStart?.(times);
  }

  /** What is sent with the templates may fill messages of its own, which start no refresh. */
  #refresh(): void {
    this.#isRefreshing = true;
    this.#refreshed = this.clock.times[NOW]!;
    this.onRefresh?.();
    this.#messagesSinceRefresh = 0;
    this.#isRefreshing = false;
  }

  #announce(templates: readonly Template[]): void {
    this.#closeSet();
    for (const template of templates) this.#announceOne(template);
    this.#closeSet();
    if (this.#oneSetPerMessage) this.close();
  }

  /** Templates of flow records share a set. Those of options have one each: some collectors read the first in a set only. */
  #announceOne(template: Template): void {
    const length = template.announcementLength;
    if (template.isOptions) this.#closeSet();
    const isFull = !this.#fits(length + (this.#setStart === NO_SET ? SET_HEADER : 0));
    if (this.#isOpen && isFull) this.#close();
    if (!this.#isOpen) this.#startMessage();
    const { templateSetId, optionsTemplateSetId, alignsSets } = this.#dialect;
    if (this.#setStart === NO_SET) this.#startSet(template.isOptions ? optionsTemplateSetId : templateSetId);
    this.#writeTemplate(template);
    template.announcements++;
    if (!template.isOptions) return;
    this.#closeSet();
    // It ends two octets behind a multiple of 4: without padding no other set can follow.
    if (alignsSets) this.#close();
  }

  #writeTemplate({ id, scopes, fields }: Template): void {
    const { view } = this;
    view.setUint16(this.#at, id);
    if (scopes.length > 0) {
      this.#dialect.writeScopes(view, this.#at + 2, scopes.length, fields.length);
      this.#at += 6;
    } else {
      view.setUint16(this.#at + 2, fields.length);
      this.#at += 4;
    }
    for (const field of scopes) this.#writeField(field);
    for (const field of fields) this.#writeField(field);
    this.#templateRecords++;
  }

  #writeField({ id, length, enterprise }: Field): void {
    const { view } = this;
    view.setUint16(this.#at, enterprise === undefined ? id : id | ENTERPRISE_BIT);
    view.setUint16(this.#at + 2, length);
    this.#at += 4;
    if (enterprise === undefined) return;
    view.setUint32(this.#at, enterprise);
    this.#at += 4;
  }

  #fits(octets: number): boolean {
    return this.#at + octets <= this.limit;
  }

  #startMessage(): void {
    this.#isOpen = true;
    this.clock.open();
    this.#at = this.#dialect.headerLength;
    this.#dataRecords = 0;
    this.#flowRecords = 0;
    this.#templateRecords = 0;
  }

  #startSet(id: number): void {
    this.#setStart = this.#at;
    this.view.setUint16(this.#at, id);
    this.#at += SET_HEADER;
  }

  /** Ends the set. Data is filled up with zeros to a multiple of 4 octets; behind templates some collectors take zeros for another. */
  #closeSet(): void {
    if (this.#setStart === NO_SET) return;
    if (this.#setTemplate !== undefined) {
      while (this.#at % 4 !== 0) this.octets[this.#at++] = 0;
    }
    this.view.setUint16(this.#setStart + 2, this.#at - this.#setStart);
    this.#setStart = NO_SET;
    this.#setTemplate = undefined;
  }

  #close(): void {
    this.#closeSet();
    this.clock.close();
    const length = this.#at;
    const records = this.#flowRecords;
    const header = this.#header;
    header.length = length;
    header.records = this.#dataRecords + this.#templateRecords;
    header.sequence = this.#sequence;
    this.#dialect.writeHeader(this.view, header, this.clock.times);
    this.#sequence = (this.#sequence + (this.#dialect.sequenceOf === 'records' ? this.#dataRecords : 1)) | 0;
    this.#messagesSinceRefresh++;
    this.#isOpen = false;
    this.messages++;
    this.sentOctets += length;
    this.flowRecords += records;
    this.#room.send(this.#message, length, records);
    this.onSent?.();
  }
}

function roundUp(octets: number): number {
  return (octets + 3) & ~3;
}
