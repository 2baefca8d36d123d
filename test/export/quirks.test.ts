/** What real collectors do with what is sent: each test is a quirk that the formats were laid out around. */
import { createSocket } from 'node:dgram';
import { expect } from 'chai';
import { netflow1Encoder } from '../../protocol/export/netflow1.js';
import { netflow5Encoder } from '../../protocol/export/netflow5.js';
import type { ExportCounts } from '../../protocol/export/statistics.js';
import { NONE } from '../../protocol/flow/terms.js';
import { collect, NOW, type Open, type Sample } from '../peer/flow-sample.js';
import type { SimState } from '../peer/pfsync-writer.js';
import { itWith, type Listening, type Report, startNfacctd, startNfcapd, tshark } from '../peer/programs.js';
import { ipfix, opened, pflow, v9 } from './encoders.js';

const LOOPBACK = '127.0.0.1';
const NAMES = { names: true, sampling: true };
const COUNTS: ExportCounts = {
  ignoredPackets: 1,
  ignoredOctets: 60,
  notSentMessages: 0,
  notSentOctets: 0,
  notSentRecords: 0,
};
const v1: Open = (memory, room) => netflow1Encoder(memory, room, 'inside');
const v5: Open = (memory, room) => netflow5Encoder(memory, room, 'inside', 42);

/** Enough flows for templates to be sent again, over some minutes. */
const MANY: readonly Sample[] = Array.from({ length: 300 }, (_, i) => ({
  state: i % 3 === 0 ? { proto: 17, protoAfter: 17 } : {},
  observed: NOW + 1000 * i,
  end: NOW + 1000 * i,
}));

function encoded(open: Open, samples: readonly Sample[]): readonly Uint8Array[] {
  const { room, encoder, add, addNatEvent } = opened(open);
  for (const sample of samples) {
    if (sample.natEvent === undefined) add(sample);
    else addNatEvent(sample);
  }
  encoder.end(samples.at(-1)?.observed ?? NOW);
  expect(collect(room.messages).errors).to.deep.equal([]);
  return room.messages;
}

async function reported<R extends Report>(
  start: (host: typeof LOOPBACK) => Promise<Listening<R>>,
  messages: readonly Uint8Array[],
): Promise<R> {
  const listening = await start(LOOPBACK);
  const socket = createSocket('udp4');
  const port = Number(listening.endpoint.split(':').at(-1));
  for (const message of messages) {
    await new Promise((resolve) => socket.send(message, port, LOOPBACK, resolve));
  }
  socket.close();
  return listening.stop();
}

const byOctets = (flows: Report['flows']) => [...flows].sort((a, b) => Number(a.octets - b.octets));

