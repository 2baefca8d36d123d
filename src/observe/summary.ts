/** The summary of a run, as one line of JSON or as a block to read. */
import type { JoinCounts, Statistics, Tally } from './statistics.js';

/** What one sink did with the flows. */
export type SinkResult = CollectorResult | OutputResult | RelayResult;

interface SinkCounts {
  /** Records that could not be delivered: the run ends with status 3. */
  readonly lostRecords: number;
  /** Errors of the transport or the file. */
  readonly errors: number;
}

export interface CollectorResult extends SinkCounts {
  readonly kind: 'collector';
  /** The collector as the operator named it. */
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

/** What --relay forwarded. Its records are pfsync messages. */
export interface RelayResult extends SinkCounts {
  readonly kind: 'relay';
  readonly relay: string;
  readonly messages: number;
  readonly octets: number;
  /** Messages longer than a datagram can be; they are among the lost ones. */
  readonly tooLong: number;
}

/** Whether every ended state is accounted for, and every flow has its provenance. */
export function addsUp({ states, skipped, counters, flows }: Statistics): boolean {
  return (
    states.ended === states.exported + states.joined + skipped.total &&
    flows === counters.exact + counters.partial + counters.tcpseq + counters.none
  );
}

export function summaryJson(statistics: Statistics, results: readonly SinkResult[]): string {
  const { halves, ignored, joins, records, skipped, sources, states } = statistics;
  const { collectors, outputs, relays } = byKind(results);
  return json({
    packets: statistics.packets,
    pfsyncMessages: statistics.pfsyncMessages,
    versions: statistics.versions,
    sources: { ...sources },
    requests: { ...statistics.requests },
    ignored: { ...ignored },
    damaged: statistics.damaged.toObject(),
    pfsyncRecords: { ...records, unknownActions: statistics.unknownActions },
    states: { ...states },
    forwarded: { statesSampled: halves.states, pairs: halves.pairs },
    joins: { ...joins },
    skipped: skipped.toObject(),
    flows: statistics.flows,
    counters: { ...statistics.counters },
    octets: statistics.octets.value,
    packetsCounted: statistics.packetsCounted.value,
    records: sum(collectors, 'records'),
    datagrams: sum(collectors, 'datagrams'),
    collectors: collectors.map(withoutKind),
    outputs: outputs.map(withoutKind),
    ...(relays[0] === undefined ? {} : { relay: withoutKind(relays[0]) }),
  });
}

/** Lines without an end of line after the last. */
export function summaryText(statistics: Statistics, results: readonly SinkResult[]): string {
  const { ignored, joins, records, skipped, counters } = statistics;
  const { ended, exported, joined, open, ...otherStates } = statistics.states;
  const recordsRead = Object.values(records).reduce((total, count) => total + count, 0);
  const versions = Object.entries(statistics.versions).map(
    ([version, count]) => `v${version} ${grouped(count)}`,
  );
  const rows: [name: string, count: number | bigint, details: string][] = [
    ['packets', statistics.packets, details(Object.entries(ignored))],
    ...sourceRows(statistics),
    ...requestRows(statistics),
    ['pfsync messages', statistics.pfsyncMessages, versions.join(', ')],
    ['damaged', statistics.damaged.total, reasons(statistics.damaged)],
    [
      'pfsync records',
      recordsRead,
      details([...Object.entries(records), ['unknownActions', statistics.unknownActions]]),
    ],
    ['states ended', ended, details(Object.entries({ exported, joined }))],
    ['states skipped', skipped.total, reasons(skipped)],
    ...joinRows(joins),
    ['states open', open, details(Object.entries(otherStates))],
    ['flows', statistics.flows, details(Object.entries(counters))],
    ['octets', statistics.octets.value, ''],
    ['packets counted', statistics.packetsCounted.value, ''],
  ];
  const width = Math.max(...rows.map(([, count]) => grouped(count).length));
  const lines = rows.map(([name, count, text]) =>
    `${name.padEnd(NAME_WIDTH)} ${grouped(count).padStart(width)}  ${text}`.trimEnd(),
  );
  const advice =
    statistics.halves.areMost && joined === 0 && !('direction' in skipped.toObject()) ? [HALVES] : [];
  return [...lines, ...results.map(resultLine), ...advice].join('\n');
}

const NAME_WIDTH = 16;

/** A conversion has none. */
function sourceRows({ sources }: Statistics): [string, number, string][] {
  const text = details(Object.entries(sources));
  return text === '' ? [] : [['kernel drops', sources.kernelDrops, text]];
}

/** Nothing waits for another half without --join. */
function joinRows({ alone, early, differing }: JoinCounts): [string, number, string][] {
  const text = details(Object.entries({ early, differing }));
  return alone + early + differing > 0 ? [['halves alone', alone, text]] : [];
}

/** None without --request-updates. */
function requestRows({ requests }: Statistics): [string, number, string][] {
  const { messages, ...others } = requests;
  const text = details(Object.entries(others));
  return messages === 0 && text === '' ? [] : [['requests sent', messages, text]];
}

const HALVES =
  'Most states are halves of a forwarded connection, in on one interface and out on another: --join would make one flow of both.';

function byKind(results: readonly SinkResult[]) {
  return {
    collectors: results.filter((result) => result.kind === 'collector'),
    outputs: results.filter((result) => result.kind === 'output'),
    relays: results.filter((result) => result.kind === 'relay'),
  };
}

function withoutKind<T extends SinkResult>({ kind, ...counts }: T): Omit<T, 'kind'> {
  return counts;
}

function resultLine(result: SinkResult): string {
  if (result.kind === 'collector') return collectorLine(result);
  return result.kind === 'output' ? outputLine(result) : relayLine(result);
}

function collectorLine(result: CollectorResult): string {
  const { collector, version, records, datagrams, filtered, unsupported } = result;
  const { clamped, clippedTimes, lostRecords, lostDatagrams, errors } = result;
  const sent = `${grouped(records)} records in ${grouped(datagrams)} datagrams to ${collector} (v${version})`;
  const troubles = { filtered, unsupported, clamped, clippedTimes, lostRecords, lostDatagrams, errors };
  return sinkLine('sent', sent, troubles);
}

function outputLine({ output, records, lostRecords, errors }: OutputResult): string {
  const place = output === '-' ? 'standard output' : output;
  return sinkLine('written', `${grouped(records)} records to ${place}`, { lostRecords, errors });
}

function relayLine({ relay, messages, octets, tooLong, lostRecords, errors }: RelayResult): string {
  const sent = `${grouped(messages)} messages of ${grouped(octets)} octets to ${relay}`;
  return sinkLine('relayed', sent, { tooLong, lostMessages: lostRecords, errors });
}

function sinkLine(verb: string, sent: string, troubles: Readonly<Record<string, number>>): string {
  const text = details(Object.entries(troubles));
  return `${verb.padEnd(NAME_WIDTH)} ${sent}${text === '' ? '' : `; ${text}`}`;
}

function reasons(tally: Tally): string {
  return details(Object.entries(tally.toObject()));
}

/** `insert 3, compressed update 1`: the counts that are not 0, with names in words. */
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

function sum(results: readonly CollectorResult[], field: 'records' | 'datagrams'): number {
  return results.reduce((total, result) => total + result[field], 0);
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
