/** A run: opens what the options ask for, reads until the end or a signal, closes, and reports. */
import { DONE, INPUT_DAMAGED, NOT_DELIVERED } from './cli/exit-status.js';
import type { Options } from './cli/option-table.js';
import { messageOf } from './cli/system-error.js';
import { openSinks } from './collectors.js';
import { SelfFilter } from './flow/self.js';
import { Statistics } from './observe/statistics.js';
import { type SinkResult, summaryJson, summaryText } from './observe/summary.js';
import { openOutput } from './outputs.js';
import { openMemory, Pipeline, type PipelineOptions } from './pipeline.js';
import { Requester } from './requester.js';
import { setFaultHandler } from './service/faults.js';
import { onSignals } from './service/signals.js';
import { print } from './service/standard-streams.js';
import type { Surroundings } from './service/surroundings.js';
import { FlowLog } from './sink/flow-log.js';
import type { FlowSink, Output } from './sink/flow-sink.js';
import { convert } from './source/conversion.js';
import { LiveSources, ownAddresses } from './source/live.js';
import { openRawSocket } from './transport/raw-socket.js';
import { openRelay, type Relay } from './transport/relay.js';

/** Milliseconds in which a run ends after an error that nobody foresaw, whatever still waits. */
const FAULT_PATIENCE = 5000;

/** Milliseconds for which congested sinks may hold up a live source. */
const LIVE_PATIENCE = 2000;

export class Run {
  readonly #options: Options;
  readonly #surroundings: Surroundings;
  readonly #readAgain: () => Options;
  readonly #statistics = new Statistics();
  readonly #stop = new AbortController();
  readonly #deadline = new AbortController();
  /** Everything that receives flows, collectors one by one. */
  #receivers: readonly FlowSink[] = [];
  #output: Output | undefined;
  #hasBegun = false;
  #hasFault = false;
  /** The only reader has gone: what it did not want is not lost. */
  #hasReaderLeft = false;

  /** `readAgain` parses the options and the configuration file once more. */
  constructor(options: Options, surroundings: Surroundings, readAgain: () => Options = () => options) {
    this.#options = options;
    this.#surroundings = surroundings;
    this.#readAgain = readAgain;
  }

