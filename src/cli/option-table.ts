/**
 * Every option, once. Parsing, the configuration file and the usage text read this table; tests hold the manual to it.
 * A new option is one row here and its field in Options.
 */
import type { NatView } from '../../protocol/flow/terms.js';
import type { Cidr } from './cidr.js';
import {
  addressEndpoint,
  addressLiteral,
  type CollectorSpec,
  choice,
  collector,
  type Direction,
  direction,
  domain,
  type Endpoint,
  type ExportOption,
  endpoint,
  exportOptions,
  integer,
  interfaceMap,
  type LogFormat,
  type LogLevel,
  minutes,
  type NetflowVersion,
  natView,
  netflowVersion,
  network,
  rate,
  seconds,
  type TemplateProfile,
  templateProfile,
  word,
  yesOrNo,
} from './option-values.js';

export type OutputFormat = 'json' | 'csv' | 'table' | 'ipfix';

/** What the operator asked for. A field that may be undefined has a default that depends on where it is used. */
export interface Options extends OptionFields {
  /** The words after the options: a capture filter in the syntax of pcap-filter(7). */
  readonly captureFilter: readonly string[];
}

export interface OptionFields {
  readonly interfaces: readonly string[];
  readonly reads: readonly string[];
  readonly listen: readonly Endpoint[];
  readonly allow: readonly Cidr[];
  readonly pfctl: boolean;
  readonly pfctlCommand?: string;
  readonly pfctlInterval: number;
  readonly requestUpdates: boolean;
  /** Seconds from a state's traffic to the request for its counters, at most. */
  readonly requestInterval: number;
  /** States a second that are requested at most. */
  readonly requestRate: number;
  /** Leave out the states of the program's own exports. */
  readonly excludeSelf: boolean;
  readonly maxStates: number;
  /** Seconds; 0 is off. */
  readonly stateTimeout: number;
  readonly collectors: readonly CollectorSpec[];
  readonly version: NetflowVersion;
  readonly source?: string;
  readonly templateSeconds: number;
  /** 0 is by time only. */
  readonly templatePackets: number;
  readonly domain: number;
  /** Flow records a second; 0 is no limit. */
  readonly rate?: number;
  /** Octets of a datagram's payload. */
  readonly maxMessage?: number;
  /** Seconds that a datagram may wait to be filled. */
  readonly hold: number;
  /** Undefined: every collector gets every flow. */
  readonly balance?: 'hash' | 'round-robin';
  readonly failover: boolean;
  /** The longest pause in seconds between attempts to connect. */
  readonly reconnect: number;
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsName?: string;
  readonly relay?: Endpoint;
  readonly direction: Direction;
  readonly nat?: NatView;
  readonly ifmap: ReadonlyMap<string, number>;
  /** Seconds; 0 is off. */
  readonly activeTimeout: number;
  readonly join: boolean;
  readonly biflow: boolean;
  readonly template: TemplateProfile;
  /** For IPFIX; v9 always has both. */
  readonly exportOptions: readonly ExportOption[];
  readonly exportStats: boolean;
  readonly natEvents: boolean;
  readonly noUncounted: boolean;
  readonly flushOpen: boolean;
  readonly format?: OutputFormat;
  /** `-` is standard output. */
  readonly output: string;
  readonly summary: 'text' | 'json' | 'none';
  readonly progress: 'auto' | 'always' | 'never';
  readonly foreground: boolean;
  readonly debug: boolean;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  readonly pidFile?: string;
  readonly user?: string;
  readonly config?: string;
  readonly checkConfig: boolean;
  readonly help: boolean;
  readonly showVersion: boolean;
}

export const SECTIONS = ['Input', 'Export', 'Flow records', 'Text and files', 'Program'] as const;

