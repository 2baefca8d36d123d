/** Opens what `--format` asks for. */
import { exportCounts } from './observe/export-counts.js';
import { csvFormat } from './sink/csv.js';
import { jsonFormat } from './sink/json.js';
import { tableFormat } from './sink/table.js';
import { IpfixFile, type IpfixFileOptions } from './sink/ipfix-file.js';
import type { Options, OutputFormat } from './cli/option-table.js';
import { optionsChoice } from './cli/option-values.js';
import { OutputFile } from './sink/output-file.js';
import { isTerminal, STANDARD_OUTPUT } from './service/standard-streams.js';
import type { Stats } from './observe/statistics.js';
import { TextOutput } from './sink/text-output.js';
import { StartError } from './cli/errors.js';

const TEXT_FORMATS = { json: jsonFormat, csv: csvFormat, table: tableFormat };
export type Output = TextOutput | IpfixFile;

/** `onReaderGone` is called when the reader of a pipe went away. Throws a StartError. */
export function openOutput(
  options: Options,
  format: OutputFormat,
  onReaderGone: () => void,
  stats: Stats,
): Output {
  const { output, nat } = options;
  if (format === 'ipfix' && output === '-' && isTerminal(STANDARD_OUTPUT)) {
    throw new StartError('--format ipfix is no text: give -o FILE or a pipe');
  }
  const file = openFile(output, onReaderGone);
  if (format === 'ipfix') return new IpfixFile(file, ipfixOptions(options, stats));
  return new TextOutput(file, TEXT_FORMATS[format](nat));
}

function ipfixOptions(options: Options, stats: Stats): IpfixFileOptions {
  return {
    nat: options.nat ?? 'original',
    domain: options.domain,
    profile: options.template,
    biflow: options.biflow,
    announce: optionsChoice(options.exportOptions),
    counts: options.exportStats ? exportCounts(stats) : undefined,
  };
}

function openFile(path: string, onReaderGone: () => void): OutputFile {
  try {
    return new OutputFile(path, { onReaderGone });
  } catch (error) {
    throw new StartError((error as Error).message);
  }
}
