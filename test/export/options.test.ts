import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import fc from 'fast-check';
import { type IpfixOptions, ipfixEncoder } from '../../protocol/export/ipfix.js';
import type { FlowEncoder } from '../../protocol/export/message.js';
import { netflow5Encoder } from '../../protocol/export/netflow5.js';
import { netflow9Encoder } from '../../protocol/export/netflow9.js';
import type { ExportCounts } from '../../protocol/export/statistics.js';
import { type FlowRecord, forEachFlow } from '../../protocol/flow/flow-record.js';
import { InterfaceTable } from '../../protocol/flow/interface.js';
import { EXACT, FORWARD, NONE, PARTIAL, REPLY, TCPSEQ } from '../../protocol/flow/terms.js';
import { newVolume } from '../../protocol/flow/volume.js';
import { PfsyncReader } from '../../protocol/pfsync/message.js';
import { StateFilter } from '../../src/flow/filter.js';
import { FlowMapper } from '../../src/flow/mapper.js';
import { NatEvents } from '../../src/flow/nat-events.js';
import { Stats } from '../../src/observe/statistics.js';
import { StateTracker } from '../../src/state/tracker.js';
import { type CollectedFlow, Collector } from '../peer/collector.js';
import {
  collect,
  DAY,
  flowOf,
  ipfix,
  NOW,
  OPTIONS,
  type Open,
  Room,
  type Sample,
  STATE,
  volumeOf,
} from '../peer/flow-sample.js';
import { run } from '../peer/pfflowd.js';
import {
  encodeClear,
  encodeCompressedDelete,
  encodeMessage,
  encodeState,
  type SimState,
} from '../peer/pfsync-writer.js';
import { UdpCollector } from '../peer/udp-collector.js';

const ALL = { names: true, sampling: true };
const COUNTS: ExportCounts = {
  ignoredPackets: 3,
  ignoredOctets: 400,
  notSentMessages: 0,
  notSentOctets: 0,
  notSentRecords: 0,
};

function v9(options: Partial<IpfixOptions> = {}): Open {
  return (room) => netflow9Encoder(room, { ...OPTIONS, ...options });
}

function sent(open: Open, use: (encoder: FlowEncoder) => void, length?: number): Collector {
  const room = new Room(length);
  use(open(room));
  const collector = collect(room.messages);
  expect(collector.errors).to.deep.equal([]);
  return collector;
}

function exported(samples: readonly Sample[], options: Partial<IpfixOptions> = {}): Collector {
  return sent(ipfix(options), (encoder) => {
    for (const sample of samples) encoder.add(flowOf(sample));
    encoder.end(NOW);
  });
}

function peers(source: number, destination: number): SimState['peers'] {
  return [
    { seqlo: 1, state: source },
    { seqlo: 2, state: destination },
  ];
}

