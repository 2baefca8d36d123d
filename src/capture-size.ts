/** How much there is to read: a short run would wait longer for what makes a long one fast. */
import { statSync } from 'node:fs';
import { identifyFormat } from './capture-format.js';
import { headOf } from './file-head.js';

/** Of a conversion that is over soon, or is not. */
export type Extent = 'short' | 'long';

/** Octets that are worth loading and compiling for. */
export const LARGE = 8 << 20;

/** A capture is rarely more than so many times what gzip makes of it. */
const MOST_GZIP_SAVES = 16;

/** Undefined when nobody knows: without captures, as live, of a stream, and of some that are compressed. */
export function extentOf(captures: readonly string[]): Extent | undefined {
  const sizes = captures.map(sizeOf);
  const least = sizes.reduce((octets, size) => octets + size.least, 0);
  const most = sizes.reduce((octets, size) => octets + size.most, 0);
  if (least > LARGE) return 'long';
  return sizes.length === 0 || most > LARGE ? undefined : 'short';
}

/** Octets of a capture. */
interface Size {
  readonly least: number;
  readonly most: number;
}

const UNKNOWN: Size = { least: 0, most: Number.POSITIVE_INFINITY };

function sizeOf(path: string): Size {
  if (path === '-') return UNKNOWN;
  try {
    const file = statSync(path);
    if (!file.isFile()) return UNKNOWN;
    return { least: file.size, most: isCompressed(path) ? MOST_GZIP_SAVES * file.size : file.size };
  } catch {
    return UNKNOWN;
  }
}

function isCompressed(path: string): boolean {
  return identifyFormat(headOf(path, 4)) === 'gzip';
}
