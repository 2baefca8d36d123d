/** Flow records as lines of text, to a file or standard output. */
import { allocate, memory, memoryOctets, writeWords } from '../../protocol/core.js';
import type { FlowRecord, FlowRows } from '../../protocol/flow/flow-record.js';
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
  /** Writes all records of the flows among the rows, and calls `handOn` when the lines are full. */
  writeAll(flows: FlowRows, handOn: () => void): void;
}

const LONGEST_LINE = 4096;

/** Lines are gathered up to this length. */
const BLOCK = 65536;

/** What stands where in what the core knows of lines: words of 32 bits (`assembly/text-format`). */
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

  /** What was written since the last time; it is valid until the next writing. */
  take(): Uint8Array {
    const lines = memoryOctets.subarray(this.#text, this.#text + this.length);
    memory.setUint32(this.at + LENGTH, 0, true);
    return lines;
  }
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
    if (!this.#file.isClosed) this.#format.writeAll(flows, this.#handOn);
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

  readonly #handOn = (): void => this.#file.write(this.#format.lines.take());
}

/** The record at hand as a line of its own. */
export function lineOf(format: FlowFormat, flow: FlowRecord): string {
  format.write(flow);
  return String.fromCharCode(...format.lines.take());
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