describe('tcpControlBits', () => {
  const [FIN, SYN, ACK] = [1, 2, 16];
  const cases: readonly [string, number, number, number | undefined, number | undefined][] = [
    ['no word of either peer', 0, 0, undefined, undefined],
    ['a SYN without an answer', 2, 0, SYN, undefined],
    ['a handshake without its last packet', 4, 2, SYN, SYN | ACK],
    ['an open connection', 4, 4, SYN | ACK, SYN | ACK],
    ['a FIN of the initiator that waits for its ACK', 7, 4, SYN | FIN | ACK, SYN],
    ['both FINs acknowledged', 9, 9, SYN | FIN | ACK, SYN | FIN | ACK],
    ['a RST: nobody knows whose', 10, 10, SYN, undefined],
    ['a handshake that synproxy holds', 11, 0, undefined, undefined],
    ['states that no pf writes', 200, 255, undefined, undefined],
  ];
  for (const [name, source, destination, forward, reply] of cases) {
    it(`${name}: ${source}:${destination} proves no more than was sent`, () => {
      const state = { peers: peers(source, destination) };
      const { flows } = exported([{ state }, { state, reply: 1 }]);
      expect(flows.map(({ fields }) => fields.get('6'))).to.deep.equal([forward, reply]);
    });
  }

  it('tells of the initiator alone where pf did not follow the responder, as under sloppy', () => {
    const samples = [4, 7, 9].flatMap((source) => [
      { source, reply: 0 as const },
      { source, reply: 1 as const },
    ]);
    const { flows } = exported(
      samples.map(({ source, reply }) => ({
        state: { peers: peers(source, 7) },
        reply,
        hasResponderSequence: false,
      })),
    );
    const forward = [SYN, SYN | FIN, SYN | FIN].flatMap((bits) => [bits, undefined]);
    expect(flows.map(({ fields }) => fields.get('6'))).to.deep.equal(forward);
  });

  it('follows from the states and numbers that the messages told, through the table', () => {
    const numbers = (seqlo: number): SimState['peers'] => [
      { seqlo: 1, state: 4 },
      { seqlo, state: 4 },
    ];
    const states = [0, 2].map((seqlo, i) => ({ ...STATE, id: BigInt(i + 1), peers: numbers(seqlo) }));
    const { flows } = trackedFlows(states, 'v6');
    expect(flows.map(({ fields }) => fields.get('6'))).to.deep.equal([0x02, 0x12]);
  });

  it('is absent in UDP, whose peers have states too, and in the later records of a long flow', () => {
    const udp = { proto: 17, protoAfter: 17, peers: peers(2, 2) };
    const { flows } = exported([{ state: udp }, { isContinued: true }]);
    expect(flows.map(({ fields }) => fields.has('6'))).to.deep.equal([false, false]);
  });

  it('stands in v9 as in IPFIX, in one octet', () => {
    const room = new Room();
    const encoder = v9()(room);
    encoder.add(flowOf({}));
    encoder.flush(NOW);
    expect(collect(room.messages).flows[0]?.fields.get('6')).to.equal(0x13);
    expect(Buffer.from(room.messages[0]!).includes(Buffer.from('00060001', 'hex'))).to.equal(true);
  });
});

/** Of messages that pass through the table, as v6's do. */
function trackedFlows(states: readonly SimState[], version: 'v6' | 'v6-openbsd47'): Collector {
  const room = new Room();
  const encoder = ipfix()(room);
  const tracker = trackerOf((flow) => encoder.add(flow));
  const key = (state: SimState) => ({ id: state.id, creatorId: state.creatorId });
  const inserts = { action: 'insert' as const, records: states.map((one) => encodeState(version, one)) };
  const deletes = {
    action: 'compressedDelete' as const,
    records: states.map((one) => encodeCompressedDelete(version, key(one))),
  };
  tracker.message(encodeMessage(version, [inserts]), NOW);
  tracker.message(encodeMessage(version, [deletes]), NOW + 5000);
  encoder.end(NOW + 5000);
  return collect(room.messages);
}

