/** Messages of sets, as in NetFlow v9 (RFC 3954) and IPFIX (RFC 7011): fills each up, and announces templates in time. */
import { allocate, viewOf } from '../core.js';
import type { Field } from './element.js';
import { FIRST_ANNOUNCEMENTS, type MessageRoom } from './message.js';
import { type MessagePlace, type MessagePlaces, placesIn } from './message-place.js';
import type { FlowTemplate, Template } from './template.js';
import { UptimeClock } from './uptime.js';

/** Where the two formats differ. */
export interface Dialect {
  readonly headerLength: number;
  readonly templateSetId: number;
  readonly optionsTemplateSetId: number;
  /** The header's sequence counts `records` (IPFIX: data records) or `messages` (v9). */
  readonly sequenceOf: 'records' | 'messages';
  writeHeader(view: DataView, message: MessageHeader): void;
  /** The four octets behind the id of an Options Template Record, which tell where its scopes end. */
  writeScopes(view: DataView, at: number, scopes: number, fields: number): void;
}

/** Reused: what a header may need to know. Times in milliseconds. */
export class MessageHeader {
  length = 0;
  /** Templates and data records in the message. */
  records = 0;
  sequence = 0;
  domain = 0;
  time = 0;
  uptime = 0;
}

export interface WriterOptions {
  /** Observation Domain or Source ID. */
  readonly domain: number;
  /** Templates are sent again after this many milliseconds, and after this many messages (0: only by time). */
  readonly refreshTime: number;
  readonly refreshMessages: number;
  /** The first message's sequence number; 0 unless told otherwise. */
  readonly sequence?: number;
  /** Templates announced from the start on; the others with their first record. */
  readonly fixed?: readonly Template[];
  /** Templates stand in messages of their own, and each message holds one data set. */
  readonly oneSetPerMessage?: boolean;
}

/** What stands where in what the core knows of a message that is lent to it (`assembly/lent-message`): words, and a double at the end. */
const START = 0;
const AT = 4;
const LIMIT = 8;
const SET_START = 12;
const TEMPLATE = 16;
const RECORDS = 20;
const OPENS_SETS = 24;
const HOLDS_UNTIL = 32;
const LENT_LENGTH = 40;

const SET_HEADER = 4;
const NO_SET = -1;
const ENTERPRISE_BIT = 0x8000;

export class MessageWriter {
  readonly clock = new UptimeClock();
  /** Called when templates are sent again, and at the start: data that describes the exporter belongs here. */
  onRefresh: ((now: number) => void) | undefined;
  /** Called when a message has left and the room is free. */
  onSent: ((now: number) => void) | undefined;
  /** What was handed to the room so far. Records are flow records; options are none. */
  messages = 0;
  octets = 0;
  flowRecords = 0;
  readonly #room: MessageRoom;
  readonly #places: MessagePlaces;
  /** Of the message that is being filled. */
  #place: MessagePlace;
  readonly #dialect: Dialect;
  readonly #options: WriterOptions;
  readonly #oneSetPerMessage: boolean;
  readonly #header = new MessageHeader();
  /** Octets of a message, so that a set's padding always has its place. */
  readonly #limit: number;
  /** Templates in use, in the order of their first record. */
  readonly #templates: Template[];
  /** Address of what the core knows of the message, where it is lent. */
  readonly lentAt = allocate(LENT_LENGTH, this);
  readonly #lent = viewOf(this.lentAt, LENT_LENGTH);
  #isLent = false;
  /** Templates of which the core may have opened a set, by their addresses. */
  readonly #borrowers = new Map<number, FlowTemplate>();
  /** All of them have been announced often enough. */
  #areKnown = false;
  #sequence: number;
  #refreshed = Number.NEGATIVE_INFINITY;
  #messagesSinceRefresh = 0;
  #isRefreshing = false;
  #isOpen = false;
  #at = 0;
  #setStart = NO_SET;
  #setId = 0;
  #setTemplate: Template | undefined;
  #dataRecords = 0;
  #flowRecords = 0;
  #templateRecords = 0;

