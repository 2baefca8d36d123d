/** Runs collectors and readers that nobody here wrote: nfcapd with nfdump, nfacctd, tshark, ipfixDump, and the exporter softflowd. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual, promisify } from 'node:util';
import { quoteLargeNumbers } from './pfflowd.js';
import { endpoint, type Loopback, UdpCollector } from './udp-collector.js';

export type ProgramName = 'nfcapd' | 'nfdump' | 'nfacctd' | 'pmacct' | 'tshark' | 'ipfixDump' | 'softflowd';

/** A flow as a program tells it. Counters are exact. */
export interface ReportedFlow {
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** In decimal. */
  readonly protocol: string;
  readonly octets: bigint;
  readonly packets: bigint;
  readonly postNatSource?: string;
  readonly postNatDestination?: string;
  readonly postNatSourcePort?: number;
  readonly postNatDestinationPort?: number;
  /** Milliseconds since the epoch. */
  readonly startMs?: number;
  readonly endMs?: number;
  /** tcpControlBits in decimal (nfacctd), a letter for each bit (nfdump), or with a number in hexadecimal (tshark). */
  readonly tcpFlags?: string;
  /** Type and code as nfdump has them: `8.0`. */
  readonly icmp?: string;
  /** FLOW or EVENT, as nfdump takes the record. */
  readonly kind?: string;
  /** The event's name as nfdump has it. */
  readonly natEvent?: string;
  /** What a biflow's other direction counted (nfdump). */
  readonly reverseOctets?: bigint;
}

export interface Report {
  readonly flows: readonly ReportedFlow[];
  readonly log: string;
}

export interface NfcapdReport extends Report {
  readonly sequenceFailures: number;
  /** Flow records, packets and octets as nfcapd itself counted them. */
  readonly flowCount: number;
  readonly packets: bigint;
  readonly octets: bigint;
  readonly badPackets: number;
  /** The names that nfdump knows of the interfaces of the flows. */
  readonly interfaceNames: readonly string[];
  /** The time that the stored file covers, in seconds since the epoch. */
  readonly firstSecond: number;
  readonly lastSecond: number;
  /** What its log says about datagrams it did not like. */
  readonly complaints: readonly string[];
}

/** A collector that listens. */
export interface Listening<R extends Report> {
  /** As pfflowd's `-n` wants it. */
  readonly endpoint: string;
  /** Lets it read what has arrived, stops it, and gives what it stored. */
  stop(): Promise<R>;
}

const LINUX_ONLY = 'the sockets are watched in /proc/net';
const START_LIMIT_MS = 10_000;
const RUN_LIMIT_MS = 30_000;

export function available(name: ProgramName): boolean {
  if (process.platform !== 'linux') return false;
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  return folders.some((folder) => folder !== '' && isExecutable(join(folder, name)));
}

/** True where a program that is missing is a fault of the machine. */
export function areRequired(): boolean {
  return Boolean(process.env.CI) || process.env.PFFLOWD_REQUIRE_PROGRAMS === '1';
}

/** A test that needs programs: left out, by name, where one is missing; failed where none may be. */
export function itWith(names: readonly ProgramName[], claim: string, test: () => Promise<void> | void): void {
  const missing = names.filter((name) => !available(name));
  if (missing.length === 0) {
    it(claim, test);
    return;
  }
  const reason = process.platform === 'linux' ? 'not installed' : LINUX_ONLY;
  it(`${claim} (left out: ${missing.join(', ')}: ${reason})`, function () {
    if (areRequired()) throw new Error(`${missing.join(', ')}: ${reason}`);
    this.skip();
  });
}

