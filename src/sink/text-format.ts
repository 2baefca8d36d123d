/** What the text formats have in common: what a format is, the view that it shows, and text from packets. */
import type { FlowMemory } from '../../protocol/flow/rows.js';
import type { NatView } from '../../protocol/flow/terms.js';

/** One way of writing flows as text: one file of this room, and one row of the table in outputs.ts. */
export type OpenFormat = (memory: FlowMemory, nat: NatView) => FlowFormat;

export interface FlowFormat {
  /** What stands above the flows, with its line end; empty where nothing does. */
  readonly header: string;
  /** The block that lines are written into: all of it is ASCII. */
  readonly octets: Uint8Array;
  /**
   * Writes a line for each direction that the flow in row `row` has, at octet `at` of the block, which is below BLOCK.
   * Returns where the lines end.
   */
  write(row: number, at: number): number;
}

/** A block is handed on once it has this many octets... */
export const BLOCK = 65_536;
/** ... and has room for the lines of one flow more, and for what writing them needs behind them. */
export const BLOCK_OCTETS = BLOCK + 8192;

/** Writes the text for the name of this number at `at` of the block. Returns its end. */
export type NameWriter = (at: number, number: number) => number;

/**
 * For names of interfaces or tags that come in packets. `textOf` gives the text for a name, of at most `longest` octets of
 * ASCII; it is asked once for each.
 */
export function nameWriter(
  block: Uint8Array,
  names: readonly string[],
  longest: number,
  textOf: (name: string) => string,
): NameWriter {
  const view = new DataView(block.buffer);
  const room = Math.ceil(longest / 8);
  /** By number of the name: the text, in so many 64-bit words, and its length, -1 until it was asked for. */
  let texts = new Float64Array(0);
  let lengths = new Int32Array(0);

  function keep(number: number): number {
    if (number >= lengths.length) {
      const known = [texts, lengths] as const;
      const capacity = Math.max(64, 2 * number);
      texts = new Float64Array(capacity * room);
      texts.set(known[0]);
      lengths = new Int32Array(capacity).fill(-1);
      lengths.set(known[1]);
    }
    const text = textOf(names[number]!);
    const octets = new Uint8Array(texts.buffer, 8 * room * number, 8 * room);
    lengths[number] = new TextEncoder().encodeInto(text, octets).written;
    return lengths[number];
  }

  return function writeName(at, number) {
    let length = number < lengths.length ? lengths[number]! : -1;
    if (length < 0) length = keep(number);
    const end = at + length;
    for (let word = room * number; at < end; at += 8) view.setFloat64(at, texts[word++]!, true);
    return end;
  };
}

/** Octets that a name of an interface, and a tag, may have in a text: six for each character, and what stands around it. */
export const INTERFACE_TEXT = 128;
export const TAG_TEXT = 400;

/** The lines of one flow, without their ends: for what is rare. */
export function linesOf(format: FlowFormat, row: number): string[] {
  const text = new TextDecoder().decode(format.octets.subarray(0, format.write(row, 0)));
  return text.split('\n').slice(0, -1);
}

/**
 * Text from a packet, such as an interface's name, with nothing in it that moves a cursor or passes for something else:
 * all but visible ASCII becomes `\u00XX`, a backslash `\\`. JSON reads both back.
 */
export function escapeText(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it is after.
  return text.replace(/[\x00-\x1f\x7f-\uffff\\]/g, (unit) =>
    unit === '\\' ? '\\\\' : `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
