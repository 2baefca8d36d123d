/** One run of the program, from its command line to its exit status. */
import { fstatSync, writeSync } from 'node:fs';
import { openSinks } from './collectors.js';
import { convert } from './conversion.js';
import { type Background, goToBackground, takeBackground, withAbsolutePaths } from './daemon.js';
import type { Exporter } from './exporter.js';
import { FlowLog } from './flow-log.js';
import type { FlowSink } from './flow-sink.js';
import { LiveSources, selfFilter } from './live.js';
import { isJournal, Log } from './log.js';
import type { Options } from './option-table.js';
import { parseOptions, UsageError } from './options.js';
import { type Output, openOutput } from './outputs.js';
import { openPidFile, PID_FILE } from './pid-file.js';
import { Pipeline } from './pipeline.js';
import { dropPrivileges, type Privileges, planPrivileges } from './privilege.js';
import { PrivilegedShells } from './privileged-shell.js';
import { openRelay, type Relay } from './relay.js';
import { loggerCommand, ServiceLog } from './service-log.js';
import { onSignals } from './signals.js';
import { Stats } from './stats.js';
import { summaryJson, summaryText } from './summary.js';
import { StartError } from './transport.js';
import { usageText } from './usage.js';
import { VERSION } from './version.js';

export const DONE = 0;
export const CANNOT_START = 1;
export const INPUT_DAMAGED = 2;
export const NOT_DELIVERED = 3;

const STANDARD_ERROR = 2;

/** Resolves to the exit status. */
export async function run(argv: readonly string[]): Promise<number> {
  const background = takeBackground();
  try {
    const options = parseOptions(argv);
    if (options.help) return tell(usageText());
    if (options.showVersion) return tell(`pfflowd ${VERSION}\n`);
    if (options.checkConfig) return DONE;
    if (!options.foreground && background === undefined) return await goToBackground();
    return await new Run(withAbsolutePaths(options, process.cwd()), argv, background).toItsEnd();
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof StartError)) throw error;
    writeSync(STANDARD_ERROR, `pfflowd: ${error.message}\n`);
    return CANNOT_START;
  }
}

function tell(text: string): number {
  writeSync(1, text);
  return DONE;
}

class Run {
  readonly #options: Options;
  readonly #argv: readonly string[];
  readonly #background: Background | undefined;
  readonly #log: Log;
  readonly #stats = new Stats();
  readonly #stop = new AbortController();
  #exporters: readonly Exporter[] = [];
  #output: Output | undefined;
  #isOutputBroken = false;

  constructor(options: Options, argv: readonly string[], background: Background | undefined) {
    this.#options = options;
    this.#argv = argv;
    this.#background = background;
    this.#log = openLog(options, background !== undefined);
  }

  async toItsEnd(): Promise<number> {
    const options = this.#options;
    const privileges = planPrivileges(options, process.getuid?.() ?? -1);
    const pidFile = this.#background === undefined ? options.pidFile : (options.pidFile ?? PID_FILE);
    const held = pidFile === undefined ? undefined : openPidFile(pidFile);
    const pipeline = await this.#open();
    if (options.reads.length > 0) await this.#convert(pipeline, privileges);
    else await this.#live(pipeline, privileges);
    await this.#finish(pipeline);
    held?.release();
    return this.#exitStatus();
  }

