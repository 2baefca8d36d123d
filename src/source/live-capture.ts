/**
 * Packets from an interface, through the system's tcpdump as a child: what `-i` does. A tcpdump that ends by itself, or whose
 * interface went away, is started again.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import type { Packet } from '../../protocol/capture/packet.js';
import { CaptureOpenError, type PacketConsumer, readCaptureStream } from './capture-file.js';
import { printable } from '../cli/printable.js';
import { type Log } from '../service/log.js';
import type { CommandRun, SpawnCommand } from '../service/privileged-shell.js';
import {
  type CaptureRequest,
  missingTcpdump,
  startFailure,
  statisticsSignal,
  TcpdumpReport,
  tcpdumpArguments,
} from './tcpdump.js';
import { StartError } from '../cli/errors.js';

/** Milliseconds until a new start: from the first to the longest, doubling; the first again after a run of so long. */
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 30_000;
const GOOD_RUN = 10_000;

/** Milliseconds that tcpdump has to end when it is told to, and to tell statistics when it is asked. */
const PATIENCE = 2000;
const STATISTICS_PATIENCE = 500;

/** Where tcpdump is when the path of an ordinary user does not tell. */
const SYSTEM_PATH = '/usr/sbin:/sbin:/usr/local/sbin';

/** Where packets go. `source` names for messages what the next packet comes from. */
export interface LiveConsumer extends PacketConsumer {
  source: string;
}

export interface LiveCaptureOptions extends CaptureRequest {
  readonly consumer: LiveConsumer;
  readonly log: Log;
  /** Milliseconds that only go forward. */
  readonly clock: () => number;
  /** tcpdump, and what is to stand before it. */
  readonly command?: readonly string[];
  readonly platform?: NodeJS.Platform;
  /** How it is started: as our own child, or by who keeps the rights that we give up. */
  readonly spawn?: SpawnCommand;
}

export interface LiveCounters {
  /** Times that capturing went on with a new tcpdump. */
  restarts: number;
  /** Packets that came in. */
  received: number;
  /** Packets that the kernel had no room for, as tcpdump told when it last did. */
  kernelDrops: number;
  /** Packets that the kernel had, as tcpdump told, and that tcpdump ended without reading. */
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
  /** Resolves when it has ended and everything it wrote is read. */
  readonly over: Promise<void>;
}

export class LiveCapture {
  readonly #options: Required<LiveCaptureOptions>;
  readonly #past = { kernelDrops: 0, unread: 0 };
  #received = 0;
  #restarts = 0;
  #cut = 0;
  #pause = FIRST_PAUSE;
  #timer: NodeJS.Timeout | undefined;
  #run: Run | undefined;
  #isStopped = false;
  #hasListened = false;

  constructor(options: LiveCaptureOptions) {
    this.#options = { command: ['tcpdump'], platform: process.platform, spawn: spawnChild, ...options };
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
      return;
    }
    await run.over;
    const { code } = failure as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw missingTcpdump(interfaceName, command[0]!);
    if (code !== undefined) throw new StartError(`-i ${interfaceName}: tcpdump: ${failure.message}`);
    throw startFailure(platform, this.#options, run.report.complaint);
  }

  /** Ends tcpdump and takes in what it still wrote. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    const run = this.#run;
    if (run === undefined) return;
    run.child.kill('SIGTERM');
    const timer = setTimeout(() => {
      if (hasEnded(run.child)) return;
      // It may belong to another user by now: then closing its output must be enough.
      if (!run.child.kill('SIGKILL')) run.giveUp.abort();
    }, PATIENCE);
    await run.over;
    clearTimeout(timer);
  }

  /** Asks tcpdump what the kernel dropped so far. Resolves when it has told, or does not want to. */
  async requestStatistics(): Promise<void> {
    const signal = statisticsSignal(this.#options.platform);
    const run = this.#run;
    if (signal === undefined || run?.report.listening === undefined || hasEnded(run.child)) return;
    const { report, child } = run;
    const before = report.tellings;
    const patience = AbortSignal.timeout(STATISTICS_PATIENCE);
    if (!child.kill(signal)) return;
    // It writes its line in pieces.
    while (report.tellings === before && !patience.aborted) {
      await once(child.stderr, 'data', { signal: patience }).catch(() => {});
    }
  }

  #spawn(): Run {
    const { command, platform, clock, spawn } = this.#options;
    const [program, ...before] = command;
    const path = `${process.env.PATH ?? ''}:${SYSTEM_PATH}`;
    const args = [...before, ...tcpdumpArguments(platform, this.#options)];
    const child = spawn(program!, args, { PATH: path, LC_ALL: 'C' });
    const report = new TcpdumpReport();
    child.stderr.setEncoding('utf8').on('data', (text: string) => this.#heard(report, text));
    const giveUp = new AbortController();
    const over = this.#follow(child, report, giveUp.signal);
    const run = { child, report, startedAt: clock(), giveUp, over };
    this.#run = run;
    return run;
  }

  #heard(report: TcpdumpReport, text: string): void {
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
    child.on('error', () => {}); // A failed start, or a signal that was not allowed.
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
      const { damage } = await readCaptureStream(stdout, this.#consumer(), { signal });
      if (damage === undefined) return;
      this.#cut++;
      if (!this.#isStopped)
        this.#options.log.limited(this.#key, `${this.interfaceName}: the capture ${damage}`);
    } catch (error) {
      // Nothing was written: what tcpdump said instead is in its report.
      if (!(error instanceof CaptureOpenError)) throw error;
    }
  }

  #consumer(): PacketConsumer {
    const { consumer, interfaceName } = this.#options;
    return {
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
  }

  #ended(report: TcpdumpReport): void {
    const { received, dropped, captured, complaint } = report;
    const lived = this.#options.clock() - this.#run!.startedAt;
    this.#run = undefined;
    this.#past.kernelDrops += dropped;
    this.#past.unread += Math.max(0, received - dropped - (captured ?? received));
    if (this.#isStopped || !this.#hasListened) return;
    if (report.listening !== undefined && lived >= GOOD_RUN) this.#pause = FIRST_PAUSE;
    this.#later(complaint === '' ? 'ended' : complaint);
  }

  #later(why: string): void {
    const pause = this.#pause;
    this.#pause = Math.min(2 * pause, LONGEST_PAUSE);
    this.#options.log.limited(
      this.#key,
      `${this.interfaceName}: tcpdump: ${printable(why)}; again in ${pause / 1000} s`,
    );
    this.#timer = setTimeout(() => {
      try {
        this.#spawn();
      } catch (error) {
        this.#later((error as Error).message);
      }
    }, pause);
  }

  get #key(): string {
    return `capture ${this.interfaceName}`;
  }
}

const spawnChild: SpawnCommand = (program, args, env) => {
  // A signal to the terminal's process group is for us alone: it is we who end tcpdump.
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
