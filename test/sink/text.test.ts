import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { FlowRecord } from '../../protocol/flow/flow-record.js';
import { EXACT, NONE, PARTIAL, TCPSEQ, type NatView } from '../../protocol/flow/terms.js';
import { STATE_V6 } from '../../protocol/pfsync/layout.js';
import { csvFormat } from '../../src/sink/csv.js';
import { jsonFormat } from '../../src/sink/json.js';
import { tableFormat } from '../../src/sink/table.js';
import { OutputFile } from '../../src/sink/output-file.js';
import { type FlowFormat, TextOutput, lineOf as textOf } from '../../src/sink/text-output.js';
import { setInterface, volumeOf } from '../peer/flow-sample.js';
import { readStates } from '../peer/read-states.js';

/** Source and destination, each an address and a port. */
type Pair = readonly [source: string, sourcePort: number, destination: string, destinationPort: number];

interface Sketch {
  readonly direction: 'in' | 'out';
  readonly original: Pair;
  readonly translated?: Pair;
  readonly protocol?: number;
  readonly rule?: number;
  readonly flow?: Partial<FlowRecord>;
  readonly interfaceName?: string;
  readonly octets?: bigint;
  readonly packets?: bigint;
}

/** Octets of a v6 state by the offsets of OpenBSD's if_pfsync.h. */
function flowOf(sketch: Sketch): FlowRecord {
  const { direction, original, translated = original, protocol = 6, rule = 41 } = sketch;
  const view = new DataView(new ArrayBuffer(264));
  const [wire, stack] = direction === 'in' ? [original, translated] : [translated, original];
  const isAfTo = familyOf(original) !== familyOf(translated);
  const source = direction === 'in' ? 0 : 1;
  // With af-to the second key, which is the translated one, has its ends the other way round.
  writeKey(view, 24, wire, isAfTo && direction === 'out' ? 1 - source : source);
  writeKey(view, 64, stack, isAfTo && direction === 'in' ? 1 - source : source);
  view.setBigUint64(0, 0x5f00000000000101n);
  view.setInt32(184, rule);
  view.setUint32(236, 0xa1b2c3d4);
  view.setUint8(250, familyOf(wire));
  view.setUint8(251, protocol);
  view.setUint8(252, direction === 'in' ? 1 : 2);
  const flow = new FlowRecord();
  expect(readStates(view, 0, STATE_V6.size, 1, STATE_V6, flow.row)).to.equal(0);
  setInterface(flow, sketch.interfaceName ?? 'em0', 1);
  flow.start = 1700000000373.457;
  flow.end = 1700000003623.458;
  Object.assign(flow, sketch.flow);
  flow.state.writeVolume(volumeOf(flow.reply, sketch.octets ?? 1500n, sketch.packets ?? 3n));
  return flow;
}

/** AF_INET and OpenBSD's AF_INET6. */
function familyOf(pair: Pair): number {
  return pair[0].includes(':') ? 24 : 2;
}

function writeKey(view: DataView, at: number, pair: Pair, source: number): void {
  const [sourceAddress, sourcePort, destinationAddress, destinationPort] = pair;
  writeEnd(view, at, source, sourceAddress, sourcePort);
  writeEnd(view, at, 1 - source, destinationAddress, destinationPort);
  view.setUint8(at + 38, familyOf(pair));
}

/** IPv4 dotted, IPv6 as `head::tail`. */
function writeEnd(view: DataView, key: number, index: number, address: string, port: number): void {
  const at = key + 16 * index;
  view.setUint16(key + 32 + 2 * index, port);
  if (!address.includes(':')) {
    address.split('.').forEach((octet, place) => {
      view.setUint8(at + place, Number(octet));
    });
    return;
  }
  const [head = '', tail = ''] = address.split('::');
  const front = head.split(':');
  const back = tail === '' ? [] : tail.split(':');
  front.forEach((group, place) => {
    view.setUint16(at + 2 * place, Number.parseInt(group, 16));
  });
  back.forEach((group, place) => {
    view.setUint16(at + 2 * (8 - back.length + place), Number.parseInt(group, 16));
  });
}

