/** What tests of pfctl's output share. */

/** A word as pfctl prints it. */
export function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0');
}