/** nfcapd stores, nfdump reads back; `totals` leaves the reading out, for millions of flows. */
export async function startNfcapd(
  host: Loopback,
  what: 'flows' | 'totals' = 'flows',
): Promise<Listening<NfcapdReport>> {
  const folder = await mkdtemp(join(tmpdir(), 'nfcapd-'));
  const started = await startListener(host, 'nfcapd', (port) => {
    const family = host === '::1' ? '-6' : '-4';
    return [family, '-b', host, '-p', String(port), '-w', folder, '-B', '8388608', '-t', '3600'];
  });
  return {
    endpoint: endpoint(host, started.port),
    stop: async () => {
      try {
        const log = await stopListener(started, 'SIGTERM');
        if (what === 'totals') {
          const none = { interfaceNames: [], firstSecond: 0, lastSecond: 0, flows: [] };
          return { ...readNfcapdLog(log), ...none, log };
        }
        const { stdout } = await runProgram('nfdump', ['-R', folder, '-o', 'json', '-N']);
        const names = await runProgram('nfdump', ['-R', folder, '-o', 'fmt:%inam,%onam', '-N', '-q']);
        const window = await runProgram('nfdump', ['-R', folder, '-I']);
        return {
          ...readNfcapdLog(log),
          ...readWindow(window.stdout),
          interfaceNames: readNames(names.stdout),
          flows: readNfdump(stdout),
          log,
        };
      } finally {
        await rm(folder, { recursive: true });
      }
    },
  };
}

/** nfacctd with its memory table, which adds up flows of the same key; the client pmacct reads it. */
export async function startNfacctd(host: Loopback): Promise<Listening<Report>> {
  const folder = await mkdtemp(join(tmpdir(), 'nfacctd-'));
  const table = join(folder, 'table');
  const started = await startListener(host, 'nfacctd', async (port) => {
    const file = join(folder, 'nfacctd.conf');
    await writeFile(file, nfacctdConfiguration(host, port, table));
    return ['-f', file];
  });
  await logged(started, /waiting for data on: /);
  return {
    endpoint: endpoint(host, started.port),
    stop: async () => {
      try {
        await drainSocket(started);
        const flows = await readTable(started, table);
        const log = Buffer.concat(started.log).toString();
        if (/WARN.*Failed during write/.test(log))
          throw new Error(`nfacctd lost records on its own way: ${log}`);
        // It takes two seconds to end, and there is nothing to wait for.
        started.child.kill('SIGINT');
        return { flows, log };
      } finally {
        await rm(folder, { recursive: true });
      }
    },
  };
}

export interface TsharkReport extends Report {
  /** Datagrams that it could not dissect to the end. */
  readonly malformed: number;
  /** Datagrams whose sequence number is not the one it expected. */
  readonly sequenceErrors: number;
}

/** tshark dissects datagrams out of a capture file: no capturing, so nothing can be lost on the way. */
export async function tshark(datagrams: readonly Uint8Array[]): Promise<TsharkReport> {
  const folder = await mkdtemp(join(tmpdir(), 'tshark-'));
  try {
    const file = join(folder, 'export.pcap');
    await writeFile(file, captureOf(datagrams.map((payload) => ({ payload }))));
    const args = ['-r', file, '-n', '-d', `udp.port==${EXPORT_PORT},cflow`, '-T', 'json'];
    const { stdout, stderr } = await runProgram('tshark', args);
    const packets = JSON.parse(stdout) as JsonValue[];
    const packetsWith = (key: string) =>
      packets.filter((packet) => findObjects(packet, (object) => key in object).length > 0).length;
    return {
      flows: findObjects(packets, isTsharkFlow).map(readTsharkFlow),
      malformed: packetsWith('_ws.malformed'),
      sequenceErrors: packetsWith('cflow.sequence_analysis.expected_sn'),
      log: stderr,
    };
  } finally {
    await rm(folder, { recursive: true });
  }
}

export interface IpfixDumpReport {
  readonly text: string;
  readonly messages: number;
  readonly dataRecords: number;
  readonly templateRecords: number;
  /** ipfixDump ends with status 0 even then; its errors are what it writes to standard error. */
  readonly errors: string;
}

export async function ipfixDump(file: string): Promise<IpfixDumpReport> {
  const { stdout, stderr } = await runProgram('ipfixDump', ['--in', file]);
  const stats = /File Stats: (\d+) Messages, (\d+) Data Records, (\d+) Template Records/.exec(stdout);
  if (stats === null) throw new Error(`ipfixDump gives no statistics: ${stderr}`);
  const [messages, dataRecords, templateRecords] = stats.slice(1).map(Number) as [number, number, number];
  return { text: stdout, messages, dataRecords, templateRecords, errors: stderr };
}