describe('ICMP type', () => {
  const icmp = (af: 4 | 6, id: number, type: number): SimState => {
    const [one, other] = af === 4 ? ['192.0.2.1', '192.0.2.2'] : ['2001:db8::1', '2001:db8::2'];
    const source = { address: one, port: id };
    const destination = { address: other, port: type };
    const proto = af === 4 ? 1 : 58;
    return {
      ...STATE,
      af,
      afAfter: af,
      proto,
      protoAfter: proto,
      originalSource: source,
      translatedSource: source,
      originalDestination: destination,
      translatedDestination: destination,
    };
  };
  const cases: readonly [string, SimState, string | undefined, number | undefined][] = [
    ['an echo request', icmp(4, 4321, 8), '176', 8],
    ['an echo request whose id is 1, as of Windows', icmp(4, 1, 8), '176', 8],
    ['an echo request over IPv6', icmp(6, 4321, 128), '178', 128],
    ['a neighbour solicitation', icmp(6, 4321, 135), '178', 135],
    ['a state that a reply opened', icmp(4, 8, 77), undefined, undefined],
    ['an id that could be a type', icmp(4, 13, 8), undefined, undefined],
    ['a multicast listener query, or its report', icmp(6, 4321, 130), undefined, undefined],
    ['a number that is no type', icmp(4, 4321, 4321), undefined, undefined],
    ['a zero', icmp(4, 4321, 0), undefined, undefined],
  ];
  for (const [name, state, element, type] of cases) {
    it(`${name}: ${type ?? 'not told'}`, () => {
      const [flow] = trackedFlows([state], 'v6').flows;
      const told = ['176', '178'].filter((key) => flow?.fields.has(key));
      expect(told).to.deep.equal(element === undefined ? [] : [element]);
      if (element !== undefined) expect(flow?.fields.get(element)).to.equal(type);
      expect(flow?.fields.has('7')).to.equal(false);
    });
  }

  it('is not told by kernels that have an id in its place', () => {
    const [flow] = trackedFlows([icmp(4, 4321, 8)], 'v6-openbsd47').flows;
    expect(flow?.protocol).to.equal(1);
    expect(flow?.fields.has('176')).to.equal(false);
  });

  it('is not told in the reply record', () => {
    const { flows } = exported([
      { state: icmp(4, 4321, 8), icmpType: 8 },
      { state: icmp(4, 4321, 8), icmpType: 8, reply: 1 },
    ]);
    expect(flows.map(({ fields }) => fields.get('176'))).to.deep.equal([8, undefined]);
  });
});

const ENCODERS = [
  ['ipfix', ipfix],
  ['v9', v9],
] as const;

describe('options data', () => {
  for (const [format, open] of ENCODERS) {
    it(`${format}: an interface is named before the first flow through it, and again with the templates`, () => {
      fc.assert(
        fc.property(
          fc.array(fc.tuple(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 20_000 })), {
            minLength: 1,
            maxLength: 60,
          }),
          fc.integer({ min: 512, max: 1472 }),
          (steps, length) => {
            let now = NOW;
            const { messages } = sent(
              open({ announce: ALL }),
              (encoder) => {
                for (const [index, step] of steps) {
                  now += step;
                  const sample = { observed: now, end: now, interfaceIndex: index };
                  encoder.add(flowOf({ ...sample, interfaceName: index === 0 ? '' : `em${index}` }));
                }
                encoder.end(now);
              },
              length,
            );
            const named = new Map<number, string>();
            for (const { options, flows } of messages) {
              for (const { fields } of options) {
                if (fields.has('82')) named.set(Number(fields.get('10')), String(fields.get('82')));
              }
              for (const { egress } of flows) {
                expect(named.get(egress!)).to.equal(egress === 0 ? undefined : `em${egress}`);
              }
            }
          },
        ),
        { numRuns: 40 },
      );
    });

    it(`${format}: a refresh tells all that is known, in whatever many messages it takes`, () => {
      const { messages } = sent(open({ announce: ALL, refreshMessages: 1 }), (encoder) => {
        for (let index = 1; index <= 100; index++) {
          encoder.add(flowOf({ interfaceIndex: index, interfaceName: `em${index}` }));
        }
        encoder.flush(NOW);
        encoder.add(flowOf({ interfaceIndex: 1, interfaceName: 'em1' }));
        encoder.flush(NOW);
      });
      const lastRefresh = messages.slice(messages.findLastIndex(({ templates }) => templates.length > 2));
      const told = lastRefresh.flatMap(({ options }) => options.filter(({ fields }) => fields.has('82')));
      expect(new Set(told.map(({ fields }) => fields.get('10'))).size).to.equal(100);
    });

    it(`${format}: names that a hostile sender made up are text, and not without end`, () => {
      const { options } = sent(open({ announce: ALL }), (encoder) => {
        for (let index = 1; index <= 3000; index++) {
          encoder.add(flowOf({ interfaceIndex: index, interfaceName: '\x1b[2J\xff\xfe\x07"em' }));
        }
        encoder.flush(NOW);
      });
      const names = options.filter(({ fields }) => fields.has('82'));
      expect(names.length).to.be.lessThan(1100);
      expect(names[0]?.fields.get('82')).to.equal('?[2J???"em');
    });
  }

  it('ipfix: says that one packet of one is looked at, when asked to', () => {
    const [record] = exported([{}], { announce: { names: false, sampling: true } }).options;
    expect([...record!.fields]).to.deep.equal([
      ['149', 42],
      ['305', 1],
      ['306', 0],
    ]);
    expect(exported([{}]).options).to.deep.equal([]);
  });

  it('v9: always says so, in its own elements', () => {
    const { options } = sent(v9(), (encoder) => {
      encoder.add(flowOf({}));
      encoder.flush(NOW);
    });
    const sampling = options.find(({ fields }) => fields.has('34'));
    expect([...sampling!.fields]).to.deep.equal([
      ['scope:1', 0],
      ['34', 1],
      ['35', 1],
    ]);
  });
});

