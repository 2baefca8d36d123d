/** Samples as lines of text: what a format writes of them. */
import { JOINED, ORIGIN, OTHER_ID, OTHER_INTERFACE, TAG } from '../../protocol/flow/row.js';
import type { NatView } from '../../protocol/flow/terms.js';
import { type FlowFormat, linesOf, type OpenFormat } from '../../src/sink/text-format.js';
import { type Sample, SampleRows } from '../peer/flow-sample.js';

export class TextLines {
  readonly format: FlowFormat;
  readonly #samples = new SampleRows(1);

  constructor(open: OpenFormat, nat: NatView = 'original') {
    this.format = open(this.#samples, nat);
  }

  /** The lines of a sample, without their ends. `change` may change its row before. */
  all(sample: Sample, change: (samples: SampleRows, words: Int32Array) => void = () => {}): string[] {
    this.#samples.count = 0;
    const row = this.#samples.add(sample);
    change(this.#samples, this.#samples.rows.words);
    return linesOf(this.format, row);
  }

  /** The line of a sample that has one record. */
  of(sample: Sample): string {
    const [line, ...others] = this.all(sample);
    if (line === undefined || others.length > 0) throw new Error(`${others.length} lines more than one`);
    return line;
  }
}

/** Gives the state a tag, as from a record of layout 1500. */
export function tagged(tag: string): (samples: SampleRows, words: Int32Array) => void {
  return ({ tags }, words) => {
    const octets = Buffer.alloc(64);
    octets.write(tag, 'latin1');
    words[TAG] = tags.numberAt(new DataView(octets.buffer, octets.byteOffset, 64), 0);
  };
}

/** Joins the flow with that of another state, which is out on em7. */
export function joinedFlow({ interfaces }: SampleRows, words: Int32Array): void {
  words[ORIGIN]! |= JOINED;
  words[OTHER_INTERFACE] = interfaces.numberOf('em7');
  words[OTHER_ID] = 0x04030201;
  words[OTHER_ID + 1] = 0x08070605;
}
