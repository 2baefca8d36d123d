/** One run of the program, from its command line to its exit status. */
import { writeSync } from 'node:fs';
import { openExporters } from './collectors.js';
import { convert } from './conversion.js';
import type { Exporter } from './exporter.js';
import { FlowLog } from './flow-log.js';
import type { FlowSink } from './flow-sink.js';
import { Log } from './log.js';
import type { Options } from './option-table.js';
import { parseOptions, UsageError } from './options.js';
import { openOutput } from './outputs.js';
import { Pipeline } from './pipeline.js';
import { Stats } from './stats.js';
import { summaryJson, summaryText } from './summary.js';
import { StartError } from './transport.js';
import { usageText } from './usage.js';
import { VERSION } from './version.js';

export const DONE = 0;
export const CANNOT_START = 1;
export const INPUT_DAMAGED = 2;
export const NOT_DELIVERED = 3;

/** Resolves to the exit status. */
export async function run(argv: readonly string[]): Promise<number> {
  try {
    const options = parseOptions(argv);
    if (options.help) return tell(usageText());
    if (options.showVersion) return tell(`pfflowd ${VERSION}\n`);
    if (options.checkConfig) return DONE;
    return await runWith(options);
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof StartError)) throw error;
    writeSync(2, `pfflowd: ${error.message}\n`);
    return CANNOT_START;
  }
}

function tell(text: string): number {
  writeSync(1, text);
  return DONE;
}

async function runWith(options: Options): Promise<number> {
  const stop = new AbortController();
  const log = openLog(options);
  const stats = new Stats();
  const output = openOutput(options, () => stop.abort(), stats);
  const exporters = await openExporters(options, log, stats);
  const sinks: FlowSink[] = [
    ...exporters,
    ...(output ? [output] : []),
    ...(options.debug ? [new FlowLog(log)] : []),
  ];
  const pipeline = new Pipeline(pipelineOptions(options), sinks, log, stats);
  onSignals(stop);
  let isOutputBroken = false;
  try {
    await convert(options, pipeline, log, stop.signal);
  } catch (error) {
    if (error instanceof StartError) throw error;
    isOutputBroken = true;
    log.error((error as Error).message);
  }
  await pipeline.close(options.flushOpen ? 'flush' : 'count');
  await log.close();
  tellSummary(options, pipeline.stats, exporters);
  return exitStatus(pipeline.stats, exporters, isOutputBroken);
}

function openLog({ logLevel, logFormat }: Options): Log {
  return new Log({
    level: logLevel,
    format: logFormat,
    timestamps: false,
    priorities: false,
    stream: process.stderr,
    now: Date.now,
  });
}

function pipelineOptions(options: Options) {
  const { direction, noUncounted, maxStates, ifmap, natEvents } = options;
  return {
    direction,
    noUncounted,
    maxStates,
    ifmap,
    natEvents,
    stateTimeout: options.stateTimeout * 1000,
    activeTimeout: options.activeTimeout * 1000,
  };
}

/** The first signal drains; the second leaves at once. */
function onSignals(stop: AbortController): void {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(NOT_DELIVERED);
      stop.abort();
    });
  }
}

function tellSummary({ summary }: Options, stats: Stats, exporters: readonly Exporter[]): void {
  if (summary === 'none') return;
  const results = exporters.map((exporter) => exporter.result);
  const text = summary === 'json' ? summaryJson(stats, results) : summaryText(stats, results);
  writeSync(2, `${text}\n`);
}

function exitStatus(stats: Stats, exporters: readonly Exporter[], isOutputBroken: boolean): number {
  if (isOutputBroken || exporters.some(({ result }) => result.lostRecords > 0)) return NOT_DELIVERED;
  return stats.damaged.total > 0 ? INPUT_DAMAGED : DONE;
}