describe('export statistics', () => {
  const totals = (collector: Collector, key: string) =>
    collector.options.filter(({ fields }) => fields.has(key)).map(({ fields }) => fields.get(key));

  it('tell at the end what was sent in the domain of the flows, what was not, and what was not read', () => {
    const lost = { notSentMessages: 1, notSentOctets: 100, notSentRecords: 5 };
    const collector = exported(new Array<Sample>(60).fill({}), { counts: { ...COUNTS, ...lost } });
    const own = collector.messages.filter(({ domain }) => domain === 42);
    const octets = own.reduce((sum, { length }) => sum + length, 0);
    expect(totals(collector, '41').at(-1)).to.equal(BigInt(own.length - 1));
    expect(totals(collector, '42').at(-1)).to.equal(55n);
    expect(totals(collector, '40').at(-1)).to.equal(BigInt(octets - 100));
    expect(totals(collector, '164')).to.deep.equal([3n]);
    expect(totals(collector, '165')).to.deep.equal([400n]);
    expect(totals(collector, '166')).to.deep.equal([5n]);
  });

  it('stand in domain 0 with a sequence of its own, with the templates', () => {
    const samples = Array.from({ length: 200 }, (_, i) => ({ observed: NOW + i * 1000 }));
    const collector = exported(samples, { counts: COUNTS });
    const own = collector.messages.filter(({ domain }) => domain === 0);
    expect(own.length).to.be.greaterThan(3);
    expect(own.map(({ sequence }) => sequence)).to.deep.equal(own.map((_, i) => 3 * i));
    expect(own.every(({ templates }) => templates.length === 3)).to.equal(true);
    expect(collector.options.every(({ domain }) => domain === 0)).to.equal(true);
  });

  it('are not sent when the flows themselves are in domain 0, nor in the layout of pflow(4)', () => {
    expect(exported([{}], { domain: 0, counts: COUNTS }).options).to.deep.equal([]);
    const { options } = sent(
      (room) => ipfixEncoder(room, 'pflow', { ...OPTIONS, announce: ALL, biflow: true, counts: COUNTS }),
      (encoder) => {
        encoder.add(flowOf({}));
        encoder.addNatEvent?.(flowOf({ natEvent: 4 }));
        encoder.end(NOW);
      },
    );
    expect(options).to.deep.equal([]);
  });
});

