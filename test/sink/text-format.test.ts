/** What holds for the text formats together: digits, times, addresses, names. */
import { SocketAddress } from 'node:net';
import { expect } from 'chai';
import fc from 'fast-check';
import { EXACT, FROM_INSERT, FROM_NOBODY, NONE, PARTIAL, TCPSEQ } from '../../protocol/flow/terms.js';
import { csvFormat } from '../../src/sink/csv.js';
import { jsonFormat } from '../../src/sink/json.js';
import { tableFormat } from '../../src/sink/table.js';
import type { OpenFormat } from '../../src/sink/text-format.js';
import type { Sample } from '../peer/flow-sample.js';
import { TextLines } from './text-lines.js';

const LARGEST = 2n ** 64n - 1n;

const FORMATS: readonly [name: string, OpenFormat][] = [
  ['JSON', jsonFormat],
  ['CSV', csvFormat],
  ['a table', tableFormat],
];

const counter = fc.oneof(
  fc.bigInt({ min: 0n, max: LARGEST }),
  fc.bigInt({ min: 2n ** 31n - 3n, max: 2n ** 31n + 3n }),
  ...[3n, 6n, 9n, 12n, 18n].map((digits) => fc.bigInt({ min: 10n ** digits - 3n, max: 10n ** digits + 3n })),
  fc.bigInt({ min: 0n, max: 2000n }),
);

/** Octets of IPv6 with zeros here and there, but for the deprecated ::a.b.c.d, which the reference shows in dots. */
const address6 = fc
  .array(fc.oneof(fc.constant(0), fc.constant(0), fc.integer({ min: 0, max: 0xffff })), {
    minLength: 8,
    maxLength: 8,
  })
  .filter((groups) => groups.slice(0, 6).some((group) => group !== 0))
  .map((groups) => groups.map((group) => group.toString(16)).join(':'));

function shortened(address: string): string {
  return new SocketAddress({ address, family: 'ipv6' }).address;
}

