/** Converts captures, one after the other: what `-r` does. */

import { accessSync, constants } from 'node:fs';
import { CaptureOpenError, isRegularFile, readCapture } from './capture-file.js';
import type { Log } from '../service/log.js';
import { printable } from '../service/log.js';
import { monotonic } from '../service/monotonic.js';
import type { Options } from '../cli/option-table.js';
import type { Pipeline } from '../pipeline.js';
import { ProgressBar, wantsProgress } from '../observe/progress.js';
import { isTerminal, STANDARD_ERROR } from '../service/standard-streams.js';
import type { StopSignal } from '../stop.js';
import { StartError } from '../cli/errors.js';

/** Reads every capture of `-r`. What is damaged is counted in the pipeline's statistics. Throws a StartError. */
export async function convert(
  options: Options,
  pipeline: Pipeline,
  log: Log,
  signal: StopSignal,
): Promise<void> {
  for (const path of options.reads) checkReadable(path);
  const progress = progressBar(options, pipeline);
  // A pipe may be live: what it brought must not wait for the next packet.
  const isLive = !options.reads.every(isRegularFile);
  const timer = isLive ? setInterval(() => pipeline.flush(), options.hold * 900) : undefined;
  try {
    for (const [number, path] of options.reads.entries()) {
      if (signal.aborted) break;
      await convertOne(path, number === 0, pipeline, log, signal, progress.update);
    }
  } finally {
    clearInterval(timer);
    progress.clear();
  }
}

async function convertOne(
  path: string,
  isFirst: boolean,
  pipeline: Pipeline,
  log: Log,
  signal: StopSignal,
  onProgress: (progress: { octets: number; total: number | undefined }) => void,
): Promise<void> {
  pipeline.source = path === '-' ? 'standard input' : path;
  try {
    const { damage } = await readCapture(path, pipeline, { onProgress, signal });
    if (damage === undefined) return;
    pipeline.stats.damaged.add('captureCut');
    log.warn(`${printable(pipeline.source)}: ${damage}`);
  } catch (error) {
    if (!(error instanceof CaptureOpenError)) throw error;
    if (isFirst) throw new StartError(error.message);
    pipeline.stats.damaged.add('captureUnreadable');
    log.error(error.message);
  }
}

function checkReadable(path: string): void {
  if (path === '-') return;
  try {
    accessSync(path, constants.R_OK);
  } catch (error) {
    throw new StartError(`${path}: ${reason(error as NodeJS.ErrnoException)}`);
  }
}

function reason(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT') return 'no such file';
  return error.code === 'EACCES' ? 'permission denied' : error.message;
}

function progressBar(options: Options, pipeline: Pipeline) {
  if (!wantsProgress(options.progress, isTerminal(STANDARD_ERROR)))
    return { update: () => {}, clear: () => {} };
  const { stderr } = process;
  const bar = new ProgressBar({
    write: (text) => stderr.write(text),
    columns: () => stderr.columns ?? 80,
    now: monotonic,
  });
  return {
    update: ({ octets, total }: { octets: number; total: number | undefined }) =>
      bar.update({ octets, total: total ?? 0, states: pipeline.stats.states.ended }),
    clear: () => bar.clear(),
  };
}
