/**
 * The pid file, which is a lock as well: the running program keeps it open. A stale file is one that no process has open
 * any more, which the kernel knows, whatever process ids and the clock did meanwhile.
 */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  type Stats,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { StartError } from '../cli/errors.js';
import { reasonOf } from '../cli/system-error.js';

/** The default of a program in the background. */
export const PID_FILE = '/var/run/pfflowd.pid';

/** Other starters may come and go at the same time; more tries than this are not by chance. */
const MOST_TRIES = 10;

export interface PidFile {
  /** Removes the file, or empties it where the directory cannot be written any more. Also done when the process exits. */
  release(): void;
}

/** Throws a StartError of one line when another process holds the file, or it cannot be written. */
export function openPidFile(path: string): PidFile {
  try {
    return hold(path, createdFile(path));
  } catch (error) {
    if (error instanceof StartError) throw error;
    throw new StartError(`pid file ${path}: ${reason(error as NodeJS.ErrnoException)}`);
  }
}

/** Creates the file at `path` and returns its descriptor. */
function createdFile(path: string): number {
  const own = `${path}.${process.pid}`;
  remove(own);
  const descriptor = openSync(own, 'wx', 0o644);
  try {
    writeSync(descriptor, `${process.pid}\n`);
    // A hard link makes the name appear with the content, and only if there is none yet.
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      if (isLinked(own, path)) return descriptor;
      refuseHolder(path);
    }
    throw new StartError(`pid file ${path}: others start at the same time`);
  } catch (error) {
    closeSync(descriptor);
    throw error;
  } finally {
    remove(own);
  }
}

function isLinked(own: string, path: string): boolean {
  try {
    linkSync(own, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return false;
  }
}

/** Throws when a running program holds the file; removes a stale one. */
function refuseHolder(path: string): void {
  let descriptor: number;
  try {
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    if (isLink(path)) throw new StartError(`pid file ${path}: a link to a file that does not exist`);
    return;
  }
  try {
    const file = fstatSync(descriptor);
    if (!file.isFile()) throw new StartError(`pid file ${path}: not a regular file`);
    const pid = Number(/^\d{1,10}(?=\s|$)/.exec(readFileSync(descriptor, 'latin1'))?.[0] ?? 0);
    if (pid > 0 && isHeldBy(pid, path, file)) {
      throw new StartError(`already running as pid ${pid} (${path})`);
    }
    removeStale(path, file);
  } finally {
    closeSync(descriptor);
  }
}

/** Moves the file first and compares it again: another starter may have put its own file there in between. */
function removeStale(path: string, judged: Stats): void {
  const aside = `${path}.stale.${process.pid}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if (!isSame(statSync(aside), judged)) isLinked(aside, path);
  remove(aside);
}

/** In doubt it is held: two running programs are worse than one that does not start. */
function isHeldBy(pid: number, path: string, file: Stats): boolean {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  return process.platform === 'linux' ? isOpenOnLinux(pid, file) : isOpenOnBsd(pid, path);
}

function isOpenOnLinux(pid: number, file: Stats): boolean {
  const directory = `/proc/${pid}/fd`;
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
  return names.some((name) => {
    try {
      return isSame(statSync(`${directory}/${name}`), file);
    } catch {
      return false;
    }
  });
}

/** fstat(1) prints a line of titles, and one for each descriptor by which the process has the file open. */
function isOpenOnBsd(pid: number, path: string): boolean {
  try {
    const text = execFileSync('fstat', ['-p', String(pid), path], {
      encoding: 'latin1',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return text.trim().split('\n').length > 1;
  } catch {
    return true;
  }
}

function hold(path: string, descriptor: number): PidFile {
  let isReleased = false;
  const release = () => {
    process.off('exit', release);
    if (isReleased) return;
    isReleased = true;
    try {
      if (isSame(statSync(path), fstatSync(descriptor))) unlinkSync(path);
    } catch {
      // Without a number it is stale for the next start.
      ftruncateSync(descriptor);
    }
    closeSync(descriptor);
  };
  process.on('exit', release);
  return { release };
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
}

function isSame(one: Stats, other: Stats): boolean {
  return one.dev === other.dev && one.ino === other.ino;
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

function reason(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT') return 'no such directory';
  const text = reasonOf(error);
  return error.code === 'EACCES' ? `${text}: name another with --pid-file` : text;
}
