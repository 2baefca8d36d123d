/** Flows as lines of text, which the core writes: `assembly/json`, `assembly/csv`, `assembly/table`. */
import { allocate, type CoreOwner, core, memory, onBehalfOf, writeWords } from '../protocol/core.js';
import { type FlowRecord, type FlowRows, type NatView, sourceEnds } from '../protocol/flow-record.js';
import { INTERFACE_NAME, ROW } from '../protocol/flow-row.js';
import { nameAt } from '../protocol/pfsync-state.js';
import { type FlowFormat, LineBuffer } from './text-output.js';

export interface CoreLines {
  /** See FlowFormat. */
  readonly header: string;
  /** The core's functions: for the flows among many rows, and for one record. */
  readonly write: 'writeJson' | 'writeCsv' | 'writeTable';
  readonly writeRecord: 'writeJsonRecord' | 'writeCsvRecord' | 'writeTableRecord';
  /** What is written for an interface's name, in ASCII. */
  interfaceText(name: string): string;
}

export class CoreFormat implements FlowFormat, CoreOwner {
  readonly lines = new LineBuffer();
  readonly #lines: CoreLines;
  /** Address of what the core knows of it. */
  readonly #at = allocate(core.textFormatLength(), this);

  /** `nat` `original`: the original view, and what a flow was translated to; else that view alone. */
  constructor(nat: NatView, lines: CoreLines) {
    const names = allocate(core.interfaceTextsLength(), this);
    this.#lines = lines;
    writeWords(this.#at, [...sourceEnds(nat), nat === 'original' ? 1 : 0, names]);
  }

  header(): string {
    return this.#lines.header;
  }

  write(flow: FlowRecord): void {
    onBehalfOf(this)[this.#lines.writeRecord](this.#at, this.lines.at, flow.row, flow.reply);
  }

  writeAll(flows: FlowRows, handOn: () => void): void {
    let { row, count } = flows;
    while (count > 0) {
      const done = onBehalfOf(this)[this.#lines.write](this.#at, this.lines.at, row, count);
      row += done * ROW;
      count -= done;
      if (this.lines.isFull) handOn();
    }
  }

  /** Milliseconds as an integer, rounded down. */
  writeTime(time: number, at: number): number {
    const whole = Math.floor(memory.getFloat64(time, true));
    return writeText(at, Number.isFinite(whole) ? `${BigInt(whole)}` : `${whole}`);
  }

  writeDay(time: number, at: number): number {
    const [day] = new Date(Math.floor(memory.getFloat64(time, true))).toISOString().split('T');
    return writeText(at, `${day} `);
  }

  writeInterface(row: number, at: number): number {
    return writeText(at, this.#lines.interfaceText(nameAt(memory, row + INTERFACE_NAME)));
  }
}

/** Writes ASCII; the answer is its length. */
function writeText(at: number, text: string): number {
  for (let i = 0; i < text.length; i++) memory.setInt8(at + i, text.charCodeAt(i));
  return text.length;
}
