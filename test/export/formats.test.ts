import { expect } from 'chai';
import fc from 'fast-check';
import { netflow1Encoder } from '../../protocol/export/netflow1.js';
import { netflow5Encoder } from '../../protocol/export/netflow5.js';
import { MOST_PARTS } from '../../protocol/export/split.js';
import { type NatView, NONE, TCPSEQ } from '../../protocol/flow/terms.js';
import type { CollectedFlow, Collector } from '../peer/collector.js';
import { collect, DAY, NOW, type Open, type Sample, STATE } from '../peer/flow-sample.js';
import type { SimEnd } from '../peer/pfsync-writer.js';
import { FIRST_OPTIONS, ipfix, OPTIONS, type Opened, opened, pflow, v9 } from './encoders.js';

type Format = 'v1' | 'v5' | 'v9' | 'ipfix' | 'pflow';

interface Settings {
  readonly nat?: NatView;
  readonly refreshTime?: number;
  readonly refreshMessages?: number;
  readonly domain?: number;
}

function openerOf(format: Format, settings: Settings = {}): Open {
  const nat = settings.nat ?? (format === 'v1' || format === 'v5' ? 'inside' : 'original');
  if (format === 'v1') return (memory, room) => netflow1Encoder(memory, room, nat);
  if (format === 'v5')
    return (memory, room) => netflow5Encoder(memory, room, nat, settings.domain ?? OPTIONS.domain);
  return { v9, ipfix, pflow }[format](settings);
}

function openedFormat(format: Format, settings: Settings = {}, length?: number): Opened {
  return opened(openerOf(format, settings), length);
}

function exported(
  format: Format,
  samples: readonly Sample[],
  settings: Settings = {},
  length?: number,
): Collector {
  const { encoder, room, add } = openedFormat(format, settings, length);
  for (const sample of samples) add(sample);
  encoder.flush(samples.at(-1)?.observed ?? NOW);
  const collector = collect(room.messages);
  expect(collector.errors, format).to.deep.equal([]);
  return collector;
}

const FORMATS: readonly Format[] = ['v1', 'v5', 'v9', 'ipfix', 'pflow'];
const TEMPLATED: readonly Format[] = ['v9', 'ipfix', 'pflow'];

const SIX: Sample = {
  state: {
    af: 6,
    afAfter: 6,
    originalSource: { address: '2001:db8::1', port: 1 },
    originalDestination: { address: '2001:db8::2', port: 2 },
    translatedSource: { address: '2001:db8::1', port: 1 },
    translatedDestination: { address: '2001:db8::2', port: 2 },
  },
};

const address4 = fc.ipV4();
const address6 = fc
  .tuple(fc.integer({ min: 1, max: 0xffff }), fc.integer({ min: 1, max: 0xffff }))
  .map(([a, b]) => `2001:db8:${a.toString(16)}::${b.toString(16)}`);
const counter = fc.oneof(
  fc.bigInt({ min: 0n, max: 0xffffffffn }),
  fc.bigInt({ min: 0n, max: 2n ** 44n }),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
);

function end(address: fc.Arbitrary<string>): fc.Arbitrary<SimEnd> {
  return fc.record({ address, port: fc.integer({ min: 0, max: 65535 }) });
}

const sample: fc.Arbitrary<Sample> = fc
  .tuple(fc.constantFrom(4 as const, 6 as const), fc.constantFrom(4 as const, 6 as const), fc.boolean())
  .chain(([af, other, isSame]) => {
    const afAfter = isSame ? af : other;
    const before = end(af === 4 ? address4 : address6);
    const after = end(afAfter === 4 ? address4 : address6);
    return fc.record({
      state: fc.record({
        af: fc.constant(af),
        afAfter: fc.constant(afAfter),
        direction: fc.constantFrom('in' as const, 'out' as const),
        proto: fc.constantFrom(6, 17, 47, 132),
        originalSource: before,
        originalDestination: before,
        translatedSource: after,
        translatedDestination: after,
      }),
      reply: fc.constantFrom(0 as const, 1 as const),
      octets: counter,
      packets: counter,
      start: fc.integer({ min: NOW - 40 * DAY, max: NOW }),
    });
  });

