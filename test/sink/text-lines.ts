/** Samples as lines of text: what a format writes of them. */
import type { NatView } from '../../protocol/flow/terms.js';
import { type FlowFormat, linesOf, type OpenFormat } from '../../src/sink/text-format.js';
import { type Sample, SampleRows } from '../peer/flow-sample.js';

export class TextLines {
  readonly format: FlowFormat;
  readonly #samples = new SampleRows(1);

  constructor(open: OpenFormat, nat: NatView = 'original') {
    this.format = open(this.#samples, nat);
  }

  /** The lines of a sample, without their ends. */
  all(sample: Sample): string[] {
    this.#samples.count = 0;
    return linesOf(this.format, this.#samples.add(sample));
  }

  /** The line of a sample that has one record. */
  of(sample: Sample): string {
    const [line, ...others] = this.all(sample);
    if (line === undefined || others.length > 0) throw new Error(`${others.length} lines more than one`);
    return line;
  }
}
