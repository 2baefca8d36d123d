/**
 * Records that are kept until those of one template fill a few messages. Such messages have one length, and leave faster
 * where the system cuts datagrams of one length out of a single piece. Records of different templates may change places.
 */
import { allocate, wordsAt } from './core.js';
import type { MessageWriter } from './message-writer.js';
import type { FlowTemplate } from './template.js';

/** Octets of a run: 16 messages that fit an Ethernet frame each. */
const LENGTH = 24 << 10;

/** Templates that have a run: the frequent ones come early. The records of others take their place in a message at once. */
const MOST_RUNS = 24;

/** Records of one template, one behind the other, where the core writes them. */
class RecordRun {
  readonly template: FlowTemplate;
  /** What fills a message each. */
  readonly parts: readonly Int32Array[];
  readonly recordsOfPart: number;

  constructor(template: FlowTemplate, recordsOfPart: number) {
    const partOctets = recordsOfPart * template.recordLength;
    const length = Math.max(1, Math.floor(LENGTH / partOctets));
    const at = allocate(length * partOctets, this);
    this.template = template;
    this.parts = Array.from({ length }, (_, part) => wordsAt(at + part * partOctets, partOctets / 4));
    this.recordsOfPart = recordsOfPart;
    template.collect(at, length * partOctets);
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
    const { parts, recordsOfPart } = this.#runs.get(template)!;
    const { recordLength } = template;
    let left = template.waiting / recordLength;
    for (let part = 0; left > 0; part++) {
      const records = Math.min(left, recordsOfPart);
      const words = parts[part]!;
      const octets = records * recordLength;
      const at = this.#writer.place(template, octets, now, records);
      this.#writer.words.set(octets === words.byteLength ? words : words.subarray(0, octets / 4), at / 4);
      left -= records;
    }
    template.forget();
  }

  /** The same for all templates. */
  flush(now: number): void {
    for (const template of this.#runs.keys()) this.send(template, now);
  }
}
