/** The program, from its command line to its exit status. Most of it is loaded when it is known what is to be done. */
import { readFileSync, writeSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Extent, extentOf } from './source/capture-size.js';
import { CANNOT_START, DONE } from './cli/exit-status.js';
import type { Options } from './cli/option-table.js';
import { parseOptions, UsageError } from './cli/options.js';
import { STANDARD_ERROR, STANDARD_OUTPUT } from './service/standard-streams.js';
import { foreground, type Surroundings } from './service/surroundings.js';
import { StartError } from './cli/errors.js';
import { usageText } from './cli/usage.js';
import { VERSION } from './cli/version.js';

/** Is told how long the run will be, and whether it needs koffi, before the core is loaded. */
type Preparation = (extent: Extent | undefined, needsKoffi: boolean) => Promise<void>;

/** Resolves to the exit status. */
export async function run(argv: readonly string[], prepare: Preparation = prepareV8): Promise<number> {
  try {
    const options = parseOptions(argv);
    if (options.help) return tell(usageText());
    if (options.showVersion) return tell(`pfflowd ${VERSION}\n`);
    if (options.checkConfig) return DONE;
    const isPlain = options.reads.length > 0 && options.user === undefined && options.pidFile === undefined;
    return await (isPlain ? start(options, foreground(options), prepare) : serve(options, argv, prepare));
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof StartError)) throw error;
    writeSync(STANDARD_ERROR, `pfflowd: ${error.message}\n`);
    return CANNOT_START;
  }
}

function tell(text: string): number {
  writeSync(STANDARD_OUTPUT, text);
  return DONE;
}

async function prepareV8(extent: Extent | undefined, needsKoffi: boolean): Promise<void> {
  const { prepareFor } = await import('./v8-flags.js');
  prepareFor(extent, needsKoffi);
}

async function start(
  options: Options,
  surroundings: Surroundings,
  prepare: Preparation,
  readAgain?: () => Options,
): Promise<number> {
  const extent = extentOf(options.reads);
  await prepare(
    extent,
    options.collectors.some(({ protocol }) => protocol === 'udp'),
  );
  const { Run } = await import('./run.js');
  return new Run(options, surroundings, extent, readAgain).toItsEnd();
}

/** In the background, unless told otherwise. */
async function serve(options: Options, argv: readonly string[], prepare: Preparation): Promise<number> {
  const { goToBackground, takeBackground, withAbsolutePaths } = await import('./service/daemon.js');
  const background = takeBackground();
  if (!options.foreground && background === undefined) return goToBackground();
  const directory = process.cwd();
  const readAgain = () => parseOptions(argv, (file) => readFileSync(resolve(directory, file), 'utf8'));
  const { openService } = await import('./service/service.js');
  const absolute = withAbsolutePaths(options, directory);
  return start(absolute, openService(absolute, background), prepare, readAgain);
}