  /** Resolves to the exit status. Rejects, with a StartError where the reason is known, when the start fails. */
  async toItsEnd(): Promise<number> {
    try {
      const pipeline = await this.#open();
      if (this.#options.reads.length > 0) await this.#convert(pipeline);
      else await this.#live(pipeline);
      await this.#finish(pipeline);
      return this.#exitStatus();
    } catch (error) {
      if (!this.#hasBegun) this.#output?.withdraw();
      throw error;
    }
  }

  /** Opens everything behind the sources. */
  async #open(): Promise<Pipeline> {
    const options = this.#options;
    const { log } = this.#surroundings;
    const memory = openMemory(options.ifmap, log);
    const others: FlowSink[] = [];
    if (options.format !== undefined) {
      this.#output = openOutput(options, memory, log, this.#statistics, () => this.#readerGone());
      others.push(this.#output);
    }
    if (options.debug) others.push(new FlowLog(memory, log));
    const relay =
      options.relay && (await openRelay({ endpoint: options.relay, source: options.source, log }));
    if (relay !== undefined) others.push(relay);
    const { sinks, exporters } = await openSinks(options, memory, log, this.#statistics);
    this.#receivers = [...exporters, ...others];
    const settings = await pipelineOptions(options, relay);
    return new Pipeline(settings, memory, [...sinks, ...others], log, this.#statistics);
  }

  async #convert(pipeline: Pipeline): Promise<void> {
    this.#listenToSignals(pipeline, undefined);
    this.#surroundings.ready();
    const { log } = this.#surroundings;
    await this.#guarded(() => convert(this.#options, pipeline, log, this.#stop.signal, () => this.#begin()));
  }

  async #live(pipeline: Pipeline): Promise<void> {
    const { log, rights } = this.#surroundings;
    const sources = new LiveSources(this.#options, pipeline, log, rights);
    this.#listenToSignals(pipeline, sources);
    // Opened while there are rights to.
    const requester = this.#options.requestUpdates
      ? new Requester(pipeline, this.#statistics, await openRawSocket(), log)
      : undefined;
    await sources.start();
    log.info(wayToExactCounters(this.#options));
    this.#begin();
    this.#surroundings.ready();
    requester?.start();
    await aborted(this.#stop.signal);
    requester?.stop();
    await this.#guarded(() => sources.stop());
  }

  /** Everything is open: the output file may be changed now, and an error no longer means a failed start. */
  #begin(): void {
    this.#output?.begin();
    this.#hasBegun = true;
    setFaultHandler((error) => this.#fault(error));
  }

  /** Does the work, until the deadline after a fault at the latest. Rejects when the start fails; later errors are faults. */
  async #guarded(work: () => Promise<void>): Promise<void> {
    try {
      await Promise.race([work(), aborted(this.#deadline.signal)]);
    } catch (error) {
      if (!this.#hasBegun) throw error;
      this.#fault(error);
    }
  }

  /** An error that nobody foresaw ends the run; what is queued is still sent. Later ones often follow from the first. */
  #fault(error: unknown): void {
    if (this.#hasFault) return;
    this.#hasFault = true;
    this.#surroundings.log.error(`internal error: ${messageOf(error)}`);
    this.#stop.abort();
    setTimeout(() => this.#deadline.abort(), FAULT_PATIENCE);
  }

  /** The reader of standard output went away: ends the run, as cat ends before head, unless others receive flows. */
  #readerGone(): void {
    if (this.#receivers.length > 1) return;
    this.#hasReaderLeft = true;
    this.#stop.abort();
  }

  #listenToSignals(pipeline: Pipeline, sources: LiveSources | undefined): void {
    onSignals({
      drain: () => this.#stop.abort(),
      leave: () => process.exit(NOT_DELIVERED),
      statistics: () => void this.#logStatistics(pipeline, sources),
      ...(sources === undefined ? {} : { reopen: () => this.#reopen(pipeline) }),
    });
  }

  async #logStatistics(pipeline: Pipeline, sources: LiveSources | undefined): Promise<void> {
    await sources?.askKernel();
    pipeline.settle();
    this.#logSummary();
  }

  #logSummary(): void {
    const { log } = this.#surroundings;
    for (const line of summaryText(this.#statistics, this.#results).split('\n')) log.info(line);
  }

  #reopen(pipeline: Pipeline): void {
    const { log } = this.#surroundings;
    try {
      pipeline.settle();
      this.#output?.reopen?.(pipeline.time);
      const { logLevel } = this.#readAgain();
      log.setLevel(logLevel);
      log.info('files reopened, log level read again; other options take effect at the next start');
    } catch (error) {
      log.error((error as Error).message);
    }
  }

  async #finish(pipeline: Pipeline): Promise<void> {
    const { isBackground } = this.#surroundings;
    const { flushOpen, summary } = this.#options;
    await this.#guarded(() => pipeline.close(flushOpen ? 'flush' : 'count'));
    if (isBackground) this.#logSummary();
    await this.#surroundings.end();
    if (summary === 'none' || isBackground) return;
    const text = (summary === 'json' ? summaryJson : summaryText)(this.#statistics, this.#results);
    // Where standard error cannot be written, the exit status remains.
    await print(process.stderr, `${text}\n`).catch(() => {});
  }

  get #results(): SinkResult[] {
    return this.#receivers.flatMap(({ result }) => result ?? []);
  }

  #exitStatus(): number {
    const hasLost = !this.#hasReaderLeft && this.#results.some(({ lostRecords }) => lostRecords > 0);
    if (this.#hasFault || hasLost) return NOT_DELIVERED;
    const isConversion = this.#options.reads.length > 0;
    return isConversion && this.#statistics.damaged.total > 0 ? INPUT_DAMAGED : DONE;
  }
}

async function pipelineOptions(options: Options, relay: Relay | undefined): Promise<PipelineOptions> {
  const { direction, join, noUncounted, maxStates, natEvents, reads, debug } = options;
  const isLive = reads.length === 0;
  const self = isLive ? await selfFilter(options) : undefined;
  return {
    direction,
    noUncounted,
    join,
    maxStates,
    natEvents,
    atOnce: debug,
    stateTimeout: options.stateTimeout * 1000,
    activeTimeout: options.activeTimeout * 1000,
    ...(isLive ? { patience: LIVE_PATIENCE } : {}),
    ...(self === undefined ? {} : { self }),
    ...(options.requestUpdates
      ? { requests: { interval: options.requestInterval * 1000, rate: options.requestRate } }
      : {}),
    ...(relay === undefined ? {} : { onMessage: relay.message.bind(relay) }),
  };
}

/** Knows the states of the program's own exports. */
async function selfFilter(options: Options): Promise<SelfFilter | undefined> {
  const addresses = await ownAddresses(options);
  if (addresses.length === 0) return undefined;
  const filter = new SelfFilter();
  for (const { address, port } of addresses) filter.add(address, port);
  return filter;
}

function wayToExactCounters({ requestUpdates, pfctl, pfctlInterval }: Options): string {
  if (requestUpdates) return 'exact counters: updates are requested from the firewalls';
  if (pfctl) return `exact counters: pfctl is run every ${pfctlInterval} s`;
  return 'exact counters: of states that were over with their first message, or whose delete has them; --request-updates on a sync link or --pfctl on a firewall give more';
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
