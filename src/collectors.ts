/** Opens an exporter for each collector that was asked for. */
import type { ExportCounts } from '../protocol/export-statistics.js';
import type { NatView } from '../protocol/flow-record.js';
import { ipfixEncoder } from '../protocol/ipfix.js';
import type { FlowEncoder, MessageRoom } from '../protocol/message.js';
import { netflow1Encoder } from '../protocol/netflow1.js';
import { netflow5Encoder } from '../protocol/netflow5.js';
import { netflow9Encoder } from '../protocol/netflow9.js';
import { exportCounts } from './export-counts.js';
import { Exporter } from './exporter.js';
import type { Log } from './log.js';
import type { Options } from './option-table.js';
import { type CollectorSpec, optionsChoice } from './option-values.js';
import { paceOf } from './pace.js';
import type { Stats } from './stats.js';
import { openUdp } from './transport-udp.js';

/** Resolves names and opens sockets. Throws a StartError. */
export function openExporters(options: Options, log: Log, stats: Stats): Promise<Exporter[]> {
  return Promise.all(options.collectors.map((spec) => openExporter(spec, options, log, stats)));
}

async function openExporter(
  spec: CollectorSpec,
  options: Options,
  log: Log,
  stats: Stats,
): Promise<Exporter> {
  const { host, port, family, version = options.version } = spec;
  const name = family === 6 ? `[${host}]:${port}` : `${host}:${port}`;
  const rate = spec.rate ?? options.rate;
  const transport = await openUdp({
    endpoint: spec,
    source: spec.source ?? options.source,
    maxMessage: options.maxMessage,
    // Live there is no limit unless one is asked for: a queue would only delay the loss.
    pace: paceOf(options.reads.length > 0 ? rate : (rate ?? 0)),
    log,
    name,
  });
  const encoder = encoderOf(transport, version, { ...options, ...spec }, exportCounts(stats, transport.lost));
  return new Exporter(encoder, transport, { name, version, estimate: options.estimate, log });
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

function encoderOf(
  room: MessageRoom,
  version: number,
  choice: EncoderChoice,
  counts: ExportCounts,
): FlowEncoder {
  // Versions 1 and 5 have no room for both sides of the NAT.
  const nat: NatView = choice.nat ?? (version <= 5 ? 'inside' : 'original');
  if (version === 1) return netflow1Encoder(room, nat);
  if (version === 5) return netflow5Encoder(room, nat, choice.domain);
  const templates = {
    nat,
    domain: choice.domain,
    refreshTime: choice.templateSeconds * 1000,
    refreshMessages: choice.templatePackets,
  };
  if (version === 9) return netflow9Encoder(room, templates);
  return ipfixEncoder(room, choice.template, {
    ...templates,
    biflow: choice.biflow,
    announce: optionsChoice(choice.exportOptions),
    ...(choice.exportStats ? { counts } : {}),
  });
}