describe('export formats', () => {
  for (const format of FORMATS) {
    it(`${format}: the collector sees what was put in, for any flows`, () => {
      fc.assert(
        fc.property(fc.array(sample, { minLength: 1, maxLength: 60 }), (samples) => {
          const flows = samples.map((one) => ({
            ...one,
            state: { ...one.state, protoAfter: one.state?.proto ?? 6 },
          }));
          const collector = exported(format, flows);
          const expected = flows.flatMap((one) => expectedFlow(format, one));
          const seen = collector.flows.map((flow) => seenFlow(format, flow));
          expect(sumParts(seen)).to.deep.equal(sumParts(expected));
        }),
        { numRuns: 60 },
      );
    });
  }

  for (const format of ['v1', 'v5'] as const) {
    it(`${format}: splitting conserves both sums, and each part has packets while there are any`, () => {
      fc.assert(
        fc.property(
          fc.bigInt({ min: 0n, max: BigInt(MOST_PARTS) * 0xffffffffn }),
          fc.bigInt({ min: 0n, max: BigInt(MOST_PARTS) * 0xffffffffn }),
          (octets, packets) => {
            const { flows } = exported(format, [{ octets, packets }]);
            expect(flows.reduce((sum, flow) => sum + (flow.octets ?? 0n), 0n)).to.equal(octets);
            expect(flows.reduce((sum, flow) => sum + (flow.packets ?? 0n), 0n)).to.equal(packets);
            const empty = flows.filter((flow) => flow.packets === 0n).length;
            expect(empty).to.equal(Math.max(0, flows.length - Number(packets > 5000n ? 5000n : packets)));
          },
        ),
        { numRuns: 40 },
      );
    });

    it(`${format}: a counter of 2^64-1 becomes ${MOST_PARTS} parts, clamped and counted`, () => {
      const { encoder, room, add } = openedFormat(format);
      add({ octets: 2n ** 64n - 1n, packets: 5000n });
      encoder.flush(NOW);
      const { flows } = collect(room.messages);
      expect(flows.length).to.equal(MOST_PARTS);
      expect(encoder.losses.clampedCounters).to.equal(1);
      expect(flows.every((flow) => flow.octets === 0xffffffffn)).to.equal(true);
      expect(flows.reduce((sum, flow) => sum + (flow.packets ?? 0n), 0n)).to.equal(5000n);
    });

    it(`${format}: records of an IPv6 state are refused and counted`, () => {
      const { encoder, room, add } = openedFormat(format);
      for (const sample of [SIX, { ...SIX, reply: 1 as const }, { ...SIX, replyOctets: 1n }]) add(sample);
      encoder.flush(NOW);
      expect(room.messages).to.deep.equal([]);
      expect(encoder.losses.unsupported).to.equal(4);
    });
  }

  for (const [format, most] of [
    ['v1', 24],
    ['v5', 30],
  ] as const) {
    it(`${format}: datagrams are filled to ${most} records`, () => {
      const { messages } = exported(format, new Array(most * 2 + 1).fill({}));
      expect(messages.map((message) => message.flows.length)).to.deep.equal([most, most, 1]);
    });
  }

  it('v5: engine type 42 and the engine id stand in the header', () => {
    expect(exported('v5', [{}], { domain: 7 }).messages[0]?.domain).to.equal(42 * 256 + 7);
  });

  for (const format of ['v1', 'v5', 'v9'] as const) {
    it(`${format}: a start 49 days back is kept, one 60 days back is clipped and counted`, () => {
      const { encoder, room, add } = openedFormat(format);
      add({ start: NOW - 49 * DAY });
      expect(encoder.losses.clippedTimes).to.equal(0);
      add({ start: NOW - 60 * DAY });
      expect(encoder.losses.clippedTimes).to.equal(1);
      encoder.flush(NOW);
      const [kept, clipped] = collect(room.messages).flows;
      expect(kept?.startMs).to.equal(NOW - 49 * DAY);
      expect(kept?.endMs).to.equal(NOW);
      expect(clipped?.startMs).to.be.greaterThan(NOW - 50 * DAY);
      expect(clipped?.endMs).to.equal(NOW);
    });
  }

  for (const format of FORMATS) {
    it(`${format}: times stay right over 60 days of the clock, and when it is set back`, () => {
      const clock = [0, 1000, 30 * DAY, 50 * DAY, 50 * DAY - 3_600_000, 60 * DAY].map((step) => NOW + step);
      const { flows } = exported(
        format,
        clock.map((now) => ({ observed: now, end: now, start: now - 5000 })),
      );
      expect(flows.map((flow) => flow.endMs)).to.deep.equal(clock);
      expect(flows.map((flow) => flow.startMs)).to.deep.equal(clock.map((now) => now - 5000));
    });

    it(`${format}: the clock may go anywhere within a message: all times are right, and none is before 1970`, () => {
      const clock = fc.oneof(
        fc.integer({ min: NOW - 100 * DAY, max: NOW + 100 * DAY }),
        fc.integer({ min: -2 * DAY, max: 60 * DAY }),
        fc.integer({ min: -(2 ** 40), max: 2 ** 41 }),
      );
      const age = fc.oneof(fc.integer({ min: 0, max: 49 * DAY }), fc.integer({ min: 0, max: 1000 }));
      fc.assert(
        fc.property(fc.array(fc.tuple(clock, age), { minLength: 1, maxLength: 60 }), (steps) => {
          const samples = steps.map(([now, old]) => ({ observed: now, end: now, start: now - old }));
          const { flows, messages } = exported(format, samples);
          const least = (time: number) => Math.max(time, 0);
          expect(flows.map(({ startMs, endMs }) => [startMs, endMs])).to.deep.equal(
            samples.map(({ start, end }) => [least(start), least(end)]),
          );
          for (const { exportMs } of messages) expect(exportMs).to.be.within(0, 2 ** 41 + 1000);
        }),
        { numRuns: 60 },
      );
    });

    it(`${format}: the same flows give the same octets`, () => {
      const bytes = () => {
        const { encoder, room, add } = openedFormat(format);
        for (let i = 0; i < 100; i++) add({ octets: BigInt(i), reply: (i & 1) as 0 | 1 });
        encoder.flush(NOW);
        return Buffer.concat(room.messages);
      };
      expect(bytes().equals(bytes())).to.equal(true);
    });

    it(`${format}: a message is never longer than its room, for rooms from 512 octets`, () => {
      const samples = new Array<Sample>(50).fill({});
      for (let length = 512; length < 640; length += 7) exported(format, samples, {}, length);
    });
  }

  for (const format of TEMPLATED) {
    it(`${format}: templates come first, more than once, again with time and with messages`, () => {
      const announcing = (settings: Settings, step: number) => {
        const samples = Array.from({ length: 400 }, (_, i) => ({ observed: NOW + i * step }));
        const { messages } = exported(format, samples, settings);
        return messages.filter(({ templates }) => templates.some((id) => id < FIRST_OPTIONS)).length;
      };
      const atStart = announcing({}, 0);
      expect(exported(format, [{}]).messages[0]?.templates.length).to.be.greaterThan(0);
      expect(atStart).to.equal(3);
      expect(announcing({ refreshTime: 1000 }, 100)).to.be.greaterThan(10);
      expect(announcing({ refreshMessages: 4 }, 0)).to.be.greaterThan(atStart);
    });

    it(`${format}: after a restart templates and sequence start again`, () => {
      const { encoder, room, add } = openedFormat(format);
      // Records of two kinds: each kind's template is announced again before its first one.
      const addBoth = () => {
        for (const sample of [{}, SIX]) add(sample);
      };
      for (let i = 0; i < 200; i++) addBoth();
      encoder.flush(NOW);
      const before = room.messages.length;
      encoder.restart();
      addBoth();
      encoder.flush(NOW);
      const second = collect(room.messages.slice(before));
      expect(second.errors).to.deep.equal([]);
      expect(second.messages[0]?.sequence).to.equal(0);
      expect(second.flows.length).to.equal(2);
    });
  }

  for (const format of ['ipfix', 'v9'] as const) {
    it(`${format}: a state of unknown volume has no counters, one known by sequence numbers has them as others do`, () => {
      const { flows } = exported(format, [{ counters: NONE }, { counters: TCPSEQ, octets: 2n ** 40n + 1n }]);
      expect(flows.map(({ octets, packets }) => [octets, packets])).to.deep.equal([
        [undefined, undefined],
        [2n ** 40n + 1n, 10n],
      ]);
      const [counted] = exported(format, [{}]).flows;
      expect(flows[1]?.templateId).to.equal(counted?.templateId);
    });
  }

  for (const format of FORMATS) {
    it(`${format}: pf's numbers in place of ICMP ports are not exported`, () => {
      const [flow] = exported(format, [{ state: { proto: 1, protoAfter: 1 }, icmpType: -1 }]).flows;
      expect(flow?.sourcePort ?? 0).to.equal(0);
      expect(flow?.destinationPort ?? 0).to.equal(0);
    });
  }

  for (const format of ['v1', 'v5'] as const) {
    const echo: Sample = { state: { proto: 1, protoAfter: 1 }, icmpType: 8 };
    const six = { address: '2001:db8::1', port: 1 };
    const four = { address: '192.0.2.1', port: 1 };
    const afTo = (af: 4 | 6, direction: 'in' | 'out', icmpType: number): Sample => ({
      state: {
        ...(af === 6
          ? { af, afAfter: 4, proto: 58, protoAfter: 1 }
          : { af, afAfter: 6, proto: 1, protoAfter: 58 }),
        direction,
        originalSource: af === 6 ? six : four,
        originalDestination: af === 6 ? six : four,
        translatedSource: af === 6 ? four : six,
        translatedDestination: af === 6 ? four : six,
      },
      icmpType,
    });
    const cases: readonly [string, Sample, number][] = [
      ['an echo request', echo, 8 * 256],
      ['a message of another type', { ...echo, icmpType: 13 }, 13 * 256],
      ['a message of unknown type', { ...echo, icmpType: -1 }, 0],
      ['the replies to it', { ...echo, reply: 1 }, 0],
      ['one that is translated', { ...echo, state: { ...echo.state, direction: 'in' } }, 8 * 256],
      ['one that becomes ICMPv6', afTo(4, 'out', 8), 8 * 256],
      ['one that was ICMPv6: the type is not of the family shown', afTo(6, 'in', 128), 0],
    ];
    for (const [name, sample, port] of cases) {
      it(`${format}: ${name} has the destination port ${port}`, () => {
        const { flows } = exported(format, [sample]);
        expect(flows.map(({ sourcePort, destinationPort }) => [sourcePort, destinationPort])).to.deep.equal([
          [0, port],
        ]);
      });
    }
  }

  for (const format of ['v5', 'v9', 'ipfix'] as const) {
    const [original, translated] = ['192.168.1.50>203.0.113.5', '198.51.100.1>203.0.113.5'];
    const views: readonly [NatView, string, string][] = [
      ['original', original, original],
      ['translated', translated, translated],
      ['inside', translated, original],
    ];
    for (const [nat, inbound, outbound] of views) {
      it(`${format}: shows the ${nat} side of a translation, and its ports, in both records`, () => {
        const directions = ['in', 'out', 'in'] as const;
        const samples = directions.map((direction) => ({ state: { direction }, replyOctets: 1n }));
        const { flows } = exported(format, samples, { nat });
        const shown = flows.map(({ source, destination, sourcePort, destinationPort }, i) => {
          const ends = [`${source}`, `${destination}`];
          const ports = [sourcePort, destinationPort];
          if (i % 2 === 1) for (const pair of [ends, ports]) pair.reverse();
          return [ends.join('>'), ...ports];
        });
        const expected = directions.map((direction) => {
          const ends = direction === 'in' ? inbound : outbound;
          return [ends, ends === original ? 40000 : 61234, 80];
        });
        expect(shown).to.deep.equal(expected.flatMap((one) => [one, one]));
      });
    }
  }

  it('v5: the header says that every packet was counted: an interval of 1', () => {
    const { encoder, room, add } = openedFormat('v5');
    add();
    encoder.flush(NOW);
    expect(Buffer.from(room.messages[0]!).readUInt16BE(22)).to.equal(1);
  });

  it('pflow: templates 256 and 257 are octet for octet those of pflow(4), in a message of their own', () => {
    const { encoder, room, add } = openedFormat('pflow');
    add();
    encoder.flush(NOW);
    const [templates, data] = room.messages;
    const fields4 =
      '00080004000c0004000a0004000e00040002000800010008009800080099000800070002000b00020005000100040001';
    const fields6 = fields4.replace('00080004000c0004', '001b0010001c0010');
    expect(Buffer.from(templates!).toString('hex').slice(32)).to.equal(
      `0002006c${'0100000c'}${fields4}${'0101000c'}${fields6}`,
    );
    expect(data!.length).to.equal(16 + 4 + 54 + 2);
    expect(Buffer.from(data!).readUInt16BE(16)).to.equal(256);
  });

  it('pflow: a message holds one set, also where IPv4 and IPv6 take turns', () => {
    const { encoder, room, add } = openedFormat('pflow');
    for (const sample of [{}, SIX, {}, SIX, SIX]) add(sample);
    encoder.flush(NOW);
    const sets = room.messages.map((message) => {
      const octets = Buffer.from(message);
      expect(octets.readUInt16BE(18)).to.equal(octets.length - 16);
      return octets.readUInt16BE(16);
    });
    expect(sets.filter((id) => id !== 2)).to.deep.equal([256, 257, 256, 257]);
  });
});

