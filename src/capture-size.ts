/** How much there is to read: a short run would wait longer for what makes a long one fast. */
import { closeSync, openSync, readSync, statSync } from 'node:fs';

/** Of a conversion that is over soon, or is not. */
export type Extent = 'short' | 'long';

/** Octets that are worth loading and compiling for. */
const LARGE = 8 << 20;

const GZIP_MAGIC = 0x1f8b;
/** Gzip rarely makes less than this part of a capture. */
const GZIP_RATIO = 1 / 16;

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
    return { least: file.size, most: isCompressed(path) ? file.size / GZIP_RATIO : file.size };
  } catch {
    return UNKNOWN;
  }
}

function isCompressed(path: string): boolean {
  const magic = new DataView(new ArrayBuffer(2));
  const descriptor = openSync(path, 'r');
  try {
    readSync(descriptor, magic);
    return magic.getUint16(0) === GZIP_MAGIC;
  } finally {
    closeSync(descriptor);
  }
}