describe('flows as text', () => {
  const json = new TextLines(jsonFormat);

  it('have counters as their digits are, whatever the provenance', () => {
    fc.assert(
      fc.property(counter, counter, fc.constantFrom(EXACT, PARTIAL, TCPSEQ), (octets, packets, counters) => {
        const line = json.of({ octets, packets, counters });
        expect(line).to.contain(`,"octetDeltaCount":${octets},"packetDeltaCount":${packets},`);
      }),
      { numRuns: 1000 },
    );
  });

  it('have times rounded down and not before 1970, as far as they are times', () => {
    const time = fc.oneof(
      fc.integer({ min: -5000, max: 5000 }),
      fc.double({ min: 0, max: 2 ** 43, noNaN: true }),
      fc.constantFrom(999.999, 1e12 - 1, 1e12, 1e13 - 1, 1e13, 2 ** 51 - 1, 2 ** 51, 2 ** 53 - 1),
    );
    fc.assert(
      fc.property(time, time, (start, end) => {
        const { flowStartMilliseconds, flowEndMilliseconds } = JSON.parse(json.of({ start, end }));
        expect([flowStartMilliseconds, flowEndMilliseconds]).to.deep.equal([
          Math.max(Math.floor(start), 0),
          Math.max(Math.floor(end), 0),
        ]);
      }),
      { numRuns: 1000 },
    );
  });

  it('have dates as the calendar has them, in all years that have one', () => {
    const time = fc.oneof(
      fc.integer({ min: 0, max: 8.64e15 }),
      fc.integer({ min: 0, max: 253_402_300_799_999 }),
      fc.constantFrom(...[1972, 1999, 2000, 2024, 2100, 2399, 2400].map((year) => Date.UTC(year, 1, 28))),
    );
    const table = new TextLines(tableFormat);
    fc.assert(
      fc.property(time, fc.integer({ min: 0, max: 3 }), (first, days) => {
        const start = Math.min(first + 86_400_000 * days, 8.64e15);
        const date = new Date(start).toISOString().replace('T', ' ').replace('Z', ' ');
        expect(table.of({ start, end: start }).startsWith(date)).to.equal(true);
      }),
      { numRuns: 5000 },
    );
  });

  it('have ids, rules, ports and addresses of IPv4 as they are', () => {
    const octet = fc.integer({ min: 0, max: 255 });
    const ipv4 = fc.tuple(octet, octet, octet, octet).map((octets) => octets.join('.'));
    const port = fc.integer({ min: 0, max: 65_535 });
    const id = fc.bigInt({ min: 0n, max: LARGEST });
    const word = fc.integer({ min: 0, max: 0xffff_ffff });
    const number = fc.oneof(fc.constantFrom(-(2 ** 31), 2 ** 31 - 1), fc.integer());
    fc.assert(
      fc.property(ipv4, port, id, word, number, (address, portNumber, key, creatorId, rule) => {
        const end = { address, port: portNumber };
        const state = { originalSource: end, translatedSource: end, id: key, creatorId, rule, anchor: rule };
        const flow = JSON.parse(json.of({ state }));
        expect([flow.sourceIPv4Address, flow.sourceTransportPort]).to.deep.equal([address, portNumber]);
        expect(flow.pf.stateId).to.equal(key.toString(16).padStart(16, '0'));
        expect(flow.pf.creatorId).to.equal(creatorId.toString(16).padStart(8, '0'));
        expect(flow.pf.rule).to.equal(rule === -1 ? undefined : rule);
        expect(flow.pf.anchor).to.equal(rule < 0 ? undefined : rule);
      }),
      { numRuns: 1000 },
    );
  });

  it('have addresses of IPv6 as RFC 5952 wants them, at every end', () => {
    const special = fc.constantFrom('0:0:0:0:0:ffff:c000:201', '0:0:0:0:0:0:0:0', '1:0:0:2:0:0:0:3');
    fc.assert(
      fc.property(fc.oneof(address6, special), address6, (one, other) => {
        const ends = {
          af: 6 as const,
          afAfter: 6 as const,
          originalSource: { address: one, port: 1 },
          originalDestination: { address: other, port: 2 },
          translatedSource: { address: other, port: 3 },
          translatedDestination: { address: other, port: 2 },
        };
        const flow = JSON.parse(json.of({ state: ends }));
        expect(flow.sourceIPv6Address).to.equal(shortened(one));
        expect(flow.destinationIPv6Address).to.equal(shortened(other));
        expect(flow.postNATSourceIPv6Address).to.equal(shortened(other));
      }),
      { numRuns: 1000 },
    );
  });

  for (const exact of [0n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n, LARGEST]) {
    it(`have the counter ${exact} as its digits`, () => {
      expect(json.of({ octets: exact })).to.contain(`"octetDeltaCount":${exact},`);
    });
  }

  for (const [creatorId, text] of [
    [0, '00000000'],
    [0xffffffff, 'ffffffff'],
    [0xa1b2c3d4, 'a1b2c3d4'],
    [0x0000010f, '0000010f'],
  ] as const) {
    it(`have the creator ${creatorId} as ${text}`, () => {
      expect(JSON.parse(json.of({ state: { creatorId } })).pf.creatorId).to.equal(text);
    });
  }

  for (const [time, text] of [
    [0, '0'],
    [7, '7'],
    [999.9, '999'],
    [1000, '1000'],
    [1700000000373.457, '1700000000373'],
    [1700000000007, '1700000000007'],
    [2147483647999, '2147483647999'],
    [2147483648000, '2147483648000'],
    [4294967295123, '4294967295123'],
    [-1500.5, '0'],
    [2 ** 74, '18889465931478580854784'],
  ] as const) {
    it(`have the time ${time} as ${text}`, () => {
      expect(json.of({ start: time })).to.contain(`{"flowStartMilliseconds":${text},`);
    });
  }

  for (const [name, open] of FORMATS) {
    it(`have the name of each interface, of very many, in ${name}`, () => {
      const lines = new TextLines(open);
      for (let n = 0; n < 2000; n++) {
        const interfaceName = `em${n % 1000}`;
        expect(lines.of({ interfaceName })).to.match(new RegExp(`[ ,"]${interfaceName}[ ,"]`));
      }
    });

    it(`have a line for each direction of a flow, in ${name}`, () => {
      const many = new TextLines(open);
      fc.assert(
        fc.property(kinds, (kind) => {
          const sample = sampleOf(kind);
          const both = many.all({ ...sample, replyOctets: 3n });
          const forward = new TextLines(open).of(sample);
          const reply = new TextLines(open).of({ ...sample, reply: 1, octets: 3n, packets: 10n });
          expect(both).to.deep.equal([forward, reply]);
        }),
        { numRuns: 200 },
      );
    });
  }

  it('say in CSV what they say in JSON', () => {
    const csv = new TextLines(csvFormat);
    const columns = csv.format.header.trimEnd().split(',');
    fc.assert(
      fc.property(kinds, fc.constantFrom<0 | 1>(0, 1), (kind, reply) => {
        const sample: Sample = { ...sampleOf({ ...kind, name: 'em0' }), reply };
        const { pf, ...flow } = JSON.parse(exact(json.of(sample)));
        const expected = columns.map((column) => {
          const [, before, end] = /^(.*)(Source|Destination|source|destination)Address$/.exec(column) ?? [];
          const isIcmp = column.startsWith('icmp');
          const key = end === undefined ? (isIcmp ? `${column}IPv4` : column) : `${before}${end}IPv4Address`;
          return String(flow[key] ?? pf[key] ?? '');
        });
        expect(csv.of(sample)).to.equal(expected.join(','));
      }),
      { numRuns: 500 },
    );
  });
});

const kinds = fc.record({
  counters: fc.constantFrom(EXACT, PARTIAL, TCPSEQ, NONE),
  octets: counter,
  proto: fc.constantFrom(1, 6, 17),
  direction: fc.constantFrom('in' as const, 'out' as const),
  translated: fc.constantFrom('192.0.2.10', '198.51.100.7'),
  name: fc.constantFrom('em0', 'em1', 'a"\\b', ''),
  anchor: fc.constantFrom(-1, 0, 70_000),
});

function sampleOf(kind: typeof kinds extends fc.Arbitrary<infer Kind> ? Kind : never): Sample {
  const { counters, octets, proto, direction, translated, name, anchor } = kind;
  const original = { address: '192.0.2.10', port: 51_000 };
  const translatedSource = { address: translated, port: 51_000 };
  const state = { proto, protoAfter: proto, direction, anchor, originalSource: original, translatedSource };
  const origin = counters === NONE ? FROM_NOBODY : FROM_INSERT;
  return { state, octets, counters, origin, interfaceName: name, ...(proto === 1 ? { icmpType: 8 } : {}) };
}

/** Numbers as strings: JSON.parse rounds those above 2^53. */
function exact(line: string): string {
  return line.replace(/:(-?\d+)/g, ':"$1"');
}
