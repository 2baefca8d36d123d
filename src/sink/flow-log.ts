/** With `-D`, each record of a flow is a line of the log. */
import { FLOW, ROW } from '../../protocol/flow/row.js';
import type { FlowMemory } from '../../protocol/flow/rows.js';
import type { Log } from '../service/log.js';
import type { FlowSink } from './flow-sink.js';
import { jsonFormat } from './json.js';
import { type FlowFormat, linesOf } from './text-format.js';

export class FlowLog implements FlowSink {
  readonly isCongested = false;
  readonly #words: Int32Array;
  readonly #format: FlowFormat;
  readonly #log: Pick<Log, 'isDebug' | 'debug'>;

  constructor(memory: FlowMemory, log: Pick<Log, 'isDebug' | 'debug'>) {
    this.#words = memory.rows.words;
    this.#format = jsonFormat(memory, 'original');
    this.#log = log;
  }

  add(first: number, count: number): void {
    if (!this.#log.isDebug) return;
    for (let n = first; n < first + count; n++) {
      if ((this.#words[n * ROW + FLOW]! & 0xff00) === 0) continue;
      for (const line of linesOf(this.#format, n)) this.#log.debug(`flow ${line}`);
    }
  }

  flush(): void {}

  async drained(): Promise<void> {}

  async close(): Promise<void> {}
}
