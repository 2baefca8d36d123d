/**
 * The system's tcpdump as a capturing process: its command line on each system, and its messages on standard error.
 *
 * Linux, FreeBSD and the others have tcpdump.org's (tcpdump(1)). OpenBSD has its own (tcpdump(8)): its `-B` means something
 * else, there is no `-U` and no option for the buffer's size; it writes unbuffered, and its buffer is fixed.
 */
import { StartError } from '../cli/errors.js';

/**
 * The kernel's capture buffer in KiB: it holds what arrives while the program starts or waits for a collector. FreeBSD gives
 * as much of it as net.bpf.maxbufsize allows.
 */
const BUFFER = '65536';

/** Octets of a packet: all of any pfsync message. On OpenBSD 0 does not mean "all". */
const SNAPLEN = '65535';

const PFSYNC_FILTER = ['ip', 'proto', '240', 'or', 'ip6', 'proto', '240'];

export interface CaptureRequest {
  readonly interfaceName: string;
  /** The operator's words in the syntax of pcap-filter(7). */
  readonly filter: readonly string[];
}

/** The arguments of tcpdump: pcap on standard output, written packet by packet, without name lookups. */
export function tcpdumpArguments(platform: NodeJS.Platform, request: CaptureRequest): string[] {
  const { interfaceName } = request;
  return [...optionsOf(platform), '-i', interfaceName, '--', ...filterWords(request)];
}

function optionsOf(platform: NodeJS.Platform): string[] {
  const everywhere = ['-n', '-s', SNAPLEN, '-w', '-'];
  if (platform === 'openbsd') return everywhere;
  const options = ['-U', '-B', BUFFER, ...everywhere];
  // With bpf(4), immediate mode only wakes the reader sooner. On Linux it replaces the buffer by one of fixed frames, each
  // as long as the longest packet: 64 MiB would hold 1024 of them.
  return platform === 'linux' ? options : [...options, '--immediate-mode'];
}

/** An interface named pfsync carries pfsync only; on any other it is protocol 240 among other traffic. */
function filterWords({ interfaceName, filter }: CaptureRequest): string[] {
  if (interfaceName.startsWith('pfsync')) return [...filter];
  if (filter.length === 0) return PFSYNC_FILTER;
  return ['(', ...PFSYNC_FILTER, ')', 'and', '(', ...filter, ')'];
}

/** The signal that makes tcpdump print its statistics while it runs; undefined where there is none. */
export function statisticsSignal(platform: NodeJS.Platform): NodeJS.Signals | undefined {
  if (platform === 'openbsd') return undefined;
  return platform === 'linux' ? 'SIGUSR1' : 'SIGINFO';
}

/** At most so many lines of complaints are kept, and so many characters of a line. */
const MOST_LINES = 8;
const LONGEST_LINE = 400;

/** Reads the standard error of one run of tcpdump. Its counts are those of the run, as last printed. */
export class TcpdumpReport {
  /** What it listens on, once it does: `pfsync0, link-type PFSYNC (Packet filter state syncing)`. */
  listening: string | undefined;
  /** Packets that it read. OpenBSD's does not print this. */
  captured: number | undefined;
  /** Packets that passed the filter; on most systems those dropped are included. */
  received = 0;
  dropped = 0;
  /** How often it has printed the number of dropped packets. */
  dropReports = 0;
  readonly #complaints: string[] = [];
  #rest = '';

  /** Adds the next piece of text, which may end anywhere in a line. */
  add(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop()!.slice(0, LONGEST_LINE);
    for (const line of lines) this.#read(line.trim());
  }

  /** The text has ended. */
  end(): void {
    this.add('\n');
  }

  /** Whether the interface is a pflog(4) one, which shows packets and no states. */
  get isPflog(): boolean {
    return /\blink-type PFLOG\b/.test(this.listening ?? '');
  }

  /** Its complaints as one line; empty when there were none. */
  get complaint(): string {
    return this.#complaints.join(' ');
  }