  /** Opens everything behind the sources. */
  async #open(): Promise<Pipeline> {
    const options = this.#options;
    const log = this.#log;
    this.#output = openOutput(options, () => this.#stop.abort(), this.#stats);
    const { sinks: collectors, exporters } = await openSinks(options, log, this.#stats);
    this.#exporters = exporters;
    const relay =
      options.relay && (await openRelay({ endpoint: options.relay, source: options.source, log }));
    const sinks: FlowSink[] = [...collectors];
    if (this.#output) sinks.push(this.#output);
    if (options.debug) sinks.push(new FlowLog(log));
    if (relay) sinks.push(relay);
    return new Pipeline(await pipelineOptions(options, relay), sinks, log, this.#stats);
  }

  async #convert(pipeline: Pipeline, privileges: Privileges): Promise<void> {
    this.#listenToSignals(pipeline, undefined);
    this.#drop(privileges);
    await this.#guarded(() => convert(this.#options, pipeline, this.#log, this.#stop.signal));
  }

  async #live(pipeline: Pipeline, privileges: Privileges): Promise<void> {
    const shells = privileges.account === undefined ? undefined : new PrivilegedShells();
    const sources = new LiveSources(this.#options, pipeline, this.#log, shells?.spawn);
    this.#listenToSignals(pipeline, sources);
    await sources.start();
    this.#drop(privileges);
    this.#background?.ready();
    const { signal } = this.#stop;
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve));
    await this.#guarded(() => sources.stop());
  }

  #drop(privileges: Privileges): void {
    if (privileges.account !== undefined) this.#log.info(dropPrivileges(privileges.account));
    else if (this.#options.reads.length === 0) this.#log.info(`no rights dropped: ${privileges.kept}`);
  }

  /** A file that cannot be written ends the run, and what was done by then is told. */
  async #guarded(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (error instanceof StartError) throw error;
      this.#isOutputBroken = true;
      this.#log.error((error as Error).message);
    }
  }

  #listenToSignals(pipeline: Pipeline, sources: LiveSources | undefined): void {
    onSignals({
      drain: () => this.#stop.abort(),
      leave: () => process.exit(NOT_DELIVERED),
      statistics: () => void this.#tellStatistics(pipeline, sources),
      ...(sources === undefined ? {} : { reopen: () => this.#reopen(pipeline) }),
    });
  }

  async #tellStatistics(pipeline: Pipeline, sources: LiveSources | undefined): Promise<void> {
    await sources?.askKernel();
    this.#stats.states.open = pipeline.tracker.table.size;
    for (const line of summaryText(this.#stats, this.#results).split('\n')) this.#log.info(line);
  }

  #reopen(pipeline: Pipeline): void {
    try {
      this.#output?.reopen(pipeline.tracker.time);
      const { logLevel } = parseOptions(this.#argv);
      this.#log.setLevel(logLevel);
      this.#log.info('files reopened, log level read again; other options take effect at the next start');
    } catch (error) {
      this.#log.error((error as Error).message);
    }
  }

  async #finish(pipeline: Pipeline): Promise<void> {
    await this.#guarded(() => pipeline.close(this.#options.flushOpen ? 'flush' : 'count'));
    if (this.#background !== undefined) await this.#tellStatistics(pipeline, undefined);
    await this.#log.close();
    const { summary } = this.#options;
    if (summary === 'none' || this.#background !== undefined) return;
    const write = summary === 'json' ? summaryJson : summaryText;
    writeSync(STANDARD_ERROR, `${write(this.#stats, this.#results)}\n`);
  }

  get #results() {
    return this.#exporters.map((exporter) => exporter.result);
  }

  #exitStatus(): number {
    if (this.#isOutputBroken || this.#results.some(({ lostRecords }) => lostRecords > 0))
      return NOT_DELIVERED;
    const isConversion = this.#options.reads.length > 0;
    return isConversion && this.#stats.damaged.total > 0 ? INPUT_DAMAGED : DONE;
  }
}

function openLog({ logLevel, logFormat }: Options, isBackground: boolean): Log {
  const logger = isBackground ? loggerCommand() : undefined;
  return new Log({
    level: logLevel,
    format: logFormat,
    timestamps: false,
    priorities: logger?.hasPriorities ?? isJournal(process.env, fstatSync(STANDARD_ERROR)),
    stream: logger === undefined ? process.stderr : new ServiceLog({ command: logger.command }),
    now: Date.now,
  });
}

async function pipelineOptions(options: Options, relay: Relay | undefined) {
  const { direction, noUncounted, maxStates, ifmap, natEvents } = options;
  const self = options.reads.length > 0 ? undefined : await selfFilter(options);
  return {
    direction,
    noUncounted,
    maxStates,
    ifmap,
    natEvents,
    stateTimeout: options.stateTimeout * 1000,
    activeTimeout: options.activeTimeout * 1000,
    ...(self === undefined ? {} : { self }),
    ...(relay === undefined
      ? {}
      : { onMessage: (view: DataView, start: number, end: number) => relay.message(view, start, end) }),
  };
}
