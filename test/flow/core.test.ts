import { SocketAddress } from 'node:net';
import { expect } from 'chai';
import fc from 'fast-check';
import { allocate, memoryOctets, takeMemory, viewOf } from '../../protocol/core.js';
import { FlowBatch } from '../../protocol/flow/flow-record.js';
import { FAMILY, ROW } from '../../protocol/flow/row.js';
import { EXACT, FORWARD, NONE, PARTIAL, REPLY, TCPSEQ } from '../../protocol/flow/terms.js';
import { newVolume } from '../../protocol/flow/volume.js';
import { STATE_V3, STATE_V6 } from '../../protocol/pfsync/layout.js';
import { StateFilter } from '../../src/flow/filter.js';
import { FlowMapper } from '../../src/flow/mapper.js';
import { Stats } from '../../src/observe/statistics.js';
import { csvFormat } from '../../src/sink/csv.js';
import { jsonFormat } from '../../src/sink/json.js';
import { tableFormat } from '../../src/sink/table.js';
import { type FlowFormat, lineOf, TextOutput } from '../../src/sink/text-output.js';
import { flowOf, STATE, volumeOf } from '../peer/flow-sample.js';
import { encodeState } from '../peer/pfsync-writer.js';
import { readStates } from '../peer/read-states.js';

const LARGEST = 2n ** 64n - 1n;

