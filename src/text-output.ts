/** Flow records as lines of text, to a file or standard output. */
import { type FlowRecord, forEachRecord } from '../protocol/flow-record.js';
import { AsciiWriter } from './ascii-writer.js';
import type { FlowSink } from './flow-sink.js';
import type { OutputFile } from './output-file.js';

/** One way of writing flows as text. Everything it gives is ASCII. */
export interface FlowFormat {
  /** What stands above the flows, with its line end; empty when nothing does. */
  header(): string;
  /** Writes the record at hand as one line, with its line end: LONGEST_LINE octets at most. */
  write(flow: FlowRecord, out: AsciiWriter): void;
}

export const LONGEST_LINE = 4096;

/** Lines are gathered up to this length. */
const BLOCK = 65536;

export class TextOutput implements FlowSink {
  readonly isCongested = false;
  readonly #file: OutputFile;
  readonly #format: FlowFormat;
  readonly #lines = new AsciiWriter(BLOCK + LONGEST_LINE);
  readonly #writeRecord: (flow: FlowRecord) => void;

  constructor(file: OutputFile, format: FlowFormat) {
    this.#file = file;
    this.#format = format;
    this.#writeRecord = (flow) => {
      format.write(flow, this.#lines);
      if (this.#lines.length >= BLOCK) this.#handOn();
    };
    file.write(format.header());
  }

  add(flow: FlowRecord): void {
    if (!this.#file.isClosed) forEachRecord(flow, this.#writeRecord);
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

  #handOn(): void {
    const { octets, length } = this.#lines;
    this.#lines.clear();
    this.#file.write(octets.subarray(0, length));
  }
}

/** The record at hand as a line of its own. */
export function lineOf(format: FlowFormat, flow: FlowRecord): string {
  const out = new AsciiWriter(LONGEST_LINE);
  format.write(flow, out);
  return String.fromCharCode(...out.octets.subarray(0, out.length));
}

/** Names that a hostile sender can make up without end are not all kept. */
const MOST_NAMES = 256;

/** Keeps what `write` gave for a name: a firewall has few interfaces, and every flow names one. */
export function rememberNames<Text extends object | string>(
  write: (name: string) => Text,
): (name: string) => Text {
  const texts = new Map<string, Text>();
  return (name) => {
    const known = texts.get(name);
    if (known !== undefined) return known;
    if (texts.size >= MOST_NAMES) texts.clear();
    const text = write(name);
    texts.set(name, text);
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
