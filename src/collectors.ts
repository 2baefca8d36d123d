/** Opens what receives the flows: an exporter for each collector, and what shares the flows between them. */
import { ipfixEncoder } from '../protocol/export/ipfix.js';
import type { FlowEncoder, MessageRoom } from '../protocol/export/message.js';
import { netflow1Encoder } from '../protocol/export/netflow1.js';
import { netflow5Encoder } from '../protocol/export/netflow5.js';
import { netflow9Encoder } from '../protocol/export/netflow9.js';
import type { ExportCounts } from '../protocol/export/statistics.js';
import type { FlowMemory } from '../protocol/flow/rows.js';
import type { NatView } from '../protocol/flow/terms.js';
import type { Options } from './cli/option-table.js';
import {
  type CollectorSpec,
  type Endpoint,
  type NetflowVersion,
  optionsChoice,
} from './cli/option-values.js';
import { exportCounts } from './observe/export-counts.js';
import type { Statistics } from './observe/statistics.js';
import type { Log } from './service/log.js';
import { isTerminal, STANDARD_ERROR } from './service/standard-streams.js';
import { Distribution, type Outlet } from './sink/distribution.js';
import { Exporter } from './sink/exporter.js';
import type { FlowSink } from './sink/flow-sink.js';
import type { Transport } from './sink/transport.js';
import { DEFAULT_DATAGRAMS, paceOf } from './transport/pace.js';
import { policyOf } from './transport/stream-policy.js';
import { openTcp, type StreamTransportOptions } from './transport/tcp.js';
import { openTls, type TlsOptions } from './transport/tls.js';
import { openUdp, type UdpOptions } from './transport/udp.js';

export interface Collectors {
  /** What the flows are handed to: the exporters, or what shares the flows between them. */
  readonly sinks: readonly FlowSink[];
  /** One for each collector. */
  readonly exporters: readonly Outlet[];
}

/** What opening one collector needs to know. */
interface Opening {
  readonly spec: CollectorSpec;
  /** As the operator named it. */
  readonly name: string;
  readonly options: Options;
  readonly run: 'conversion' | 'live';
  readonly memory: FlowMemory;
  readonly log: Log;
  readonly statistics: Statistics;
  /** Called when the default pace is what limits a conversion. */
  readonly onSlow: () => void;
}

type Scheme = CollectorSpec['protocol'];

/**
 * What opens a collector, by the scheme of its URL. What takes no NetFlow or IPFIX messages is a sink by
 * itself here.
 */
const SCHEMES: Readonly<Record<Scheme, (opening: Opening) => Promise<Outlet>>> = {
  udp: async (opening) => exporter(opening, await openUdp(udpOptions(opening))),
  tcp: async (opening) => exporter(opening, await openTcp(streamOptions(opening))),
  tls: async (opening) => exporter(opening, await openTls(tlsOptions(opening))),
};

/** Octets that may wait for a live UDP socket. */
const LIVE_UDP_QUEUE = 16 << 20;

/**
 * Opens the exporters, and what is asked for to share the flows between them. How to go faster is logged
 * where somebody waits at a terminal. Throws a StartError.
 */
export async function openSinks(
  options: Options,
  memory: FlowMemory,
  log: Log,
  statistics: Statistics,
  screen: 'terminal' | 'none' = isTerminal(STANDARD_ERROR) ? 'terminal' : 'none',
): Promise<Collectors> {
  const run = options.reads.length > 0 ? 'conversion' : 'live';
  const onSlow = screen === 'terminal' ? adviser(log) : () => {};
  const common = { options, run, memory, log, statistics, onSlow } as const;
  const exporters = await Promise.all(
    options.collectors.map((spec) => SCHEMES[spec.protocol]({ ...common, spec, name: nameOf(spec) })),
  );
  const { balance, failover } = options;
  const [first, ...others] = exporters;
  const isShared = others.length > 0 && (balance !== undefined || failover);
  if (first === undefined || !isShared) return { sinks: exporters, exporters };
  return { sinks: [new Distribution(memory, [first, ...others], { balance, failover })], exporters };
}

/** Logs once how a conversion goes faster. */
function adviser(log: Log): () => void {
  let isLogged = false;
  return () => {
    if (isLogged) return;
    isLogged = true;
    log.info(
      `sending at ${DEFAULT_DATAGRAMS} datagrams a second, which collectors keep up with; ` +
        'to go faster give --rate (records a second, 0 is no limit) and the collector a larger receive buffer, ' +
        'or use tcp:// with -v 10',
    );
  };
}

function nameOf({ host, port, family, protocol }: CollectorSpec): string {
  const endpoint = family === 6 ? `[${host}]:${port}` : `${host}:${port}`;
  return protocol === 'udp' ? endpoint : `${protocol}://${endpoint}`;
}

/** An exporter of NetFlow or IPFIX messages over any transport. */
function exporter(opening: Opening, transport: Transport): Outlet {
  const { spec, name, options, memory, log, statistics } = opening;
  const { version = options.version, direction = 'any' } = spec;
  const counts = exportCounts(statistics, transport.lost);
  const encoder = openEncoder(memory, transport, version, { ...options, ...spec }, counts);
  return new Exporter(memory, encoder, transport, { name, version, direction, log });
}

function commonOptions({ spec, options, log, name }: Opening) {
  const endpoint: Endpoint = spec;
  return { endpoint, source: spec.source ?? options.source, log, name };
}

function udpOptions(opening: Opening): UdpOptions {
  const { spec, options, run, onSlow } = opening;
  const { rate = options.rate } = spec;
  const isLive = run === 'live';
  return {
    ...commonOptions(opening),
    maxMessage: options.maxMessage,
    // Live there is no limit unless one is asked for: a queue would only delay the loss.
    pace: paceOf(isLive ? (rate ?? 0) : rate),
    ...(isLive ? { queueOctets: LIVE_UDP_QUEUE } : {}),
    ...(rate === undefined ? { onSlow } : {}),
    follows: isLive && spec.family === 0 ? 'name' : 'address',
  };
}

function streamOptions(opening: Opening): StreamTransportOptions {
  const { spec, options, run } = opening;
  const { rate = options.rate } = spec;
  return { ...commonOptions(opening), rate, policy: policyOf(run, options.reconnect) };
}

function tlsOptions(opening: Opening): TlsOptions {
  const { options } = opening;
  return { ...streamOptions(opening), files: options, serverName: options.tlsName };
}

type EncoderChoice = Pick<
  Options,
  | 'biflow'
  | 'domain'
  | 'exportOptions'
  | 'exportStats'
  | 'nat'
  | 'template'
  | 'templatePackets'
  | 'templateSeconds'
>;

function openEncoder(
  memory: FlowMemory,
  room: MessageRoom,
  version: NetflowVersion,
  choice: EncoderChoice,
  counts: ExportCounts,
): FlowEncoder {
  // Versions 1 and 5 have no room for both sides of the NAT.
  const nat: NatView = choice.nat ?? (version <= 5 ? 'inside' : 'original');
  if (version === 1) return netflow1Encoder(memory, room, nat);
  if (version === 5) return netflow5Encoder(memory, room, nat, choice.domain);
  const templates = {
    nat,
    domain: choice.domain,
    refreshTime: choice.templateSeconds * 1000,
    refreshMessages: choice.templatePackets,
  };
  if (version === 9) return netflow9Encoder(memory, room, templates);
  return ipfixEncoder(memory, room, choice.template, {
    ...templates,
    biflow: choice.biflow,
    announce: optionsChoice(choice.exportOptions),
    ...(choice.exportStats ? { counts } : {}),
  });
}
