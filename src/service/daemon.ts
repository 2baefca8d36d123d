/**
 * Going to the background. Node.js cannot fork: the process that the user started starts a second one with the same
 * arguments, copies its standard error, and exits when the second one is ready or has ended.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { resolve } from 'node:path';
import { StartError } from '../cli/errors.js';
import type { Options } from '../cli/option-table.js';
import { reasonOf } from '../cli/system-error.js';
import { STANDARD_ERROR } from './standard-streams.js';

/** Environment variable that marks the process in the background; its value is the id of the process that started it. */
const STARTED_BY = 'PFFLOWD_STARTED_BY';

/** Descriptor on which the process in the background reports that it is ready. */
const READINESS = 3;

/** Milliseconds that the rest of standard error may take. */
const PATIENCE = 1000;

const PASSED_ON = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/** The process in the background. */
export interface Background {
  /** Lets the user's command end with 0. From then on `/` is the working directory and standard error is /dev/null. */
  ready(): void;
}

/** The background that this process was started in; undefined in the foreground. Removes the mark from the environment. */
export function takeBackground(): Background | undefined {
  const startedBy = process.env[STARTED_BY];
  delete process.env[STARTED_BY];
  return startedBy === String(process.ppid) ? { ready } : undefined;
}

function ready(): void {
  process.chdir('/');
  // The lowest free descriptor is used: /dev/null becomes standard error, so that no socket gets that number.
  closeSync(STANDARD_ERROR);
  openSync('/dev/null', 'w');
  try {
    writeSync(READINESS, 'ready');
  } catch {
    // The process that waited has ended.
  }
  closeSync(READINESS);
}

/**
 * Starts this program once more, with the same arguments, in its own session. Resolves to the exit status for the user:
 * 0 when that process is ready, its exit status when it ends before. Throws a StartError when it cannot be started.
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
    for (const stream of child.stdio ?? []) stream?.destroy();
    child.unref();
  }
}

function outcome(child: ChildProcess): Promise<number> {
  return new Promise((settle, reject) => {
    child.once('error', (error) => reject(new StartError(`cannot go to the background: ${reasonOf(error)}`)));
    // Without descriptors there is no process, and no pipes: the error follows.
    if (child.pid === undefined) return;
    const stderr = child.stderr!;
    const settleAfterStderr = (status: number) => {
      if (stderr.closed) settle(status);
      stderr.once('close', () => settle(status));
      setTimeout(() => settle(status), PATIENCE).unref();
    };
    stderr.on('data', (text: Buffer) => process.stderr.write(text));
    child.stdio[READINESS]!.once('data', () => settleAfterStderr(0));
    child.once('exit', (code, signal) => {
      if (signal !== null) process.stderr.write(`pfflowd: ended by ${signal} while it started\n`);
      settleAfterStderr(code ?? 1);
    });
  });
}

/** The options with absolute file names: `directory` is where the program was started, which is not where it runs. */
export function withAbsolutePaths(options: Options, directory: string): Options {
  const { config, pidFile, output } = options;
  return {
    ...options,
    output: output === '-' ? output : resolve(directory, output),
    ...(config === undefined ? {} : { config: resolve(directory, config) }),
    ...(pidFile === undefined ? {} : { pidFile: resolve(directory, pidFile) }),
  };
}
