/** With `-D`, each record of a flow is a line of the log. */
import { type FlowRows, forEachFlow, forEachRecord } from '../../protocol/flow/flow-record.js';
import type { FlowSink } from './flow-sink.js';
import { jsonFormat } from './json.js';
import type { Log } from '../service/log.js';
import { lineOf } from './text-output.js';

export class FlowLog implements FlowSink {
  readonly isCongested = false;
  readonly #log: Log;
  readonly #format = jsonFormat(undefined);

  constructor(log: Log) {
    this.#log = log;
  }

  add(flows: FlowRows): void {
    if (!this.#log.isDebug) return;
    forEachFlow(flows, (flow) =>
      forEachRecord(flow, () => this.#log.debug(`flow ${lineOf(this.#format, flow).trimEnd()}`)),
    );
  }

  flush(): void {}

  async drained(): Promise<void> {}

  async close(): Promise<void> {}
}
