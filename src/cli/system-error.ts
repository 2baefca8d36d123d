/** What the operating system says about a failed call, in words. */
import { getSystemErrorMap } from 'node:util';
import { printable } from './printable.js';

/** Plainer words than libuv's. */
const PLAIN: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EISDIR: 'is a directory',
};

/** One line: the words for the error's number, or its message where it is no system error. */
export function reasonOf(error: unknown): string {
  const { code = '', errno = 0 } = error as NodeJS.ErrnoException;
  // zlib numbers its errors by itself.
  if (code.startsWith('Z_')) return messageOf(error);
  return PLAIN[code] ?? getSystemErrorMap().get(errno)?.[1] ?? messageOf(error);
}

/** The message of whatever was thrown, as one line. */
export function messageOf(error: unknown): string {
  return printable(error instanceof Error ? error.message : String(error));
}