const counter = fc.oneof(
  fc.bigInt({ min: 0n, max: LARGEST }),
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

describe('the text of the core', () => {
  const format = jsonFormat();

  it('has counters and sequence numbers as their digits are', () => {
    fc.assert(
      fc.property(counter, counter, fc.nat({ max: 2 ** 53 - 1 }), (octets, packets, payload) => {
        const line = lineOf(format, flowOf({ octets, packets }));
        expect(line).to.contain(`,"octetDeltaCount":${octets},"packetDeltaCount":${packets},`);
        const estimate = { counters: TCPSEQ, initiatorOctets: payload, responderOctets: 2 ** 53 - 1 };
        const other = lineOf(format, flowOf(estimate));
        expect(other).to.contain(`,"initiatorOctets":${payload},"responderOctets":${2 ** 53 - 1},`);
      }),
      { numRuns: 1000 },
    );
  });

  it('has times rounded down, as far as they are times', () => {
    const time = fc.oneof(
      fc.integer({ min: -5000, max: 5000 }),
      fc.double({ min: 0, max: 2 ** 43, noNaN: true }),
      fc.constantFrom(999.999, 2 ** 51 - 1, 2 ** 51, 2 ** 53 - 1),
    );
    fc.assert(
      fc.property(time, time, (start, end) => {
        const { flowStartMilliseconds, flowEndMilliseconds } = JSON.parse(
          lineOf(format, flowOf({ start, end })),
        );
        expect([flowStartMilliseconds, flowEndMilliseconds]).to.deep.equal([
          Math.floor(start),
          Math.floor(end),
        ]);
      }),
      { numRuns: 1000 },
    );
  });

  it('has dates as the calendar has them, in all years that have one', () => {
    const time = fc.oneof(
      fc.integer({ min: -8.64e15, max: 8.64e15 }),
      fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 }),
      fc.constantFrom(...[100, 200, 399, 400, 1900, 1999, 2000, 2024].map((year) => Date.UTC(year, 1, 28))),
    );
    const table = tableFormat();
    fc.assert(
      fc.property(time, fc.integer({ min: 0, max: 3 }), (first, days) => {
        const start = Math.min(first + 86_400_000 * days, 8.64e15);
        const date = new Date(start).toISOString().replace('T', ' ').replace('Z', ' ');
        expect(lineOf(table, flowOf({ start, end: start })).startsWith(date)).to.equal(true);
      }),
      { numRuns: 5000 },
    );
  });

  it('has ids, rules, ports and addresses of IPv4 as they are', () => {
    const octet = fc.integer({ min: 0, max: 255 });
    const ipv4 = fc.tuple(octet, octet, octet, octet).map((octets) => octets.join('.'));
    const port = fc.integer({ min: 0, max: 65_535 });
    const id = fc.bigInt({ min: 0n, max: LARGEST });
    const word = fc.integer({ min: 0, max: 0xffff_ffff });
    fc.assert(
      fc.property(ipv4, port, id, word, fc.integer(), (address, number, key, creatorId, rule) => {
        const end = { address, port: number };
        const ends = { originalSource: end, translatedSource: end };
        const told = JSON.parse(lineOf(format, flowOf({ state: { ...ends, id: key, creatorId, rule } })));
        expect([told.sourceIPv4Address, told.sourceTransportPort]).to.deep.equal([address, number]);
        expect(told.pf.stateId).to.equal(key.toString(16).padStart(16, '0'));
        expect(told.pf.creatorId).to.equal(creatorId.toString(16).padStart(8, '0'));
        expect(told.pf.rule).to.equal(rule);
      }),
      { numRuns: 1000 },
    );
  });

  it('has addresses of IPv6 as RFC 5952 wants them, at every end', () => {
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
        const told = JSON.parse(lineOf(format, flowOf({ state: ends })));
        expect(told.sourceIPv6Address).to.equal(shortened(one));
        expect(told.destinationIPv6Address).to.equal(shortened(other));
        expect(told.postNATSourceIPv6Address).to.equal(shortened(other));
      }),
      { numRuns: 1000 },
    );
  });

  for (const exact of [0n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n, LARGEST]) {
    it(`writes the counter ${exact} as its digits`, () => {
      expect(lineOf(format, flowOf({ octets: exact }))).to.contain(`"octetDeltaCount":${exact},`);
    });
  }

  for (const [creatorId, text] of [
    [0, '00000000'],
    [0xffffffff, 'ffffffff'],
    [0xa1b2c3d4, 'a1b2c3d4'],
    [0x0000010f, '0000010f'],
  ] as const) {
    it(`writes the creator ${creatorId} as ${text}`, () => {
      expect(JSON.parse(lineOf(format, flowOf({ state: { creatorId } }))).pf.creatorId).to.equal(text);
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
    [-1500.5, '-1501'],
    [2 ** 74, '18889465931478580854784'],
  ] as const) {
    it(`writes the time ${time} as ${text}`, () => {
      expect(lineOf(format, flowOf({ start: time }))).to.contain(`{"flowStartMilliseconds":${text},`);
    });
  }

  it('gives each interface its own name, of more than it keeps', () => {
    for (const open of [jsonFormat, csvFormat, tableFormat]) {
      const format = open();
      for (let n = 0; n < 2000; n++) {
        const name = `em${n % 1000}`;
        expect(lineOf(format, flowOf({ interfaceName: name }))).to.match(new RegExp(`[ ,"]${name}[ ,"]`));
      }
    }
  });

  for (const [name, textFormat] of [
    ['JSON', jsonFormat],
    ['CSV', csvFormat],
    ['a table', tableFormat],
  ] as const) {
    it(`is the same for many rows as for one record after the other, in ${name}`, () => {
      fc.assert(
        fc.property(fc.array(kinds, { maxLength: 64 }), (sketches) => {
          const batch = new FlowBatch(64);
          batch.count = sketches.length;
          let expected = textFormat().header();
          for (const [n, sketch] of sketches.entries()) {
            const sample = sampleOf(sketch);
            memoryOctets.copyWithin(batch.row + n * ROW, sample.row, sample.row + ROW);
            for (const reply of [0, 1] as const) {
              sample.reply = reply;
              const isTold = (sketch.directions & (reply === 0 ? FORWARD : REPLY)) !== 0;
              if (isTold) expected += lineOf(textFormat(), sample);
            }
          }
          expect(written(batch, textFormat())).to.equal(expected);
        }),
        { numRuns: 100 },
      );
    });
  }

  it('tells in CSV what it tells in JSON', () => {
    const csv = csvFormat();
    const columns = csv.header().trimEnd().split(',');
    fc.assert(
      fc.property(kinds, fc.constantFrom<0 | 1>(0, 1), (sketch, reply) => {
        const sample = sampleOf({ ...sketch, name: 'em0' });
        sample.reply = reply;
        const { pf, ...told } = JSON.parse(exact(lineOf(format, sample)));
        const wanted = columns.map((column) => {
          const [, before, end] = /^(.*)(Source|Destination|source|destination)Address$/.exec(column) ?? [];
          const key = end === undefined ? column : `${before}${end}IPv4Address`;
          return String(told[key] ?? pf[key] ?? '');
        });
        expect(lineOf(csv, sample)).to.equal(`${wanted.join(',')}\n`);
      }),
      { numRuns: 500 },
    );
  });

  it('leaves in blocks when its room is full', () => {
    const batch = new FlowBatch(64);
    batch.count = 64;
    const sample = flowOf({ replyOctets: 1n });
    for (let n = 0; n < 64; n++) memoryOctets.copyWithin(batch.row + n * ROW, sample.row, sample.row + ROW);
    const text = written(batch, format, 20);
    expect(text.trimEnd().split('\n')).to.have.length(20 * 128);
    expect(new Set(text.trimEnd().split('\n')).size).to.equal(2);
  });
});

const kinds = fc.record({
  directions: fc.constantFrom(0, FORWARD, REPLY, FORWARD | REPLY),
  counters: fc.constantFrom(EXACT, PARTIAL, TCPSEQ, NONE),
  octets: counter,
  proto: fc.constantFrom(1, 6, 17),
  direction: fc.constantFrom('in' as const, 'out' as const),
  translated: fc.constantFrom('192.0.2.10', '198.51.100.7'),
  name: fc.constantFrom('em0', 'em1', 'a"\\b', ''),
});

