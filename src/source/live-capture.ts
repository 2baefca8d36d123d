/**
 * Packets from an interface, through the system's tcpdump as a child process: what `-i` does. A tcpdump that ends by itself,
 * as when its interface goes away, is started again.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import type { Packet } from '../../protocol/capture/packet.js';
import { StartError } from '../cli/errors.js';
import type { Log } from '../service/log.js';
import type { CommandRun, SpawnCommand } from '../service/privileged-shell.js';
import { CaptureOpenError, readCaptureStream } from './capture-file.js';
import { CheckedPackets } from './checked-packets.js';
import type { NamesSource, PacketConsumer } from './consumer.js';
import {
  type CaptureRequest,
  missingTcpdump,
  startFailure,
  statisticsSignal,
  TcpdumpReport,
  tcpdumpArguments,
} from './tcpdump.js';
import { type StartTimer, startTimer, type Timer } from './timer.js';

/** Milliseconds until a new start: doubled from the first to the longest, and the first again after a run of this length. */
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 30_000;
const GOOD_RUN = 10_000;

/** Milliseconds that tcpdump has to end after SIGTERM, and to print the statistics that were requested. */
const STOP_TIMEOUT = 2000;
const STATISTICS_TIMEOUT = 500;

/** Where tcpdump may be, added to the path: an ordinary user's has none of these. */
const SYSTEM_PATH = '/usr/sbin:/sbin:/usr/local/sbin';

export type LiveConsumer = PacketConsumer & NamesSource;

export interface LiveCaptureOptions extends CaptureRequest {
  readonly consumer: LiveConsumer;
  readonly log: Log;
  /** Milliseconds of a clock that never goes back. */
  readonly clock: () => number;
  /** tcpdump, and what is to stand before it. */
  readonly command?: readonly string[];
  readonly platform?: NodeJS.Platform;
  /** Starts it: as our own child, or through the shell that keeps the rights that we drop. */
  readonly spawn?: SpawnCommand;
  readonly startTimer?: StartTimer;
}

export interface LiveCounters {
  /** Times that capturing went on with a new tcpdump. */
  restarts: number;
  /** Packets that came in. */
  received: number;
  /** Packets that the kernel had no room for, as tcpdump last reported. */
  kernelDrops: number;
  /** Packets that passed tcpdump's filter and that it ended without reading. */
  unread: number;
  /** Runs of tcpdump that ended in the middle of a packet. */
  cut: number;
}

/** One run of tcpdump. */
interface Run {
  readonly child: CommandRun;
  readonly report: TcpdumpReport;
  readonly startedAt: number;
  readonly giveUp: AbortController;
  /** Resolves when it has ended and all its output is read. */
  readonly over: Promise<void>;
}

export class LiveCapture {
  readonly #options: Required<LiveCaptureOptions>;
  readonly #packets: PacketConsumer;
  readonly #past = { kernelDrops: 0, unread: 0 };
  #received = 0;
  #restarts = 0;
  #cut = 0;
  #pause = FIRST_PAUSE;
  #timer: Timer | undefined;
  #run: Run | undefined;
  #isStopped = false;
  #hasListened = false;

  constructor(options: LiveCaptureOptions) {
    const defaults = { command: ['tcpdump'], platform: process.platform, spawn: spawnChild, startTimer };
    this.#options = { ...defaults, ...options };
    this.#packets = this.#consumer();
  }

  get interfaceName(): string {
    return this.#options.interfaceName;
  }

  get counters(): LiveCounters {
    const dropped = this.#run?.report.dropped ?? 0;
    return {
      restarts: this.#restarts,
      received: this.#received,
      kernelDrops: this.#past.kernelDrops + dropped,
      unread: this.#past.unread,
      cut: this.#cut,
    };
  }

