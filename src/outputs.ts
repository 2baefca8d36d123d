/** Opens what `--format` asks for. */
import { isatty } from 'node:tty';
import { csvFormat } from './format-csv.js';
import { jsonFormat } from './format-json.js';
import { tableFormat } from './format-table.js';
import { IpfixFile } from './ipfix-file.js';
import type { Options } from './option-table.js';
import { OutputFile } from './output-file.js';
import { TextOutput } from './text-output.js';
import { StartError } from './transport.js';

const TEXT_FORMATS = { json: jsonFormat, csv: csvFormat, table: tableFormat };
const STANDARD_OUTPUT = 1;

export type Output = TextOutput | IpfixFile;

/** `onReaderGone` is called when the reader of a pipe went away. Throws a StartError. */
export function openOutput(options: Options, onReaderGone: () => void): Output | undefined {
  const { format, output, nat, domain, template } = options;
  if (format === undefined) return undefined;
  if (format === 'ipfix' && output === '-' && isatty(STANDARD_OUTPUT)) {
    throw new StartError('--format ipfix is no text: give -o FILE or a pipe');
  }
  const file = openFile(output, onReaderGone);
  if (format === 'ipfix') return new IpfixFile(file, { nat: nat ?? 'original', domain, profile: template });
  return new TextOutput(file, TEXT_FORMATS[format](nat));
}

function openFile(path: string, onReaderGone: () => void): OutputFile {
  try {
    return new OutputFile(path, { onReaderGone });
  } catch (error) {
    throw new StartError((error as Error).message);
  }
}
