/** Parses the command line into Options. Opens nothing but the configuration file. */
import { readFileSync } from 'node:fs';
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { isLoopback } from './cidr.js';
import { parseConfigFile, type Setting } from './config-file.js';
import { UsageError } from './errors.js';
import {
  fieldNamed,
  OPTION_FIELDS,
  OPTION_ROWS,
  OPTION_TABLE,
  type OptionField,
  type OptionFields,
  type OptionRow,
  type Options,
} from './option-table.js';
import { type CollectorSpec, quote, within } from './option-values.js';
import { reasonOf } from './system-error.js';

const DEFAULT_INTERFACE = 'pfsync0';
/** Interfaces that show what the firewall itself sends: nobody can be asked there. */
const PFSYNC_INTERFACE = /^pfsync\d*$/;

/**
 * Parses the words after the program's name. Throws a UsageError of one line. With `help` or `showVersion` the other
 * words are not checked. `readText` returns the text of the file that `-c` names.
 */
export function parseOptions(
  argv: readonly string[],
  readText: (file: string) => string = (file) => readFileSync(file, 'utf8'),
): Options {
  const { settings, captureFilter } = splitCommandLine(argv);
  const asked = settings.filter(({ field }) => field === 'help' || field === 'showVersion');
  if (asked.length > 0) return { ...valuesOf(asked), captureFilter: [] };
  const { config } = read(settings.filter(({ field }) => field === 'config'));
  const fromFile = config === undefined ? [] : parseConfigFile(contentOf(config, readText), config);
  const given = [...fromFile, ...settings];
  const options = completed(valuesOf(given), given, captureFilter);
  checkInput(options);
  checkOutput(options);
  checkFormats(options, given);
  return options;
}

function splitCommandLine(argv: readonly string[]): { settings: Setting[]; captureFilter: string[] } {
  const settings: Setting[] = [];
  const captureFilter: string[] = [];
  for (const token of tokensOf(argv)) {
    if (token.kind === 'positional') captureFilter.push(token.value);
    if (token.kind === 'option') settings.push(settingOf(token));
  }
  return { settings, captureFilter };
}

function tokensOf(argv: readonly string[]) {
  const options: NonNullable<ParseArgsConfig['options']> = {};
  for (const { name, short, argument } of OPTION_ROWS) {
    const type = argument === undefined ? 'boolean' : 'string';
    options[name] = short === undefined ? { type } : { type, short };
  }
  return parseArgs({ args: [...argv], options, strict: false, allowPositionals: true, tokens: true }).tokens;
}

type OptionToken = Extract<ReturnType<typeof tokensOf>[number], { kind: 'option' }>;

function settingOf(token: OptionToken): Setting {
  const where = token.rawName;
  const field = fieldNamed(token.name);
  // parseArgs takes a single letter after two dashes as well: it is no long name here.
  if (field === undefined) throw new UsageError(`unknown option ${quote(where)}`);
  const row = OPTION_TABLE[field];
  const text = token.value;
  if (row.argument === undefined) return { field, text: text ?? 'yes', where };
  if (text === undefined) throw new UsageError(`${where}: the argument is missing, ${row.argument}`);
  if (!token.inlineValue && /^-./.test(text)) {
    throw new UsageError(
      `${where}: the argument is missing, ${row.argument} (one that starts with a dash: --${row.name}=${quote(text)})`,
    );
  }
  return { field, text, where };
}

function contentOf(file: string, readText: (file: string) => string): string {
  try {
    return readText(file);
  } catch (error) {
    throw new UsageError(`-c ${quote(file)}: ${reasonOf(error)}`);
  }
}

function valuesOf(settings: readonly Setting[]): OptionFields {
  const values: Values = {};
  for (const field of OPTION_FIELDS) {
    const { initial } = OPTION_TABLE[field];
    if (initial !== undefined) values[field] = initial;
  }
  return read(settings, values) as OptionFields;
}

type Values = Partial<Record<OptionField, unknown>>;

/** Adds the settings to `values`: a later one replaces an earlier one, or adds to it where the option is repeatable. */
function read(settings: readonly Setting[], values: Values = {}): Partial<OptionFields> {
  for (const { field, text, where } of settings) {
    const row: OptionRow = OPTION_TABLE[field] as OptionRow;
    values[field] = within(where, () => row.read(text, values[field]));
  }
  return values as Partial<OptionFields>;
}

/** Sets what one option implies for others that were not given. */
function completed(
  options: OptionFields,
  given: readonly Setting[],
  captureFilter: readonly string[],
): Options {
  const { interfaces, reads, listen, debug, format, output } = options;
  const isGiven = (field: OptionField) => given.some((setting) => setting.field === field);
  const writesToTerminal = format !== undefined && output === '-';
  return {
    ...options,
    interfaces: interfaces.length + reads.length + listen.length === 0 ? [DEFAULT_INTERFACE] : interfaces,
    foreground: options.foreground || debug || reads.length > 0 || writesToTerminal,
    logLevel: debug && !isGiven('logLevel') ? 'debug' : options.logLevel,
    pfctl: options.pfctl || (options.pfctlCommand !== undefined && !isGiven('pfctl')),
    captureFilter,
  };
}

