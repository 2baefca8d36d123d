/**
 * Going to the background. Node.js cannot fork: the process that the user started starts another of itself, passes on what
 * that one says on standard error, and leaves with an exit status when it is ready or has ended.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Options } from '../cli/option-table.js';
import { STANDARD_ERROR } from './standard-streams.js';
import { StartError } from '../cli/errors.js';

/** Tells a process that it is the one in the background: the id of the one that started it. */
const STARTED_BY = 'PFFLOWD_STARTED_BY';

const READINESS = 3;

/** Milliseconds that the last words before readiness may take. */
const PATIENCE = 1000;

const PASSED_ON = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/** The process in the background. */
export interface Background {
  /** All is open: the user's command ends with 0. From here on `/` is the working directory and nobody reads standard error. */
  ready(): void;
}

/** What a process in the background is told by its environment, once; undefined in any other. */
export function takeBackground(): Background | undefined {
  const startedBy = process.env[STARTED_BY];
  delete process.env[STARTED_BY];
  return startedBy === String(process.ppid) ? { ready } : undefined;
}

function ready(): void {
  process.chdir('/');
  // The lowest free descriptor is taken: /dev/null is standard error now, and keeps the number from the next socket.
  closeSync(STANDARD_ERROR);
  openSync('/dev/null', 'w');
  try {
    writeSync(READINESS, 'ready');
  } catch {
    // Who waited is gone.
  }
  closeSync(READINESS);
}

/**
 * Starts this program once more, with the same arguments, in a session of its own. Resolves to the exit status for the
 * user: 0 when that one is ready, its own when it ends before. Throws a StartError when there is no second process.
 */
export async function goToBackground(): Promise<number> {
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    env: { ...process.env, [STARTED_BY]: String(process.pid) },
  });
  const passOn = (signal: NodeJS.Signals) => void child.kill(signal);
  for (const signal of PASSED_ON) process.on(signal, passOn);
  try {
    return await outcome(child);
  } finally {
    for (const signal of PASSED_ON) process.off(signal, passOn);
    for (const stream of child.stdio) stream?.destroy();
    child.unref();
  }
}

function outcome(child: ChildProcess): Promise<number> {
  return new Promise((settle, reject) => {
    const stderr = child.stderr!;
    // What was said before is with the user first.
    const settleAfterWords = (status: number) => {
      if (stderr.closed) settle(status);
      stderr.once('close', () => settle(status));
      setTimeout(() => settle(status), PATIENCE).unref();
    };
    stderr.on('data', (text: Buffer) => process.stderr.write(text));
    child.stdio[READINESS]!.once('data', () => settleAfterWords(0));
    child.once('error', (error) => reject(new StartError(`cannot go to the background: ${error.message}`)));
    child.once('exit', (code, signal) => {
      if (signal !== null) process.stderr.write(`pfflowd: ended by ${signal} while it started\n`);
      settleAfterWords(code ?? 1);
    });
  });
}

/** The options with every file name absolute, as seen from `directory`: where the program was started, not where it runs. */
export function withAbsolutePaths(options: Options, directory: string): Options {
  const { config, pidFile, output } = options;
  return {
    ...options,
    output: output === '-' ? output : resolve(directory, output),
    ...(config === undefined ? {} : { config: resolve(directory, config) }),
    ...(pidFile === undefined ? {} : { pidFile: resolve(directory, pidFile) }),
  };
}