  constructor(room: MessageRoom, dialect: Dialect, options: WriterOptions) {
    this.#room = room;
    this.#dialect = dialect;
    this.#options = options;
    this.#header.domain = options.domain;
    this.#limit = room.longest & ~3;
    this.#places = placesIn(room);
    this.#place = this.#places.place;
    this.#templates = [...(options.fixed ?? [])];
    this.#oneSetPerMessage = options.oneSetPerMessage ?? false;
    this.#sequence = options.sequence ?? 0;
    this.#lent.setUint32(OPENS_SETS, Number(!this.#oneSetPerMessage), true);
  }

  /** Address of the message that is being filled, in the core's memory. */
  get start(): number {
    return this.#place.at;
  }

  get view(): DataView {
    return this.#place.view;
  }

  /** Octets of records that a message has room for. */
  get longestSet(): number {
    return this.#limit - this.#dialect.headerLength - SET_HEADER;
  }

  /** Makes room for so many records of `length` octets together; the answer is its offset in `view`. `now` is the data's clock. */
  place(template: Template, length: number, now: number, records = 1): number {
    this.#takeBack();
    this.#makeRoom(template, length, now);
    const at = this.#at;
    this.#at += length;
    this.#dataRecords += records;
    if (!template.isOptions) this.#flowRecords += records;
    return at;
  }