interface Seen {
  readonly source: string;
  readonly destination: string;
  readonly ports: string;
  readonly start: number;
  readonly end: number;
  readonly postNat: string;
  octets: bigint;
  packets: bigint;
}

/** NetFlow v1 and v5 leave IPv6 out, and clamp what MOST_PARTS records cannot hold. */
function expectedFlow(format: Format, one: Sample): Seen[] {
  const isOld = format === 'v1' || format === 'v5';
  const state = { ...STATE, ...one.state };
  const useTranslated = isOld && state.direction === 'in';
  if (isOld && (useTranslated ? state.afAfter : state.af) === 6) return [];
  const original = [state.originalSource, state.originalDestination] as const;
  const translated = [state.translatedSource, state.translatedDestination] as const;
  const shown = useTranslated ? translated : original;
  const [from, to] = [one.reply ?? 0, 1 - (one.reply ?? 0)] as [0 | 1, 0 | 1];
  const hasPorts = [6, 17, 132].includes(state.proto);
  const sameEnd = (i: 0 | 1) =>
    original[i].address === translated[i].address && (!hasPorts || original[i].port === translated[i].port);
  const showsNat = !isOld && format !== 'pflow' && !(sameEnd(0) && sameEnd(1) && state.af === state.afAfter);
  const natPorts = hasPorts ? `:${translated[from].port}>${translated[to].port}` : '';
  const limit = isOld && partsNeeded(one) > BigInt(MOST_PARTS) ? BigInt(MOST_PARTS) * 0xffffffffn : 2n ** 64n;
  const least = (value: bigint) => (value < limit ? value : limit);
  return [
    {
      source: shown[from].address,
      destination: shown[to].address,
      ports: hasPorts ? `${shown[from].port}>${shown[to].port}` : '0>0',
      start: one.start ?? NOW - 61_000,
      end: NOW,
      postNat: showsNat ? `${translated[from].address}>${translated[to].address}${natPorts}` : '',
      octets: least(one.octets ?? 1000n),
      packets: least(one.packets ?? 10n),
    },
  ];
}

