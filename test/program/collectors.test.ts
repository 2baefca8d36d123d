/**
 * End to end: the built program converts captures and sends to real collectors, which must hold every octet and packet
 * that the captures' own description gives, to the last unit.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import type { CollectedFlow } from '../peer/collector.js';
import { Collector } from '../peer/collector.js';
import { type Ended, run } from '../peer/pfflowd.js';
import {
  available,
  ipfixDump,
  itWith,
  type Listening,
  type NfcapdReport,
  type Report,
  startNfacctd,
  startNfcapd,
  tshark,
} from '../peer/programs.js';
import { LOOPBACKS, type Loopback, UdpCollector } from '../peer/udp-collector.js';

const CAPTURES = fileURLToPath(new URL('../../../captures/', import.meta.url));
const MOST_IN_32_BITS = 0xffffffffn;
/** A flow becomes no more v1 or v5 records than this; what they cannot hold is clamped. */
const MOST_PARTS = 4096n;
/** v1, v5 and v9 give times in 32 bits of milliseconds. */
const MOST_UPTIME_MS = 2 ** 32;

interface Address {
  readonly ip: string;
  readonly port: number;
}

interface CapturedState {
  readonly id: string;
  readonly direction: 'in' | 'out';
  readonly proto: number;
  readonly af: 4 | 6;
  readonly srcBefore: Address;
  readonly dstBefore: Address;
  readonly srcAfter: Address;
  readonly dstAfter: Address;
  readonly packets: readonly [string, string];
  readonly bytes: readonly [string, string];
  readonly creation: number;
}

interface CaptureDescription {
  readonly packets: readonly {
    readonly time: string;
    readonly regions: readonly { readonly kind: string; readonly records: readonly CapturedState[] }[];
  }[];
}

interface ExpectedFlow {
  readonly source: Address;
  readonly destination: Address;
  readonly postNatSource: Address | undefined;
  readonly postNatDestination: Address | undefined;
  readonly protocol: number;
  readonly octets: bigint;
  readonly packets: bigint;
  readonly startMs: number;
  readonly endMs: number;
}

interface Counters {
  readonly octets: bigint;
  readonly packets: bigint;
}

type FlowKey = string;

/** Every direction with packets of every deleted state, out of the description of the capture. */
function expectedFlows(description: CaptureDescription, version: number): ExpectedFlow[] {
  const starts = new Map<string, number>();
  const flows: ExpectedFlow[] = [];
  for (const packet of description.packets) {
    const timeMs = milliseconds(packet.time);
    for (const region of packet.regions) {
      if (!['INS', 'UPD', 'DEL'].includes(region.kind)) continue;
      for (const state of region.records) {
        const start = Math.min(starts.get(state.id) ?? Infinity, timeMs - state.creation * 1000);
        starts.set(state.id, start);
        if (region.kind === 'DEL') flows.push(...flowsOf(state, version, start, timeMs));
      }
    }
  }
  return flows;
}

function flowsOf(state: CapturedState, version: number, startMs: number, endMs: number): ExpectedFlow[] {
  const isFixed = version === 1 || version === 5;
  if (isFixed && state.af === 6) return [];
  // v1 and v5 show the firewall's inside; v9 and IPFIX what the initiator sent, and what NAT made of it.
  const showsAfter = isFixed && state.direction === 'in';
  const before = [state.srcBefore, state.dstBefore] as const;
  const after = [state.srcAfter, state.dstAfter] as const;
  const shown = showsAfter ? after : before;
  const isTranslated = JSON.stringify(before) !== JSON.stringify(after);
  const hasPorts = [6, 17, 132].includes(state.proto);
  const without = (address: Address) => (hasPorts ? address : { ip: address.ip, port: 0 });
  return ([0, 1] as const)
    .filter((index) => state.packets[index] !== '0')
    .map((index) => ({
      source: without(shown[index]),
      destination: without(shown[1 - index]!),
      postNatSource: isTranslated && !isFixed ? without(after[index]) : undefined,
      postNatDestination: isTranslated && !isFixed ? without(after[1 - index]!) : undefined,
      protocol: state.proto,
      octets: carried(BigInt(state.bytes[index]), isFixed),
      packets: carried(BigInt(state.packets[index]), isFixed),
      startMs,
      endMs,
    }));
}

