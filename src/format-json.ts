/** Flows as one JSON object a line, which the core writes (`assembly/json`). */
import { milliseconds } from '../protocol/address.js';
import { allocate, type CoreOwner, core, memory, onBehalfOf, writeWords } from '../protocol/core.js';
import { type FlowRecord, type FlowRows, type NatView, sourceEnds } from '../protocol/flow-record.js';
import { INTERFACE_NAME, ROW } from '../protocol/flow-row.js';
import { nameAt } from '../protocol/pfsync-state.js';
import { escapeText, type FlowFormat, LineBuffer, writeText } from './text-output.js';

/** `nat` undefined or `original`: the original view, and the post-NAT elements of translated flows; else that view alone. */
export function jsonFormat(nat: NatView = 'original'): FlowFormat {
  return new JsonFormat(nat);
}

const FORMAT_LENGTH = 16;

class JsonFormat implements FlowFormat, CoreOwner {
  readonly lines = new LineBuffer();
  /** Address of what the core knows of it. */
  readonly #at = allocate(FORMAT_LENGTH, this);

  constructor(nat: NatView) {
    const names = allocate(core.interfaceTextsLength(), this);
    writeWords(this.#at, [...sourceEnds(nat), nat === 'original' ? 1 : 0, names]);
  }

  header(): string {
    return '';
  }

  write(flow: FlowRecord): void {
    onBehalfOf(this).writeJsonRecord(this.#at, this.lines.at, flow.row, flow.reply);
  }

  writeAll(flows: FlowRows, handOn: () => void): void {
    let { row, count } = flows;
    while (count > 0) {
      const done = onBehalfOf(this).writeJson(this.#at, this.lines.at, row, count);
      row += done * ROW;
      count -= done;
      if (this.lines.isFull) handOn();
    }
  }

  writeTime(time: number, at: number): number {
    return writeText(memory, at, milliseconds(memory.getFloat64(time, true))) - at;
  }

  writeInterface(row: number, at: number): number {
    const name = escapeText(nameAt(memory, row + INTERFACE_NAME)).replaceAll('"', '\\"');
    return name === '' ? 0 : writeText(memory, at, `,"interfaceName":"${name}"`) - at;
  }
}
