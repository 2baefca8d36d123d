/** Templates of NetFlow v9 and IPFIX: their Template Records, and what the core writes the records of a flow by. */
import { allocate, viewOf, writeWords } from './core.js';
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
}

/** What stands where in the program that the core knows (`assembly/template-record`): words of 32 bits. */
const RUN = 12;
const RUN_LENGTH = 16;
const RUN_CAPACITY = 20;
const PROGRAM_LENGTH = 24;

/** In the place of a word: the next one belongs behind it. */
const PAIR = 1;

/** The records of a flow: which of its words they are, in which order. */
export class FlowTemplate extends Template {
  /** Octets of a record. */
  readonly recordLength: number;
  /** Address of what the core knows of it. */
  readonly program: number;
  readonly #view: DataView;

  constructor(id: number, parts: readonly Part[]) {
    super(
      id,
      parts.flatMap(({ fields }) => fields),
    );
    this.recordLength = this.fields.reduce((sum, { length }) => sum + length, 0);
    const forward = this.#places(parts.flatMap(({ words }) => words));
    const reply = this.#places(parts.flatMap(({ replyWords }) => replyWords));
    this.program = allocate(PROGRAM_LENGTH, this);
    this.#view = viewOf(this.program, PROGRAM_LENGTH);
    writeWords(this.program, [this.recordLength, forward, reply]);
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

  /** Lays down where the words of a record stand among those of a flow. */
  #places(words: readonly number[]): number {
    const at = allocate(4 * words.length, this);
    const whole = this.recordLength >> 2;
    const places: number[] = [];
    for (let n = 0; n < words.length; n++) {
      const isPair = n + 1 < whole && words[n + 1] === words[n]! + 1;
      places.push(4 * words[n]! + (isPair ? PAIR : 0));
      if (isPair) n++;
    }
    writeWords(at, places);
    return at;
  }
}