const PLAIN: Sketch = { direction: 'out', original: ['192.0.2.10', 51000, '198.51.100.20', 443] };
const NATTED: Sketch = {
  direction: 'out',
  original: ['192.168.1.50', 40000, '203.0.113.5', 80],
  translated: ['198.51.100.1', 61234, '203.0.113.5', 80],
};
const REDIRECTED: Sketch = {
  direction: 'in',
  original: ['203.0.113.77', 55555, '198.51.100.1', 8443],
  translated: ['203.0.113.77', 55555, '10.0.0.8', 443],
};
const NAT64: Sketch = {
  direction: 'in',
  original: ['2001:db8::64', 40000, '64:ff9b::c000:221', 80],
  translated: ['198.51.100.1', 50001, '192.0.2.33', 80],
};
const SIX: Sketch = {
  direction: 'in',
  original: ['2001:db8::10', 53000, '2001:db8:1::53', 53],
  protocol: 17,
};
const PING: Sketch = { direction: 'out', original: ['192.0.2.10', 77, '198.51.100.20', 8], protocol: 1 };

function reply(sketch: Sketch): Sketch {
  return { ...sketch, flow: { ...sketch.flow, reply: 1 } };
}

function lineOf(format: FlowFormat, sketch: Sketch): string {
  const line = textOf(format, flowOf(sketch));
  expect(line).to.match(/^[\x20-\x7e]+\n$/);
  return line.slice(0, -1);
}

describe('JSON of a flow', () => {
  const pf = {
    stateId: '5f00000000000101',
    creatorId: 'a1b2c3d4',
    direction: 'out',
    rule: 41,
    counters: 'exact',
    reply: false,
  };
  const times = { flowStartMilliseconds: 1700000000373, flowEndMilliseconds: 1700000003623 };
  const counted = { octetDeltaCount: 1500, packetDeltaCount: 3 };
  const natted = {
    postNATSourceIPv4Address: '198.51.100.1',
    postNATDestinationIPv4Address: '203.0.113.5',
    postNAPTSourceTransportPort: 61234,
    postNAPTDestinationTransportPort: 80,
  };
  const rest = { interfaceName: 'em0', flowEndReason: 3 };
  function ends(source: string, sourcePort: number, destination: string, destinationPort: number) {
    return {
      sourceIPv4Address: source,
      destinationIPv4Address: destination,
      sourceTransportPort: sourcePort,
      destinationTransportPort: destinationPort,
    };
  }

  const cases: [claim: string, Sketch, NatView | undefined, object][] = [
    [
      'has the elements of a plain TCP flow',
      PLAIN,
      undefined,
      {
        ...times,
        ...ends('192.0.2.10', 51000, '198.51.100.20', 443),
        protocolIdentifier: 6,
        ...counted,
        flowDirection: 1,
        ...rest,
        pf,
      },
    ],
    [
      'adds the post-NAT elements to a translated flow',
      NATTED,
      undefined,
      {
        ...times,
        ...ends('192.168.1.50', 40000, '203.0.113.5', 80),
        protocolIdentifier: 6,
        ...counted,
        flowDirection: 1,
        ...natted,
        ...rest,
        pf,
      },
    ],
    [
      'reverses both views in a reply',
      reply(REDIRECTED),
      undefined,
      {
        ...times,
        ...ends('198.51.100.1', 8443, '203.0.113.77', 55555),
        protocolIdentifier: 6,
        ...counted,
        flowDirection: 1,
        postNATSourceIPv4Address: '10.0.0.8',
        postNATDestinationIPv4Address: '203.0.113.77',
        postNAPTSourceTransportPort: 443,
        postNAPTDestinationTransportPort: 55555,
        ...rest,
        pf: { ...pf, direction: 'in', reply: true },
      },
    ],
    [
      'shows the inside view alone',
      REDIRECTED,
      'inside',
      {
        ...times,
        ...ends('203.0.113.77', 55555, '10.0.0.8', 443),
        protocolIdentifier: 6,
        ...counted,
        flowDirection: 0,
        ...rest,
        pf: { ...pf, direction: 'in' },
      },
    ],
    [
      'shows the translated view alone',
      NATTED,
      'translated',
      {
        ...times,
        ...ends('198.51.100.1', 61234, '203.0.113.5', 80),
        protocolIdentifier: 6,
        ...counted,
        flowDirection: 1,
        ...rest,
        pf,
      },
    ],
    [
      'has another family after NAT64',
      NAT64,
      'original',
      {
        ...times,
        sourceIPv6Address: '2001:db8::64',
        destinationIPv6Address: '64:ff9b::c000:221',
        sourceTransportPort: 40000,
        destinationTransportPort: 80,
        protocolIdentifier: 6,
        ...counted,
        flowDirection: 0,
        postNATSourceIPv4Address: '198.51.100.1',
        postNATDestinationIPv4Address: '192.0.2.33',
        postNAPTSourceTransportPort: 50001,
        postNAPTDestinationTransportPort: 80,
        ...rest,
        pf: { ...pf, direction: 'in' },
      },
    ],
    [
      'has no ports for ICMP, and nothing of what is not known',
      { ...PING, rule: -1, interfaceName: '', flow: { counters: NONE } },
      undefined,
      {
        ...times,
        sourceIPv4Address: '192.0.2.10',
        destinationIPv4Address: '198.51.100.20',
        protocolIdentifier: 1,
        flowDirection: 1,
        flowEndReason: 3,
        pf: { ...pf, rule: -1, counters: 'none' },
      },
    ],
    [
      'has the octets of both directions from sequence numbers',
      { ...PLAIN, flow: { counters: TCPSEQ, initiatorOctets: 1234, responderOctets: 4503599627370496 } },
      undefined,
      {
        ...times,
        ...ends('192.0.2.10', 51000, '198.51.100.20', 443),
        protocolIdentifier: 6,
        initiatorOctets: 1234,
        responderOctets: 4503599627370496,
        flowDirection: 1,
        ...rest,
        pf: { ...pf, counters: 'tcpseq' },
      },
    ],
  ];
  for (const [claim, sketch, nat, expected] of cases) {
    it(claim, () => {
      const line = lineOf(jsonFormat(nat), sketch);
      expect(JSON.parse(line)).to.deep.equal(expected);
      // Key order too: it is a contract with those who read lines by eye or by regular expression.
      expect(line).to.equal(JSON.stringify(expected));
    });
  }

  it('keeps all 64 bits of a counter', () => {
    const volume = { octets: 2n ** 64n - 1n, packets: 2n ** 53n + 1n };
    const line = lineOf(jsonFormat(undefined), { ...PLAIN, ...volume, flow: { counters: PARTIAL } });
    expect(line).to.contain(',"octetDeltaCount":18446744073709551615,"packetDeltaCount":9007199254740993,');
    expect(line).to.contain('"counters":"partial"');
  });

  it('gives back any interface name, in ASCII', () => {
    const format = jsonFormat(undefined);
    const latin = fc.string({
      unit: fc.integer({ min: 1, max: 255 }).map((unit) => String.fromCharCode(unit)),
      maxLength: 16,
    });
    fc.assert(
      fc.property(
        latin.filter((name) => name !== ''),
        (name) => {
          const line = lineOf(format, { ...PLAIN, interfaceName: name });
          expect(JSON.parse(line).interfaceName).to.equal(name);
        },
      ),
      { seed: 8259 },
    );
  });

  it('stays JSON with times that no clock shows', () => {
    const line = lineOf(jsonFormat(undefined), { ...PLAIN, flow: { start: -2594967295627, end: 2 ** 74 } });
    expect(line).to.contain(
      '"flowStartMilliseconds":-2594967295627,"flowEndMilliseconds":18889465931478580854784,',
    );
  });
});

