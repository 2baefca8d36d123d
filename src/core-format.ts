/** Flows as lines of text that the core writes (`assembly/json`, `assembly/csv`). */
import { milliseconds } from '../protocol/address.js';
import { allocate, type CoreOwner, core, memory, onBehalfOf, writeWords } from '../protocol/core.js';
import { type FlowRecord, type FlowRows, type NatView, sourceEnds } from '../protocol/flow-record.js';
import { INTERFACE_NAME, ROW } from '../protocol/flow-row.js';
import { nameAt } from '../protocol/pfsync-state.js';
import { type FlowFormat, LineBuffer, writeText } from './text-output.js';

export interface CoreLines {
  /** See FlowFormat. */
  readonly header: string;
  /** The core's functions: for the flows among many rows, and for one record. */
  readonly write: 'writeJson' | 'writeCsv';
  readonly writeRecord: 'writeJsonRecord' | 'writeCsvRecord';
  /** What is written for an interface's name, in ASCII. */
  interfaceText(name: string): string;
}

const FORMAT_LENGTH = 16;

export class CoreFormat implements FlowFormat, CoreOwner {
  readonly lines = new LineBuffer();
  readonly #lines: CoreLines;
  /** Address of what the core knows of it. */
  readonly #at = allocate(FORMAT_LENGTH, this);

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

  writeTime(time: number, at: number): number {
    return writeText(memory, at, milliseconds(memory.getFloat64(time, true))) - at;
  }

  writeInterface(row: number, at: number): number {
    return writeText(memory, at, this.#lines.interfaceText(nameAt(memory, row + INTERFACE_NAME))) - at;
  }
}