describe('biflow', () => {
  it('has both directions of a state in one record, whatever comes between and however messages are cut', () => {
    const direction = fc.record({ octets: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), packets: fc.nat() });
    const one = fc.record({
      forward: fc.option(direction, { nil: undefined }),
      reply: fc.option(direction, { nil: undefined }),
      proto: fc.constantFrom(6, 17),
      counters: fc.constantFrom(EXACT, PARTIAL),
      flush: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(one, { maxLength: 60 }), fc.integer({ min: 512, max: 1472 }), (states, length) => {
        const { flows } = sent(
          ipfix({ biflow: true }),
          (encoder) => {
            for (const [id, { forward, reply, proto, counters, flush }] of states.entries()) {
              const state = { id: BigInt(id), proto, protoAfter: proto };
              const flow = flowOf({ state, counters });
              flow.directions = (forward ? FORWARD : 0) | (reply ? REPLY : 0);
              const volume = newVolume();
              if (forward) volume.set(volumeOf(0, forward.octets, BigInt(forward.packets)).subarray(0, 4));
              if (reply) volume.set(volumeOf(1, reply.octets, BigInt(reply.packets)).subarray(4), 4);
              flow.state.writeVolume(volume);
              if (flow.directions !== 0) encoder.add(flow);
              if (flush) encoder.flush(NOW);
            }
            encoder.end(NOW);
          },
          length,
        );
        const expected = states.filter(({ forward, reply }) => forward !== undefined || reply !== undefined);
        expect(flows.map(volumes)).to.deep.equal(
          expected.map(({ forward, reply }) => [
            forward?.octets ?? 0n,
            BigInt(forward?.packets ?? 0),
            reply?.octets ?? 0n,
            BigInt(reply?.packets ?? 0),
          ]),
        );
        expect(flows.every(({ fields }) => fields.get('239') === 1)).to.equal(true);
        expect(flows.every(({ source }) => source === '192.168.1.50')).to.equal(true);
      }),
      { numRuns: 60 },
    );
  });

  it('tells the flags of both ends', () => {
    const [flow] = exported([{ state: { peers: peers(7, 4) } }], { biflow: true }).flows;
    expect(flow?.fields.get('6')).to.equal(0x13);
    expect(flow?.fields.get('e29305:6')).to.equal(0x02);
  });

  it('leaves a state of unknown volume, or known by sequence numbers, as it is', () => {
    const { flows } = exported([{ counters: NONE }, { counters: TCPSEQ }], { biflow: true });
    expect(flows.map(({ fields }) => fields.has('e29305:1'))).to.deep.equal([false, false]);
    expect(flows.map(({ fields }) => fields.has('231'))).to.deep.equal([false, true]);
  });
});

function volumes(flow: CollectedFlow) {
  return [flow.octets, flow.packets, flow.reverseOctets, flow.reversePackets];
}

interface Tracker {
  readonly stats: Stats;
  message(message: Buffer, time: number): void;
  flushOpen(): void;
}

function trackerOf(
  emit: (flow: FlowRecord) => void,
  onEvent?: (event: FlowRecord) => void,
  maxStates = 1000,
): Tracker {
  const stats = new Stats();
  const filter = new StateFilter({ direction: 'any', noUncounted: false });
  const mapper = new FlowMapper(filter, stats, (flows) => forEachFlow(flows, emit));
  const sink = {
    add: () => {},
    flush: () => {},
    isCongested: false,
    drained: async () => {},
    close: async () => {},
  };
  const observer =
    onEvent === undefined ? undefined : new NatEvents(filter, [{ ...sink, addNatEvent: onEvent }]);
  const options = { maxStates, stateTimeout: 0, activeTimeout: 0 };
  const tracker = new StateTracker(new InterfaceTable(new Map()), mapper, stats, options, observer);
  const reader = new PfsyncReader(tracker);
  return {
    stats,
    message(message, time) {
      reader.clock.time = time;
      const view = new DataView(message.buffer, message.byteOffset, message.length);
      expect(reader.read(view, 0, message.length, message.length)).to.equal('whole');
      reader.handOn();
    },
    flushOpen: () => tracker.flushOpen(reader.clock.time),
  };
}

