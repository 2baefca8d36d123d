/** What the text formats have in common: what a format is, its block of lines, and text from packets. */
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
