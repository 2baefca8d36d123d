/** Converts captures, one after the other: what `-r` does. */
import { accessSync, constants } from 'node:fs';
import { StartError } from '../cli/errors.js';
import type { Options } from '../cli/option-table.js';
import { ProgressBar, wantsProgress } from '../observe/progress.js';
import type { Log } from '../service/log.js';
import { monotonic } from '../service/monotonic.js';
import { isTerminal, STANDARD_ERROR } from '../service/standard-streams.js';
import { CaptureOpenError, type CaptureOptions, type CaptureProgress, readCapture } from './capture-file.js';
import { CheckedPackets } from './checked-packets.js';
import type { Flushable, NamesSource, PacketConsumer } from './consumer.js';
import { isRegularFile } from './open-octets.js';

/** Where the packets of a conversion go, and where it counts what it could not read. */
export interface ConversionConsumer extends PacketConsumer, NamesSource, Flushable {
  readonly statistics: {
    readonly damaged: { add(reason: string): void };
    readonly states: { readonly ended: number };
  };
}

type ConversionOptions = Pick<Options, 'reads' | 'hold' | 'progress'>;

/** Share of `--hold` between two flushes: a record that just missed one still leaves in time. */
const FLUSHES = 0.9;

/**
 * Reads every capture of `-r`, until `signal` ends it. Damage is counted in the consumer's statistics. `onOpen` is called once,
 * when the first capture is open. Throws a StartError when a capture may not be read, or the first one is none.
 */
export async function convert(
  options: ConversionOptions,
  consumer: ConversionConsumer,
  log: Log,
  signal: AbortSignal,
  onOpen?: () => void,
): Promise<void> {
  const { reads, hold } = options;
  for (const path of reads) checkReadable(path);
  const progress = progressBar(options, consumer);
  // A pipe may be live: its records must not wait for the next packet.
  const isLive = !reads.every(isRegularFile);
  const timer = isLive ? setInterval(() => consumer.flush(), hold * 1000 * FLUSHES) : undefined;
  try {
    for (const [index, path] of reads.entries()) {
      if (signal.aborted) break;
      const reading = { onOpen: index === 0 ? onOpen : undefined, onProgress: progress.update, signal };
      await convertOne(path, consumer, log, reading).catch((error: unknown) => {
        if (!(error instanceof CaptureOpenError)) throw error;
        if (index === 0) throw new StartError(error.message);
        consumer.statistics.damaged.add('captureUnreadable');
        log.error(error.message);
      });
    }
  } finally {
    clearInterval(timer);
    progress.clear();
  }
}

async function convertOne(
  path: string,
  consumer: ConversionConsumer,
  log: Log,
  options: CaptureOptions,
): Promise<void> {
  const name = path === '-' ? 'standard input' : path;
  consumer.source = name;
  const { damaged } = consumer.statistics;
  const packets = new CheckedPackets(consumer, (message) => log.warn(`${name}: ${message}`));
  const { damage } = await readCapture(path, packets, options);
  if (packets.allUnreadable) damaged.add('unknownLinkType');
  if (damage === undefined) return;
  damaged.add('captureCut');
  log.warn(`${name}: ${damage}`);
}

function checkReadable(path: string): void {
  if (path === '-') return;
  try {
    accessSync(path, constants.R_OK);
  } catch (error) {
    throw new StartError(`${path}: ${accessFault(error as NodeJS.ErrnoException)}`);
  }
}

function accessFault(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT') return 'no such file';
  return error.code === 'EACCES' ? 'permission denied' : error.message;
}

function progressBar(options: ConversionOptions, consumer: ConversionConsumer) {
  if (!wantsProgress(options.progress, isTerminal(STANDARD_ERROR)))
    return { update: () => {}, clear: () => {} };
  const { stderr } = process;
  const bar = new ProgressBar({
    write: (text) => stderr.write(text),
    columns: () => stderr.columns ?? 80,
    now: monotonic,
  });
  return {
    update: ({ octets, total }: CaptureProgress) =>
      bar.update({ octets, total: total ?? 0, states: consumer.statistics.states.ended }),
    clear: () => bar.clear(),
  };
}