function sampleOf(sketch: typeof kinds extends fc.Arbitrary<infer Sketch> ? Sketch : never) {
  const { directions, counters, octets, proto, direction, translated, name } = sketch;
  const translatedSource = { address: translated, port: 51_000 };
  const state = { proto, protoAfter: proto, direction, translatedSource };
  const sample = flowOf({ state, octets, replyOctets: 3n, counters, interfaceName: name });
  sample.directions = directions;
  return sample;
}

/** Numbers as strings: JSON.parse knows no larger ones than 2^53. */
function exact(line: string): string {
  return line.replace(/:(-?\d+)/g, ':"$1"');
}

/** What a text output writes of the rows, so many times. */
function written(batch: FlowBatch, format: FlowFormat, times = 1): string {
  let text = '';
  const file = {
    isClosed: false,
    write: (octets: Uint8Array | string) => {
      text += typeof octets === 'string' ? octets : Buffer.from(octets).toString('latin1');
    },
    flush: () => {},
  };
  const output = new TextOutput(file as never, format);
  for (let n = 0; n < times; n++) output.add(batch);
  output.flush();
  return text;
}

describe('the flows of the core', () => {
  const counters = (only: number) => newVolume().map((_, word) => (word === 2 * only ? 1 << 31 : 0));

  /** The directions of a state in which one counter alone is not 0: octets, packets, and those of the replies. */
  function directionsOf(only: number, provenance: number): number {
    const mapper = new FlowMapper(
      new StateFilter({ direction: 'any', noUncounted: false }),
      new Stats(),
      () => {},
    );
    const flow = flowOf({ counters: provenance });
    flow.isContinued = true;
    flow.state.writeVolume(counters(only));
    mapper.ended(flow);
    return flow.directions;
  }

  it('tell of the directions that had packets, and where counters are not final also of those with octets', () => {
    expect([0, 1, 2, 3].map((only) => directionsOf(only, EXACT))).to.deep.equal([0, FORWARD, 0, REPLY]);
    expect([0, 1, 2, 3].map((only) => directionsOf(only, PARTIAL))).to.deep.equal([
      FORWARD,
      FORWARD,
      REPLY,
      REPLY,
    ]);
    expect([0, 1, 2, 3].map((only) => directionsOf(only, NONE))).to.deep.equal(Array(4).fill(FORWARD));
  });

  it('keep no counters of a direction that they do not tell of', () => {
    const mapper = new FlowMapper(
      new StateFilter({ direction: 'any', noUncounted: false }),
      new Stats(),
      () => {},
    );
    const flow = flowOf({ octets: 5n, packets: 1n });
    const volume = newVolume();
    flow.state.writeVolume(volumeOf(0, 5n, 1n).map((word, at) => word | volumeOf(1, 7n, 0n)[at]!));
    mapper.ended(flow);
    flow.state.readVolume(volume);
    expect(flow.directions).to.equal(FORWARD);
    expect([...volume]).to.deep.equal([...volumeOf(0, 5n, 1n)]);
  });
});

describe('the memory of the core', () => {
  it('has an end, and goes on behind it', () => {
    expect(() => takeMemory(1 << 29)).to.throw('the memory of the core has no 536870912 octets left');
    expect(flowOf({}).records).to.equal(1);
  });
});

describe('the rows of the core', () => {
  it('are the same of records in its memory and outside, whatever their stride', () => {
    const record = encodeState('v6', STATE);
    for (const stride of [STATE_V6.size, STATE_V6.size + 4, 1020]) {
      const outside = new DataView(new ArrayBuffer(3 * stride));
      for (let n = 0; n < 3; n++) new Uint8Array(outside.buffer).set(record, n * stride);
      const inside = viewOf(allocate(3 * stride, outside), 3 * stride);
      memoryOctets.set(new Uint8Array(outside.buffer), inside.byteOffset);
      const rows = [outside, inside].map((view) => {
        const batch = new FlowBatch(3);
        expect(readStates(view, 0, stride, 3, STATE_V6, batch.row)).to.equal(0);
        return memoryOctets.slice(batch.row, batch.row + 3 * ROW);
      });
      expect(rows[0]).to.deep.equal(rows[1]);
      expect(rows[0]!.slice(0, ROW)).to.deep.equal(rows[0]!.slice(2 * ROW));
    }
  });

  it('say which records cannot be read, and leave the others alone', () => {
    const record = encodeState('v3', STATE);
    const view = new DataView(new ArrayBuffer(3 * STATE_V3.size));
    for (let n = 0; n < 3; n++) new Uint8Array(view.buffer).set(record, n * STATE_V3.size);
    view.setUint8(STATE_V3.size + STATE_V3.fields.direction, 3);
    const batch = new FlowBatch(3);
    expect(readStates(view, 0, STATE_V3.size, 3, STATE_V3, batch.row)).to.equal(1);
    expect([0, 1, 2].map((n) => memoryOctets[batch.row + n * ROW + FAMILY])).to.deep.equal([4, 0, 4]);
  });
});
