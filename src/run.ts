/** A run: opens what the options ask for, reads what there is to read, and tells what became of it. What only some runs need is loaded by those. */
import { writeSync } from 'node:fs';
import type { Extent } from './source/capture-size.js';
import { DONE, INPUT_DAMAGED, NOT_DELIVERED } from './cli/exit-status.js';
import type { Exporter } from './sink/exporter.js';
import type { FlowSink } from './sink/flow-sink.js';
import type { LiveSources } from './source/live.js';
import type { Options } from './cli/option-table.js';
import type { Output } from './outputs.js';
import { Pipeline } from './pipeline.js';
import type { Relay } from './transport/relay.js';
import { onSignals } from './service/signals.js';
import { STANDARD_ERROR } from './service/standard-streams.js';
import { Stats } from './observe/statistics.js';
import { Stop } from './stop.js';
import { summaryJson, summaryText } from './observe/summary.js';
import type { Surroundings } from './service/surroundings.js';
import { StartError } from './cli/errors.js';

export class Run {
  readonly #options: Options;
  readonly #surroundings: Surroundings;
  readonly #extent: Extent | undefined;
  readonly #readAgain: () => Options;
  readonly #stats = new Stats();
  readonly #stop = new Stop();
  #exporters: readonly Exporter[] = [];
  #output: Output | undefined;
  #isOutputBroken = false;

  /** `readAgain` gives the options as the configuration file tells them later. */
  constructor(
    options: Options,
    surroundings: Surroundings,
    extent: Extent | undefined,
    readAgain: () => Options = () => options,
  ) {
    this.#options = options;
    this.#surroundings = surroundings;
    this.#extent = extent;
    this.#readAgain = readAgain;
  }

  async toItsEnd(): Promise<number> {
    const pipeline = await this.#open();
    if (this.#options.reads.length > 0) await this.#convert(pipeline);
    else await this.#live(pipeline);
    await this.#finish(pipeline);
    return this.#exitStatus();
  }

  /** Opens everything behind the sources. */
  async #open(): Promise<Pipeline> {
    const options = this.#options;
    const { log } = this.#surroundings;
    const sinks: FlowSink[] = [];
    if (options.format !== undefined) {
      const { openOutput } = await import('./outputs.js');
      this.#output = openOutput(options, options.format, () => this.#stop.abort(), this.#stats);
      sinks.push(this.#output);
    }
    if (options.collectors.length > 0) {
      const { openSinks } = await import('./collectors.js');
      const collectors = await openSinks(options, log, this.#stats, this.#extent);
      this.#exporters = collectors.exporters;
      sinks.unshift(...collectors.sinks);
    }
    if (options.debug) {
      const { FlowLog } = await import('./sink/flow-log.js');
      sinks.push(new FlowLog(log));
    }
    let relay: Relay | undefined;
    if (options.relay !== undefined) {
      const { openRelay } = await import('./transport/relay.js');
      relay = await openRelay({ endpoint: options.relay, source: options.source, log });
      sinks.push(relay);
    }
    return new Pipeline(await pipelineOptions(options, relay), sinks, log, this.#stats);
  }

  async #convert(pipeline: Pipeline): Promise<void> {
    const { convert } = await import('./source/conversion.js');
    this.#listenToSignals(pipeline, undefined);
    this.#surroundings.ready();
    await this.#guarded(() => convert(this.#options, pipeline, this.#surroundings.log, this.#stop));
  }

  async #live(pipeline: Pipeline): Promise<void> {
    const { LiveSources } = await import('./source/live.js');
    const { log, rights } = this.#surroundings;
    const sources = new LiveSources(this.#options, pipeline, log, rights);
    this.#listenToSignals(pipeline, sources);
    await sources.start();
    this.#surroundings.ready();
    const stop = this.#stop;
    if (!stop.aborted) await new Promise<void>((wake) => stop.addEventListener('abort', wake));
    await this.#guarded(() => sources.stop());
  }

  /** A file that cannot be written ends the run, and what was done by then is told. */
  async #guarded(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (error instanceof StartError) throw error;
      this.#isOutputBroken = true;
      this.#surroundings.log.error((error as Error).message);
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
    const { log } = this.#surroundings;
    for (const line of summaryText(pipeline.stats, this.#results).split('\n')) log.info(line);
  }

  #reopen(pipeline: Pipeline): void {
    const { log } = this.#surroundings;
    try {
      pipeline.settle();
      this.#output?.reopen(pipeline.time);
      const { logLevel } = this.#readAgain();
      log.setLevel(logLevel);
      log.info('files reopened, log level read again; other options take effect at the next start');
    } catch (error) {
      log.error((error as Error).message);
    }
  }

  async #finish(pipeline: Pipeline): Promise<void> {
    const { isBackground, end } = this.#surroundings;
    await this.#guarded(() => pipeline.close(this.#options.flushOpen ? 'flush' : 'count'));
    if (isBackground) await this.#tellStatistics(pipeline, undefined);
    await end();
    const { summary } = this.#options;
    if (summary === 'none' || isBackground) return;
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
  const isLive = options.reads.length === 0;
  const self = isLive ? await (await import('./source/live.js')).selfFilter(options) : undefined;
  return {
    direction,
    noUncounted,
    maxStates,
    ifmap,
    natEvents,
    atOnce: options.debug,
    stateTimeout: options.stateTimeout * 1000,
    activeTimeout: options.activeTimeout * 1000,
    ...(self === undefined ? {} : { self }),
    ...(relay === undefined
      ? {}
      : { onMessage: (view: DataView, start: number, end: number) => relay.message(view, start, end) }),
  };
}
