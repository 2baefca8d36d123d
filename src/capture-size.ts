/** How much there is to read: a short run would wait longer for what makes a long one fast. */
import { statSync } from 'node:fs';

/** Of a conversion that is over soon, or is not. */
export type Extent = 'short' | 'long';

/** Octets of a capture that is worth loading and compiling for. */
const LARGE = 8 << 20;

/** Undefined without captures, as live: nobody knows. */
export function extentOf(captures: readonly string[]): Extent | undefined {
  if (captures.length === 0) return undefined;
  return captures.some(isLarge) ? 'long' : 'short';
}

function isLarge(path: string): boolean {
  return path !== '-' && (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > LARGE;
}