function withoutPorts(flow: ExpectedFlow): ExpectedFlow {
  const { source, destination } = flow;
  return { ...flow, source: { ip: source.ip, port: 0 }, destination: { ip: destination.ip, port: 0 } };
}

/** What split v1 and v5 records can hold of a counter; all of it in the other formats. */
function carried(counter: bigint, isFixed: boolean): bigint {
  const most = MOST_PARTS * MOST_IN_32_BITS;
  return isFixed && counter > most ? most : counter;
}

function milliseconds(time: string): number {
  const [seconds, fraction] = time.split('.') as [string, string];
  return Number(seconds) * 1000 + Math.floor(Number(fraction.padEnd(9, '0')) / 1e6);
}

function keyOf(
  source: string,
  sourcePort: number,
  destination: string,
  port: number,
  protocol: number | string,
): FlowKey {
  return `${protocol} ${source} ${sourcePort} ${destination} ${port}`;
}

function expectedKey(flow: ExpectedFlow): FlowKey {
  return keyOf(flow.source.ip, flow.source.port, flow.destination.ip, flow.destination.port, flow.protocol);
}

/** Sums by key: a counter of more than 32 bits is several records in v1 and v5. */
function totals<T>(
  flows: readonly T[],
  key: (flow: T) => FlowKey,
  counters: (flow: T) => Counters,
): Record<FlowKey, Counters> {
  const sums: Record<FlowKey, Counters> = {};
  for (const flow of flows) {
    const sum = sums[key(flow)] ?? { octets: 0n, packets: 0n };
    const { octets, packets } = counters(flow);
    sums[key(flow)] = { octets: sum.octets + octets, packets: sum.packets + packets };
  }
  return sums;
}

function expectedTotals(flows: readonly ExpectedFlow[]): Record<FlowKey, Counters> {
  return totals(flows, expectedKey, (flow) => flow);
}

function reportedTotals(report: Report): Record<FlowKey, Counters> {
  return totals(
    report.flows,
    (flow) => keyOf(flow.source, flow.sourcePort, flow.destination, flow.destinationPort, flow.protocol),
    (flow) => flow,
  );
}

function collectedKey(flow: CollectedFlow): FlowKey {
  const { source = '', sourcePort = 0, destination = '', destinationPort = 0, protocol = '' } = flow;
  return keyOf(source, sourcePort, destination, destinationPort, protocol);
}

function collectedTotals(flows: readonly CollectedFlow[]): Record<FlowKey, Counters> {
  return totals(flows, collectedKey, ({ octets, packets }) => {
    if (octets === undefined || packets === undefined) throw new Error('a flow came without counters');
    return { octets, packets };
  });
}

type PostNat = readonly [string | undefined, number | undefined, string | undefined, number | undefined];

interface TranslatedFlow {
  readonly postNatSource?: string | undefined;
  readonly postNatSourcePort?: number | undefined;
  readonly postNatDestination?: string | undefined;
  readonly postNatDestinationPort?: number | undefined;
}

function postNat(flow: TranslatedFlow): PostNat {
  return [flow.postNatSource, flow.postNatSourcePort, flow.postNatDestination, flow.postNatDestinationPort];
}

function expectedPostNat(flow: ExpectedFlow): PostNat {
  const { postNatSource, postNatDestination } = flow;
  return [postNatSource?.ip, postNatSource?.port, postNatDestination?.ip, postNatDestination?.port];
}

function sum(values: readonly bigint[]): bigint {
  return values.reduce((total, value) => total + value, 0n);
}

async function describeCapture(name: string): Promise<CaptureDescription> {
  return JSON.parse(await readFile(join(CAPTURES, `${name}.json`), 'utf8')) as CaptureDescription;
}

if (LOOPBACKS.length === 1) it.skip('exports over IPv6 (left out: this machine has no address ::1)');

