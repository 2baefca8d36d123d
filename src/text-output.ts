/** Flow records as lines of text, to a file or standard output. */
import { allocate, memory, memoryOctets, writeWords } from '../protocol/core.js';
import { type FlowRecord, type FlowRows, forEachFlow, forEachRecord } from '../protocol/flow-record.js';
import type { FlowSink } from './flow-sink.js';
import type { OutputFile } from './output-file.js';

/** One way of writing flows as text. Everything it gives is ASCII. */
export interface FlowFormat {
  /** What stands above the flows, with its line end; empty when nothing does. */
  header(): string;
  /** Lines that wait to leave. */
  readonly lines: LineBuffer;
  /** Writes the record at hand as one more line of `lines`: LONGEST_LINE octets at most. */
  write(flow: FlowRecord): void;
  /** Writes all records of the flows among the rows, and calls `handOn` when the lines are full: where it is faster than one by one. */
  writeAll?(flows: FlowRows, handOn: () => void): void;
}

const LONGEST_LINE = 4096;

/** Lines are gathered up to this length. */
const BLOCK = 65536;

/** What stands where in what the core knows of lines: words of 32 bits (`assembly/json`). */
const LENGTH = 0;
const HEAD = 16;

/** Room for a block of lines, in the core's memory. */
export class LineBuffer {
  /** Address of what the core knows of it. */
  readonly at = allocate(HEAD + BLOCK + 2 * LONGEST_LINE, this);
  readonly #text = this.at + HEAD;

  constructor() {
    writeWords(this.at, [0, BLOCK, this.#text]);
  }

  get length(): number {
    return memory.getUint32(this.at + LENGTH, true);
  }

  get isFull(): boolean {
    return this.length >= BLOCK;
  }

  text(text: string): void {
    const end = writeText(memory, this.#text + this.length, text);
    memory.setUint32(this.at + LENGTH, end - this.#text, true);
  }

  /** What was written since the last time; it is valid until the next writing. */
  take(): Uint8Array {
    const lines = memoryOctets.subarray(this.#text, this.#text + this.length);
    memory.setUint32(this.at + LENGTH, 0, true);
    return lines;
  }
}

/** Writes ASCII; the answer is where it ends. */
export function writeText(view: DataView, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) view.setInt8(at + i, text.charCodeAt(i));
  return at + text.length;
}

export class TextOutput implements FlowSink {
  readonly isCongested = false;
  readonly #file: OutputFile;
  readonly #format: FlowFormat;

  constructor(file: OutputFile, format: FlowFormat) {
    this.#file = file;
    this.#format = format;
    file.write(format.header());
  }

  add(flows: FlowRows): void {
    if (this.#file.isClosed) return;
    if (this.#format.writeAll !== undefined) this.#format.writeAll(flows, this.#handOn);
    else forEachFlow(flows, this.#writeFlow);
  }

  flush(): void {
    this.#handOn();
    this.#file.flush();
  }

  /** After a rotation: the lines go on in a new file, below a header of its own. */
  reopen(): void {
    this.#handOn();
    if (this.#file.reopen()) this.#file.write(this.#format.header());
  }

  async drained(): Promise<void> {}

  async close(): Promise<void> {
    this.#handOn();
    this.#file.close();
  }

  readonly #writeFlow = (flow: FlowRecord): void => forEachRecord(flow, this.#writeRecord);

  readonly #writeRecord = (flow: FlowRecord): void => {
    this.#format.write(flow);
    if (this.#format.lines.isFull) this.#handOn();
  };

  readonly #handOn = (): void => this.#file.write(this.#format.lines.take());
}

/** The record at hand as a line of its own. */
export function lineOf(format: FlowFormat, flow: FlowRecord): string {
  format.write(flow);
  return String.fromCharCode(...format.lines.take());
}

/** Names that a hostile sender can make up without end are not all kept. */
const MOST_NAMES = 256;

/** Keeps what `write` gave for a name: a firewall has few interfaces, every flow names one, and most the one before. */
export function rememberNames<Text extends object | string>(
  write: (name: string) => Text,
): (name: string) => Text {
  const texts = new Map<string, Text>();
  let lastName: string | undefined;
  let lastText: Text;
  return (name) => {
    if (name === lastName) return lastText;
    let text = texts.get(name);
    if (text === undefined) {
      if (texts.size >= MOST_NAMES) texts.clear();
      text = write(name);
      texts.set(name, text);
    }
    lastName = name;
    lastText = text;
    return text;
  };
}

/**
 * Text from a packet, such as an interface's name, with nothing in it that moves a cursor or passes for something else:
 * all but visible ASCII becomes `\u00XX`, a backslash `\\`. JSON reads both back.
 */
export function escapeText(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it is after.
  if (!/[\x00-\x1f\x7f-\uffff\\]/.test(text)) return text;
  let escaped = '';
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === 0x5c) escaped += '\\\\';
    else if (unit >= 0x20 && unit < 0x7f) escaped += text[at];
    else escaped += `\\u${unit.toString(16).padStart(4, '0')}`;
  }
  return escaped;
}