function checkInput(options: Options): void {
  const { interfaces, reads, listen, allow, captureFilter } = options;
  if (interfaces.length > 0 && reads.length > 0) throw new UsageError('-i and -r exclude each other');
  if (listen.length > 0 && reads.length > 0) throw new UsageError('--listen and -r exclude each other');
  if (captureFilter.length > 0 && interfaces.length === 0) {
    const filter = quote(captureFilter.join(' '));
    throw new UsageError(
      reads.length > 0
        ? `capture filter ${filter}: it needs -i; another capture to read needs its own -r`
        : `capture filter ${filter}: it needs -i, --listen has none`,
    );
  }
  const open = listen.find(({ host }) => !isLoopback(host));
  if (open !== undefined && allow.length === 0) {
    throw new UsageError(`--listen ${quote(open.host)}: --allow must name the senders to accept`);
  }
  if (options.requestUpdates && interfaces.every((name) => PFSYNC_INTERFACE.test(name))) {
    throw new UsageError(
      '--request-updates needs -i with the interface of the sync link; on the firewall itself, --pfctl reads the counters',
    );
  }
}

function checkOutput(options: Options): void {
  const { collectors, format, relay, debug, checkConfig, output } = options;
  if (collectors.length === 0 && format === undefined && relay === undefined && !debug && !checkConfig) {
    throw new UsageError('nothing to do: give -n, --format, --relay, -D or --check-config');
  }
  if (output !== '-' && format === undefined) throw new UsageError('-o needs --format');
}

/** Refuses what a NetFlow version cannot hold or a transport cannot carry. */
function checkFormats(options: Options, given: readonly Setting[]): void {
  const { collectors, version, domain, ifmap, format } = options;
  for (const spec of collectors) within(`-n ${shown(spec)}`, () => checkCollector(options, spec));
  const isVersionUsed = format === undefined || given.some(({ field }) => field === 'version');
  if (collectors.length === 0 && isVersionUsed) checkNumbers(version, domain, ifmap);
  const isIpfix = format === 'ipfix' || collectors.some((spec) => (spec.version ?? version) === 10);
  const writesIpfix = isIpfix || (collectors.length === 0 && isVersionUsed && version === 10);
  if (options.template === 'pflow' && !writesIpfix) {
    throw new UsageError('--template pflow needs IPFIX: -v 10 or --format ipfix');
  }
  if (options.biflow && !writesIpfix) throw new UsageError('--biflow needs IPFIX: -v 10 or --format ipfix');
  if (options.exportOptions.length > 0 && !writesIpfix) {
    throw new UsageError('--options needs IPFIX: -v 10 or --format ipfix');
  }
  const writesTemplates = writesIpfix || collectors.some((spec) => (spec.version ?? version) === 9);
  if (options.natEvents && !writesTemplates && !(isVersionUsed && version === 9)) {
    throw new UsageError('--nat-events needs version 9 or IPFIX: -v 9, -v 10 or --format ipfix');
  }
  if (options.template === 'pflow' && (options.natEvents || options.exportOptions.length > 0)) {
    const name = options.natEvents ? '--nat-events' : '--options';
    throw new UsageError(`${name} and --template pflow exclude each other`);
  }
  if (options.biflow && options.template === 'pflow') {
    throw new UsageError('--biflow and --template pflow exclude each other');
  }
}

function checkCollector(options: Options, spec: CollectorSpec): void {
  const version = spec.version ?? options.version;
  checkNumbers(version, spec.domain ?? options.domain, options.ifmap);
  if (spec.protocol !== 'udp' && version !== 10) {
    throw new UsageError(`${spec.protocol} carries IPFIX only: -v 10 or ?version=10`);
  }
  if (spec.template === 'pflow' && version !== 10) {
    throw new UsageError('template pflow needs IPFIX: -v 10 or version=10');
  }
  if (spec.template === 'pflow' && options.biflow) {
    throw new UsageError('--biflow and template pflow exclude each other');
  }
  const source = spec.source ?? options.source;
  if (source !== undefined && spec.family !== 0 && source.includes(':') !== (spec.family === 6)) {
    throw new UsageError(`source ${quote(source)} is of another address family`);
  }
}

function checkNumbers(version: number, domain: number, ifmap: ReadonlyMap<string, number>): void {
  if (version > 5) return;
  if (domain > 255) throw new UsageError(`-e ${domain}: NetFlow v${version} holds 0 to 255`);
  for (const [name, index] of ifmap) {
    if (index > 65535) {
      throw new UsageError(`--ifmap ${quote(name)}: ${index}: NetFlow v${version} holds 0 to 65535`);
    }
  }
}

function shown({ host, family, port }: CollectorSpec): string {
  return family === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}
