/** Templates of NetFlow v9 and IPFIX: their Template Records, and how the records of a flow are written by them. */
import { MACHINE_ORDER } from './byte-order.js';
import type { Field } from './element.js';
import type { GatheredFlow } from './gathered-flow.js';
import type { MessageRoom } from './message.js';
import type { RecordRun } from './record-runs.js';
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

/** Writes the record of a flow, of which it is handed the words, at an offset of a message. */
type Write = (message: Room, at: number, flow: Int32Array) => void;

type Room = Pick<MessageRoom, 'view' | 'words'>;

/** The records of a flow: which of its words they are, in which order. */
export class FlowTemplate extends Template {
  /** Octets of a record. */
  readonly recordLength: number;
  /** Records that wait until they fill messages of their own. */
  run: RecordRun | undefined;
  readonly #write: Write;
  readonly #writeReply: Write;

  constructor(id: number, parts: readonly Part[]) {
    super(
      id,
      parts.flatMap(({ fields }) => fields),
    );
    this.recordLength = this.fields.reduce((sum, { length }) => sum + length, 0);
    this.#write = writerOf(
      parts.flatMap(({ words }) => words),
      this.recordLength,
    );
    this.#writeReply = writerOf(
      parts.flatMap(({ replyWords }) => replyWords),
      this.recordLength,
    );
  }

  /** Writes the forward record (0) or the reply record (1) at `at`. */
  write(message: Room, at: number, flow: GatheredFlow, reply: 0 | 1): void {
    if (reply === 0) this.#write(message, at, flow.words);
    else this.#writeReply(message, at, flow.words);
  }
}

/**
 * A function of one assignment for each word. A loop over `words` takes 36 instructions for each, as V8 looks at all three
 * arrays anew, and this one 10 with its call: the mask tells V8 that no sum leaves 32 bits, for which it looks otherwise.
 */
function writerOf(words: readonly number[], length: number): Write {
  // Where all records of a set are whole words, each begins at one.
  const lines = length % 4 === 0 ? wordAssignments(words) : octetAssignments(words, length);
  return new Function('message', 'at', 'flow', ['"use strict";', ...lines].join('\n')) as Write;
}

function wordAssignments(words: readonly number[]): string[] {
  return [
    'const to = message.words, first = (at >> 2) & 0xfffff;',
    ...words.map((word, i) => `to[first + ${i}] = flow[${word}];`),
  ];
}

function octetAssignments(words: readonly number[], length: number): string[] {
  const whole = words.slice(0, length >> 2);
  const rest = Array.from({ length: length % 4 }, (_, octet) => (MACHINE_ORDER ? 8 * octet : 24 - 8 * octet));
  return [
    'const to = message.view;',
    ...whole.map((word, i) => `to.setInt32(at + ${4 * i}, flow[${word}], ${MACHINE_ORDER});`),
    ...rest.map(
      (shift, i) => `to.setUint8(at + ${4 * whole.length + i}, flow[${words.at(-1)}] >> ${shift});`,
    ),
  ];
}
