/** Opens an exporter for each collector that was asked for. */

import type { FlowEncoder, MessageRoom } from '../protocol/export/message.js';
import type { ExportCounts } from '../protocol/export/statistics.js';
import type { NatView } from '../protocol/flow/terms.js';
import type { Options } from './cli/option-table.js';
import { type CollectorSpec, optionsChoice } from './cli/option-values.js';
import { exportCounts } from './observe/export-counts.js';
import type { Stats } from './observe/statistics.js';
import type { Log } from './service/log.js';
import { Distribution } from './sink/distribution.js';
import { Exporter } from './sink/exporter.js';
import type { FlowSink } from './sink/flow-sink.js';
import type { Transport } from './sink/transport.js';
import type { Extent } from './source/capture-size.js';
import { paceOf } from './transport/pace.js';

export interface Collectors {
  /** What the flows are handed to: the exporters, or what shares the flows between them. */
  readonly sinks: readonly FlowSink[];
  readonly exporters: readonly Exporter[];
}

/** Opens the exporters, and what is asked for to share the flows between them. Throws a StartError. */
export async function openSinks(
  options: Options,
  log: Log,
  stats: Stats,
  extent?: Extent,
): Promise<Collectors> {
  const { balance, failover } = options;
  const exporters = await openExporters(options, log, stats, extent);
  const [first, ...others] = exporters;
  const isShared = others.length > 0 && (balance !== undefined || failover);
  if (first === undefined || !isShared) return { sinks: exporters, exporters };
  return { sinks: [new Distribution([first, ...others], { balance, failover })], exporters };
}

/** Resolves names and opens sockets. Throws a StartError. */
function openExporters(
  options: Options,
  log: Log,
  stats: Stats,
  extent: Extent | undefined,
): Promise<Exporter[]> {
  return Promise.all(options.collectors.map((spec) => openExporter(spec, options, log, stats, extent)));
}

async function openExporter(
  spec: CollectorSpec,
  options: Options,
  log: Log,
  stats: Stats,
  extent: Extent | undefined,
): Promise<Exporter> {
  const { host, port, family, protocol, version = options.version, direction = 'any' } = spec;
  const endpoint = family === 6 ? `[${host}]:${port}` : `${host}:${port}`;
  const name = protocol === 'udp' ? endpoint : `${protocol}://${endpoint}`;
  const transport = await openTransport(name, spec, options, log, extent);
  const encoder = await openEncoder(
    transport,
    version,
    { ...options, ...spec },
    exportCounts(stats, transport.lost),
  );
  return new Exporter(encoder, transport, {
    name,
    version,
    estimate: options.estimate,
    noUncounted: options.noUncounted,
    isPflow: version === 10 && (spec.template ?? options.template) === 'pflow',
    direction,
    log,
  });
}

/** Loads what is needed: over UDP nothing waits for TLS, nor for node:dgram where datagrams leave without it. */
async function openTransport(
  name: string,
  spec: CollectorSpec,
  options: Options,
  log: Log,
  extent: Extent | undefined,
): Promise<Transport> {
  const { family, protocol, rate = options.rate, source = options.source } = spec;
  const isConversion = options.reads.length > 0;
  const common = { endpoint: spec, source, log, name };
  if (protocol === 'udp') {
    // Live there is no limit unless one is asked for: a queue would only delay the loss.
    const pace = paceOf(isConversion ? rate : (rate ?? 0));
    const udp = { ...common, maxMessage: options.maxMessage, pace };
    // A batch has one address for as long as the program runs.
    if (!isConversion && family === 0) {
      const { openUdp } = await import('./transport/udp.js');
      return openUdp({ ...udp, follows: 'name' });
    }
    const { openUdpBatch } = await import('./transport/udp-batch.js');
    return openUdpBatch({ ...udp, extent });
  }
  const { openTcp, policyOf } = await import('./transport/tcp.js');
  const stream = { ...common, rate, policy: policyOf(isConversion, options.reconnect) };
  if (protocol === 'tcp') return openTcp(stream);
  const { openTls } = await import('./transport/tls.js');
  return openTls({ ...stream, files: options, serverName: options.tlsName });
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

/** Loads the one that is needed. */
async function openEncoder(
  room: MessageRoom,
  version: number,
  choice: EncoderChoice,
  counts: ExportCounts,
): Promise<FlowEncoder> {
  // Versions 1 and 5 have no room for both sides of the NAT.
  const nat: NatView = choice.nat ?? (version <= 5 ? 'inside' : 'original');
  if (version === 1) {
    const { netflow1Encoder } = await import('../protocol/export/netflow1.js');
    return netflow1Encoder(room, nat);
  }
  if (version === 5) {
    const { netflow5Encoder } = await import('../protocol/export/netflow5.js');
    return netflow5Encoder(room, nat, choice.domain);
  }
  const templates = {
    nat,
    domain: choice.domain,
    refreshTime: choice.templateSeconds * 1000,
    refreshMessages: choice.templatePackets,
  };
  if (version === 9) {
    const { netflow9Encoder } = await import('../protocol/export/netflow9.js');
    return netflow9Encoder(room, templates);
  }
  const { ipfixEncoder } = await import('../protocol/export/ipfix.js');
  return ipfixEncoder(room, choice.template, {
    ...templates,
    biflow: choice.biflow,
    announce: optionsChoice(choice.exportOptions),
    ...(choice.exportStats ? { counts } : {}),
  });
}