describe('NAT events', () => {
  const ipv6 = {
    originalSource: { address: '2001:db8::5', port: 4000 },
    originalDestination: { address: '64:ff9b::cb00:7105', port: 80 },
  };
  const translated6 = {
    translatedSource: { address: '2001:db8:1::9', port: 4001 },
    translatedDestination: { address: '2001:db8:2::1', port: 80 },
  };
  const families: readonly [string, Partial<SimState>, readonly number[]][] = [
    ['NAT44', {}, [4, 5]],
    ['NAT64', { ...ipv6, af: 6, afAfter: 4 }, [6, 7]],
    ['NAT66', { ...ipv6, ...translated6, af: 6, afAfter: 6 }, [1, 2]],
    ['NAT46', { ...translated6, af: 4, afAfter: 6 }, [1, 2]],
  ];

  function eventsOf(play: (tracker: Tracker) => void, maxStates?: number): CollectedFlow[] {
    const { flows } = sent(ipfix(), (encoder) => {
      play(
        trackerOf(
          () => {},
          (event) => encoder.addNatEvent?.(event),
          maxStates,
        ),
      );
      encoder.end(NOW);
    });
    return flows;
  }

  const insert = (state: SimState) =>
    encodeMessage('v6', [{ action: 'insert', records: [encodeState('v6', state)] }]);
  const remove = ({ id, creatorId }: SimState) =>
    encodeMessage('v6', [
      { action: 'compressedDelete', records: [encodeCompressedDelete('v6', { id, creatorId })] },
    ]);

  for (const [name, change, numbers] of families) {
    it(`${name}: a creation and a deletion with their numbers, both views and true times`, () => {
      const state: SimState = { ...STATE, ...change, creation: 7 };
      const events = eventsOf((tracker) => {
        tracker.message(insert(state), NOW);
        tracker.message(remove(state), NOW + 60_000);
      });
      expect(events.map(({ fields }) => fields.get('230'))).to.deep.equal(numbers);
      expect(events.map(({ fields }) => fields.get('323'))).to.deep.equal([NOW - 7000, NOW + 60_000]);
      expect(events.map(({ startMs, endMs }) => [startMs, endMs])).to.deep.equal([
        [NOW - 7000, NOW - 7000],
        [NOW - 7000, NOW + 60_000],
      ]);
      for (const event of events) {
        expect(event.source).to.equal(state.originalSource.address);
        expect(event.destination).to.equal(state.originalDestination.address);
        expect(event.postNatSource).to.equal(state.translatedSource.address);
        expect(event.postNatDestination).to.equal(state.translatedDestination.address);
        expect(event.postNatSourcePort).to.equal(state.translatedSource.port);
        expect(event.postNatDestinationPort).to.equal(state.translatedDestination.port);
        for (const counter of ['1', '2', '231', '232']) expect(event.fields.has(counter)).to.equal(false);
      }
    });
  }

  const plain: SimState = {
    ...STATE,
    translatedSource: STATE.originalSource,
    translatedDestination: STATE.originalDestination,
  };
  const fullDelete = (state: SimState) =>
    encodeMessage('v4', [{ action: 'delete', records: [encodeState('v4', state)] }]);
  const clear = encodeMessage('v6', [
    { action: 'clear', records: [encodeClear('v6', { creatorId: STATE.creatorId, ifname: '' })] },
  ]);
  const other = { ...STATE, id: 99n };
  const reused = { ...STATE, originalSource: { address: '192.168.1.51', port: 1 } };

  const play =
    (...messages: readonly Buffer[]) =>
    (tracker: Tracker) => {
      for (const message of messages) tracker.message(message, NOW);
    };
  const lives: readonly [string, (tracker: Tracker) => void, number[], number?][] = [
    ['a state that is not translated', play(insert(plain), remove(plain)), []],
    ['a full delete of a state never seen', play(fullDelete(STATE)), [5]],
    ['a compressed delete of a state never seen', play(remove(STATE)), []],
    ['a state that is told twice', play(insert(STATE), insert(STATE)), [4]],
    ['a clear', play(insert(STATE), clear), [4, 5]],
    ['a key used anew', play(insert(STATE), insert(reused)), [4, 5, 4]],
    ['a state that the full table forgets', play(insert(STATE), insert(other)), [4, 4], 1],
    [
      'a state still open at the end of the input',
      (tracker) => {
        tracker.message(insert(STATE), NOW);
        tracker.flushOpen();
      },
      [4],
    ],
  ];
  for (const [name, life, expected, maxStates] of lives) {
    it(`${name}: ${expected.length === 0 ? 'no event' : `events ${expected.join(', ')}`}`, () => {
      expect(eventsOf(life, maxStates).map(({ fields }) => fields.get('230'))).to.deep.equal(expected);
    });
  }

  it('stand in v9 too', () => {
    const { flows } = sent(v9(), (encoder) => {
      encoder.addNatEvent?.(flowOf({ natEvent: 4 }));
      encoder.add(flowOf({}));
      encoder.flush(NOW);
    });
    expect(flows.map(({ fields }) => fields.get('230'))).to.deep.equal([4, undefined]);
    expect(flows[0]?.endMs).to.equal(NOW);
  });
});

