/** The program, from its command line to its exit status. */
import { readFileSync } from 'node:fs';
import { endianness } from 'node:os';
import { resolve } from 'node:path';
import { StartError, UsageError } from './cli/errors.js';
import { CANNOT_START, DONE } from './cli/exit-status.js';
import { checkFileRoles } from './cli/file-roles.js';
import type { Options } from './cli/option-table.js';
import { parseOptions } from './cli/options.js';
import { messageOf, reasonOf } from './cli/system-error.js';
import { usageText } from './cli/usage.js';
import { VERSION } from './cli/version.js';
import { Run } from './run.js';
import { goToBackground, takeBackground, withAbsolutePaths } from './service/daemon.js';
import { setFaultHandler } from './service/faults.js';
import { openService } from './service/service.js';
import { print } from './service/standard-streams.js';
import { foreground } from './service/surroundings.js';

/** Resolves to the exit status. Never rejects: a failed start is one line on standard error. */
export async function run(argv: readonly string[]): Promise<number> {
  setFaultHandler((error) => void complain(error).then((status) => process.exit(status)));
  try {
    const options = parseOptions(argv);
    if (options.help) return await show(usageText());
    if (options.showVersion) return await show(`pfflowd ${VERSION}\n`);
    checkFileRoles(options);
    if (options.checkConfig) return DONE;
    // Rows hold values in wire order as words of a little-endian processor.
    if (endianness() !== 'LE') throw new StartError('needs a little-endian processor');
    const isPlain = options.reads.length > 0 && options.user === undefined && options.pidFile === undefined;
    return await (isPlain ? new Run(options, foreground(options)).toItsEnd() : serve(options, argv));
  } catch (error) {
    return complain(error);
  }
}

async function show(text: string): Promise<number> {
  try {
    await print(process.stdout, text);
    return DONE;
  } catch (error) {
    throw new StartError(`standard output: ${reasonOf(error)}`);
  }
}

async function complain(error: unknown): Promise<number> {
  // Where standard error cannot be written, the exit status remains.
  const isForeseen = error instanceof UsageError || error instanceof StartError;
  const message = isForeseen ? error.message : `cannot start: ${messageOf(error)}`;
  await print(process.stderr, `pfflowd: ${message}\n`).catch(() => {});
  return CANNOT_START;
}

/** Runs as a service: in the background unless -d is given. */
async function serve(options: Options, argv: readonly string[]): Promise<number> {
  const background = takeBackground();
  if (!options.foreground && background === undefined) return goToBackground();
  const directory = workingDirectory();
  const readAgain = () => parseOptions(argv, (file) => readFileSync(resolve(directory, file), 'utf8'));
  const absolute = withAbsolutePaths(options, directory);
  return new Run(absolute, openService(absolute, background), readAgain).toItsEnd();
}

function workingDirectory(): string {
  try {
    return process.cwd();
  } catch (error) {
    throw new StartError(`working directory: ${reasonOf(error)}`);
  }
}
