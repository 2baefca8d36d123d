/**
 * The log of a program in the background: lines go to syslog through logger(1). It never blocks: while logger is slow or
 * gone, lines are queued up to a bound, and dropped and counted beyond it.
 */
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { Writable } from 'node:stream';
import { monotonic } from './monotonic.js';

const LOGGER = ['logger', '-t', 'pfflowd', '-p', 'daemon.notice'] as const;

/** Only util-linux reads a priority from the line, and only it cuts lines at 1 KiB by default. */
const UTIL_LINUX = ['--prio-prefix', '--size', '8192'] as const;

/** Octets of the queue. */
const MOST_WAITING = 256 * 1024;

/** Milliseconds until logger is started again: the pause doubles each time, and begins anew after a run of GOOD_RUN. */
const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 60_000;
const GOOD_RUN = 10_000;

/** Milliseconds that logger may take to end. */
const PATIENCE = 2000;

export interface ServiceLogOptions {
  readonly command?: readonly string[];
  /** The account of logger when root starts it: it needs no rights. */
  readonly account?: { readonly uid: number; readonly gid: number } | undefined;
  /** A monotonic clock, in milliseconds. */
  readonly clock?: () => number;
}

/** The command line of this system's logger(1), and whether it reads a syslog priority at the start of a line. */
export function loggerCommand(program: string = LOGGER[0]): { command: string[]; hasPriorities: boolean } {
  const { stdout } = spawnSync(program, ['--version'], {
    encoding: 'latin1',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const hasPriorities = /util-linux/.test(stdout ?? '');
  const command = [program, ...LOGGER.slice(1), ...(hasPriorities ? UTIL_LINUX : [])];
  return { command, hasPriorities };
}

export class ServiceLog extends Writable {
  /** Lines that were not written. */
  dropped = 0;
  readonly #command: readonly string[];
  readonly #account: ServiceLogOptions['account'];
  readonly #clock: () => number;
  #child: ChildProcessByStdio<Writable, null, null> | undefined;
  #waiting: Buffer[] = [];
  #waitingOctets = 0;
  /** Dropped lines that no line of the log has reported yet. */
  #unreported = 0;
  #pause = FIRST_PAUSE;
  #timer: NodeJS.Timeout | undefined;
  #isClosing = false;

  constructor(options: ServiceLogOptions = {}) {
    super({ decodeStrings: true });
    const { command = loggerCommand().command, account, clock = monotonic } = options;
    this.#command = command;
    this.#account = account;
    this.#clock = clock;
    this.#start();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (chunk.length > 0) this.#add(withoutName(chunk));
    done();
  }

  /** Calls back when logger has read everything and ended, or took too long for it. */
  override _final(done: () => void): void {
    this.#isClosing = true;
    clearTimeout(this.#timer);
    const child = this.#child;
    if (child === undefined) {
      done();
      return;
    }
    const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE);
    child.once('close', () => {
      clearTimeout(timer);
      done();
    });
    child.stdin.end();
  }

  #add(line: Buffer): void {
    const stdin = this.#child?.stdin;
    if (this.#waitingOctets + (stdin?.writableLength ?? 0) + line.length > MOST_WAITING) {
      this.dropped++;
      this.#unreported++;
      return;
    }
    if (stdin === undefined) {
      this.#waiting.push(line);
      this.#waitingOctets += line.length;
      return;
    }
    this.#reportDropped(stdin);
    stdin.write(line);
  }

  #reportDropped(stdin: Writable): void {
    if (this.#unreported > 0) stdin.write(`${this.#unreported} lines of the log could not be written\n`);
    this.#unreported = 0;
  }

  #start(): void {
    const [program, ...args] = this.#command;
    const startedAt = this.#clock();
    // Only root may set them; later the program itself runs as that account.
    const { uid, gid } = (process.getuid?.() === 0 && this.#account) || {};
    const child = spawn(program!, args, {
      stdio: ['pipe', 'ignore', 'ignore'],
      // It must not get signals for the terminal's process group.
      detached: true,
      cwd: '/',
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid }),
    });
    child.on('error', () => {
      if (child.pid === undefined) this.#ended(startedAt);
    });
    child.once('exit', () => this.#ended(startedAt));
    if (child.pid === undefined) return;
    child.stdin.on('error', () => {});
    this.#child = child;
    for (const line of this.#waiting) child.stdin.write(line);
    this.#waiting = [];
    this.#waitingOctets = 0;
    this.#reportDropped(child.stdin);
  }

  #ended(startedAt: number): void {
    const lived = this.#clock() - startedAt;
    this.#child = undefined;
    if (this.#isClosing) return;
    if (lived >= GOOD_RUN) this.#pause = FIRST_PAUSE;
    const pause = this.#pause;
    this.#pause = Math.min(2 * pause, LONGEST_PAUSE);
    this.#timer = setTimeout(() => this.#start(), pause).unref();
  }
}

/** The line without the program's name, which syslog writes itself (`-t`). */
function withoutName(line: Buffer): Buffer {
  return Buffer.from(line.toString().replace(/^(<\d>)?pfflowd: /, '$1'));
}