  /** Resolves when tcpdump listens. Throws a StartError. */
  async start(): Promise<void> {
    const { interfaceName, platform, command, log } = this.#options;
    const run = this.#spawn();
    const failure = await new Promise<Error | undefined>((resolve) => {
      run.child.once('error', resolve);
      run.child.stderr.on('data', () => {
        if (run.report.listening !== undefined) resolve(undefined);
      });
      run.over.then(() => resolve(new Error('tcpdump ended')));
    });
    if (failure === undefined) {
      log.info(`capturing on ${run.report.listening}`);
      if (run.report.isPflog) log.warn(`-i ${interfaceName}: it shows packets, not states: capture pfsync0`);
      return;
    }
    await run.over;
    const { code } = failure as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw missingTcpdump(interfaceName, command[0]!);
    if (code !== undefined) throw new StartError(`-i ${interfaceName}: tcpdump: ${failure.message}`);
    throw startFailure(platform, this.#options, run.report.complaint);
  }

  /** Ends tcpdump and reads the rest of its output. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    const run = this.#run;
    if (run === undefined) return;
    run.child.kill('SIGTERM');
    const timer = this.#options.startTimer(STOP_TIMEOUT, () => {
      if (hasEnded(run.child)) return;
      // It may run as another user by now: then all that can be done is to close its output.
      if (!run.child.kill('SIGKILL')) run.giveUp.abort();
    });
    await run.over;
    timer.cancel();
  }

  /** Requests the kernel's drop counter. Resolves when tcpdump has printed it, or does not in time. */
  async requestStatistics(): Promise<void> {
    const signal = statisticsSignal(this.#options.platform);
    const run = this.#run;
    if (signal === undefined || run?.report.listening === undefined || hasEnded(run.child)) return;
    const { report, child } = run;
    const before = report.dropReports;
    const timeout = new AbortController();
    const timer = this.#options.startTimer(STATISTICS_TIMEOUT, () => timeout.abort());
    if (child.kill(signal)) {
      // Its line may arrive in pieces.
      while (report.dropReports === before && !timeout.signal.aborted) {
        await once(child.stderr, 'data', { signal: timeout.signal }).catch(() => {});
      }
    }
    timer.cancel();
  }

  #spawn(): Run {
    const { command, platform, clock, spawn } = this.#options;
    const [program, ...before] = command;
    const path = `${process.env.PATH ?? ''}:${SYSTEM_PATH}`;
    const args = [...before, ...tcpdumpArguments(platform, this.#options)];
    const child = spawn(program!, args, { PATH: path, LC_ALL: 'C' });
    const report = new TcpdumpReport();
    child.stderr.setEncoding('utf8').on('data', (text: string) => this.#readReport(report, text));
    const giveUp = new AbortController();
    const over = this.#follow(child, report, giveUp.signal);
    const run = { child, report, startedAt: clock(), giveUp, over };
    this.#run = run;
    return run;
  }

  #readReport(report: TcpdumpReport, text: string): void {
    const wasListening = report.listening !== undefined;
    report.add(text);
    if (wasListening || report.listening === undefined) return;
    if (this.#hasListened) {
      this.#restarts++;
      this.#options.log.limited(this.#key, `capturing again on ${report.listening}`);
    }
    this.#hasListened = true;
  }

  async #follow(child: CommandRun, report: TcpdumpReport, signal: AbortSignal): Promise<void> {
    child.on('error', () => {}); // The start failed, or a signal was not allowed.
    const closed = new Promise<void>((resolve) => {
      child.once('close', () => resolve());
      signal.addEventListener('abort', () => {
        child.stderr.destroy();
        child.unref();
        resolve();
      });
    });
    await this.#read(child.stdout, signal);
    await closed;
    report.end();
    this.#ended(report);
  }

  async #read(stdout: Readable, signal: AbortSignal): Promise<void> {
    try {
      const { damage } = await readCaptureStream(stdout, this.#packets, { signal });
      if (damage === undefined) return;
      this.#cut++;
      if (!this.#isStopped)
        this.#options.log.limited(this.#key, `${this.interfaceName}: the capture ${damage}`);
    } catch (error) {
      // No capture was written: the report has tcpdump's reason.
      if (!(error instanceof CaptureOpenError)) throw error;
    }
  }

  #consumer(): PacketConsumer {
    const { consumer, interfaceName, log } = this.#options;
    const counted = {
      packet: (packet: Packet) => {
        this.#received++;
        consumer.source = interfaceName;
        consumer.packet(packet);
      },
      get isCongested() {
        return consumer.isCongested;
      },
      drained: () => consumer.drained(),
    };
    return new CheckedPackets(counted, (message) => log.warn(`${interfaceName}: ${message}`));
  }

  #ended(report: TcpdumpReport): void {
    const { received, dropped, captured, complaint } = report;
    const duration = this.#options.clock() - this.#run!.startedAt;
    this.#run = undefined;
    this.#past.kernelDrops += dropped;
    this.#past.unread += Math.max(0, received - dropped - (captured ?? received));
    if (this.#isStopped || !this.#hasListened) return;
    if (report.listening !== undefined && duration >= GOOD_RUN) this.#pause = FIRST_PAUSE;
    this.#startLater(complaint === '' ? 'ended' : complaint);
  }

  #startLater(reason: string): void {
    const pause = this.#pause;
    this.#pause = Math.min(2 * pause, LONGEST_PAUSE);
    this.#options.log.limited(
      this.#key,
      `${this.interfaceName}: tcpdump: ${reason}; again in ${pause / 1000} s`,
    );
    this.#timer = this.#options.startTimer(pause, () => {
      try {
        this.#spawn();
      } catch (error) {
        this.#startLater((error as Error).message);
      }
    });
  }

  get #key(): string {
    return `capture ${this.interfaceName}`;
  }
}

const spawnChild: SpawnCommand = (program, args, env) => {
  // In a process group of its own, so that a signal to the terminal's group does not end it before us.
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env, detached: true });
  const { stdout, stderr } = child;
  if (stdout && stderr) return Object.assign(child, { stdout, stderr });
  // There are no descriptors left.
  child.on('error', () => {});
  throw new Error(`cannot start ${program}: no streams`);
};

function hasEnded(child: CommandRun): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