  /**
   * Lends the message to the core, with room for a record of the template. The core puts records into it, of this template and of
   * others, until the message is full or the next call of this writer.
   */
  lend(template: FlowTemplate, now: number): void {
    this.#takeBack();
    this.#makeRoom(template, template.recordLength, now);
    this.#borrowers.set(template.at, template);
    const lent = this.#lent;
    lent.setUint32(START, this.start, true);
    lent.setUint32(AT, this.#at, true);
    lent.setUint32(LIMIT, this.#limit, true);
    lent.setUint32(SET_START, this.#setStart, true);
    lent.setUint32(TEMPLATE, template.at, true);
    lent.setUint32(RECORDS, 0, true);
    lent.setFloat64(HOLDS_UNTIL, this.clock.holdsUntil, true);
    this.#isLent = true;
  }

  flush(now: number): void {
    this.#takeBack();
    if (this.#isOpen) this.#close(now);
  }

  /** Templates, and what is told with them, go with the next message. */
  refresh(): void {
    this.#refreshed = Number.NEGATIVE_INFINITY;
  }

  /** A new transport session. */
  restart(): void {
    this.#sequence = 0;
    this.#refreshed = Number.NEGATIVE_INFINITY;
    for (const template of this.#templates) template.forgetAnnouncements();
    this.#areKnown = false;
  }

  /** What the core did to the message becomes known here. */
  #takeBack(): void {
    if (!this.#isLent) return;
    this.#isLent = false;
    const lent = this.#lent;
    const records = lent.getUint32(RECORDS, true);
    this.#at = lent.getUint32(AT, true);
    this.#setStart = lent.getUint32(SET_START, true);
    this.#setTemplate = this.#borrowers.get(lent.getUint32(TEMPLATE, true));
    this.#dataRecords += records;
    this.#flowRecords += records;
    lent.setUint32(START, 0, true);
  }

  #makeRoom(template: Template, length: number, now: number): void {
    if (template !== this.#setTemplate || !this.#fits(length) || !this.clock.holds(now)) {
      this.#openSet(template, length, now);
    }
  }

  /** Opens a set of `template`: in the message that is open, or in a new one. */
  #openSet(template: Template, length: number, now: number): void {
    this.#closeSet();
    const isNew = template.announcements === 0 && !this.#templates.includes(template);
    if (isNew) {
      this.#templates.push(template);
      this.#areKnown = false;
    }
    const announcement = template.announcements === 0 ? SET_HEADER + template.announcementLength : 0;
    const needed = roundUp(announcement) + SET_HEADER + length;
    const mustLeave = this.#oneSetPerMessage || !this.clock.holds(now) || !this.#fits(needed);
    if (this.#isOpen && mustLeave) this.#close(now);
    if (!this.#isOpen) this.#openMessage(now);
    if (template.announcements === 0) this.#announce([template], now);
    this.#closeSet();
    // Announcing many templates may have filled the message.
    if (this.#isOpen && !this.#fits(SET_HEADER + length)) this.#close(now);
    if (!this.#isOpen) this.#startMessage(now);
    this.#startSet(template.id);
    this.#setTemplate = template;
  }

  #openMessage(now: number): void {
    this.#startMessage(now);
    const { refreshTime, refreshMessages } = this.#options;
    const isDue =
      !this.#isRefreshing &&
      (Math.abs(now - this.#refreshed) >= refreshTime ||
        (refreshMessages > 0 && this.#messagesSinceRefresh >= refreshMessages));
    if (!isDue && this.#areKnown) return;
    const { keepsTemplates = false } = this.#room;
    const enough = keepsTemplates ? 1 : FIRST_ANNOUNCEMENTS;
    const due =
      isDue && !keepsTemplates
        ? this.#templates
        : this.#templates.filter((template) => template.announcements < enough);
    if (due.length > 0) this.#announce(due, now);
    this.#areKnown = this.#templates.every(({ announcements }) => announcements >= enough);
    if (isDue) this.#refresh(now);
  }

  /** What is told with the templates may fill messages of its own, which start no refresh. */
  #refresh(now: number): void {
    this.#isRefreshing = true;
    this.#refreshed = now;
    this.onRefresh?.(now);
    this.#messagesSinceRefresh = 0;
    this.#isRefreshing = false;
  }

  #announce(templates: readonly Template[], now: number): void {
    this.#closeSet();
    for (const template of templates) {
      const setId = template.isOptions ? this.#dialect.optionsTemplateSetId : this.#dialect.templateSetId;
      if (this.#setStart !== NO_SET && setId !== this.#setId) this.#closeSet();
      const length = template.announcementLength;
      if (!this.#fits(length + (this.#setStart === NO_SET ? SET_HEADER : 0))) {
        this.#close(now);
        this.#startMessage(now);
      }
      if (this.#setStart === NO_SET) this.#startSet(setId);
      this.#writeTemplate(template);
      template.countAnnouncement();
    }
    this.#closeSet();
    if (this.#oneSetPerMessage) this.#close(now);
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
    return this.#at + octets <= this.#limit;
  }

  #startMessage(now: number): void {
    this.#isOpen = true;
    this.#place = this.#places.place;
    this.clock.open(now);
    this.#at = this.#dialect.headerLength;
    this.#dataRecords = 0;
    this.#flowRecords = 0;
    this.#templateRecords = 0;
  }

  #startSet(id: number): void {
    this.#setStart = this.#at;
    this.#setId = id;
    this.view.setUint16(this.#at, id);
    this.#at += SET_HEADER;
  }

  /** Fills the set up to 4 octets with zeros, and writes its length. */
  #closeSet(): void {
    this.#setTemplate = undefined;
    if (this.#setStart === NO_SET) return;
    const { view } = this;
    while (this.#at % 4 !== 0) view.setUint8(this.#at++, 0);
    view.setUint16(this.#setStart + 2, this.#at - this.#setStart);
    this.#setStart = NO_SET;
  }

  #close(now: number): void {
    this.#closeSet();
    const header = this.#header;
    header.length = this.#at;
    header.records = this.#dataRecords + this.#templateRecords;
    header.sequence = this.#sequence;
    header.time = this.clock.headerTime(now);
    header.uptime = header.time - this.clock.boot;
    this.#dialect.writeHeader(this.view, header);
    const step = this.#dialect.sequenceOf === 'records' ? this.#dataRecords : 1;
    this.#sequence = (this.#sequence + step) >>> 0;
    this.#messagesSinceRefresh++;
    this.#isOpen = false;
    this.messages++;
    this.octets += this.#at;
    this.flowRecords += this.#flowRecords;
    this.#places.sendPlaced(this.#at, this.#flowRecords);
    this.onSent?.(now);
  }
}

function roundUp(octets: number): number {
  return (octets + 3) & ~3;
}
