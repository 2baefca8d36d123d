/**
 * Counters from the firewall itself: runs pfctl(8), here or over ssh(1), and reads the state table that it prints.
 * A run that fails, hangs or prints something else is ended, counted and tried again later; the flow of packets never waits for it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { printable } from '../cli/printable.js';
import { IdOrder, type StateCounters, StateListParser } from './pfctl-text.js';

/** What `--pfctl` runs. */
export const PFCTL = ['pfctl', '-vvss'] as const;

export interface PfctlLog {
  warn(message: string): void;
  info(message: string): void;
}

export interface PfctlOptions {
  /** A program and its arguments, or a line for /bin/sh. */
  readonly command: readonly string[] | string;
  /** Seconds from start to start. */
  readonly interval: number;
  /** Seconds that a run may take; the interval, and 10 at least, when not told. */
  readonly timeout?: number;
  /** Takes the counters of a state (valid during the call only) and tells whether such a state is known. */
  readonly onCounters: (counters: StateCounters) => boolean;
  readonly log: PfctlLog;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
}

/**
 * Why a run failed: it could not be started, left with a status, was killed by somebody else, printed something but no state,
 * took too long, or its output could not be read.
 */
export type PfctlFailure = 'spawn' | 'exit' | 'signal' | 'garbled' | 'timeout' | 'read';

/** Sums over all runs. A failed run may have told states before it failed. */
export interface PfctlCounters {
  runs: number;
  /** Of all reasons. */
  failures: number;
  timeouts: number;
  readonly reasons: Record<PfctlFailure, number>;
  states: number;
  /** States that `onCounters` knew. */
  known: number;
  /** Blocks and lines that could not be read. */
  unparsed: number;
  /** When the last good run ended, in milliseconds since the epoch; 0 is never. */
  lastSuccess: number;
}

/** How a run went. `stopped` is `stop` and no failure. */
export interface PfctlRun {
  readonly result: 'success' | 'stopped' | PfctlFailure;
  readonly states: number;
  readonly known: number;
  readonly unparsed: number;
}

/** Why a run is ended before its time. */
type Interruption = 'timeout' | 'stopped';
interface Ending {
  readonly interruption?: Interruption | undefined;
  readonly error?: Error;
  readonly code?: number | null;
  readonly signal?: string | null;
  /** Not even SIGKILL ended it: pfctl can hang in the kernel. */
  readonly isStuck?: boolean;
  /** The last line of standard error. */
  readonly message?: string;
  /** Seconds. */
  readonly timeout?: number;
}

const LEAST_TIMEOUT = 10;
/** Milliseconds. */
const LONGEST_PAUSE = 300_000;
/** Seconds from SIGTERM to SIGKILL, and from there to giving up. */
const GRACE = 1;
const WARNING_INTERVAL = 60_000;
const LONGEST_QUOTE = 200;

/** Milliseconds from the start of a run to the next one's, after so many failures in a row: doubled from the second one on. */
export function runInterval(interval: number, failures: number): number {
  const usual = interval * 1000;
  return Math.max(usual, Math.min(LONGEST_PAUSE, usual * 2 ** Math.max(0, failures - 1)));
}

export class PfctlPoller {
  readonly counters: PfctlCounters = {
    runs: 0,
    failures: 0,
    timeouts: 0,
    reasons: { spawn: 0, exit: 0, signal: 0, garbled: 0, timeout: 0, read: 0 },
    states: 0,
    known: 0,
    unparsed: 0,
    lastSuccess: 0,
  };

  readonly #options: PfctlOptions;
  readonly #name: string;
  readonly #order = new IdOrder();
  readonly #warning = { time: Number.NEGATIVE_INFINITY, reason: '', suppressed: 0 };
  #isStarted = false;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<PfctlRun> | undefined;
  #interrupt: ((why: Interruption) => void) | undefined;
  /** Failures in a row. */
  #failures = 0;
  /** A child that could not be ended and is there still. */
  #stuck: ChildProcess | undefined;

  constructor(options: PfctlOptions) {
    this.#options = options;
    const { command } = options;
    this.#name = quote(typeof command === 'string' ? command : command.join(' '));
  }