describe('CSV of a flow', () => {
  const header = csvFormat(undefined).header().trimEnd().split(',');

  function cells(sketch: Sketch, nat?: NatView): Record<string, string> {
    const values = lineOf(csvFormat(nat), sketch).split(',');
    expect(values).to.have.length(header.length);
    return Object.fromEntries(header.map((name, index) => [name, values[index]!]));
  }

  it('stands below the names of its columns', () => {
    const row = cells(reply(REDIRECTED));
    expect(row).to.deep.equal({
      flowStartMilliseconds: '1700000000373',
      flowEndMilliseconds: '1700000003623',
      sourceAddress: '198.51.100.1',
      destinationAddress: '203.0.113.77',
      sourceTransportPort: '8443',
      destinationTransportPort: '55555',
      protocolIdentifier: '6',
      octetDeltaCount: '1500',
      packetDeltaCount: '3',
      initiatorOctets: '',
      responderOctets: '',
      flowDirection: '1',
      postNATSourceAddress: '10.0.0.8',
      postNATDestinationAddress: '203.0.113.77',
      postNAPTSourceTransportPort: '443',
      postNAPTDestinationTransportPort: '55555',
      interfaceName: 'em0',
      flowEndReason: '3',
      stateId: '5f00000000000101',
      creatorId: 'a1b2c3d4',
      direction: 'in',
      rule: '41',
      counters: 'exact',
      reply: 'true',
    });
  });

  const empty: [claim: string, Sketch, NatView | undefined, columns: readonly string[]][] = [
    [
      'an untranslated flow',
      PLAIN,
      undefined,
      ['postNATSourceAddress', 'postNATDestinationAddress', 'postNAPTSourceTransportPort'],
    ],
    ['a flow in the inside view', NATTED, 'inside', ['postNATSourceAddress', 'postNAPTSourceTransportPort']],
    ['ICMP', PING, undefined, ['sourceTransportPort', 'destinationTransportPort']],
    [
      'unknown counters',
      { ...PLAIN, flow: { counters: NONE } },
      undefined,
      ['octetDeltaCount', 'packetDeltaCount', 'initiatorOctets', 'responderOctets'],
    ],
    [
      'octets from sequence numbers',
      { ...PLAIN, flow: { counters: TCPSEQ, initiatorOctets: 1 } },
      undefined,
      ['octetDeltaCount', 'packetDeltaCount'],
    ],
  ];
  for (const [what, sketch, nat, columns] of empty) {
    it(`leaves cells empty for ${what}`, () => {
      const row = cells(sketch, nat);
      for (const column of columns) expect(row[column], column).to.equal('');
      expect(row.sourceAddress).to.equal(sketch.original[0]);
    });
  }

  it('has the octets of both directions from sequence numbers', () => {
    const row = cells({ ...PLAIN, flow: { counters: TCPSEQ, initiatorOctets: 12, responderOctets: 345 } });
    expect([row.initiatorOctets, row.responderOctets, row.counters]).to.deep.equal(['12', '345', 'tcpseq']);
  });

  const names: [name: string, text: string][] = [
    ['', ''],
    ['vlan 7', 'vlan 7'],
    ['a,b', '"a,b"'],
    ['a"b', '"a""b"'],
    ['=1+1', "'=1+1"],
    ['+1', "'+1"],
    ['-1', "'-1"],
    ['@a,"', '"\'@a,"""'],
    ['\r\n=1', '\\u000d\\u000a=1'],
    ['é\x7f', '\\u00e9\\u007f'],
    ['a\\b', 'a\\\\b'],
  ];
  for (const [name, text] of names) {
    it(`writes the interface name ${JSON.stringify(name)} as ${text || 'nothing'}`, () => {
      const line = lineOf(csvFormat(undefined), { ...PLAIN, interfaceName: name });
      expect(line).to.contain(`,1,,,,,${text},3,5f00000000000101,`);
    });
  }
});

