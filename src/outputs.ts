/** Opens what `--format` asks for. A new format is a file of src/sink/, its row here, and its name in the table of options. */
import type { FlowMemory } from '../protocol/flow/rows.js';
import { StartError } from './cli/errors.js';
import type { Options, OutputFormat } from './cli/option-table.js';
import { optionsChoice } from './cli/option-values.js';
import { exportCounts } from './observe/export-counts.js';
import type { Statistics } from './observe/statistics.js';
import type { Log } from './service/log.js';
import { isTerminal, STANDARD_OUTPUT } from './service/standard-streams.js';
import { csvFormat } from './sink/csv.js';
import type { Output } from './sink/flow-sink.js';
import { IpfixFile } from './sink/ipfix-file.js';
import { jsonFormat } from './sink/json.js';
import { OutputFile, type OutputFileOptions } from './sink/output-file.js';
import { tableFormat } from './sink/table.js';
import type { OpenFormat } from './sink/text-format.js';
import { TextOutput } from './sink/text-output.js';

/** What the outputs of a run are made from. */
interface OutputContext {
  readonly options: Options;
  readonly memory: FlowMemory;
  readonly log: Pick<Log, 'limited'>;
  readonly stats: Statistics;
  readonly onReaderGone: () => void;
}

const FORMATS: Readonly<Record<OutputFormat, (context: OutputContext) => Output>> = {
  json: textOutput(jsonFormat),
  csv: textOutput(csvFormat),
  table: textOutput(tableFormat),
  ipfix: ipfixFile,
};

/**
 * Opens the file, which stays as it is until the output's `begin`. `onReaderGone` is called when the reader of a pipe goes
 * away. Throws a StartError.
 */
export function openOutput(
  options: Options,
  memory: FlowMemory,
  log: Pick<Log, 'limited'>,
  stats: Statistics,
  onReaderGone: () => void,
): Output {
  const { format = 'json' } = options;
  return FORMATS[format]({ options, memory, log, stats, onReaderGone });
}

function textOutput(openFormat: OpenFormat): (context: OutputContext) => Output {
  return (context) => {
    const { memory, options } = context;
    return new TextOutput(memory, openFile(context, 'lines'), openFormat(memory, options.nat ?? 'original'));
  };
}

function ipfixFile(context: OutputContext): Output {
  const { options, memory, stats } = context;
  if (options.output === '-' && isTerminal(STANDARD_OUTPUT)) {
    throw new StartError('--format ipfix is no text: give -o FILE or a pipe');
  }
  const file = openFile(context, 'messages');
  return new IpfixFile(memory, file, {
    nat: options.nat ?? 'original',
    domain: options.domain,
    profile: options.template,
    biflow: options.biflow,
    announce: optionsChoice(options.exportOptions),
    ...(options.exportStats ? { counts: exportCounts(stats, file.lost) } : {}),
  });
}

/** A conversion replaces the file, a live run goes on at its end. */
function openFile(context: OutputContext, framing: OutputFileOptions['framing']): OutputFile {
  const { options, log, onReaderGone } = context;
  const mode = options.reads.length > 0 ? 'replace' : 'append';
  return OutputFile.open(options.output, mode, { framing, log, onReaderGone });
}