/** softflowd meters a capture of UDP packets and exports to the endpoint. */
export async function softflowd(capture: Uint8Array, to: string, options: readonly string[]): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'softflowd-'));
  try {
    const file = join(folder, 'traffic.pcap');
    await writeFile(file, capture);
    // No control socket: with -r, softflowd 1.1.0 may wait in accept(2) on it for ever.
    const own = ['-d', '-c', 'none', '-p', join(folder, 'pid')];
    await runProgram('softflowd', ['-r', file, '-n', to, ...own, ...options]);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The port at which captureOf() shows a datagram when it is not told another. */
export const EXPORT_PORT = 2055;

export interface CapturedDatagram {
  readonly payload: Uint8Array;
  readonly source?: string;
  readonly destination?: string;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly timeMs?: number;
}

/** A pcap file of IPv4 UDP packets (link type 101, RAW); a zero UDP checksum means that there is none. */
export function captureOf(datagrams: readonly CapturedDatagram[]): Uint8Array {
  const header = new DataView(new ArrayBuffer(24));
  header.setUint32(0, 0xa1b2c3d4);
  header.setUint16(4, 2);
  header.setUint16(6, 4);
  header.setUint32(16, 65535);
  header.setUint32(20, 101);
  return Buffer.concat([new Uint8Array(header.buffer), ...datagrams.map(capturedPacket)]);
}

function capturedPacket(datagram: CapturedDatagram): Uint8Array {
  const { payload, timeMs = 1_700_000_000_000 } = datagram;
  const head = new DataView(new ArrayBuffer(16 + 28));
  head.setUint32(0, Math.floor(timeMs / 1000));
  head.setUint32(4, (timeMs % 1000) * 1000);
  head.setUint32(8, 28 + payload.length);
  head.setUint32(12, 28 + payload.length);
  head.setUint8(16, 0x45);
  head.setUint16(18, 28 + payload.length);
  head.setUint8(24, 64);
  head.setUint8(25, 17);
  addressOctets(datagram.source ?? '127.0.0.1').forEach((octet, i) => {
    head.setUint8(28 + i, octet);
  });
  addressOctets(datagram.destination ?? '127.0.0.1').forEach((octet, i) => {
    head.setUint8(32 + i, octet);
  });
  head.setUint16(36, datagram.sourcePort ?? 40000);
  head.setUint16(38, datagram.destinationPort ?? EXPORT_PORT);
  head.setUint16(40, 8 + payload.length);
  return Buffer.concat([new Uint8Array(head.buffer), payload]);
}

function addressOctets(address: string): number[] {
  return address.split('.').map(Number);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Times are printed in the local zone by some of the programs. */
function environment(): NodeJS.ProcessEnv {
  return { ...process.env, TZ: 'UTC', LC_ALL: 'C', PATH: `${process.env.PATH}:/usr/sbin:/usr/local/sbin` };
}

function runProgram(name: ProgramName, args: string[]): Promise<{ stdout: string; stderr: string }> {
  const options = {
    env: environment(),
    maxBuffer: 1 << 28,
    timeout: RUN_LIMIT_MS,
    encoding: 'utf8' as const,
  };
  return promisify(execFile)(name, args, options);
}

interface Listener {
  readonly child: ChildProcess;
  readonly port: number;
  readonly host: Loopback;
  readonly log: Buffer[];
}

/** Starts it on a port that was free a moment ago; somebody else may have taken that since, so there are three tries. */
async function startListener(
  host: Loopback,
  name: ProgramName,
  argumentsFor: (port: number) => string[] | Promise<string[]>,
): Promise<Listener> {
  let log = '';
  for (let attempt = 0; attempt < 3; attempt++) {
    const probe = await UdpCollector.listen(host);
    const { port } = probe;
    await probe.close();
    const child = spawn(name, await argumentsFor(port), {
      env: environment(),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const parts: Buffer[] = [];
    child.stdout.on('data', (part: Buffer) => parts.push(part));
    child.stderr.on('data', (part: Buffer) => parts.push(part));
    const listener = { child, port, host, log: parts };
    if (await isListening(listener)) return listener;
    child.kill('SIGKILL');
    log = Buffer.concat(parts).toString();
  }
  throw new Error(`${name} does not listen: ${log}`);
}

async function isListening(listener: Listener): Promise<boolean> {
  for (let waited = 0; waited < START_LIMIT_MS; waited += 20) {
    if (listener.child.exitCode !== null) return false;
    if ((await socketState(listener)) !== undefined) return true;
    await sleep(20);
  }
  return false;
}

async function logged(listener: Listener, words: RegExp): Promise<void> {
  for (let waited = 0; waited < START_LIMIT_MS; waited += 20) {
    if (words.test(Buffer.concat(listener.log).toString())) return;
    await sleep(20);
  }
  throw new Error(`not logged: ${words}: ${Buffer.concat(listener.log)}`);
}

/** Stops the program when it has read what has arrived. */
async function stopListener(listener: Listener, signal: NodeJS.Signals): Promise<string> {
  const { child } = listener;
  const exited = child.exitCode === null ? once(child, 'close') : undefined;
  await drainSocket(listener);
  child.kill(signal);
  await exited;
  return Buffer.concat(listener.log).toString();
}

/**
 * Waits until the program has read its socket empty, and waits there for more: nfcapd forgets a datagram that it has taken out
 * when it is told to end, and does not hear of its end shortly before it waits. A datagram that the socket had no room for is an
 * error.
 */
async function drainSocket(listener: Listener): Promise<void> {
  for (;;) {
    const state = await socketState(listener);
    if (state === undefined) throw new Error(`ended by itself: ${Buffer.concat(listener.log)}`);
    if (state.dropped > 0) throw new Error(`${state.dropped} datagrams lost at the socket`);
    if (state.waiting === 0 && (await isAsleep(listener.child))) return;
    await sleep(10);
  }
}

/** Whether the program's first thread waits for something: proc(5), the field behind the name in /proc/PID/stat. */
async function isAsleep({ pid }: ChildProcess): Promise<boolean> {
  return /\) S /.test(await readFile(`/proc/${pid}/stat`, 'utf8'));
}

/** Octets that wait in the socket bound to the listener's port, and datagrams it dropped: proc(5), /proc/net/udp. */
async function socketState(
  listener: Listener,
): Promise<{ readonly waiting: number; readonly dropped: number } | undefined> {
  const table = await readFile(listener.host === '::1' ? '/proc/net/udp6' : '/proc/net/udp', 'utf8');
  const port = `:${listener.port.toString(16).toUpperCase().padStart(4, '0')}`;
  for (const line of table.split('\n')) {
    const columns = line.trim().split(/\s+/);
    if (!columns[1]?.endsWith(port)) continue;
    return { waiting: Number.parseInt(columns[4]!.split(':')[1]!, 16), dropped: Number(columns.at(-1)) };
  }
  return undefined;
}

function readNames(text: string): string[] {
  const names = text.split(/[,\n]/).map((name) => name.trim());
  return [...new Set(names)].filter((name) => name !== '').sort();
}

function readWindow(text: string): { readonly firstSecond: number; readonly lastSecond: number } {
  const second = (name: string) => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(text)?.[1]);
  return { firstSecond: second('First'), lastSecond: second('Last') };
}

type NfcapdTotals = Omit<NfcapdReport, 'flows' | 'log' | 'interfaceNames' | 'firstSecond' | 'lastSecond'>;

/** nfcapd counts anew with each of its files, and begins one at every full hour: the totals are the sums of all. */
function readNfcapdLog(log: string): NfcapdTotals {
  const files = [
    ...log.matchAll(
      /Flows: (\d+), Packets: (\d+), Bytes: (\d+), Sequence Errors: (\d+), Bad Packets: (\d+)/g,
    ),
  ];
  if (files.length === 0) throw new Error(`nfcapd gives no totals: ${log}`);
  const sum = (column: number) => files.reduce((total, file) => total + BigInt(file[column]!), 0n);
  return {
    flowCount: Number(sum(1)),
    packets: sum(2),
    octets: sum(3),
    sequenceFailures: Number(sum(4)),
    badPackets: Number(sum(5)),
    complaints: log.split('\n').filter((line) => line.startsWith('Process_') && !/New .*exporter/.test(line)),
  };
}

interface NfdumpFlow {
  readonly src4_addr?: string;
  readonly dst4_addr?: string;
  readonly src6_addr?: string;
  readonly dst6_addr?: string;
  readonly src_port?: number;
  readonly dst_port?: number;
  readonly proto: number;
  readonly in_bytes?: number | string;
  readonly in_packets?: number | string;
  readonly first: string;
  readonly last: string;
  readonly src4_xlt_ip?: string;
  readonly dst4_xlt_ip?: string;
  readonly src6_xlt_ip?: string;
  readonly dst6_xlt_ip?: string;
  /** nfdump prints these two as text. */
  readonly src_xlt_port?: string;
  readonly dst_xlt_port?: string;
  readonly type?: string;
  readonly tcp_flags?: string;
  readonly icmp_type?: number;
  readonly icmp_code?: number;
  readonly nat_event?: string;
  readonly out_bytes?: number | string;
}

function readNfdump(text: string): ReportedFlow[] {
  if (text.trim() === '') return [];
  const flows = JSON.parse(quoteLargeNumbers(text)) as NfdumpFlow[];
  return flows.map((flow) => ({
    source: flow.src4_addr ?? flow.src6_addr ?? '',
    destination: flow.dst4_addr ?? flow.dst6_addr ?? '',
    sourcePort: flow.src_port ?? 0,
    destinationPort: flow.dst_port ?? 0,
    protocol: String(flow.proto),
    octets: BigInt(flow.in_bytes ?? 0),
    packets: BigInt(flow.in_packets ?? 0),
    startMs: Date.parse(`${flow.first}Z`),
    endMs: Date.parse(`${flow.last}Z`),
    ...known('postNatSource', flow.src4_xlt_ip ?? flow.src6_xlt_ip),
    ...known('postNatDestination', flow.dst4_xlt_ip ?? flow.dst6_xlt_ip),
    ...known('postNatSourcePort', flow.src_xlt_port === undefined ? undefined : Number(flow.src_xlt_port)),
    ...known(
      'postNatDestinationPort',
      flow.dst_xlt_port === undefined ? undefined : Number(flow.dst_xlt_port),
    ),
    ...known('kind', flow.type),
    ...known('tcpFlags', flow.tcp_flags),
    ...known('icmp', flow.icmp_type === undefined ? undefined : `${flow.icmp_type}.${flow.icmp_code}`),
    ...known('natEvent', flow.nat_event),
    ...known('reverseOctets', flow.out_bytes === undefined ? undefined : BigInt(flow.out_bytes)),
  }));
}

function known<K extends string, V>(key: K, value: V | undefined): Partial<Record<K, V>> {
  return value === undefined ? {} : ({ [key]: value } as Record<K, V>);
}

function nfacctdConfiguration(host: Loopback, port: number, table: string): string {
  return [
    'daemonize: false',
    `nfacctd_ip: ${host}`,
    `nfacctd_port: ${port}`,
    'nfacctd_disable_checks: true',
    'nfacctd_time_new: true',
    'nfacctd_pipe_size: 8388608',
    'plugins: memory',
    // The way from the receiving process to the table loses records when it is full, or told of too many buffers.
    'plugin_pipe_size: 67108864',
    'plugin_buffer_size: 65536',
    `imt_path: ${table}`,
    'aggregate: src_host,dst_host,src_port,dst_port,proto,post_nat_src_host,post_nat_dst_host,post_nat_src_port,post_nat_dst_port,tcpflags',
    '',
  ].join('\n');
}

/** A NetFlow v5 datagram of 30 records, 0.0.0.1 to 0.0.0.2: when it has been counted, so has what was sent before it. */
const MARKER = Buffer.from(
  `0005001e${'00'.repeat(20)}${`0000000100000002${'00'.repeat(11)}01${'00'.repeat(28)}`.repeat(30)}`,
  'hex',
);

async function readTable(listener: Listener, table: string): Promise<ReportedFlow[]> {
  for (let waited = 0; waited < START_LIMIT_MS; waited += 50) {
    // The receiving process hands on full buffers: they push what came before them through.
    for (let i = 0; i < 20; i++) await sendMarker(listener);
    if ((await askTable(table)).some(isMarker)) return readSettledTable(table);
    await sleep(50);
  }
  throw new Error(`nfacctd does not count: ${Buffer.concat(listener.log)}`);
}

/** While markers are still counted the client now and then prints a row of stray octets: two equal answers are wanted. */
async function readSettledTable(table: string): Promise<ReportedFlow[]> {
  let before: ReportedFlow[] = [];
  for (let waited = 0; waited < START_LIMIT_MS; waited += 50) {
    const flows = (await askTable(table)).filter((flow) => !isMarker(flow));
    if (waited > 0 && isDeepStrictEqual(flows, before)) return flows;
    before = flows;
    await sleep(50);
  }
  throw new Error('the answers of nfacctd do not settle');
}

async function askTable(table: string): Promise<ReportedFlow[]> {
  const { stdout } = await runProgram('pmacct', ['-p', table, '-s', '-O', 'csv']);
  return readNfacctd(stdout);
}

async function sendMarker({ host, port }: Listener): Promise<void> {
  const socket = createSocket(host === '::1' ? 'udp6' : 'udp4');
  await new Promise((resolve) => socket.send(MARKER, port, host, resolve));
  socket.close();
}

function isMarker(flow: ReportedFlow): boolean {
  return flow.source === '0.0.0.1' && flow.destination === '0.0.0.2';
}

/** The client prints the protocol's name where it knows one. */
const PROTOCOLS: Readonly<Record<string, string>> = {
  icmp: '1',
  tcp: '6',
  udp: '17',
  gre: '47',
  esp: '50',
  'ipv6-icmp': '58',
  sctp: '132',
};

/** The first line names the columns. */
function readNfacctd(text: string): ReportedFlow[] {
  const [head, ...lines] = text.split('\n').filter((line) => line !== '');
  const names = (head ?? '').split(',');
  return lines.map((line) => {
    const columns = line.split(',');
    const at = (name: string) => columns[names.indexOf(name)] ?? '';
    const protocol = at('PROTOCOL');
    return {
      source: at('SRC_IP'),
      destination: at('DST_IP'),
      sourcePort: Number(at('SRC_PORT')),
      destinationPort: Number(at('DST_PORT')),
      protocol: PROTOCOLS[protocol] ?? protocol,
      octets: BigInt(at('BYTES')),
      packets: BigInt(at('PACKETS')),
      ...known('postNatSource', at('POST_NAT_SRC_IP') || undefined),
      ...known('postNatDestination', at('POST_NAT_DST_IP') || undefined),
      ...known('postNatSourcePort', Number(at('POST_NAT_SRC_PORT')) || undefined),
      ...known('postNatDestinationPort', Number(at('POST_NAT_DST_PORT')) || undefined),
      ...known('tcpFlags', at('TCP_FLAGS') || undefined),
    };
  });
}

type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;
interface JsonObject {
  readonly [key: string]: JsonValue;
}

function findObjects(value: JsonValue, wanted: (object: JsonObject) => boolean): JsonObject[] {
  if (typeof value !== 'object' || value === null) return [];
  if (isArray(value)) return value.flatMap((item) => findObjects(item, wanted));
  if (wanted(value)) return [value];
  return Object.values(value).flatMap((item) => findObjects(item, wanted));
}

function isArray(value: readonly JsonValue[] | JsonObject): value is readonly JsonValue[] {
  return Array.isArray(value);
}

function isTsharkFlow(object: JsonObject): boolean {
  return 'cflow.srcaddr' in object || 'cflow.srcaddrv6' in object;
}

function readTsharkFlow(flow: JsonObject): ReportedFlow {
  const text = (...names: string[]) => {
    const name = names.find((candidate) => candidate in flow);
    return name === undefined ? undefined : String(flow[name]);
  };
  const number = (name: string) => {
    const value = text(name);
    return value === undefined ? undefined : Number(value);
  };
  return {
    source: text('cflow.srcaddr', 'cflow.srcaddrv6')!,
    destination: text('cflow.dstaddr', 'cflow.dstaddrv6') ?? '',
    sourcePort: number('cflow.srcport') ?? 0,
    destinationPort: number('cflow.dstport') ?? 0,
    protocol: text('cflow.protocol') ?? '',
    octets: BigInt(text('cflow.octets') ?? 0),
    packets: BigInt(text('cflow.packets') ?? 0),
    ...known('tcpFlags', text('cflow.tcpflags')),
    ...known(
      'postNatSource',
      text('cflow.post_natsource_ipv4_address', 'cflow.post_nat_source_ipv6_address'),
    ),
    ...known(
      'postNatDestination',
      text('cflow.post_natdestination_ipv4_address', 'cflow.post_nat_destination_ipv6_address'),
    ),
    ...known('postNatSourcePort', number('cflow.post_naptsource_transport_port')),
    ...known('postNatDestinationPort', number('cflow.post_naptdestination_transport_port')),
  };
}