const CHANGES: Readonly<Record<string, Partial<SimState>>> = {
  udp: { proto: 17, protoAfter: 17 },
  plain: { translatedSource: STATE.originalSource, translatedDestination: STATE.originalDestination },
};

describe('exporters kept running', () => {
  const NEAR = 2 ** 32 - 50;
  const near: readonly [string, Open][] = [
    ['v5', (room) => netflow5Encoder(room, 'inside', 1, NEAR)],
    ['v9', v9({ sequence: NEAR })],
    ['ipfix', ipfix({ sequence: NEAR, counts: COUNTS, announce: ALL })],
    ['pflow', (room) => ipfixEncoder(room, 'pflow', { ...OPTIONS, sequence: NEAR })],
  ];
  for (const [format, open] of near) {
    it(`${format}: the sequence wraps at 2^32 without a gap`, () => {
      const { messages } = sent(
        open,
        (encoder) => {
          for (let i = 0; i < 2000; i++) encoder.add(flowOf({}));
          encoder.end(NOW);
        },
        600,
      );
      const sequences = messages.filter(({ domain }) => domain !== 0).map(({ sequence }) => sequence);
      expect(sequences[0]).to.equal(NEAR);
      expect(sequences.at(-1)).to.be.lessThan(2000);
    });
  }

  for (const [format, open] of ENCODERS) {
    it(`${format}: 60 days with a clock that is set back lose no flow, no time and no refresh`, () => {
      const step = fc.oneof(
        fc.integer({ min: 0, max: 60_000 }),
        fc.integer({ min: -2 * DAY, max: 2 * DAY }),
        fc.integer({ min: 0, max: 50 * DAY }),
      );
      fc.assert(
        fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
          let now = NOW;
          const times: number[] = [];
          const { flows, messages } = sent(open({ announce: ALL, counts: COUNTS }), (encoder) => {
            for (const moved of [...steps, 60 * DAY]) {
              now += moved;
              times.push(now);
              encoder.add(flowOf({ observed: now, end: now, start: now - 40 * DAY }));
              encoder.flush(now);
            }
          });
          expect(flows.map(({ endMs }) => endMs)).to.deep.equal(times);
          expect(flows.map(({ startMs }) => startMs)).to.deep.equal(times.map((time) => time - 40 * DAY));
          expect(
            messages.filter(({ flows: own }) => own.length > 0).at(-1)?.templates.length,
          ).to.be.greaterThan(0);
        }),
        { numRuns: 40 },
      );
    });
  }

  for (const [format, open] of ENCODERS) {
    it(`${format}: any flows, events, refreshes and new sessions are read by a collector`, () => {
      const action = fc.constantFrom('tcp', 'udp', 'plain', 'event', 'none', 'flush', 'restart', 'later');
      fc.assert(
        fc.property(
          fc.array(action, { maxLength: 120 }),
          fc.integer({ min: 512, max: 1472 }),
          (actions, length) => {
            const room = new Room(length);
            const encoder = open({ announce: ALL, counts: COUNTS, biflow: true })(room);
            let now = NOW;
            let from = 0;
            let told = 0;
            const check = () => {
              encoder.end(now);
              const collector = collect(room.messages.slice(from));
              expect(collector.errors).to.deep.equal([]);
              expect(collector.flows.length).to.equal(told);
              from = room.messages.length;
              told = 0;
            };
            for (const [id, name] of actions.entries()) {
              if (name === 'later') now += 20_000;
              else if (name === 'flush') encoder.flush(now);
              else if (name === 'restart') {
                check();
                encoder.restart();
              } else {
                const state = { id: BigInt(id), ...CHANGES[name] };
                const flow = flowOf({ state, observed: now, end: now, natEvent: name === 'event' ? 4 : 0 });
                if (name === 'none') flow.counters = NONE;

                if (name === 'event') encoder.addNatEvent?.(flow);
                else encoder.add(flow);
                told++;
              }
            }
            check();
          },
        ),
        { numRuns: 60 },
      );
    });
  }
});

