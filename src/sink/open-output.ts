/** Opens what flow records are written to. The functions throw the system's errors. */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { STANDARD_OUTPUT } from '../service/standard-streams.js';

/** `append`: at the end of what is there, and never blocked by the reader of a pipe. `replace`: in place of what is there. */
export type OpenMode = 'append' | 'replace';

const { O_WRONLY, O_CREAT, O_EXCL, O_APPEND, O_NONBLOCK } = constants;
const FLAGS = { append: O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK, replace: O_WRONLY | O_CREAT };

/** Makes the file if there is none. Returns whether it did. */
export function makeFile(path: string): boolean {
  try {
    closeSync(openSync(path, O_WRONLY | O_CREAT | O_EXCL, 0o666));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Returns the descriptor of a file, which keeps its content. */
export function openFile(path: string, mode: OpenMode): number {
  return openSync(path, FLAGS[mode], 0o666);
}

/** The same. Of a pipe that nobody reads yet, it waits for the reader. */
export function openOnceRead(path: string, mode: OpenMode): number {
  try {
    return openFile(path, mode);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENXIO') throw error;
  }
  const descriptor = openSync(path, O_WRONLY);
  try {
    return openFile(path, mode);
  } finally {
    closeSync(descriptor);
  }
}

export function openStandardOutput(mode: OpenMode): number {
  if (mode === 'append' && fstatSync(STANDARD_OUTPUT).isFIFO()) {
    try {
      // In Linux this opens the pipe a second time: it does not block here, and stays as it is for other processes.
      return openSync(`/proc/self/fd/${STANDARD_OUTPUT}`, O_WRONLY | O_NONBLOCK);
    } catch {}
  }
  return STANDARD_OUTPUT;
}
