/**
 * Counters from the firewall itself: polls the state table as pfctl(8) prints it. A poll that fails, hangs or prints
 * something else is ended, counted and repeated later; packets never wait for it.
 */
import type { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { IdOrder } from './id-order.js';
import { type Ending, type OutputReader, PfctlCommand, quote } from './pfctl-command.js';
import { type StateCounters, StateListParser } from './pfctl-text.js';
import { type StartTimer, startTimer, type Timer } from './timer.js';

/** What `--pfctl` runs. */
export const PFCTL = ['pfctl', '-vvss'] as const;

export interface PfctlLog {
  warn(message: string): void;
  info(message: string): void;
}

export interface PfctlOptions {
  /** A program and its arguments, or a line for /bin/sh. */
  readonly command: readonly string[] | string;
  /** Seconds from the start of a poll to the start of the next. */
  readonly interval: number;
  /** Seconds that a poll may take; by default the interval, and 10 at least. */
  readonly timeout?: number;
  /**
   * Takes the counters of a state (valid during the call only) from a poll that began at `startedAt`, and returns whether
   * the state is known. What the counters say was true at some time after `startedAt`.
   */
  readonly onCounters: CountersReader;
  readonly log: PfctlLog;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  readonly startTimer?: StartTimer;
}

type CountersReader = (counters: StateCounters, startedAt: number) => boolean;

/**
 * Why a poll failed: the command could not be started, exited with a status, was killed by another process, printed
 * something but no state, took too long, or its output could not be read.
 */
export type PfctlFailure = 'spawn' | 'exit' | 'signal' | 'garbled' | 'timeout' | 'read';

/** Sums over all polls. A failed poll may have reported states before it failed. */
export interface PfctlCounters {
  runs: number;
  /** For all reasons. */
  failures: number;
  timeouts: number;
  readonly reasons: Record<PfctlFailure, number>;
  states: number;
  /** States that `onCounters` knew. */
  known: number;
  /** Blocks and lines that could not be read. */
  unparsed: number;
  /** When the last successful poll ended, in milliseconds since the epoch; 0 is never. */
  lastSuccess: number;
}

/** The result of a poll. `stopped` is no failure. */
export interface PfctlRun {
  readonly result: 'success' | 'stopped' | PfctlFailure;
  readonly states: number;
  readonly known: number;
  readonly unparsed: number;
}

/** Seconds. */
const LEAST_TIMEOUT = 10;
/** Milliseconds. */
const LONGEST_PAUSE = 300_000;
const WARNING_INTERVAL = 60_000;

/** Milliseconds from the start of a poll to the next one's, after `failures` in a row: doubled from the second failure on. */
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
  readonly #command: PfctlCommand;
  readonly #timeout: number;
  readonly #startTimer: StartTimer;
  readonly #order = new IdOrder();
  readonly #warning = { time: Number.NEGATIVE_INFINITY, reason: '', suppressed: 0 };
  #isStarted = false;
  #timer: Timer | undefined;
  #running: Promise<PfctlRun> | undefined;
  /** Failures in a row. */
  #failures = 0;

  constructor(options: PfctlOptions) {
    const { command, interval, timeout = Math.max(LEAST_TIMEOUT, interval) } = options;
    this.#options = options;
    this.#name = quote(typeof command === 'string' ? command : command.join(' '));
    this.#timeout = timeout;
    this.#startTimer = options.startTimer ?? startTimer;
    this.#command = new PfctlCommand(command, this.#startTimer);
  }

  /** Polls now and then every interval. */
  start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    void this.#poll();
  }

  /** Ends the poll that is under way, too. Resolves when its process has ended. */
  async stop(): Promise<void> {
    this.#isStarted = false;
    this.#timer?.cancel();
    this.#command.stop();
    await this.#running;
  }

  /** One poll, or the one that is under way. Never rejects. */
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
    // The clock may have been set meanwhile: the pause must be neither negative nor endless.
    const elapsed = Math.max(0, clock() - start);
    this.#timer?.cancel();
    this.#timer = this.#startTimer(Math.max(0, pause - elapsed), () => void this.#poll());
  }

  async #run(): Promise<PfctlRun> {
    const { counters } = this;
    counters.runs++;
    this.#order.startList();
    const list = new StateList(this.#order, this.#options.onCounters, this.#options.clock());
    const ending = await this.#command.run(list, this.#timeout * 1000);
    const { states, unparsed } = list.end();
    const { result, detail } = this.#assess(ending, states, list);
    const { known } = this.#order;
    counters.states += states;
    counters.known += known;
    counters.unparsed += unparsed;
    if (result === 'success') this.#succeed(states, unparsed);
    else if (result !== 'stopped') this.#fail(result, detail);
    return { result, states, known, unparsed };
  }

  #assess(
    ending: Ending,
    states: number,
    { octets, error: fault }: StateList,
  ): { result: PfctlRun['result']; detail: string } {
    const { interruption, error, code, signal, isStuck, message } = ending;
    const because = message ? `: ${message}` : '';
    if (interruption === 'stopped') return { result: 'stopped', detail: '' };
    if (isStuck) return { result: 'timeout', detail: `hangs and cannot be ended${because}` };
    if (interruption === 'timeout')
      return { result: 'timeout', detail: `not done after ${this.#timeout} s${because}` };
    if (error) return { result: 'spawn', detail: `cannot be run: ${quote(error.message)}` };
    if (fault) return { result: 'read', detail: `output cannot be read: ${quote(fault.message)}` };
    if (signal) return { result: 'signal', detail: `killed by ${signal}${because}` };
    if (code !== 0) return { result: 'exit', detail: `exit status ${code}${because}` };
    if (octets > 0 && states === 0) {
      return { result: 'garbled', detail: `no state in ${octets} octets of output${because}` };
    }
    return { result: 'success', detail: '' };
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

  /** One warning a minute, and one when the reason changes. */
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
}

/** The list of states of one poll, parsed as it is printed. */
class StateList implements OutputReader {
  octets = 0;
  isOver = false;
  error: Error | undefined;
  readonly #parser: StateListParser;

  constructor(order: IdOrder, onCounters: CountersReader, startedAt: number) {
    const offer = (counters: StateCounters) => onCounters(counters, startedAt);
    this.#parser = new StateListParser((counters) => {
      if (!this.isOver) order.offer(counters, offer);
    });
  }

  /** Parses one piece of 64 KiB at most in a turn of the event loop, so that packets need not wait for a long list. */
  async read(stream: Readable): Promise<void> {
    try {
      for await (const piece of stream) {
        if (this.isOver) continue;
        this.octets += (piece as Buffer).length;
        this.#parser.feed(piece as Buffer);
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
