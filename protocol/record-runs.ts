/**
 * Records that are kept until those of one template fill a few messages. Such messages have one length, and leave faster
 * where the system cuts datagrams of one length out of a single piece. Records of different templates may change places.
 */
import { allocate, core } from './core.js';
import type { MessageWriter } from './message-writer.js';
import type { FlowTemplate } from './template.js';

/** Octets of a run: 16 messages that fit an Ethernet frame each. */
const LENGTH = 24 << 10;

/** Templates that have a run: the frequent ones come early. The records of others take their place in a message at once. */
const MOST_RUNS = 24;

/** Records of one template, one behind the other, where the core writes them. */
class RecordRun {
  /** Its address. */
  readonly at: number;
  /** Records that fill a message. */
  readonly recordsOfMessage: number;

  constructor(template: FlowTemplate, recordsOfMessage: number) {
    const octets = recordsOfMessage * template.recordLength;
    const messages = Math.max(1, Math.floor(LENGTH / octets));
    this.at = allocate(messages * octets, this);
    this.recordsOfMessage = recordsOfMessage;
    template.collect(this.at, messages * octets);
  }
}

export class RecordRuns {
  readonly #writer: MessageWriter;
  /** In the order of their first record. */
  readonly #runs = new Map<FlowTemplate, RecordRun>();

  constructor(writer: MessageWriter) {
    this.#writer = writer;
  }

  /** The template's records wait from now on, where they are whole words and there is room for one more run. */
  begin(template: FlowTemplate): void {
    if (template.recordLength % 4 !== 0 || this.#runs.size === MOST_RUNS) return;
    const records = Math.floor(this.#writer.longestSet / template.recordLength);
    this.#runs.set(template, new RecordRun(template, records));
  }

  /** Hands what waits of a template on to the writer. `now` is not before any of the records ended. */
  send(template: FlowTemplate, now: number): void {
    const writer = this.#writer;
    const { at, recordsOfMessage } = this.#runs.get(template)!;
    const { recordLength } = template;
    const end = at + template.waiting;
    for (let from = at; from < end; ) {
      const records = Math.min((end - from) / recordLength, recordsOfMessage);
      const octets = records * recordLength;
      const offset = writer.place(template, octets, now, records);
      core.copy(writer.start + offset, from, octets);
      from += octets;
    }
    template.forget();
  }

  /** The same for all templates. */
  flush(now: number): void {
    for (const template of this.#runs.keys()) this.send(template, now);
  }
}
