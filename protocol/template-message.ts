/** What NetFlow v9 (RFC 3954) and IPFIX (RFC 7011) have in common: messages of sets, records described by templates. */
import { ELEMENTS } from './element.js';
import { type FlowRecord, type NatView, sourceEnd } from './flow-record.js';
import { type EncoderLosses, FIRST_ANNOUNCEMENTS, type FlowEncoder, type MessageRoom } from './message.js';
import type { Profile, Template } from './template.js';
import { UptimeClock } from './uptime.js';

/** Where the two formats differ. */
export interface Dialect {
  readonly headerLength: number;
  readonly templateSetId: number;
  /** The header's sequence counts `records` (IPFIX: data records) or `messages` (v9). */
  readonly sequenceOf: 'records' | 'messages';
  writeHeader(view: DataView, message: MessageHeader): void;
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

export interface TemplateOptions {
  readonly nat: NatView;
  /** Observation Domain or Source ID. */
  readonly domain: number;
  /** Templates are sent again after this many milliseconds, and after this many messages (0: only by time). */
  readonly refreshTime: number;
  readonly refreshMessages: number;
}

const SET_HEADER = 4;
const NO_SET = -1;

export class TemplateMessageEncoder implements FlowEncoder, EncoderLosses {
  readonly clampedCounters = 0;
  readonly #room: MessageRoom;
  readonly #dialect: Dialect;
  readonly #profile: Profile;
  readonly #options: TemplateOptions;
  readonly #clock = new UptimeClock();
  readonly #header = new MessageHeader();
  /** Octets of a message, so that a set's padding always has its place. */
  readonly #limit: number;
  /** Templates in use, in the order of their first record. */
  readonly #templates: Template[];
  #sequence = 0;
  #refreshed = Number.NEGATIVE_INFINITY;
  #messagesSinceRefresh = 0;
  #isOpen = false;
  #at = 0;
  #setStart = NO_SET;
  #setTemplate: Template | undefined;
  #dataRecords = 0;
  #templateRecords = 0;

  constructor(room: MessageRoom, dialect: Dialect, profile: Profile, options: TemplateOptions) {
    this.#room = room;
    this.#dialect = dialect;
    this.#profile = profile;
    this.#options = options;
    this.#header.domain = options.domain;
    this.#limit = room.view.byteLength & ~3;
    this.#templates = [...profile.fixed];
  }

  get losses(): EncoderLosses {
    return this;
  }

  get clippedTimes(): number {
    return this.#clock.clipped;
  }

  add(flow: FlowRecord): number {
    const source = sourceEnd(flow, this.#options.nat);
    const template = this.#profile.select(flow, source);
    if (
      template !== this.#setTemplate ||
      !this.#fits(template.recordLength) ||
      !this.#clock.holds(flow.observed)
    ) {
      this.#openSet(template, flow.observed);
    }
    template.write(this.#room.view, this.#at, flow, source, this.#clock);
    this.#at += template.recordLength;
    this.#dataRecords++;
    return 1;
  }

  flush(now: number): void {
    if (this.#isOpen) this.#close(now);
  }

  restart(): void {
    this.#sequence = 0;
    this.#refreshed = Number.NEGATIVE_INFINITY;
    for (const template of this.#templates) template.announcements = 0;
  }

  /** Makes room for a record of `template`: in the message that is open, or in a new one. */
  #openSet(template: Template, now: number): void {
    this.#closeSet();
    const isNew = template.announcements === 0 && !this.#templates.includes(template);
    if (isNew) this.#templates.push(template);
    const announcement = template.announcements === 0 ? SET_HEADER + announcementLength(template) : 0;
    const needed = announcement + SET_HEADER + template.recordLength;
    const mustLeave = this.#profile.oneSetPerMessage || !this.#clock.holds(now) || !this.#fits(needed);
    if (this.#isOpen && mustLeave) this.#close(now);
    if (!this.#isOpen) this.#openMessage(now);
    if (template.announcements === 0) this.#announce([template], now);
    // Announcing many templates may have filled the message.
    if (this.#isOpen && !this.#fits(SET_HEADER + template.recordLength)) this.#close(now);
    if (!this.#isOpen) this.#startMessage(now);
    this.#startSet(template.id);
    this.#setTemplate = template;
  }

  #openMessage(now: number): void {
    this.#startMessage(now);
    const { refreshTime, refreshMessages } = this.#options;
    const isDue =
      Math.abs(now - this.#refreshed) >= refreshTime ||
      (refreshMessages > 0 && this.#messagesSinceRefresh >= refreshMessages);
    if (isDue) {
      this.#refreshed = now;
      this.#messagesSinceRefresh = 0;
    }
    const due = isDue
      ? this.#templates
      : this.#templates.filter((template) => template.announcements < FIRST_ANNOUNCEMENTS);
    if (due.length > 0) this.#announce(due, now);
  }

  #announce(templates: readonly Template[], now: number): void {
    this.#closeSet();
    for (const template of templates) {
      const length = announcementLength(template);
      if (!this.#fits(length + (this.#setStart === NO_SET ? SET_HEADER : 0))) {
        this.#close(now);
        this.#startMessage(now);
      }
      if (this.#setStart === NO_SET) this.#startSet(this.#dialect.templateSetId);
      this.#writeTemplate(template);
      template.announcements++;
    }
    this.#closeSet();
    if (this.#profile.oneSetPerMessage) this.#close(now);
  }

  #writeTemplate(template: Template): void {
    const { view } = this.#room;
    view.setUint16(this.#at, template.id);
    view.setUint16(this.#at + 2, template.elements.length);
    this.#at += 4;
    for (const name of template.elements) {
      view.setUint16(this.#at, ELEMENTS[name].id);
      view.setUint16(this.#at + 2, ELEMENTS[name].length);
      this.#at += 4;
    }
    this.#templateRecords++;
  }

  #fits(octets: number): boolean {
    return this.#at + octets <= this.#limit;
  }

  #startMessage(now: number): void {
    this.#isOpen = true;
    this.#clock.open(now);
    this.#at = this.#dialect.headerLength;
    this.#dataRecords = 0;
    this.#templateRecords = 0;
  }

  #startSet(id: number): void {
    this.#setStart = this.#at;
    this.#room.view.setUint16(this.#at, id);
    this.#at += SET_HEADER;
  }

  /** Fills the set up to 4 octets with zeros, and writes its length. */
  #closeSet(): void {
    this.#setTemplate = undefined;
    if (this.#setStart === NO_SET) return;
    const { view } = this.#room;
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
    header.time = this.#clock.headerTime(now);
    header.uptime = header.time - this.#clock.boot;
    this.#dialect.writeHeader(this.#room.view, header);
    const step = this.#dialect.sequenceOf === 'records' ? this.#dataRecords : 1;
    this.#sequence = (this.#sequence + step) >>> 0;
    this.#messagesSinceRefresh++;
    this.#isOpen = false;
    this.#room.send(this.#at, this.#dataRecords);
  }
}

function announcementLength(template: Template): number {
  return 4 + 4 * template.elements.length;
}
