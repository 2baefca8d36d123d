/** Flows as lines of text, which the core writes: `assembly/json`, `assembly/csv`, `assembly/table`. */
import { allocate, core, memory, writeWords } from '../protocol/core.js';
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

/** What stands where in what the core knows of a format, and of the text of an interface (`assembly/text-format`). */
const NAME = 16;
const TEXT_LENGTH = 16;
const TEXT = 24;

export class CoreFormat implements FlowFormat {
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
    if (core.findInterfaceText(this.#at, flow.row) === 0) this.#tellInterface(flow.row);
    core[this.#lines.writeRecord](this.#at, this.lines.at, flow.row, flow.reply);
  }

  writeAll(flows: FlowRows, handOn: () => void): void {
    let { row, count } = flows;
    while (count > 0) {
      const done = core[this.#lines.write](this.#at, this.lines.at, row, count);
      row += done * ROW;
      count -= done;
      if (this.lines.isFull) handOn();
      else if (count > 0) this.#tellInterface(row);
    }
  }

  /** Fills in what is written for the row's interface, where the core has just looked for it. */
  #tellInterface(row: number): void {
    const text = this.#lines.interfaceText(nameAt(memory, row + INTERFACE_NAME));
    const at = memory.getUint32(this.#at + NAME, true);
    memory.setUint32(at + TEXT_LENGTH, text.length, true);
    for (let i = 0; i < text.length; i++) memory.setInt8(at + TEXT + i, text.charCodeAt(i));
  }
}