const CAPTURE_NAMES = ['v2_dlt246', 'v3_dlt246', 'v4_dlt246'] as const;

interface Sending {
  readonly what: string;
  readonly version: number;
  readonly args?: readonly string[];
}

const SENDINGS: readonly Sending[] = [
  ...[1, 5, 9, 10].map((version) => ({ what: `version ${version}`, version })),
  { what: 'version 10 without a pace', version: 10, args: ['--rate', '0'] },
];

for (const name of CAPTURE_NAMES) {
  for (const { what, version, args = [] } of SENDINGS) {
    describe(`${name} to collectors, ${what}`, function () {
      this.timeout(60_000);

      let expected: readonly ExpectedFlow[];
      let inCapture: readonly ExpectedFlow[];
      let ended: Ended;
      const collectors = new Map<Loopback, UdpCollector>();
      const nfcapd = new Map<Loopback, NfcapdReport>();
      const nfacctd = new Map<Loopback, Report>();

      before(async () => {
        const description = await describeCapture(name);
        expected = expectedFlows(description, version);
        inCapture = expectedFlows(description, 10);
        const running: { stop(): Promise<void> }[] = [];
        const endpoints: string[] = [];
        const keep = <R extends Report>(
          host: Loopback,
          listening: Listening<R>,
          reports: Map<Loopback, R>,
        ) => {
          endpoints.push(listening.endpoint);
          running.push({
            stop: async () => {
              reports.set(host, await listening.stop());
            },
          });
        };
        for (const host of LOOPBACKS) {
          const collector = await UdpCollector.listen(host);
          collectors.set(host, collector);
          endpoints.push(collector.endpoint);
          if (available('nfcapd') && available('nfdump')) keep(host, await startNfcapd(host), nfcapd);
          // nfacctd 1.7.7 knows no version 1.
          if (version !== 1 && available('nfacctd') && available('pmacct')) {
            keep(host, await startNfacctd(host), nfacctd);
          }
        }
        try {
          const to = endpoints.flatMap((endpoint) => ['-n', endpoint]);
          ended = await run(['-r', join(CAPTURES, `${name}.pcap`), '-v', String(version), ...args, ...to]);
          const sent = (ended.summary?.datagrams ?? 0) / endpoints.length;
          for (const collector of collectors.values()) await collector.received(Math.floor(sent));
        } finally {
          for (const program of running) await program.stop();
          for (const collector of collectors.values()) await collector.close();
        }
      });

      it('ends with status 0 and a summary that adds up', () => {
        expect(ended).to.include({ status: 0, signal: null });
        const summary = ended.summary!;
        const skipped = Object.values(summary.skipped).reduce((total, count) => total + count, 0);
        expect(summary.states.ended).to.equal(summary.states.exported! + skipped);
        expect(summary.flows).to.equal(inCapture.length);
        expect(summary.octets).to.equal(sum(inCapture.map((flow) => flow.octets)));
        expect(summary.packetsCounted).to.equal(sum(inCapture.map((flow) => flow.packets)));
      });

      for (const host of LOOPBACKS) {
        it(`gives the test collector on ${host} every octet, packet and time, without a breach`, () => {
          const { collector } = collectors.get(host)!;
          expect(collector.errors).to.deep.equal([]);
          expect(collectedTotals(collector.flows)).to.deep.equal(expectedTotals(expected));
          expect(collector.messages[0]!.sequence).to.equal(0);
          const byKey = new Map(expected.map((flow) => [expectedKey(flow), flow]));
          for (const flow of collector.flows) {
            const { startMs, endMs, ...rest } = byKey.get(collectedKey(flow))!;
            expect(flow.version).to.equal(version);
            expect(flow.endMs).to.be.closeTo(endMs, 1);
            if (version === 10 || endMs - startMs < MOST_UPTIME_MS) {
              expect(flow.startMs).to.be.closeTo(startMs, 1);
            } else {
              expect(flow.startMs).to.be.within(endMs - MOST_UPTIME_MS, endMs);
            }
            expect(postNat(flow)).to.deep.equal(expectedPostNat({ startMs, endMs, ...rest }));
          }
        });

        itWith(['nfcapd', 'nfdump'], `gives nfcapd on ${host} every octet and packet in sequence`, () => {
          const report = nfcapd.get(host)!;
          expect(report).to.include({ sequenceFailures: 0, badPackets: 0 });
          expect(report.complaints).to.deep.equal([]);
          expect(report.flowCount).to.equal(collectors.get(host)!.collector.flows.length);
          expect(reportedTotals(report)).to.deep.equal(expectedTotals(expected));
          // nfcapd adds up in 64 bits, and one flow of v3 and v4 alone has 2^64-1 octets.
          const octets = sum(expected.map((flow) => flow.octets));
          expect(report.octets).to.equal(BigInt.asUintN(64, octets));
          expect(report.packets).to.equal(sum(expected.map((flow) => flow.packets)));
        });

        if (version === 1) continue;
        itWith(['nfacctd', 'pmacct'], `gives nfacctd on ${host} every octet and packet`, () => {
          // From v5, nfacctd keeps the ports of TCP and UDP only, not of SCTP.
          const known = expected.map((flow) =>
            version === 5 && flow.protocol === 132 ? withoutPorts(flow) : flow,
          );
          expect(reportedTotals(nfacctd.get(host)!)).to.deep.equal(expectedTotals(known));
        });
      }

      itWith(['tshark'], 'gives tshark every octet and packet, well formed and in sequence', async () => {
        for (const host of LOOPBACKS) {
          const report = await tshark(collectors.get(host)!.datagrams);
          expect(report).to.include({ malformed: 0, sequenceErrors: 0 });
          expect(reportedTotals(report)).to.deep.equal(expectedTotals(expected));
        }
      });

      if (version < 9) return;
      itWith(
        ['nfcapd', 'nfdump', 'nfacctd', 'pmacct', 'tshark'],
        'shows all of them what NAT made of it',
        async () => {
          const dissected = await tshark(collectors.get('127.0.0.1')!.datagrams);
          const reports = [nfcapd.get('127.0.0.1')!, nfacctd.get('127.0.0.1')!, dissected];
          const translated = expected.filter((flow) => flow.postNatSource !== undefined);
          expect(translated).to.not.have.length(0);
          for (const report of reports) {
            for (const flow of translated) {
              const counted = report.flows.filter((reported) => reported.octets === flow.octets);
              expect(counted.map(postNat)).to.deep.include(expectedPostNat(flow));
            }
          }
        },
      );
    });
  }
}