export interface OptionRow<T = unknown> {
  readonly section: (typeof SECTIONS)[number];
  /** The long name, here and in the configuration file. */
  readonly name: string;
  readonly short?: string;
  /** The word that stands for the argument; a row without one is a flag, which reads `yes` or `no`. */
  readonly argument?: string;
  readonly repeatable?: true;
  /** Has no meaning in a configuration file. */
  readonly commandLineOnly?: true;
  readonly initial: T;
  /** The default as a user writes it, where it is always the same. */
  readonly standard?: string;
  /** The value after this argument; `before` is the value so far, which repeatable options add to. */
  read(text: string, before: T): T;
  readonly help: string;
}

type Table = { readonly [K in keyof OptionFields]-?: OptionRow<OptionFields[K]> };

// biome-ignore format: two lines for each row.
export const OPTION_TABLE: Table = {
  interfaces: { section: 'Input', name: 'interface', short: 'i', argument: 'interface', repeatable: true, initial: [], standard: 'pfsync0', read: many(word),
    help: 'capture live on a pfsync or network interface' },
  reads: { section: 'Input', name: 'read', short: 'r', argument: 'file', repeatable: true, initial: [], read: many(word),
    help: 'read a pcap or pcapng file, plain or gzip; - is standard input' },
  listen: { section: 'Input', name: 'listen', argument: 'address:port', repeatable: true, initial: [], read: many(addressEndpoint),
    help: 'receive pfsync messages in UDP datagrams' },
  allow: { section: 'Input', name: 'allow', argument: 'network', repeatable: true, initial: [], read: many(network),
    help: 'accept --listen datagrams from these senders, as in 192.0.2.0/24' },
  pfctl: { section: 'Input', name: 'pfctl', initial: false, read: yesOrNo,
    help: 'take counters from the state table that pfctl(8) prints' },
  pfctlCommand: { section: 'Input', name: 'pfctl-command', argument: 'command', initial: undefined, standard: 'pfctl -vvss', read: word,
    help: 'command that prints the state table; implies --pfctl' },
  pfctlInterval: { section: 'Input', name: 'pfctl-interval', argument: 'seconds', initial: 10, standard: '10', read: seconds(0.1, 'refused'),
    help: 'how often to run it' },
  requestUpdates: { section: 'Input', name: 'request-updates', initial: false, read: yesOrNo,
    help: 'ask the firewalls for counters, over the sync link that -i names' },
  requestInterval: { section: 'Input', name: 'request-interval', argument: 'seconds', initial: 20, standard: '20', read: seconds(1, 'refused'),
    help: 'how long after traffic to ask at the latest' },
  requestRate: { section: 'Input', name: 'request-rate', argument: 'states', initial: 2000, standard: '2000', read: integer(1, 1_000_000),
    help: 'states to ask for in a second at most' },
  excludeSelf: { section: 'Input', name: 'no-exclude-self', initial: true, read: (text) => !yesOrNo(text),
    help: "keep the states of pfflowd's own exports" },
  maxStates: { section: 'Input', name: 'max-states', argument: 'number', initial: 10_000_000, standard: '10000000', read: integer(1, 1_000_000_000),
    help: 'open states to hold at most' },
  stateTimeout: { section: 'Input', name: 'state-timeout', argument: 'seconds', initial: 0, standard: '0', read: seconds(1, 'off'),
    help: 'end a state that no message has named for this long; 0 is never' },

  collectors: { section: 'Export', name: 'collector', short: 'n', argument: 'host:port', repeatable: true, initial: [], read: many(collector),
    help: 'send flow records there; [v6]:port, udp://, tcp:// and tls:// too' },
  version: { section: 'Export', name: 'netflow-version', short: 'v', argument: '1|5|9|10', initial: 5, standard: '5', read: netflowVersion,
    help: 'NetFlow version; 10 is IPFIX, and may be written ipfix' },
  source: { section: 'Export', name: 'source', short: 's', argument: 'address', initial: undefined, read: addressLiteral,
    help: 'source address of the export' },
  templateSeconds: { section: 'Export', name: 'template-minutes', short: 'm', argument: 'minutes', initial: 30, standard: '0.5', read: minutes,
    help: 'repeat templates after this time' },
  templatePackets: { section: 'Export', name: 'template-packets', short: 'p', argument: 'packets', initial: 1000, standard: '1000', read: integer(0, 2 ** 32 - 1),
    help: 'repeat templates after so many datagrams; 0 is by time only' },
  domain: { section: 'Export', name: 'domain', short: 'e', argument: 'id', initial: 42, standard: '42', read: domain,
    help: 'observation domain, v9 source id, v5 engine id' },
  rate: { section: 'Export', name: 'rate', argument: 'records', initial: undefined, read: rate,
    help: 'flow records a second at most, evenly spread; 0 is no limit (default: none live; with -r over UDP, 2,000 datagrams a second)' },
  maxMessage: { section: 'Export', name: 'datagram-size', argument: 'octets', initial: undefined, read: integer(512, 65507),
    help: 'longest UDP payload (default 1472 over IPv4, 1452 over IPv6)' },
  hold: { section: 'Export', name: 'hold', argument: 'seconds', initial: 1, standard: '1', read: seconds(0, 'off'),
    help: 'let a datagram wait this long to be filled' },
  balance: { section: 'Export', name: 'balance', argument: 'hash|round-robin', initial: undefined, read: choice('hash', 'round-robin'),
    help: 'share the states between the collectors, by their key or in turn' },
  failover: { section: 'Export', name: 'failover', initial: false, read: yesOrNo,
    help: 'send to the next collector while one is down' },
  reconnect: { section: 'Export', name: 'reconnect', argument: 'seconds', initial: 60, standard: '60', read: seconds(0.1, 'refused'),
    help: 'over TCP and TLS, the longest pause between attempts to connect' },
  tlsCa: { section: 'Export', name: 'tls-ca', argument: 'file', initial: undefined, read: word,
    help: "certificates that collectors' are signed with (default: the system's)" },
  tlsCert: { section: 'Export', name: 'tls-cert', argument: 'file', initial: undefined, read: word,
    help: 'certificate to show to collectors; needs --tls-key' },
  tlsKey: { section: 'Export', name: 'tls-key', argument: 'file', initial: undefined, read: word,
    help: 'private key of that certificate' },
  tlsName: { section: 'Export', name: 'tls-name', argument: 'name', initial: undefined, read: word,
    help: "name that collectors' certificates must have (default: the host of -n)" },
  relay: { section: 'Export', name: 'relay', argument: 'host:port', initial: undefined, read: endpoint,
    help: 'pass each pfsync message on to a --listen elsewhere' },

  direction: { section: 'Flow records', name: 'direction', short: 'S', argument: 'any|in|out', initial: 'any', standard: 'any', read: direction,
    help: 'keep the states of this direction' },
  nat: { section: 'Flow records', name: 'nat', argument: 'view', initial: undefined, read: natView,
    help: 'addresses to show: original, inside or translated' },
  ifmap: { section: 'Flow records', name: 'ifmap', argument: 'map', repeatable: true, initial: new Map(), read: interfaceMap,
    help: 'interface numbers, as in em0=1,em1=2 or all/in=1,all/out=2' },
  activeTimeout: { section: 'Flow records', name: 'active-timeout', argument: 'seconds', initial: 0, standard: '0', read: seconds(1, 'off'),
    help: 'also report open states this often; 0 is never' },
  join: { section: 'Flow records', name: 'join', initial: false, read: yesOrNo,
    help: 'make one flow of the two states of a forwarded connection' },
  biflow: { section: 'Flow records', name: 'biflow', initial: false, read: yesOrNo,
    help: 'one IPFIX record for both directions (RFC 5103)' },
  template: { section: 'Flow records', name: 'template', argument: 'full|pflow', initial: 'full', standard: 'full', read: templateProfile,
    help: 'IPFIX template; pflow is that of pflow(4)' },
  exportOptions: { section: 'Flow records', name: 'options', argument: 'list', initial: [], read: exportOptions,
    help: 'options records with the templates of IPFIX: names (of interfaces), sampling, or names,sampling' },
  exportStats: { section: 'Flow records', name: 'no-export-stats', initial: true, read: (text) => !yesOrNo(text),
    help: 'leave out the exporter statistics, which IPFIX collectors get otherwise' },
  natEvents: { section: 'Flow records', name: 'nat-events', initial: false, read: yesOrNo,
    help: 'in version 9 and IPFIX, also report when translations begin and end' },
  noUncounted: { section: 'Flow records', name: 'no-uncounted', initial: false, read: yesOrNo,
    help: 'leave out flows whose counters are unknown' },
  flushOpen: { section: 'Flow records', name: 'flush-open', initial: false, read: yesOrNo,
    help: 'at the end, report the states that are still open' },

  format: { section: 'Text and files', name: 'format', argument: 'format', initial: undefined, read: choice('json', 'csv', 'table', 'ipfix'),
    help: 'write flows as json, csv, table or ipfix' },
  output: { section: 'Text and files', name: 'output', short: 'o', argument: 'file', initial: '-', standard: '-', read: word,
    help: 'where --format writes; - is standard output' },
  summary: { section: 'Text and files', name: 'summary', argument: 'text|json|none', initial: 'text', standard: 'text', read: choice('text', 'json', 'none'),
    help: 'how to report on standard error at the end' },
  progress: { section: 'Text and files', name: 'progress', argument: 'when', initial: 'auto', standard: 'auto', read: choice('auto', 'always', 'never'),
    help: 'progress on standard error: auto, always or never' },

  foreground: { section: 'Program', name: 'foreground', short: 'd', initial: false, read: yesOrNo,
    help: 'stay in the foreground' },
  debug: { section: 'Program', name: 'debug', short: 'D', initial: false, read: yesOrNo,
    help: 'log every flow; implies -d, needs no -n' },
  logLevel: { section: 'Program', name: 'log-level', argument: 'level', initial: 'info', standard: 'info', read: choice('error', 'warn', 'info', 'debug'),
    help: 'log messages of this level or above: error, warn, info or debug' },
  logFormat: { section: 'Program', name: 'log-format', argument: 'text|json', initial: 'text', standard: 'text', read: choice('text', 'json'),
    help: 'log lines as text or as JSON' },
  pidFile: { section: 'Program', name: 'pid-file', argument: 'file', initial: undefined, read: word,
    help: 'write the process id there' },
  user: { section: 'Program', name: 'user', argument: 'name', initial: undefined, read: word,
    help: 'become this user once everything is open' },
  config: { section: 'Program', name: 'config', short: 'c', argument: 'file', commandLineOnly: true, initial: undefined, read: word,
    help: 'read options from a file, one a line' },
  checkConfig: { section: 'Program', name: 'check-config', commandLineOnly: true, initial: false, read: yesOrNo,
    help: 'check the options, open nothing, and exit' },
  help: { section: 'Program', name: 'help', short: 'h', commandLineOnly: true, initial: false, read: yesOrNo,
    help: 'show this text and exit' },
  showVersion: { section: 'Program', name: 'version', commandLineOnly: true, initial: false, read: yesOrNo,
    help: 'show the version and exit' },
};

export type OptionField = keyof OptionFields;

/** The table's fields, in its order. */
export const OPTION_FIELDS = Object.keys(OPTION_TABLE) as readonly OptionField[];

/** The table's rows, in its order. */
export const OPTION_ROWS = Object.values(OPTION_TABLE) as readonly OptionRow[];

/** The field of the option that has this long name. */
export function fieldNamed(name: string): OptionField | undefined {
  return OPTION_FIELDS.find((field) => OPTION_TABLE[field].name === name);
}

function many<T>(read: (text: string) => T): (text: string, before: readonly T[]) => readonly T[] {
  return (text, before) => [...before, read(text)];
}