describe('options, statistics and events on the command line', function () {
  this.timeout(20_000);

  const capture = fileURLToPath(new URL('../../../captures/v4_dlt18.pcap', import.meta.url));

  async function fileOf(...args: string[]): Promise<Buffer> {
    const { status, stdout } = await run(['-r', capture, '--format', 'ipfix', ...args]);
    expect(status).to.equal(0);
    return stdout;
  }

  function read(file: Buffer): Collector {
    const collector = new Collector();
    collector.decodeStream(file);
    expect(collector.errors).to.deep.equal([]);
    return collector;
  }

  it('an IPFIX file ends with its statistics, unless they are not wanted', async () => {
    const { messages, flows } = read(await fileOf());
    expect(messages.at(-1)?.domain).to.equal(0);
    expect(messages.at(-1)?.options[0]?.fields.get('42')).to.equal(BigInt(flows.length));
    expect(read(await fileOf('--no-export-stats')).messages.every(({ domain }) => domain === 42)).to.equal(
      true,
    );
  });

  it('the same capture and options give the same octets', async () => {
    const args = ['--options', 'names,sampling', '--nat-events', '--biflow'];
    expect((await fileOf(...args)).equals(await fileOf(...args))).to.equal(true);
  });

  it('what is asked for is there, and nothing else', async () => {
    const has = ({ flows, options }: Collector, key: string) =>
      [...flows, ...options].some(({ fields }) => fields.has(key));
    const opted = { names: '82', sampling: '305', events: '230', reverse: 'e29305:1' };
    const plain = read(await fileOf());
    for (const [name, key] of Object.entries(opted)) expect(has(plain, key), name).to.equal(false);
    const all = read(await fileOf('--options', 'names,sampling', '--nat-events', '--biflow'));
    for (const [name, key] of Object.entries(opted)) expect(has(all, key), name).to.equal(true);
  });

  it('a collector gets them over UDP, and the program counts its flows alone', async () => {
    const collector = await UdpCollector.listen('127.0.0.1');
    try {
      const { summary } = await run(['-r', capture, '-v10', '-n', collector.endpoint, '--options', 'names']);
      await collector.received(summary!.datagrams);
      expect(collector.collector.errors).to.deep.equal([]);
      expect(collector.collector.flows.length).to.equal(summary!.records);
      expect(collector.collector.options.some(({ domain }) => domain === 0)).to.equal(true);
      expect(collector.collector.options.some(({ fields }) => fields.get('82') === 'em1')).to.equal(true);
    } finally {
      await collector.close();
    }
  });
});