describe('IPFIX files', function () {
  this.timeout(30_000);
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pfflowd-'));
  });
  after(() => rm(folder, { recursive: true }));

  for (const name of CAPTURE_NAMES) {
    const convert = async () => {
      const file = join(folder, `${name}.ipfix`);
      const ended = await run(['-r', join(CAPTURES, `${name}.pcap`), '--format', 'ipfix', '-o', file]);
      expect(ended).to.include({ status: 0, signal: null });
      return file;
    };

    it(`hold every octet and packet of ${name}`, async () => {
      const collector = new Collector();
      collector.decodeStream(await readFile(await convert()));
      expect(collector.errors).to.deep.equal([]);
      const expected = expectedFlows(await describeCapture(name), 10);
      expect(collectedTotals(collector.flows)).to.deep.equal(expectedTotals(expected));
    });

    itWith(['ipfixDump'], `of ${name} are read by ipfixDump without an error`, async () => {
      const file = await convert();
      const collector = new Collector();
      collector.decodeStream(await readFile(file));
      const report = await ipfixDump(file);
      expect(report.errors).to.equal('');
      expect(report.messages).to.equal(collector.messages.length);
      expect(report.dataRecords).to.equal(collector.flows.length + collector.options.length);
      for (const flow of expectedFlows(await describeCapture(name), 10)) {
        expect(report.text).to.match(new RegExp(`octetDeltaCount\\s*: ${flow.octets}\\s`));
      }
    });
  }
});
