/** The test Collector is itself tested: with bytes written by hand from the specifications, and with softflowd. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { addressText6, Collector } from './collector.js';
import {
  captureOf,
  ipfixDump,
  itWith,
  type ReportedFlow,
  softflowd,
  startNfacctd,
  startNfcapd,
  tshark,
} from './programs.js';
import { LOOPBACKS, type Loopback, UdpCollector } from './udp-collector.js';

const EXPORT_SECONDS = 1_700_000_000;

function hex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replace(/\s+/g, ''), 'hex'));
}

function u16(value: number): string {
  return value.toString(16).padStart(4, '0');
}

function u32(value: number): string {
  return value.toString(16).padStart(8, '0');
}

function set(id: number, content: string): string {
  return u16(id) + u16(4 + content.replace(/\s+/g, '').length / 2) + content;
}

function ipfix(sequence: number, sets: string, domain = 42): Uint8Array {
  const length = 16 + sets.replace(/\s+/g, '').length / 2;
  return hex(`000a ${u16(length)} ${u32(EXPORT_SECONDS)} ${u32(sequence)} ${u32(domain)} ${sets}`);
}

function netflow9(sequence: number, count: number, sets: string): Uint8Array {
  return hex(`0009 ${u16(count)} 7fffffff ${u32(EXPORT_SECONDS)} ${u32(sequence)} 0000002a ${sets}`);
}

const V5_RECORD = `
  c0a80132 cb007105 00000000 0003 0004 003d0900 2a05f200 7fffd8ef 7ffffc17 9c40 0050
  00 12 06 00 0000 0000 00 00 0000`;

function netflow5(sequence: number, records: readonly string[]): Uint8Array {
  const header = `0005 ${u16(records.length)} 7fffffff ${u32(EXPORT_SECONDS)} 165e9640 ${u32(sequence)} 2a 2a 0000`;
  return hex(header + records.join(''));
}

const V1_RECORD = `
  c0a80132 cb007105 00000000 0003 0004 003d0900 2a05f200 7fffd8ef 7ffffc17 9c40 0050
  0000 06 00 12 00 00 00 00000000`;

function netflow1(records: readonly string[]): Uint8Array {
  return hex(`0001 ${u16(records.length)} 7fffffff ${u32(EXPORT_SECONDS)} 165e9640 ${records.join('')}`);
}

/** Both addresses, ports and protocol, 64-bit counters, times, interfaces, and what NAT made of it. */
const NAT_TEMPLATE = `
  012c 000f 0008 0004 000c 0004 0007 0002 000b 0002 0004 0001 0001 0008 0002 0008 0098 0008 0099 0008
  00e1 0004 00e2 0004 00e3 0002 00e4 0002 000a 0004 000e 0004`;
const NAT_RECORD = `
  c0a80132 cb007105 9c40 0050 06 000000012a05f200 00000000003d0900 0000018bcfe56800 0000018bcfe58f10
  c6336401 cb007105 ef32 0050 00000003 00000004`;
const NAT_RECORD_LARGEST = NAT_RECORD.replace('000000012a05f200', 'ffffffffffffffff');
const NAT_SETS = set(2, NAT_TEMPLATE) + set(300, NAT_RECORD);

const V6_TEMPLATE = '012d 0005 001b 0010 001c 0010 0001 0004 0002 0002 0052 ffff';
const V6_RECORD = '20010db8000100000000000000000005 20010db8000200000000000000000080 0000fa00 03e8 03 656d30';

/** Scope observationDomainId (149), exported, ignored and unsent counters: RFC 7011, section 4.3. */
const OPTIONS_TEMPLATE = '012e 0003 0001 0095 0004 00a4 0008 00a5 0008';
const OPTIONS_RECORD = '0000002a 0000000000000007 0000000000000100';

function decode(...messages: Uint8Array[]): Collector {
  const collector = new Collector();
  for (const message of messages) collector.decode(message);
  return collector;
}

