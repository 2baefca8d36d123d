import { expect } from 'chai';
import { EXACT, FROM_NOBODY, NONE, PARTIAL, TCPSEQ } from '../../protocol/flow/terms.js';
import { tableFormat } from '../../src/sink/table.js';
import { flowOf, NAT64, NATTED, PING, PLAIN, REDIRECTED, SIX } from './flow-sketch.js';
import { joinedFlow, TextLines } from './text-lines.js';

const TABLE = [
  'Date first seen (UTC)    Duration Proto        Src IP Addr:Port           Dst IP Addr:Port  Dir Interface Packets       Bytes -> Translated',
  '2023-11-14 22:13:20.373     3.250 TCP           192.0.2.10:51000 ->     198.51.100.20:443   out em0             3        1500',
  '2023-11-14 22:13:20.373     3.250 TCP         192.168.1.50:40000 ->       203.0.113.5:80    out em0             3        1500 -> src 198.51.100.1:61234',
  '2023-11-14 22:13:20.373     3.250 TCP         198.51.100.1:8443  ->      203.0.113.77:55555 out em0             3        1500 -> src 10.0.0.8:443',
  '2023-11-14 22:13:20.373     3.250 UDP         2001:db8::10.53000 ->    2001:db8:1::53.53    in  em0             3        1500',
  '2023-11-14 22:13:20.373     3.250 TCP         2001:db8::64.40000 -> 64:ff9b::c000:221.80    in  em0             3        1500 -> src 198.51.100.1:50001 dst 192.0.2.33:80',
  '2023-11-14 22:13:20.373     3.250 ICMP          192.0.2.10       ->     198.51.100.20       out -               -           -',
  '2023-11-14 22:13:20.373     3.250 TCP           192.0.2.10:51000 ->     198.51.100.20:443   out em0            ~3       ~1500',
  '2023-11-14 22:13:20.373     3.250 TCP           192.0.2.10:51000 ->     198.51.100.20:443   out em0   ~4294967295 ~4294968796',
  '2023-11-14 22:13:20.373     3.250 115           192.0.2.10       ->     198.51.100.20       out em0             3 18446744073709551615',
  '2023-11-14 22:13:20.373     3.250 TCP 2001:db8:aaaa:bbbb:cccc:dddd:0:1.53000 -> 2001:db8::53.53 in em0          3        1500',
  '2023-11-14 22:13:20.373     3.250 TCP           192.0.2.10:51000 ->     198.51.100.20:443   out e\\u0020m\\u001b[2J 3      1500',
];

describe('the table of flows', () => {
  it('keeps its columns', () => {
    const table = new TextLines(tableFormat);
    const lines = [
      PLAIN,
      NATTED,
      { ...REDIRECTED, reply: 1 as const },
      SIX,
      NAT64,
      { ...PING, interfaceName: '', counters: NONE, origin: FROM_NOBODY },
      { ...PLAIN, counters: TCPSEQ },
      { ...PLAIN, octets: 2n ** 32n + 1500n, packets: 2n ** 32n - 1n, counters: PARTIAL },
      flowOf({
        direction: 'out',
        original: ['192.0.2.10', 51000, '198.51.100.20', 443],
        protocol: 115,
        octets: 2n ** 64n - 1n,
        counters: EXACT,
      }),
      flowOf({
        direction: 'in',
        original: ['2001:db8:aaaa:bbbb:cccc:dddd:0:1', 53000, '2001:db8::53', 53],
      }),
      { ...PLAIN, interfaceName: 'e m\x1b[2J' },
    ].map((sample) => table.of(sample));
    expect([table.format.header.trimEnd(), ...lines]).to.deep.equal(TABLE);
    for (const line of lines) expect(line).to.match(/^[\x20-\x7e]+$/);
  });

  it('shows both interfaces of a joined flow', () => {
    const [forward, reply] = new TextLines(tableFormat).all({ ...REDIRECTED, replyOctets: 5n }, joinedFlow);
    expect(forward).to.contain(' in  em0>em7         3        1500 -> dst 10.0.0.8:443');
    expect(reply).to.contain(' out em7>em0        10           5 -> src 10.0.0.8:443');
  });

  it('shows one view alone when told so', () => {
    expect(new TextLines(tableFormat, 'inside').of(REDIRECTED)).to.match(
      / 203\.0\.113\.77:55555 -> +10\.0\.0\.8:443 .* 1500$/,
    );
    expect(new TextLines(tableFormat, 'translated').of(NATTED)).to.match(
      / 198\.51\.100\.1:61234 -> .* 1500$/,
    );
  });

  // A time before 1970 is shown as its beginning.
  const times: [start: number, end: number, text: string][] = [
    [0, 0, '1970-01-01 00:00:00.000     0.000 TCP'],
    [-1, 1, '1970-01-01 00:00:00.000     0.001 TCP'],
    [-0.5, 86_399_999.9, '1970-01-01 00:00:00.000 86399.999 TCP'],
    [-86_400_000, -62_135_596_800_000, '1970-01-01 00:00:00.000     0.000 TCP'],
    [253_402_300_800_000, 253_402_300_800_001, '+010000-01-01 00:00:00.000  0.001 TCP'],
    [1000.9, 1.2, '1970-01-01 00:00:01.000    -0.999 TCP'],
    [0, 4294967295999, '1970-01-01 00:00:00.000 4294967295.999 TCP'],
    [8.64e15, 8.64e15 + 1, '+275760-09-13 00:00:00.000  0.001 TCP'],
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
      const line = new TextLines(tableFormat).of({ ...PLAIN, start, end });
      expect(line.slice(0, text.length)).to.equal(text);
    });
  }
});