  /** Runs now and then every interval. */
  start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    void this.#poll();
  }

  /** Ends the run that is under way, too. Resolves when it is gone. */
  async stop(): Promise<void> {
    this.#isStarted = false;
    clearTimeout(this.#timer);
    this.#interrupt?.('stopped');
    await this.#running;
  }

  /** One run, or the one that is under way. Never rejects. */
  runOnce(): Promise<PfctlRun> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #poll(): Promise<void> {
    const { clock, interval } = this.#options;
    const start = clock();
    await this.runOnce();
    if (!this.#isStarted) return;
    const pause = runInterval(interval, this.#failures);
    // A clock that was set meanwhile makes the pause neither negative nor endless.
    const elapsed = Math.max(0, clock() - start);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#poll(), Math.max(0, pause - elapsed)).unref();
  }

  async #run(): Promise<PfctlRun> {
    const { counters } = this;
    counters.runs++;
    this.#order.startList();
    const list = new StateList(this.#order, this.#options.onCounters);
    const ending = await this.#execute(list);
    const { states, unparsed } = list.end();
    const { result, detail } = assess(ending, states, list);
    const { known } = this.#order;
    counters.states += states;
    counters.known += known;
    counters.unparsed += unparsed;
    if (result === 'success') this.#succeed(states, unparsed);
    else if (result !== 'stopped') this.#fail(result, detail);
    return { result, states, known, unparsed };
  }

  #succeed(states: number, unparsed: number): void {
    this.counters.lastSuccess = this.#options.clock();
    if (this.#failures > 0) {
      this.#options.log.info(`${this.#name}: works again after ${this.#failures} failed runs`);
    }
    this.#failures = 0;
    if (unparsed === 0) return;
    this.#warn('unparsed', `${unparsed} blocks or lines beside ${states} states are not understood`);
  }

  #fail(reason: PfctlFailure, detail: string): void {
    const { counters } = this;
    counters.failures++;
    counters.reasons[reason]++;
    if (reason === 'timeout') counters.timeouts++;
    this.#failures++;
    this.#warn(reason, detail);
  }

  /** One warning a minute, and one when the reason is another. */
  #warn(reason: string, detail: string): void {
    const warning = this.#warning;
    const now = this.#options.clock();
    if (reason === warning.reason && Math.abs(now - warning.time) < WARNING_INTERVAL) {
      warning.suppressed++;
      return;
    }
    const more = warning.suppressed > 0 ? ` (and ${warning.suppressed} more)` : '';
    this.#options.log.warn(`${this.#name}: ${detail}${more}`);
    this.#warning.time = now;
    this.#warning.reason = reason;
    this.#warning.suppressed = 0;
  }

  #execute(list: StateList): Promise<Ending> {
    // A process that hangs in the kernel cannot be ended: a second one would only hang beside it.
    if (this.#stuck !== undefined) return Promise.resolve({ interruption: 'timeout', isStuck: true });
    const { interval, timeout = Math.max(LEAST_TIMEOUT, interval) } = this.#options;
    return new Promise((resolve) => {
      let child: ChildProcess;
      try {
        child = this.#spawn();
      } catch (error) {
        resolve({ error: error as Error });
        return;
      }
      const messages = new LastLine();
      let interruption: Interruption | undefined;
      let timer: NodeJS.Timeout | undefined;
      let isSettled = false;
      const later = (seconds: number, action: () => void) => {
        clearTimeout(timer);
        timer = setTimeout(action, seconds * 1000).unref();
      };
      const kill = () => signalGroup(child, 'SIGKILL');
      const settle = (ending: Ending) => {
        if (isSettled) return;
        isSettled = true;
        clearTimeout(timer);
        process.off('exit', kill);
        this.#interrupt = undefined;
        resolve({ ...ending, interruption, message: messages.text(), timeout });
      };
      const giveUp = () => {
        this.#stuck = child;
        child.unref();
        child.once('exit', () => {
          this.#stuck = undefined;
        });
        settle({ isStuck: true });
      };
      this.#interrupt = (why) => {
        if (interruption !== undefined) return;
        interruption = why;
        list.isOver = true;
        signalGroup(child, 'SIGTERM');
        later(GRACE, () => {
          kill();
          // Whoever else holds the other ends of the pipes must not keep the run waiting.
          child.stdout?.destroy();
          child.stderr?.destroy();
          later(GRACE, giveUp);
        });
      };
      later(timeout, () => this.#interrupt?.('timeout'));
      process.on('exit', kill);
      const reading = child.stdout ? list.read(child.stdout) : Promise.resolve();
      child.stderr?.on('data', (chunk: Buffer) => messages.feed(chunk)).on('error', ignore);
      child.on('error', (error) => {
        if (child.pid === undefined) settle({ error });
      });
      child.once('close', (code, signal) => void reading.then(() => settle({ code, signal })));
    });
  }

  #spawn(): ChildProcess {
    const { command } = this.#options;
    const [file, ...args] = typeof command === 'string' ? ['/bin/sh', '-c', command] : command;
    // A group of its own: what a shell or ssh started is ended with it. No terminal: ssh fails rather than ask for a password.
    return spawn(file ?? '', args, {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      // pfctl lives in /sbin, which daemons and cron(8) may not have in their path.
      env: { ...process.env, PATH: `${process.env.PATH ?? '/bin:/usr/bin'}:/sbin:/usr/sbin` },
    });
  }
}