describe('test Collector', () => {
  const common = {
    source: '192.168.1.50',
    destination: '203.0.113.5',
    sourcePort: 40000,
    destinationPort: 80,
    protocol: 6,
    packets: 4_000_000n,
    ingress: 3,
    egress: 4,
  };

  it('reads a v1 record', () => {
    const collector = decode(netflow1([V1_RECORD, V1_RECORD]));
    expect(collector.errors).to.deep.equal([]);
    expect(collector.flows).to.have.length(2);
    expect(collector.flows[1]).to.include({ ...common, version: 1, octets: 705_032_704n });
    expect(collector.flows[1]!.fields.get('6')).to.equal(0x12);
  });

  it('reads a v5 record', () => {
    const collector = decode(netflow5(7, [V5_RECORD, V5_RECORD]));
    expect(collector.errors).to.deep.equal([]);
    expect(collector.messages[0]).to.include({ sequence: 7, domain: 0x2a2a });
    expect(collector.flows[1]).to.include({ ...common, version: 5, octets: 705_032_704n });
    expect(collector.flows[1]!.fields.get('6')).to.equal(0x12);
  });

  it('computes times from the uptimes of v1, v5 and v9', () => {
    const template = '0100 0003 0008 0004 0016 0004 0015 0004';
    const v9 = netflow9(0, 2, set(0, template) + set(256, 'c0a80132 7fffd8ef 7ffffc17'));
    const cases = [
      { message: netflow1([V1_RECORD]), exportMs: EXPORT_SECONDS * 1000 + 375.297 },
      { message: netflow5(0, [V5_RECORD]), exportMs: EXPORT_SECONDS * 1000 + 375.297 },
      { message: v9, exportMs: EXPORT_SECONDS * 1000 },
    ];
    for (const { message, exportMs } of cases) {
      const collector = decode(message);
      expect(collector.errors).to.deep.equal([]);
      expect(collector.flows[0]!.startMs).to.be.closeTo(exportMs - 10_000, 1);
      expect(collector.flows[0]!.endMs).to.be.closeTo(exportMs - 1000, 1);
    }
  });

  it('reads IPFIX records with 64-bit counters and post-NAT elements', () => {
    const collector = decode(ipfix(0, NAT_SETS), ipfix(1, set(300, NAT_RECORD_LARGEST)));
    expect(collector.errors).to.deep.equal([]);
    expect(collector.flows[0]).to.include({
      ...common,
      version: 10,
      domain: 42,
      templateId: 300,
      octets: 5_000_000_000n,
      startMs: EXPORT_SECONDS * 1000,
      endMs: EXPORT_SECONDS * 1000 + 10_000,
      postNatSource: '198.51.100.1',
      postNatDestination: '203.0.113.5',
      postNatSourcePort: 61234,
      postNatDestinationPort: 80,
    });
    expect(collector.flows[1]!.octets).to.equal(18446744073709551615n);
  });

  it('reads IPv6, counters of reduced size and variable lengths', () => {
    const long = `ff 0003 656d31`;
    const collector = decode(
      ipfix(0, set(2, V6_TEMPLATE) + set(301, V6_RECORD)),
      ipfix(1, set(301, V6_RECORD.replace('03 656d30', long))),
    );
    expect(collector.errors).to.deep.equal(['message 1: element 82: length 3 in three octets']);
    const expected = {
      source: '2001:db8:1::5',
      destination: '2001:db8:2::80',
      octets: 64000n,
      packets: 1000n,
    };
    expect(collector.flows[0]).to.include(expected);
    expect(collector.flows.map((flow) => flow.fields.get('82'))).to.deep.equal(['em0', 'em1']);
  });

  it('reads reverse elements of RFC 5103', () => {
    const template = '012f 0003 0001 0008 8001 0004 00007279 8002 0004 00007279';
    const collector = decode(ipfix(0, set(2, template) + set(303, '0000000000000001 00000002 00000003')));
    expect(collector.errors).to.deep.equal([]);
    expect(collector.flows[0]).to.include({ octets: 1n, reverseOctets: 2n, reversePackets: 3n });
  });

  it('reads options data of IPFIX and v9', () => {
    const sets = set(3, OPTIONS_TEMPLATE) + set(302, OPTIONS_RECORD);
    const v9Template = '012e 0004 0008 0002 0004 0022 0004 0023 0001 0000';
    const collector = decode(
      ipfix(0, sets),
      netflow9(0, 2, set(1, v9Template) + set(302, '00000001 00000064 02 000000')),
    );
    expect(collector.errors).to.deep.equal([]);
    expect(collector.options.map((record) => [...record.fields])).to.deep.equal([
      [
        ['149', 42],
        ['164', 7n],
        ['165', 256n],
      ],
      [
        ['scope:2', 1],
        ['34', 100],
        ['35', 2],
      ],
    ]);
  });

  it('keeps templates and sequences of observation domains apart', () => {
    const collector = decode(
      ipfix(0, NAT_SETS, 1),
      ipfix(900, NAT_SETS, 2),
      ipfix(1, set(300, NAT_RECORD), 1),
    );
    expect(collector.errors).to.deep.equal([]);
    const other = decode(ipfix(0, NAT_SETS, 1), ipfix(0, set(300, NAT_RECORD), 2));
    expect(other.errors).to.deep.equal(['message 1: data for template 300, which is unknown']);
  });

  it('counts the sequence in records of v5, datagrams of v9 and data records of IPFIX, modulo 2^32', () => {
    const last = 0xffffffff;
    const v9Sets = set(0, '0100 0001 0008 0004') + set(256, 'c0a80132');
    const options = set(3, OPTIONS_TEMPLATE) + set(302, OPTIONS_RECORD + OPTIONS_RECORD);
    const cases = [
      [netflow5(last, [V5_RECORD, V5_RECORD]), netflow5(1, [V5_RECORD])],
      [netflow9(last, 2, v9Sets), netflow9(0, 2, v9Sets)],
      [ipfix(last, NAT_SETS + options), ipfix(2, NAT_SETS)],
    ];
    for (const messages of cases) expect(decode(...messages).errors).to.deep.equal([]);
  });

  const cutRecord = NAT_RECORD.slice(0, -8);
  const breaches: readonly { name: string; messages: readonly Uint8Array[]; error: string }[] = [
    { name: 'no octets', messages: [new Uint8Array()], error: 'no version' },
    { name: 'another version', messages: [hex('0007 0001')], error: 'version 7' },
    { name: 'v5 count', messages: [netflow5(0, [])], error: 'count 0' },
    {
      name: 'v5 length',
      messages: [netflow5(0, [V5_RECORD, V5_RECORD]).subarray(0, 119)],
      error: '119 octets, count says 120',
    },
    {
      name: 'v1 records of 52 octets',
      messages: [netflow1([`${V1_RECORD}00000000`])],
      error: '68 octets, count says 64',
    },
    {
      name: 'v5 padding',
      messages: [netflow5(0, [V5_RECORD.replace(/0000$/, '0001')])],
      error: 'padding is not zero',
    },
    {
      name: 'v5 sequence that counts datagrams',
      messages: [netflow5(0, [V5_RECORD, V5_RECORD]), netflow5(1, [V5_RECORD])],
      error: 'sequence 1, expected 2',
    },
    {
      name: 'v5 flow that ends before it starts',
      messages: [netflow5(0, [V5_RECORD.replace('7fffd8ef', '7ffffc18')])],
      error: 'before it starts',
    },
    {
      name: 'v9 count',
      messages: [netflow9(0, 3, set(0, '0100 0001 0008 0004') + set(256, 'c0a80132'))],
      error: 'count 3, 2 records',
    },
    {
      name: 'v9 sequence that counts records',
      messages: [
        netflow9(0, 3, set(0, '0100 0001 0008 0004') + set(256, 'c0a80132 c0a80133')),
        netflow9(2, 1, set(256, 'c0a80132')),
      ],
      error: 'sequence 2, expected 1',
    },
    {
      name: 'v9 set off a boundary',
      messages: [netflow9(0, 2, set(0, '0100 0001 0004 0001') + set(256, '06'))],
      error: '4-octet boundary',
    },
    {
      name: 'v9 padding',
      messages: [netflow9(0, 2, set(0, '0100 0001 0007 0002') + set(256, '0050 0000 0000'))],
      error: 'count 2, 4 records',
    },
    {
      name: 'IPFIX length',
      messages: [ipfix(0, NAT_SETS).subarray(0, -1)],
      error: 'octets, the header says',
    },
    { name: 'set length', messages: [ipfix(0, '0002 0003')], error: 'set at 16 has length 3' },
    { name: 'set beyond the message', messages: [ipfix(0, '0002 0009 0000')], error: '6 octets are left' },
    { name: 'reserved set id', messages: [ipfix(0, set(4, '00000000'))], error: 'set id 4' },
    { name: 'unknown template', messages: [ipfix(0, set(300, NAT_RECORD))], error: 'template 300' },
    { name: 'empty template set', messages: [ipfix(0, set(2, ''))], error: 'set 2 is empty' },
    {
      name: 'empty data set',
      messages: [ipfix(0, set(2, NAT_TEMPLATE) + set(300, ''))],
      error: 'set 300 is empty',
    },
    { name: 'cut template', messages: [ipfix(0, set(2, '012c 0002 0008 0004'))], error: '300 is cut' },
    { name: 'template id', messages: [ipfix(0, set(2, '00ff 0001 0008 0004'))], error: 'template id 255' },
    {
      name: 'changed template',
      messages: [ipfix(0, NAT_SETS), ipfix(1, set(2, '012c 0001 0008 0004'))],
      error: 'template 300 changed',
    },
    {
      name: 'options template without scope',
      messages: [ipfix(0, set(3, '012e 0001 0000 0029 0008'))],
      error: '0 scope fields',
    },
    {
      name: 'address of reduced size',
      messages: [ipfix(0, set(2, '012c 0001 0008 0003'))],
      error: 'element 8 has length 3',
    },
    {
      name: 'time of reduced size',
      messages: [ipfix(0, set(2, '012c 0001 0098 0004'))],
      error: 'element 152 has length 4',
    },
    {
      name: 'counter that is too long',
      messages: [ipfix(0, set(2, '012c 0001 0001 0009'))],
      error: 'element 1 has length 9',
    },
    {
      name: 'padding as long as a set header',
      messages: [ipfix(0, set(2, `${NAT_TEMPLATE}00000000`))],
      error: '4 octets of padding',
    },
    {
      name: 'padding that is not zero',
      messages: [ipfix(0, set(2, NAT_TEMPLATE) + set(300, `${NAT_RECORD}000001`))],
      error: 'padding is not zero',
    },
    {
      name: 'cut data record',
      messages: [ipfix(0, set(2, NAT_TEMPLATE) + set(300, cutRecord))],
      error: 'set 300 is empty',
    },
    {
      name: 'cut variable length',
      messages: [ipfix(0, set(2, V6_TEMPLATE) + set(301, V6_RECORD.replace('03 656d30', '04 656d30')))],
      error: 'record 0 of template 301 is cut',
    },
    {
      name: 'text that is no UTF-8',
      messages: [ipfix(0, set(2, V6_TEMPLATE) + set(301, V6_RECORD.replace('656d30', '65ff30')))],
      error: 'element 82 is no UTF-8',
    },
    {
      name: 'IPFIX sequence that counts messages',
      messages: [ipfix(0, NAT_SETS + set(300, NAT_RECORD)), ipfix(1, NAT_SETS)],
      error: 'sequence 1, expected 2',
    },
  ];
  for (const { name, messages, error } of breaches) {
    it(`reports: ${name}`, () => {
      expect(decode(...messages).errors.join('\n')).to.contain(error);
    });
  }

  it('reads messages back to back, and reports what is left', () => {
    const stream = Buffer.concat([ipfix(0, NAT_SETS), ipfix(1, set(300, NAT_RECORD))]);
    const whole = new Collector();
    whole.decodeStream(stream);
    expect(whole.errors).to.deep.equal([]);
    expect(whole.messages.map((message) => message.flows.length)).to.deep.equal([1, 1]);
    const cut = new Collector();
    cut.decodeStream(stream.subarray(0, -1));
    expect(cut.flows).to.have.length(1);
    expect(cut.errors[0]).to.contain('are no whole message');
  });

  it('reports what cannot be read and never throws', () => {
    const version = fc.constantFrom(1, 5, 9, 10);
    const property = fc.property(version, fc.uint8Array({ maxLength: 120 }), (number, noise) => {
      const collector = decode(ipfix(0, NAT_SETS));
      collector.decode(Buffer.concat([hex(u16(number)), noise]));
      expect(collector.messages.length + collector.errors.length).to.be.greaterThan(1);
    });
    fc.assert(property, { seed: 5, numRuns: 500 });
  });

  const addresses: readonly [string, string][] = [
    ['00000000000000000000000000000000', '::'],
    ['00000000000000000000000000000001', '::1'],
    ['20010db8000000000001000000000001', '2001:db8::1:0:0:1'],
    ['20010db8000000010001000100010001', '2001:db8:0:1:1:1:1:1'],
    ['fe800000000000000000000000000000', 'fe80::'],
  ];
  for (const [octets, text] of addresses) {
    it(`writes ${text} as RFC 5952 does`, () => {
      expect(addressText6(hex(octets))).to.equal(text);
    });
  }
});

