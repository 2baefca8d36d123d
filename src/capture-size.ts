/** Which captures are large: a short run would wait longer for what makes a long one fast. */
import { statSync } from 'node:fs';

/** Octets. */
const LARGE = 8 << 20;

/** Whether a capture is worth loading and compiling for. */
export function isLarge(path: string): boolean {
  return path !== '-' && (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > LARGE;
}