/** The list of one run, on its way from the child to `onCounters`. */
class StateList {
  octets = 0;
  /** What comes from now on is not wanted any more. */
  isOver = false;
  error: Error | undefined;
  readonly #parser: StateListParser;

  constructor(order: IdOrder, onCounters: (counters: StateCounters) => boolean) {
    this.#parser = new StateListParser((counters) => {
      if (!this.isOver) order.offer(counters, onCounters);
    });
  }

  /** Parses as it streams, one chunk (64 KiB at most) a turn of the event loop. Resolves at the end, whatever that is. */
  async read(stream: Readable): Promise<void> {
    try {
      for await (const chunk of stream) {
        if (this.isOver) continue;
        this.octets += (chunk as Buffer).length;
        this.#parser.feed(chunk as Buffer);
        await setImmediate();
      }
    } catch (error) {
      this.error = error as Error;
    }
  }

  end(): { states: number; unparsed: number } {
    return this.#parser.end();
  }
}

/** The last line of standard error that is not empty, and no more of it than is worth quoting. */
class LastLine {
  #tail = Buffer.alloc(0);

  feed(chunk: Buffer): void {
    this.#tail = Buffer.concat([this.#tail, chunk.subarray(-4 * LONGEST_QUOTE)]).subarray(-4 * LONGEST_QUOTE);
  }

  text(): string {
    return quote(this.#tail.toString().trimEnd().split('\n').at(-1) ?? '');
  }
}

function assess(
  ending: Ending,
  states: number,
  { octets, error: fault }: StateList,
): { result: PfctlRun['result']; detail: string } {
  const { interruption, error, code, signal, isStuck, message, timeout } = ending;
  const because = message ? `: ${message}` : '';
  if (interruption === 'stopped') return { result: 'stopped', detail: '' };
  if (isStuck) return { result: 'timeout', detail: `hangs and cannot be ended${because}` };
  if (interruption === 'timeout')
    return { result: 'timeout', detail: `not done after ${timeout} s${because}` };
  if (error) return { result: 'spawn', detail: `cannot be run: ${quote(error.message)}` };
  if (fault) return { result: 'read', detail: `output cannot be read: ${quote(fault.message)}` };
  if (signal) return { result: 'signal', detail: `killed by ${signal}${because}` };
  if (code !== 0) return { result: 'exit', detail: `exit status ${code}${because}` };
  if (octets > 0 && states === 0) {
    return { result: 'garbled', detail: `no state in ${octets} octets of output${because}` };
  }
  return { result: 'success', detail: '' };
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It is gone, or another user's (sudo): then the closed pipes end it.
  }
}

function quote(text: string): string {
  const line = printable(text.trim());
  return line.length > LONGEST_QUOTE ? `${line.slice(0, LONGEST_QUOTE)}...` : line;
}

function ignore(): void {}