/** Eight flows of five packets: four ports to one server, and its answers. IPv4 lengths are payload + 28. */
function traffic(): { readonly capture: Uint8Array; readonly octets: bigint; readonly packets: bigint } {
  const there = { source: '192.0.2.1', destination: '198.51.100.2', destinationPort: 53 };
  const back = { source: '198.51.100.2', destination: '192.0.2.1', sourcePort: 53 };
  let octets = 0n;
  const datagrams = Array.from({ length: 20 }, (_, i) => {
    const port = 1000 + (i % 4);
    const timeMs = EXPORT_SECONDS * 1000 + i * 1001;
    octets += BigInt(128 + i + 328 + i);
    return [
      { ...there, sourcePort: port, timeMs, payload: new Uint8Array(100 + i) },
      { ...back, destinationPort: port, timeMs: timeMs + 1, payload: new Uint8Array(300 + i) },
    ];
  }).flat();
  return { capture: captureOf(datagrams), octets, packets: BigInt(datagrams.length) };
}

describe('test Collector and softflowd', () => {
  const cases = [
    { options: ['-v', '1'], flows: 8 },
    { options: ['-v', '5'], flows: 8 },
    { options: ['-v', '9', '-A', 'milli'], flows: 8, errors: [/4-octet boundary/, /count 8, 14 records/] },
    { options: ['-v', '10', '-A', 'milli'], flows: 8 },
    { options: ['-v', '10', '-A', 'milli', '-b'], flows: 4 },
  ];
  for (const { options, flows, errors = [] } of cases) {
    itWith(['softflowd'], `agree on every octet of softflowd ${options.join(' ')}`, async () => {
      const listener = await UdpCollector.listen('127.0.0.1');
      try {
        const { capture, octets, packets } = traffic();
        await softflowd(capture, listener.endpoint, options);
        await listener.received(1);
        const { collector } = listener;
        const sum = (counters: (bigint | undefined)[]) =>
          counters.reduce<bigint>((a, b) => a + (b ?? 0n), 0n);
        expect(collector.flows).to.have.length(flows);
        expect(sum(collector.flows.flatMap((flow) => [flow.octets, flow.reverseOctets]))).to.equal(octets);
        expect(sum(collector.flows.flatMap((flow) => [flow.packets, flow.reversePackets]))).to.equal(packets);
        const unexpected = collector.errors.filter((error) => !errors.some((known) => known.test(error)));
        expect(unexpected).to.deep.equal([]);
        for (const known of errors)
          expect(collector.errors.some((error) => known.test(error))).to.equal(true);
      } finally {
        await listener.close();
      }
    });
  }
});

