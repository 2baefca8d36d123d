/** How much there is to read: a short run would wait longer for what makes a long one fast. */
import { closeSync, openSync, readSync, statSync } from 'node:fs';

/** Of a conversion that is over soon, or is not. */
export type Extent = 'short' | 'long';

/** Octets of a capture that is worth loading and compiling for. */
const LARGE = 8 << 20;

const GZIP_MAGIC = 0x1f8b;
/** What gzip makes of a capture is rarely less than this part of it. */
const GZIP_RATIO = 1 / 16;

/** Undefined when nobody knows: without captures, as live, and of a stream. */
export function extentOf(captures: readonly string[]): Extent | undefined {
  const sizes = captures.map(octetsOf);
  if (sizes.some((octets) => octets !== undefined && octets > LARGE)) return 'long';
  return sizes.length === 0 || sizes.includes(undefined) ? undefined : 'short';
}

/** Octets of the capture in a file, at most; undefined of what is no regular file, or cannot be read. */
function octetsOf(path: string): number | undefined {
  if (path === '-') return undefined;
  try {
    const file = statSync(path);
    if (!file.isFile()) return undefined;
    return isCompressed(path) ? file.size / GZIP_RATIO : file.size;
  } catch {
    return undefined;
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
