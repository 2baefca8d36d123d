/** Descriptors that every program starts with. */
import { fstatSync, statSync } from 'node:fs';

export const STANDARD_INPUT = 0;
export const STANDARD_OUTPUT = 1;
export const STANDARD_ERROR = 2;

/** Asks node:tty where it may be one: to load it takes some milliseconds. */
export function isTerminal(descriptor: number): boolean {
  const stream = fstatSync(descriptor);
  if (!stream.isCharacterDevice() || isNull(stream)) return false;
  return process.getBuiltinModule('node:tty').isatty(descriptor);
}

/** Where what is not wanted goes. */
function isNull({ rdev }: { readonly rdev: number }): boolean {
  return statSync('/dev/null', { throwIfNoEntry: false })?.rdev === rdev;
}