function partsNeeded(one: Sample): bigint {
  const parts = (value: bigint) => (value + 0xfffffffen) / 0xffffffffn;
  const [octets, packets] = [parts(one.octets ?? 1000n), parts(one.packets ?? 10n)];
  if (octets > packets) return octets;
  return packets;
}

function seenFlow(_format: Format, flow: CollectedFlow): Seen {
  const natPorts =
    flow.postNatSourcePort === undefined ? '' : `:${flow.postNatSourcePort}>${flow.postNatDestinationPort}`;
  return {
    source: flow.source ?? '',
    destination: flow.destination ?? '',
    ports: `${flow.sourcePort ?? 0}>${flow.destinationPort ?? 0}`,
    start: flow.startMs ?? 0,
    end: flow.endMs ?? 0,
    postNat:
      flow.postNatSource === undefined ? '' : `${flow.postNatSource}>${flow.postNatDestination}${natPorts}`,
    octets: flow.octets ?? -1n,
    packets: flow.packets ?? -1n,
  };
}

/** Parts of one flow stand one behind the other and differ in counters only. */
function sumParts(flows: readonly Seen[]): Seen[] {
  const whole: Seen[] = [];
  for (const flow of flows) {
    const last = whole.at(-1);
    const isPart =
      last !== undefined &&
      (['source', 'destination', 'ports', 'start', 'end', 'postNat'] as const).every(
        (key) => last[key] === flow[key],
      );
    if (isPart) {
      last.octets += flow.octets;
      last.packets += flow.packets;
    } else {
      whole.push({ ...flow });
    }
  }
  return whole;
}