const TABLE = [
  'Date first seen (UTC)    Duration Proto        Src IP Addr:Port           Dst IP Addr:Port  Dir Interface Packets       Bytes -> Translated',
  '2023-11-14 22:13:20.373     3.250 TCP           192.0.2.10:51000 ->     198.51.100.20:443   out em0             3        1500',
  '2023-11-14 22:13:20.373     3.250 TCP         192.168.1.50:40000 ->       203.0.113.5:80    out em0             3        1500 -> src 198.51.100.1:61234',
  '2023-11-14 22:13:20.373     3.250 TCP         198.51.100.1:8443  ->      203.0.113.77:55555 out em0             3        1500 -> src 10.0.0.8:443',
  '2023-11-14 22:13:20.373     3.250 UDP         2001:db8::10.53000 ->    2001:db8:1::53.53    in  em0             3        1500',
  '2023-11-14 22:13:20.373     3.250 TCP         2001:db8::64.40000 -> 64:ff9b::c000:221.80    in  em0             3        1500 -> src 198.51.100.1:50001 dst 192.0.2.33:80',
  '2023-11-14 22:13:20.373     3.250 ICMP          192.0.2.10       ->     198.51.100.20       out -               -           -',
  '2023-11-14 22:13:20.373     3.250 TCP           192.0.2.10:51000 ->     198.51.100.20:443   out em0             - ~1234/56789',
  '2023-11-14 22:13:20.373     3.250 TCP           192.0.2.10:51000 ->     198.51.100.20:443   out em0   ~4294967295 ~4294968796',
  '2023-11-14 22:13:20.373     3.250 115           192.0.2.10       ->     198.51.100.20       out em0             3 18446744073709551615',
  '2023-11-14 22:13:20.373     3.250 TCP 2001:db8:aaaa:bbbb:cccc:dddd:0:1.53000 -> 2001:db8::53.53 in em0          3        1500',
  '2023-11-14 22:13:20.373     3.250 TCP           192.0.2.10:51000 ->     198.51.100.20:443   out e\\u0020m\\u001b[2J 3      1500',
];

