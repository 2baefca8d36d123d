/** Flow records as lines of text, to a file or standard output. */
import { FLOW, ROW } from '../../protocol/flow/row.js';
import type { FlowMemory } from '../../protocol/flow/rows.js';
import { FORWARD, REPLY } from '../../protocol/flow/terms.js';
import type { OutputResult } from '../observe/summary.js';
import type { Output } from './flow-sink.js';
import type { OutputFile } from './output-file.js';
import { BLOCK, type FlowFormat } from './text-format.js';

export class TextOutput implements Output {
  readonly #words: Int32Array;
  readonly #file: OutputFile;
  readonly #format: FlowFormat;
  /** Octets and records of the block that is being filled. */
  #filled = 0;
  #records = 0;

  constructor(memory: FlowMemory, file: OutputFile, format: FlowFormat) {
    this.#words = memory.rows.words;
    this.#file = file;
    this.#format = format;
  }

  begin(): void {
    if (this.#file.begin()) this.#writeHeader();
  }

  withdraw(): void {
    this.#file.withdraw();
  }

  add(first: number, count: number): void {
    const words = this.#words;
    const format = this.#format;
    let filled = this.#filled;
    for (let n = first; n < first + count; n++) {
      const directions = (words[n * ROW + FLOW]! >>> 8) & 255;
      if (directions === 0) continue;
      filled = format.write(n, filled);
      this.#records += directions === (FORWARD | REPLY) ? 2 : 1;
      if (filled < BLOCK) continue;
      this.#send(filled);
      filled = 0;
    }
    this.#filled = filled;
  }

  flush(): void {
    this.#send(this.#filled);
    this.#filled = 0;
  }

  get isCongested(): boolean {
    return this.#file.isCongested;
  }

  drained(): Promise<void> {
    return this.#file.drained();
  }

  get isGone(): boolean {
    return this.#file.isGone;
  }

  get result(): OutputResult {
    return this.#file.result;
  }

  /** A new file begins with the header. */
  reopen(): void {
    this.flush();
    if (this.#file.reopen()) this.#writeHeader();
  }

  close(): Promise<void> {
    this.flush();
    return this.#file.close();
  }

  #send(length: number): void {
    if (length > 0) this.#file.send(this.#format.octets, length, this.#records);
    this.#records = 0;
  }

  #writeHeader(): void {
    const header = new TextEncoder().encode(this.#format.header);
    if (header.length > 0) this.#file.send(header, header.length, 0);
  }
}
