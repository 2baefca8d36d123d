/**
 * Runs a command such as pfctl(8), here or over ssh(1), and ends it when it takes too long: with SIGTERM, then SIGKILL, then
 * by no longer waiting for it, since pfctl can hang in the kernel.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { printable } from '../cli/printable.js';
import { type StartTimer, startTimer, type Timer } from './timer.js';

/** Reads a command's standard output. */
export interface OutputReader {
  /** Set when the run is ended: the rest of the output is to be discarded. */
  isOver: boolean;
  /** Resolves at the end of the stream, also when it fails. */
  read(stream: Readable): Promise<void>;
}

/** How a run ended. */
export interface Ending {
  /** Why it was ended before it ended by itself. */
  readonly interruption?: Interruption | undefined;
  /** It could not be started. */
  readonly error?: Error;
  readonly code?: number | null;
  readonly signal?: string | null;
  /** Not even SIGKILL ended it. */
  readonly isStuck?: boolean;
  /** The last line of standard error. */
  readonly message?: string;
}

export type Interruption = 'timeout' | 'stopped';

/** Milliseconds from SIGTERM to SIGKILL, and from there to giving up. */
const GRACE = 1000;
const LONGEST_QUOTE = 200;

export class PfctlCommand {
  readonly #command: readonly string[] | string;
  readonly #startTimer: StartTimer;
  #interrupt: ((reason: Interruption) => void) | undefined;
  /** A child that could not be ended and still exists. */
  #stuck: ChildProcess | undefined;

  /** A program and its arguments, or a line for /bin/sh. */
  constructor(command: readonly string[] | string, timers: StartTimer = startTimer) {
    this.#command = command;
    this.#startTimer = timers;
  }

  /** One run of at most `timeout` milliseconds. Never rejects. */
  run(output: OutputReader, timeout: number): Promise<Ending> {
    // A second process would only hang beside one that hangs in the kernel.
    if (this.#stuck !== undefined) return Promise.resolve({ interruption: 'timeout', isStuck: true });
    return new Promise((resolve) => {
      let child: ChildProcess;
      try {
        child = this.#spawn();
      } catch (error) {
        resolve({ error: error as Error });
        return;
      }
      this.#follow(child, output, timeout, resolve);
    });
  }

  /** Ends the run that is under way. */
  stop(): void {
    this.#interrupt?.('stopped');
  }

  #follow(
    child: ChildProcess,
    output: OutputReader,
    timeout: number,
    resolve: (ending: Ending) => void,
  ): void {
    const messages = new LastLine();
    let interruption: Interruption | undefined;
    let timer: Timer | undefined;
    let isSettled = false;
    const after = (milliseconds: number, action: () => void) => {
      timer?.cancel();
      timer = this.#startTimer(milliseconds, action);
    };
    const kill = () => signalGroup(child, 'SIGKILL');
    const settle = (ending: Ending) => {
      if (isSettled) return;
      isSettled = true;
      timer?.cancel();
      process.off('exit', kill);
      this.#interrupt = undefined;
      resolve({ ...ending, interruption, message: messages.text() });
    };
    const giveUp = () => {
      this.#stuck = child;
      child.unref();
      child.once('exit', () => {
        this.#stuck = undefined;
      });
      settle({ isStuck: true });
    };
    this.#interrupt = (reason) => {
      if (interruption !== undefined) return;
      interruption = reason;
      output.isOver = true;
      signalGroup(child, 'SIGTERM');
      after(GRACE, () => {
        kill();
        // Another process may hold the other ends of the pipes open: it must not delay the end of the run.
        child.stdout?.destroy();
        child.stderr?.destroy();
        after(GRACE, giveUp);
      });
    };
    after(timeout, () => this.#interrupt?.('timeout'));
    process.on('exit', kill);
    const reading = child.stdout ? output.read(child.stdout) : Promise.resolve();
    child.stderr?.on('data', (piece: Buffer) => messages.feed(piece)).on('error', () => {});
    child.on('error', (error) => {
      if (child.pid === undefined) settle({ error });
    });
    child.once('close', (code, signal) => void reading.then(() => settle({ code, signal })));
  }

  #spawn(): ChildProcess {
    const command = this.#command;
    const [file, ...args] = typeof command === 'string' ? ['/bin/sh', '-c', command] : command;
    // In a process group of its own, so that what a shell or ssh started is ended with it, and without a terminal, so that
    // ssh fails instead of asking for a password.
    return spawn(file ?? '', args, {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      // pfctl is in /sbin, which daemons and cron(8) may not have in their path.
      env: { ...process.env, PATH: `${process.env.PATH ?? '/bin:/usr/bin'}:/sbin:/usr/sbin` },
    });
  }
}

/** Text from the command for a line of the log. */
export function quote(text: string): string {
  const line = printable(text.trim());
  return line.length > LONGEST_QUOTE ? `${line.slice(0, LONGEST_QUOTE)}...` : line;
}

/** Keeps the last line of a text that is not empty, as far as it is quoted. */
class LastLine {
  #tail = Buffer.alloc(0);

  feed(piece: Buffer): void {
    this.#tail = Buffer.concat([this.#tail, piece.subarray(-4 * LONGEST_QUOTE)]).subarray(-4 * LONGEST_QUOTE);
  }

  text(): string {
    return quote(this.#tail.toString().trimEnd().split('\n').at(-1) ?? '');
  }
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It has ended, or is another user's (sudo): then the closed pipes end it.
  }
}
