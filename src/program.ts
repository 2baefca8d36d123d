/** One run of the program, from its command line to its exit status. */
import { fstatSync, readFileSync, writeSync } from 'node:fs';
import { resolve } from 'node:path';
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
import { logFaults, loggerCommand, ServiceLog } from './service-log.js';
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
    const directory = process.cwd();
    return await new Run(withAbsolutePaths(options, directory), background, () =>
      parseOptions(argv, (file) => readFileSync(resolve(directory, file), 'utf8')),
    ).toItsEnd();
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
  readonly #background: Background | undefined;
  readonly #privileges: Privileges;
  readonly #serviceLog: ServiceLog | undefined;
  readonly #log: Log;
  readonly #readAgain: () => Options;
  readonly #stats = new Stats();
  readonly #stop = new AbortController();
  #exporters: readonly Exporter[] = [];
  #output: Output | undefined;
  #isOutputBroken = false;

  /** `readAgain` gives the options as the configuration file tells them later. Throws a StartError. */
  constructor(options: Options, background: Background | undefined, readAgain: () => Options) {
    this.#options = options;
    this.#background = background;
    this.#readAgain = readAgain;
    this.#privileges = planPrivileges(options, process.getuid?.() ?? -1);
    const logger = background === undefined ? undefined : loggerCommand();
    if (logger !== undefined) {
      this.#serviceLog = new ServiceLog({ command: logger.command, account: this.#privileges.account });
      logFaults(logger.command);
    }
    this.#log = new Log({
      level: options.logLevel,
      format: options.logFormat,
      timestamps: false,
      priorities: logger?.hasPriorities ?? isJournal(process.env, fstatSync(STANDARD_ERROR)),
      stream: this.#serviceLog ?? process.stderr,
      now: Date.now,
    });
  }

  async toItsEnd(): Promise<number> {
    const options = this.#options;
    const pidFile = this.#background === undefined ? options.pidFile : (options.pidFile ?? PID_FILE);
    const held = pidFile === undefined ? undefined : openPidFile(pidFile);
    const pipeline = await this.#open();
    if (options.reads.length > 0) await this.#convert(pipeline);
    else await this.#live(pipeline);
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

  async #convert(pipeline: Pipeline): Promise<void> {
    this.#listenToSignals(pipeline, undefined);
    this.#drop();
    await this.#guarded(() => convert(this.#options, pipeline, this.#log, this.#stop.signal));
  }

  async #live(pipeline: Pipeline): Promise<void> {
    const shells = this.#privileges.account === undefined ? undefined : new PrivilegedShells();
    const sources = new LiveSources(this.#options, pipeline, this.#log, shells?.spawn);
    this.#listenToSignals(pipeline, sources);
    await sources.start();
    this.#drop();
    this.#background?.ready();
    const { signal } = this.#stop;
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve));
    await this.#guarded(() => sources.stop());
  }

  #drop(): void {
    const privileges = this.#privileges;
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
      const { logLevel } = this.#readAgain();
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
    const serviceLog = this.#serviceLog;
    if (serviceLog) await new Promise<void>((done) => serviceLog.end(() => done()));
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