describe('the table of flows', () => {
  it('keeps its columns', () => {
    const format = tableFormat(undefined);
    const lines = [
      PLAIN,
      NATTED,
      reply(REDIRECTED),
      SIX,
      NAT64,
      { ...PING, interfaceName: '', flow: { counters: NONE } },
      { ...PLAIN, flow: { counters: TCPSEQ, initiatorOctets: 1234, responderOctets: 56789 } },
      { ...PLAIN, octets: 2n ** 32n + 1500n, packets: 2n ** 32n - 1n, flow: { counters: PARTIAL } },
      { ...PLAIN, protocol: 115, octets: 2n ** 64n - 1n, flow: { counters: EXACT } },
      { direction: 'in', original: ['2001:db8:aaaa:bbbb:cccc:dddd::1', 53000, '2001:db8::53', 53] } as Sketch,
      { ...PLAIN, interfaceName: 'e m\x1b[2J' },
    ].map((sketch) => lineOf(format, sketch));
    expect([format.header().trimEnd(), ...lines]).to.deep.equal(TABLE);
  });

  it('shows one view alone when told so', () => {
    expect(lineOf(tableFormat('inside'), REDIRECTED)).to.match(
      / 203\.0\.113\.77:55555 -> +10\.0\.0\.8:443 .* 1500$/,
    );
    expect(lineOf(tableFormat('translated'), NATTED)).to.match(/ 198\.51\.100\.1:61234 -> .* 1500$/);
  });

  const times: [start: number, end: number, text: string][] = [
    [0, 0, '1970-01-01 00:00:00.000     0.000 TCP'],
    [-1, 1, '1969-12-31 23:59:59.999     0.002 TCP'],
    [-0.5, 86_399_999.9, '1969-12-31 23:59:59.999 86400.000 TCP'],
    [-86_400_000, -62_135_596_800_000, '1969-12-31 00:00:00.000 -62135510400.000 TCP'],
    [253_402_300_800_000, 253_402_300_800_001, '+010000-01-01 00:00:00.000  0.001 TCP'],
    [1000.9, 1.2, '1970-01-01 00:00:01.000    -0.999 TCP'],
    [0, 4294967295999, '1970-01-01 00:00:00.000 4294967295.999 TCP'],
    [8.64e15 + 1000, 8.64e15 + 1001, '8640000000001000            0.001 TCP'],
    [2 ** 74, 2 ** 74, '18889465931478580854784     0.000 TCP'],
    [
      5_000_000_500_000_000 * 2 ** 16,
      5_000_000_500_000_000 * 2 ** 16,
      '327680032768000000000       0.000 TCP',
    ],
  ];
  for (const [start, end, text] of times) {
    it(`writes ${start} to ${end} as ${text}`, () => {
      expect(
        lineOf(tableFormat(undefined), { ...PLAIN, flow: { start, end } }).slice(0, text.length),
      ).to.equal(text);
    });
  }
});

describe('text output', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'text-output-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  it('writes the header and each flow, once flushed', async () => {
    const path = join(folder, 'flows.csv');
    const output = new TextOutput(new OutputFile(path), csvFormat(undefined));
    output.add(flowOf(PLAIN));
    output.flush();
    expect(readFileSync(path, 'utf8').split('\n')).to.have.length(3);
    output.add(flowOf(NATTED));
    await output.close();
    expect(readFileSync(path, 'utf8')).to.equal(
      csvFormat(undefined).header() +
        textOf(csvFormat(undefined), flowOf(PLAIN)) +
        textOf(csvFormat(undefined), flowOf(NATTED)),
    );
  });

  it('begins a rotated file with the header, and an unrotated one goes on', async () => {
    const path = join(folder, 'flows.csv');
    const output = new TextOutput(new OutputFile(path), csvFormat(undefined));
    output.add(flowOf(PLAIN));
    output.reopen();
    output.add(flowOf(PLAIN));
    output.flush();
    renameSync(path, `${path}.0`);
    output.reopen();
    output.add(flowOf(PLAIN));
    await output.close();
    const header = csvFormat(undefined).header();
    const line = textOf(csvFormat(undefined), flowOf(PLAIN));
    expect(readFileSync(`${path}.0`, 'utf8')).to.equal(header + line + line);
    expect(readFileSync(path, 'utf8')).to.equal(header + line);
  });
});