describe('collectors and their quirks', function () {
  this.timeout(30_000);

  const formats: readonly [string, Open, number][] = [
    ['IPFIX with statistics', ipfix({ counts: COUNTS }), MANY.length],
    ['IPFIX biflows with statistics', ipfix({ counts: COUNTS, biflow: true }), MANY.length],
    ['the layout of pflow(4)', pflow(), MANY.length],
    ['v5', v5, MANY.length],
    ['v1', v1, MANY.length],
    ['v9 with names and sampling', v9(), MANY.length],
  ];
  for (const [name, open, count] of formats) {
    itWith(['nfcapd', 'nfdump'], `nfcapd finds no gap and nothing amiss in ${name}`, async () => {
      const report = await reported(startNfcapd, encoded(open, MANY));
      expect(report.sequenceFailures).to.equal(0);
      expect(report.badPackets).to.equal(0);
      expect(report.complaints).to.deep.equal([]);
      expect(report.flowCount).to.equal(count);
      expect([...new Set(report.flows.map(({ kind }) => kind))]).to.deep.equal(['FLOW']);
    });

    itWith(['tshark'], `tshark finds no gap and nothing amiss in ${name}`, async () => {
      const report = await tshark(encoded(open, MANY));
      expect(report.sequenceErrors).to.equal(0);
      expect(report.malformed).to.equal(0);
      expect(report.flows.length).to.equal(count);
    });
  }

  itWith(
    ['nfcapd', 'nfdump'],
    'nfcapd sees gaps behind options among the flows: why IPFIX sends none there',
    async () => {
      const messages = encoded(ipfix({ announce: NAMES }), MANY);
      expect((await reported(startNfcapd, messages)).sequenceFailures).to.be.greaterThan(0);
    },
  );

  itWith(
    ['nfcapd', 'nfdump', 'tshark'],
    'a collector started anew finds no gap behind a refresh',
    async () => {
      const { room, encoder, add } = opened(ipfix());
      for (const sample of MANY.slice(0, 100)) add(sample);
      encoder.flush(NOW);
      const before = room.messages.length;
      encoder.refresh?.();
      for (const sample of MANY.slice(100)) add(sample);
      encoder.end(NOW);
      const messages = room.messages.slice(before);
      expect(collect(messages).options.length).to.equal(1);
      const report = await reported(startNfcapd, messages);
      expect([report.sequenceFailures, report.flowCount]).to.deep.equal([0, 200]);
      expect((await tshark(room.messages)).sequenceErrors).to.equal(0);
    },
  );

  const named: readonly [string, Open][] = [
    ['IPFIX', ipfix({ announce: NAMES })],
    ['v9', v9()],
  ];
  for (const [name, open] of named) {
    itWith(['nfcapd', 'nfdump'], `nfdump learns the names of interfaces from ${name}`, async () => {
      const samples = [{ interfaceName: 'em1' }, { interfaceName: 'vlan1042' }];
      const report = await reported(startNfcapd, encoded(open, samples));
      expect(report.interfaceNames).to.deep.equal(['em1', 'vlan1042']);
    });
  }

  itWith(
    ['nfacctd', 'pmacct'],
    'nfacctd keeps the counters of translated flows, and reads one octet of flags',
    async () => {
      for (const open of [ipfix(), v9()]) {
        const { flows } = await reported(
          startNfacctd,
          encoded(open, [{ octets: 5_000_000_000n, packets: 77n }]),
        );
        expect(flows.length).to.equal(1);
        expect(flows[0]).to.deep.include({
          octets: 5_000_000_000n,
          packets: 77n,
          postNatSource: '198.51.100.1',
          postNatSourcePort: 61234,
          tcpFlags: String(0x13),
        });
      }
    },
  );

  itWith(['nfacctd', 'pmacct'], 'nfacctd loses no counters beside NAT events, which have none', async () => {
    const samples = [{ natEvent: 4 }, { octets: 4321n }, { natEvent: 5 }];
    const { flows } = await reported(startNfacctd, encoded(ipfix(), samples));
    expect(flows.reduce((sum, { octets }) => sum + octets, 0n)).to.equal(4321n);
  });

  itWith(
    ['nfcapd', 'nfdump'],
    'nfdump names NAT events, and they leave its time window as it is',
    async () => {
      const times = { start: NOW - 61_000, end: NOW };
      const samples = [
        { ...times, natEvent: 4 },
        { ...times, octets: 4321n },
        { ...times, natEvent: 5 },
      ];
      for (const open of [ipfix(), v9()]) {
        const report = await reported(startNfcapd, encoded(open, samples));
        const events = report.flows.map(({ natEvent }) => natEvent).filter((name) => name !== undefined);
        expect(events.filter((name) => /session/.test(name))).to.deep.equal([
          'NAT44 session create',
          'NAT44 session delete',
        ]);
        expect(report.firstSecond).to.equal(Math.floor((NOW - 61_000) / 1000));
        expect(report.lastSecond).to.equal(Math.floor(NOW / 1000));
      }
    },
  );

  itWith(['nfcapd', 'nfdump'], 'nfdump reads both directions of a biflow', async () => {
    const samples: Sample[] = [{ octets: 1000n, packets: 10n, replyOctets: 5_000_000_000n }];
    const report = await reported(startNfcapd, encoded(ipfix({ biflow: true }), samples));
    expect(report.flowCount).to.equal(1);
    expect(report.flows[0]).to.deep.include({ octets: 1000n, reverseOctets: 5_000_000_000n });
  });

  itWith(
    ['nfacctd', 'pmacct'],
    'nfacctd leaves out the other direction of a biflow: why two records are the default',
    async () => {
      const samples: Sample[] = [{ octets: 1000n, replyOctets: 2345n }];
      const total = async (open: Open) => {
        const { flows } = await reported(startNfacctd, encoded(open, samples));
        return flows.reduce((sum, { octets }) => sum + octets, 0n);
      };
      expect(await total(ipfix({ biflow: true }))).to.equal(1000n);
      expect(await total(ipfix())).to.equal(3345n);
    },
  );

  itWith(
    ['nfcapd', 'nfdump'],
    'nfdump is shown no ports of ICMP that would become a type and a code',
    async () => {
      const icmp: Partial<SimState> = { proto: 1, protoAfter: 1 };
      for (const open of [ipfix(), v9(), pflow()]) {
        const { flows } = await reported(startNfcapd, encoded(open, [{ state: icmp }]));
        expect(flows.map(({ destinationPort }) => destinationPort)).to.deep.equal([0]);
      }
    },
  );

  const V6: Partial<SimState> = {
    ...{ af: 6, afAfter: 6, proto: 58, protoAfter: 58 },
    originalSource: { address: '2001:db8::1', port: 0 },
    originalDestination: { address: '2001:db8::2', port: 0 },
  };
  for (const [name, open] of [
    ['v9', v9()],
    ['IPFIX', ipfix()],
    ['IPFIX biflows', ipfix({ biflow: true })],
  ] as const) {
    itWith(['nfcapd', 'nfdump'], `nfdump reads the ICMP types of ${name}`, async () => {
      const four: Partial<SimState> = { proto: 1, protoAfter: 1 };
      const samples: Sample[] = [
        { state: four, icmpType: 8, octets: 1n },
        { state: four, icmpType: -1, octets: 2n },
        { state: V6, icmpType: 128, octets: 3n },
        { state: V6, icmpType: -1, octets: 4n },
      ];
      const { flows } = await reported(startNfcapd, encoded(open, samples));
      expect(byOctets(flows).map(({ icmp }) => icmp)).to.deep.equal(['8.0', '0.0', '128.0', '0.0']);
    });
  }

  for (const [name, open] of [
    ['v1', v1],
    ['v5', v5],
  ] as const) {
    itWith(['nfcapd', 'nfdump'], `nfdump reads the ICMP type and the flags of ${name}`, async () => {
      const samples: Sample[] = [
        { state: { proto: 1, protoAfter: 1 }, icmpType: 8, octets: 1n },
        { state: { proto: 1, protoAfter: 1 }, icmpType: -1, octets: 2n },
        { octets: 3n },
      ];
      const { flows } = await reported(startNfcapd, encoded(open, samples));
      const shown = byOctets(flows).map(({ icmp, tcpFlags }) => [icmp, tcpFlags]);
      expect(shown).to.deep.equal([
        ['8.0', undefined],
        ['0.0', undefined],
        [undefined, '...A..SF'],
      ]);
    });

    itWith(['tshark'], `tshark reads the flags of ${name}`, async () => {
      const { flows } = await tshark(encoded(open, [{}]));
      expect(flows.map(({ tcpFlags }) => tcpFlags)).to.deep.equal(['0x13']);
    });
  }

  itWith(['nfcapd', 'nfdump'], 'nfdump reads a start of 10 days ago from uptimes', async () => {
    const start = NOW - 10 * 86_400_000;
    const { flows } = await reported(startNfcapd, encoded(v9(), [{ start }]));
    expect(byOctets(flows).map(({ startMs }) => startMs)).to.deep.equal([start]);
  });

  it('no template has elements that collectors add up or overwrite each other with', () => {
    const messages = encoded(ipfix({ counts: COUNTS }), [...MANY, { natEvent: 4 }, { counters: NONE }]);
    for (const { fields } of collect(messages).flows) {
      const has = (...keys: string[]) => keys.some((key) => fields.has(key));
      expect(has('231', '232'), 'counters of another kind').to.equal(false);
      expect(has('230') && has('1', '2'), 'an event with counters').to.equal(false);
      expect(has('230') && !has('152'), 'an event without the time of a flow').to.equal(false);
      expect(has('23', '24', '85', '86'), 'totals').to.equal(false);
      expect(has('10') !== has('14'), 'one interface without the other').to.equal(false);
      if (has('10') && fields.get('10') === 0) expect(fields.get('14')).not.to.equal(0);
    }
  });
});
