/** Templates of NetFlow v9 and IPFIX: their Template Records, and where the records of a flow wait. */
import { allocate, viewOf, writeWords } from '../core.js';
import type { Field } from './element.js';
import type { Part } from './template-part.js';

/** A Template Record, or with scopes an Options Template Record. */
export class Template {
  readonly id: number;
  readonly scopes: readonly Field[];
  readonly isOptions: boolean;
  readonly fields: readonly Field[];
  /** Octets of the Template Record. */
  readonly announcementLength: number;
  /** How often it has been sent in this transport session. */
  announcements = 0;

  constructor(id: number, fields: readonly Field[], scopes: readonly Field[] = []) {
    this.id = id;
    this.scopes = scopes;
    this.isOptions = scopes.length > 0;
    this.fields = fields;
    const all = [...scopes, ...fields];
    const enterprises = all.filter(({ enterprise }) => enterprise !== undefined).length;
    this.announcementLength = (scopes.length > 0 ? 6 : 4) + 4 * (all.length + enterprises);
  }

  /** It has been sent once more. */
  countAnnouncement(): void {
    this.announcements++;
  }

  /** A new transport session: nobody knows it any more. */
  forgetAnnouncements(): void {
    this.announcements = 0;
  }
}

/** What stands where in what the core knows of a template (`assembly/lent-message`): words of 32 bits. */
const IS_ANNOUNCED = 8;
const RUN = 12;
const RUN_CAPACITY = 16;
const RUN_LENGTH = 20;
const LENGTH = 24;

/** The template of a kind of flow records, which the core writes. */
export class FlowTemplate extends Template {
  /** Octets of a record. */
  readonly recordLength: number;
  /** Address of what the core knows of it. */
  readonly at: number;
  readonly #view: DataView;

  constructor(id: number, parts: readonly Part[]) {
    super(id, parts.flat());
    this.recordLength = this.fields.reduce((sum, { length }) => sum + length, 0);
    this.at = allocate(LENGTH, this);
    this.#view = viewOf(this.at, LENGTH);
    writeWords(this.at, [id, this.recordLength]);
  }

  override countAnnouncement(): void {
    super.countAnnouncement();
    this.#view.setUint32(IS_ANNOUNCED, 1, true);
  }

  override forgetAnnouncements(): void {
    super.forgetAnnouncements();
    this.#view.setUint32(IS_ANNOUNCED, 0, true);
  }

  /** From now on records wait in the `capacity` octets at `run`, which are a multiple of a record's length. */
  collect(run: number, capacity: number): void {
    this.#view.setUint32(RUN, run, true);
    this.#view.setUint32(RUN_CAPACITY, capacity, true);
  }

  /** Octets of the records that wait. */
  get waiting(): number {
    return this.#view.getUint32(RUN_LENGTH, true);
  }

  /** None waits any more. */
  forget(): void {
    this.#view.setUint32(RUN_LENGTH, 0, true);
  }
}