describe('the programs that collect', function () {
  this.timeout(30_000);

  const expected: ReportedFlow = {
    source: '192.168.1.50',
    destination: '203.0.113.5',
    sourcePort: 40000,
    destinationPort: 80,
    protocol: '6',
    octets: 18446744073709551615n,
    packets: 4_000_000n,
    postNatSource: '198.51.100.1',
    postNatDestination: '203.0.113.5',
    postNatSourcePort: 61234,
    postNatDestinationPort: 80,
  };
  const inOrder = [ipfix(0, set(2, NAT_TEMPLATE)), ipfix(0, set(300, NAT_RECORD_LARGEST))];
  const outOfOrder = [...inOrder, ipfix(7, set(300, NAT_RECORD_LARGEST))];

  for (const host of LOOPBACKS) {
    itWith(['nfcapd', 'nfdump'], `nfcapd on ${host} keeps 64-bit counters and NAT`, async () => {
      const collector = await startNfcapd(host);
      await send(host, collector.endpoint, inOrder);
      const report = await collector.stop();
      expect(report).to.include({ flowCount: 1, sequenceFailures: 0, badPackets: 0 });
      expect(report.complaints).to.deep.equal([]);
      expect(report.flows).to.have.length(1);
      expect(report.flows[0]).to.include(expected);
      expect(report.flows[0]).to.include({ startMs: EXPORT_SECONDS * 1000 });
      expect(report.flows[0]).to.include({ endMs: EXPORT_SECONDS * 1000 + 10_000 });
    });

    itWith(['nfacctd', 'pmacct'], `nfacctd on ${host} keeps 64-bit counters and NAT`, async () => {
      const collector = await startNfacctd(host);
      await send(host, collector.endpoint, inOrder);
      const report = await collector.stop();
      expect(report.flows).to.have.length(1);
      expect(report.flows[0]).to.include(expected);
    });
  }

  itWith(['tshark'], 'tshark keeps 64-bit counters and NAT', async () => {
    const report = await tshark(inOrder);
    expect(report).to.include({ malformed: 0, sequenceErrors: 0 });
    expect(report.flows).to.have.length(1);
    expect(report.flows[0]).to.include(expected);
  });

  itWith(['nfcapd', 'nfdump'], 'nfcapd reports a gap in the sequence', async () => {
    const collector = await startNfcapd('127.0.0.1');
    await send('127.0.0.1', collector.endpoint, outOfOrder);
    expect((await collector.stop()).sequenceFailures).to.equal(1);
  });

  itWith(['tshark'], 'tshark reports a gap in the sequence and a cut template', async () => {
    expect((await tshark(outOfOrder)).sequenceErrors).to.equal(1);
    const cut = ipfix(0, set(2, '012c 0009 0008 0004'));
    expect((await tshark([cut])).malformed).to.equal(1);
  });

  itWith(['ipfixDump'], 'ipfixDump reads a whole file and reports a cut one', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ipfix-'));
    try {
      const file = join(folder, 'flows.ipfix');
      const stream = Buffer.concat(inOrder);
      await writeFile(file, stream);
      const whole = await ipfixDump(file);
      expect(whole).to.include({ messages: 2, dataRecords: 1, templateRecords: 1, errors: '' });
      expect(whole.text).to.contain('18446744073709551615');
      await writeFile(file, stream.subarray(0, -1));
      expect((await ipfixDump(file)).errors).to.contain('ipfixDump: ');
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

async function send(host: Loopback, to: string, messages: readonly Uint8Array[]): Promise<void> {
  const { createSocket } = await import('node:dgram');
  const socket = createSocket(host === '::1' ? 'udp6' : 'udp4');
  const port = Number(to.slice(to.lastIndexOf(':') + 1));
  for (const message of messages) {
    await new Promise<void>((resolve, reject) => {
      socket.send(message, port, host, (error) => (error === null ? resolve() : reject(error)));
    });
  }
  socket.close();
}
