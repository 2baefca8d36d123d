/**
 * Records that are kept until those of one template fill a few messages. Such messages have one length, and leave faster
 * where the system cuts datagrams of one length out of a single piece. Records of different templates may change places.
 */
import type { FlowRecord } from './flow-record.js';
import type { GatheredFlow } from './gathered-flow.js';
import type { MessageRoom } from './message.js';
import type { MessageWriter } from './message-writer.js';
import type { FlowTemplate } from './template.js';

/** Octets of a run: 16 messages that fit an Ethernet frame each. */
const LENGTH = 24 << 10;

/** Records of one template, one behind the other. Their template writes into it as into a message. */
export class RecordRun {
  readonly words: Int32Array;
  readonly view: DataView;
  /** Octets taken. */
  length = 0;
  /** What fills a message each. */
  readonly parts: readonly Int32Array[];
  readonly recordsOfPart: number;
  /** Octets there are. */
  readonly capacity: number;

  constructor(recordsOfPart: number, recordLength: number) {
    const partWords = (recordsOfPart * recordLength) / 4;
    const length = Math.max(1, Math.floor(LENGTH / (4 * partWords)));
    const words = new Int32Array(length * partWords);
    this.words = words;
    this.view = new DataView(words.buffer);
    this.parts = Array.from({ length }, (_, part) =>
      words.subarray(part * partWords, (part + 1) * partWords),
    );
    this.recordsOfPart = recordsOfPart;
    this.capacity = words.byteLength;
  }
}

export class RecordRuns {
  readonly #writer: MessageWriter;
  readonly #room: MessageRoom;
  /** Those that have a run, in the order of their first record. */
  readonly #templates: FlowTemplate[] = [];
  /** The latest moment that a record is from, in milliseconds of the data's clock, which may be set back. */
  #latest = Number.NEGATIVE_INFINITY;

  constructor(writer: MessageWriter, room: MessageRoom) {
    this.#writer = writer;
    this.#room = room;
  }

  /** Takes up the forward record (0) or the reply record (1) of a flow. Its template has records of whole words. */
  add(template: FlowTemplate, gathered: GatheredFlow, reply: 0 | 1, flow: FlowRecord): void {
    const run = template.run ?? this.#begin(template);
    template.write(run, run.length, gathered, reply);
    run.length += template.recordLength;
    if (flow.observed > this.#latest) this.#latest = flow.observed;
    if (run.length === run.capacity) this.#send(template, run, this.#latest);
  }

  /** Hands everything on to the writer. The answer is `now`, or a later time of the records: messages are not sent before. */
  flush(now: number): number {
    const time = Math.max(now, this.#latest);
    for (const template of this.#templates) this.#send(template, template.run!, time);
    this.#latest = Number.NEGATIVE_INFINITY;
    return time;
  }

  #begin(template: FlowTemplate): RecordRun {
    const records = Math.floor(this.#writer.longestSet / template.recordLength);
    const run = new RecordRun(records, template.recordLength);
    template.run = run;
    this.#templates.push(template);
    return run;
  }

  #send(template: FlowTemplate, run: RecordRun, now: number): void {
    const { recordLength } = template;
    let left = run.length / recordLength;
    for (let part = 0; left > 0; part++) {
      const records = Math.min(left, run.recordsOfPart);
      const words = run.parts[part]!;
      const octets = records * recordLength;
      const at = this.#writer.place(template, octets, now, records);
      this.#room.words.set(octets === words.byteLength ? words : words.subarray(0, octets / 4), at / 4);
      left -= records;
    }
    run.length = 0;
  }
}