  #read(line: string): void {
    if (line === '') return;
    const [, listening] =
      /^(?:\S+: )?listening on (.*?)(?:, (?:snapshot length|capture size) .*)?$/.exec(line) ?? [];
    if (listening !== undefined) {
      this.listening = listening;
      return;
    }
    if (this.#readCounts(line) || isRemark(line)) return;
    if (this.#complaints.length === MOST_LINES) return;
    this.#complaints.push(line.replace(/^tcpdump: /, '').slice(0, LONGEST_LINE));
  }

  #readCounts(line: string): boolean {
    let isCount = false;
    for (const [, digits, what] of line.matchAll(
      /(\d+) packets? (captured|received by filter|dropped by \w+)/g,
    )) {
      isCount = true;
      const count = Number(digits);
      if (what === 'captured') this.captured = count;
      else if (what === 'received by filter') this.received = count;
      else if (what === 'dropped by kernel') {
        this.dropped = count;
        this.dropReports++;
      }
    }
    return isCount;
  }
}

/** Messages of tcpdump that are no complaints. */
function isRemark(line: string): boolean {
  return /^(?:\S+: )?(?:data link type |dropped privs |verbose output suppressed|warning: )/i.test(line);
}

/** Why the capture could not be started, and the remedy, in one line. */
export function startFailure(
  platform: NodeJS.Platform,
  { interfaceName, filter }: CaptureRequest,
  complaint: string,
) {
  const where = `-i ${interfaceName}`;
  const failure = FAILURES.find(({ pattern }) => pattern.test(complaint));
  if (failure?.kind === 'filter' && filter.length > 0) {
    return new StartError(`capture filter '${filter.join(' ')}': ${complaint}; see pcap-filter(7)`);
  }
  const remedy = failure === undefined ? undefined : REMEDIES[failure.kind](platform, interfaceName);
  return new StartError(`${where}: ${remedy ?? `tcpdump: ${complaint || 'ended without a word'}`}`);
}

/** tcpdump is not installed. */
export function missingTcpdump(interfaceName: string, command: string): StartError {
  return new StartError(`-i ${interfaceName}: ${command} is not found: install tcpdump, or see --listen`);
}

type FailureKind = 'permission' | 'interface' | 'down' | 'devices' | 'filter';

/** By the messages of libpcap and of the systems; the first match counts. */
const FAILURES: readonly { kind: FailureKind; pattern: RegExp }[] = [
  { kind: 'permission', pattern: /permission|operation not permitted|need root privileges/i },
  { kind: 'devices', pattern: /no BPF devices|\/dev\/bpf[^ ]*: (?:no such file|device busy)/i },
  {
    kind: 'interface',
    pattern: /no such device|device not configured|does ?n[o']t exist|no such interface/i,
  },
  { kind: 'down', pattern: /is not up|network is down/i },
  {
    kind: 'filter',
    pattern: /syntax error|filter expression|expression rejects|illegal token|unknown (?:host|port|network)/i,
  },
];

const REMEDIES: Record<FailureKind, (platform: NodeJS.Platform, name: string) => string | undefined> = {
  permission: (platform) => {
    const others: Partial<Record<NodeJS.Platform, string>> = {
      linux: ', or give it the capability CAP_NET_RAW',
      freebsd: ', or let it read /dev/bpf (devfs.rules(5))',
    };
    return `no permission to capture: run pfflowd as root${others[platform] ?? ''}`;
  },
  interface: (platform, name) =>
    `no such interface: ${platform === 'linux' ? 'ip link' : 'ifconfig'} shows those there are${
      name.startsWith('pfsync') && platform !== 'linux' ? `; ifconfig ${name} create makes it` : ''
    }`,
  down: (platform, name) =>
    `the interface is down: ${platform === 'linux' ? `ip link set ${name} up` : `ifconfig ${name} up`}`,
  devices: () => 'no bpf device is free, or there is none: see bpf(4)',
  filter: () => undefined,
};
