/** The summary of a run, as one line of JSON or as a block to read. */
import type { Stats, Tally } from './statistics.js';

/** What became of the flows on the way to one sink. */
export type SinkResult = CollectorResult | OutputResult | RelayResult;

interface SinkCounts {
  /** Records that could not be delivered: the run ends with status 3. */
  readonly lostRecords: number;
  /** Errors of the transport or the file. */
  readonly errors: number;
}

export interface CollectorResult extends SinkCounts {
  readonly kind: 'collector';
  /** As the operator named it. */
  readonly collector: string;
  /** 1, 5, 9 or 10. */
  readonly version: number;
  /** Flow records and messages sent. */
  readonly records: number;
  readonly datagrams: number;
  /** Octets of the messages. */
  readonly octets: number;
  /** Flows of a direction that the collector is not sent. */
  readonly filtered: number;
  /** Records that the format has no room for: IPv6 in versions 1 and 5. */
  readonly unsupported: number;
  /** Counters and starts that the format cannot hold, set to the nearest that it can. */
  readonly clamped: number;
  readonly clippedTimes: number;
  readonly lostDatagrams: number;
}

export interface OutputResult extends SinkCounts {
  readonly kind: 'output';
  /** The file's name, or `-` for standard output. */
  readonly output: string;
  readonly records: number;
}

/** What was passed on by --relay. Its records are pfsync messages. */
export interface RelayResult extends SinkCounts {
  readonly kind: 'relay';
  readonly relay: string;
  readonly messages: number;
  readonly octets: number;
  /** Messages that no datagram holds, among the lost ones. */
  readonly tooLong: number;
}

/** Whether every ended state is accounted for, and every flow has its provenance. */
export function addsUp(stats: Stats): boolean {
  const { states, skipped, counters, flows } = stats;
  return (
    states.ended === states.exported + skipped.total &&
    flows === counters.exact + counters.partial + counters.tcpseq + counters.none
  );
}

export function summaryJson(stats: Stats, exporters: readonly ExporterResult[]): string {
  return json({
    packets: stats.packets,
    pfsyncMessages: stats.pfsyncMessages,
    versions: stats.versions,
    sources: { ...stats.sources },
    ignored: { ...stats.ignored },
    damaged: stats.damaged.toObject(),
    pfsyncRecords: { ...stats.records, unknownActions: stats.unknownActions },
    states: { ...stats.states },
    forwarded: { statesSampled: stats.halves.states, pairs: stats.halves.pairs },
    skipped: stats.skipped.toObject(),
    flows: stats.flows,
    counters: { ...stats.counters },
    octets: stats.octets,
    packetsCounted: stats.packetsCounted,
    records: sum(exporters, 'records'),
    datagrams: sum(exporters, 'datagrams'),
    collectors: exporters.map((exporter) => ({ ...exporter })),
  });
}

/** Lines without an end of line after the last. */
export function summaryText(stats: Stats, exporters: readonly ExporterResult[]): string {
  const { ignored, records, skipped, counters } = stats;
  const { ended, exported, open, ...otherStates } = stats.states;
  const recordsRead = Object.values(records).reduce((total, count) => total + count, 0);
  const versions = Object.entries(stats.versions).map(([version, count]) => `v${version} ${grouped(count)}`);
  const rows: [name: string, count: number | bigint, details: string][] = [
    ['packets', stats.packets, details(Object.entries(ignored))],
    ...sourceRows(stats),
    ['pfsync messages', stats.pfsyncMessages, versions.join(', ')],
    ['damaged', stats.damaged.total, reasons(stats.damaged)],
    [
      'pfsync records',
      recordsRead,
      details([...Object.entries(records), ['unknownActions', stats.unknownActions]]),
    ],
    ['states ended', ended, details([['exported', exported]])],
    ['states skipped', skipped.total, reasons(skipped)],
    ['states open', open, details(Object.entries(otherStates))],
    ['flows', stats.flows, details(Object.entries(counters))],
    ['octets', stats.octets, ''],
    ['packets counted', stats.packetsCounted, ''],
  ];
  const width = Math.max(...rows.map(([, count]) => grouped(count).length));
  const lines = rows.map(([name, count, text]) =>
    `${name.padEnd(16)} ${grouped(count).padStart(width)}  ${text}`.trimEnd(),
  );
  const advice = stats.halves.areMost && !('direction' in skipped.toObject()) ? [HALVES] : [];
  return [...lines, ...exporters.map(exporterLine), ...advice].join('\n');
}

/** A conversion has none. */
function sourceRows({ sources }: Stats): [string, number, string][] {
  const { kernelDrops } = sources;
  const text = details(Object.entries(sources));
  return text === '' ? [] : [['kernel drops', kernelDrops, text]];
}

const HALVES =
  'Most states are halves of a forwarded connection, in on one interface and out on another: -S in would keep one flow of each.';

function exporterLine(result: ExporterResult): string {
  const { collector, version, records, datagrams, filtered, uncounted } = result;
  const { unsupported, clamped, clippedTimes, lostRecords, lostDatagrams, errors } = result;
  const sent = `${grouped(records)} records in ${grouped(datagrams)} datagrams`;
  const troubles = details([
    ['filtered', filtered],
    ['uncounted', uncounted],
    ['unsupported', unsupported],
    ['clamped', clamped],
    ['clippedTimes', clippedTimes],
    ['lostRecords', lostRecords],
    ['lostDatagrams', lostDatagrams],
    ['errors', errors],
  ]);
  return `${'sent'.padEnd(16)} ${sent} to ${collector} (v${version})${troubles === '' ? '' : `; ${troubles}`}`;
}

function reasons(tally: Tally): string {
  return details(Object.entries(tally.toObject()));
}

/** `insert 3, compressed update 1`: what is not 0, with names in words. */
function details(counts: readonly (readonly [name: string, count: number])[]): string {
  return counts
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${inWords(name)} ${grouped(count)}`)
    .join(', ');
}

function inWords(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function grouped(count: number | bigint): string {
  return `${count}`.replace(/\B(?=(\d{3})+$)/g, ',');
}

function sum(exporters: readonly ExporterResult[], field: 'records' | 'datagrams'): number {
  return exporters.reduce((total, exporter) => total + exporter[field], 0);
}

type Json = number | bigint | string | readonly Json[] | { readonly [key: string]: Json };

/** JSON with integers of any size, which JSON.stringify refuses. */
function json(value: Json): string {
  if (typeof value === 'bigint') return `${value}`;
  if (typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(json).join(',')}]`;
  const members = Object.entries(value).map(([key, member]) => `${JSON.stringify(key)}:${json(member)}`);
  return `{${members.join(',')}}`;
}
