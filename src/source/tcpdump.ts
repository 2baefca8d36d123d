/**
 * The system's tcpdump as a capturing process: how it is asked on each system, and what it says on standard error.
 *
 * Linux, FreeBSD and the others have tcpdump.org's (tcpdump(1)); OpenBSD has its own (tcpdump(8)), in which `-B` is
 * something else and neither `-U` nor a buffer size exists: it writes unbuffered, and its buffer is fixed.
 */
import { StartError } from '../cli/errors.js';

/**
 * What the kernel may keep while nobody reads, in KiB. FreeBSD gives as much of it as net.bpf.maxbufsize allows. At the start
 * the program is slow, until V8 has compiled it: of five million states at 600,000 a second, a quarter of this loses 72,000.
 */
const BUFFER = '65536';

/** Octets of a packet: all of any pfsync message. OpenBSD knows no 0 for "all". */
const SNAPLEN = '65535';

const PFSYNC_FILTER = ['ip', 'proto', '240', 'or', 'ip6', 'proto', '240'];

export interface CaptureRequest {
  readonly interfaceName: string;
  /** The operator's words in the syntax of pcap-filter(7). */
  readonly filter: readonly string[];
}

/** The arguments of tcpdump: pcap on standard output, packet by packet, no names looked up. */
export function tcpdumpArguments(platform: NodeJS.Platform, request: CaptureRequest): string[] {
  const { interfaceName } = request;
  return [...optionsOf(platform), '-i', interfaceName, '--', ...filterWords(request)];
}

function optionsOf(platform: NodeJS.Platform): string[] {
  const everywhere = ['-n', '-s', SNAPLEN, '-w', '-'];
  if (platform === 'openbsd') return everywhere;
  const options = ['-U', '-B', BUFFER, ...everywhere];
  // With bpf(4), immediate mode only wakes the reader sooner. On Linux it exchanges the buffer for one of fixed frames,
  // each as long as the longest packet: 64 MiB would hold 1024 of them.
  return platform === 'linux' ? options : [...options, '--immediate-mode'];
}

/** An interface named pfsync speaks bare pfsync; anywhere else it is protocol 240 among other traffic. */
function filterWords({ interfaceName, filter }: CaptureRequest): string[] {
  if (interfaceName.startsWith('pfsync')) return [...filter];
  if (filter.length === 0) return PFSYNC_FILTER;
  return ['(', ...PFSYNC_FILTER, ')', 'and', '(', ...filter, ')'];
}

/** What makes tcpdump tell its statistics while it runs; undefined where no signal does. */
export function statisticsSignal(platform: NodeJS.Platform): NodeJS.Signals | undefined {
  if (platform === 'openbsd') return undefined;
  return platform === 'linux' ? 'SIGUSR1' : 'SIGINFO';
}

/** The first lines of what may go wrong are kept; a line is cut behind this many characters. */
const MOST_LINES = 8;
const LONGEST_LINE = 400;

/** Reads what one run of tcpdump says on standard error. Counts are those of the run, the latest that were told. */
export class TcpdumpReport {
  /** What it listens on, once it does: `pfsync0, link-type PFSYNC (Packet filter state syncing)`. */
  listening: string | undefined;
  /** Packets that it read; OpenBSD's tells no such number. */
  captured: number | undefined;
  /** Packets that passed the filter; on most systems with those dropped. */
  received = 0;
  dropped = 0;
  /** How often it told what was dropped. */
  tellings = 0;
  readonly #complaints: string[] = [];
  #rest = '';

  /** Takes the next piece of text, cut anywhere. */
  add(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop()!.slice(0, LONGEST_LINE);
    for (const line of lines) this.#read(line.trim());
  }

  /** The text has ended. */
  end(): void {
    this.add('\n');
  }

  /** All that it complained about, as one line; empty when there was nothing. */
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
        this.tellings++;
      }
    }
    return isCount;
  }
}

/** What tcpdump tells without anything being wrong. */
function isRemark(line: string): boolean {
  return /^(?:\S+: )?(?:data link type |dropped privs |verbose output suppressed|warning: )/i.test(line);
}

/** Why the capture could not be started, in a line that names what to do. */
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

/** tcpdump is not there to be run. */
export function missingTcpdump(interfaceName: string, command: string): StartError {
  return new StartError(`-i ${interfaceName}: ${command} is not found: install tcpdump, or see --listen`);
}

type FailureKind = 'permission' | 'interface' | 'down' | 'devices' | 'filter';

/** In the words of libpcap and of the systems' error texts; the first that fits. */
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
