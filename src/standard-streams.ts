/** Descriptors that every program starts with. */
import { fstatSync } from 'node:fs';

export const STANDARD_INPUT = 0;
export const STANDARD_OUTPUT = 1;
export const STANDARD_ERROR = 2;

/** Asks node:tty of character devices alone: to load it takes some milliseconds. */
export function isTerminal(descriptor: number): boolean {
  return fstatSync(descriptor).isCharacterDevice() && process.getBuiltinModule('node:tty').isatty(descriptor);
}
