import { expect } from 'chai';
import fc from 'fast-check';
import type { IpfixOptions } from '../../protocol/export/ipfix.js';
import { netflow1Encoder } from '../../protocol/export/netflow1.js';
import { netflow5Encoder } from '../../protocol/export/netflow5.js';
import { TemplateStore } from '../../protocol/export/session.js';
import type { ExportCounts } from '../../protocol/export/statistics.js';
import { OUTBOUND, REPLY_TO, ROUTE_TO } from '../../protocol/flow/pf-terms.js';
import { preparer } from '../../protocol/flow/prepare.js';
import { JOINED, ORIGIN, OTHER_INTERFACE, ROUTE, ROW } from '../../protocol/flow/row.js';
import { EXACT, FORWARD, NONE, PARTIAL, REPLY, TCPSEQ } from '../../protocol/flow/terms.js';
import type { CollectedFlow, Collector } from '../peer/collector.js';
import { collect, DAY, NOW, type Open, type Sample, type SampleRows, STATE } from '../peer/flow-sample.js';
import type { SimState } from '../peer/pfsync-writer.js';
import { ipfix, type Opened, opened, pflow, v9 } from './encoders.js';

const ALL = { names: true, sampling: true };
const COUNTS: ExportCounts = {
  ignoredPackets: 3,
  ignoredOctets: 400,
  notSentMessages: 0,
  notSentOctets: 0,
  notSentRecords: 0,
};

function sent(open: Open, use: (opened: Opened) => void, length?: number): Collector {
  const own = opened(open, length);
  use(own);
  const collector = collect(own.room.messages);
  expect(collector.errors).to.deep.equal([]);
  return collector;
}

function exported(samples: readonly Sample[], options: Partial<IpfixOptions> = {}): Collector {
  return sent(ipfix(options), ({ add, encoder }) => {
    for (const sample of samples) add(sample);
    encoder.end(NOW);
  });
}

function peers(source: number, destination: number): SimState['peers'] {
  return [
    { seqlo: 1, state: source },
    { seqlo: 2, state: destination },
  ];
}

/** The formats that have it in every record; a biflow has that of the reverse direction too. */
const FORMATS: readonly [string, Open][] = [
  ['v1', (memory, room) => netflow1Encoder(memory, room, 'inside')],
  ['v5', (memory, room) => netflow5Encoder(memory, room, 'inside', 42)],
  ['v9', v9()],
  ['ipfix', ipfix()],
];

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
      const samples: Sample[] = [{ state }, { state, reply: 1 }];
      const { flows } = exported(samples);
      expect(flows.map(({ fields }) => fields.get('6'))).to.deep.equal([forward, reply]);
      for (const [format, open] of FORMATS) {
        const bits = sent(open, ({ add, encoder }) => {
          for (const sample of [...samples, { state, replyOctets: 1n }]) add(sample);
          encoder.end(NOW);
        }).flows.map(({ fields }) => fields.get('6') ?? 0);
        const expected = [forward ?? 0, reply ?? 0];
        expect(bits, format).to.deep.equal([...expected, ...expected]);
      }
    });
  }

  it('is known of the initiator only where pf did not follow the responder, as under sloppy', () => {
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

  it('is absent in UDP, whose peers have states too, and in the later records of a long flow', () => {
    const udp = { proto: 17, protoAfter: 17, peers: peers(2, 2) };
    const { flows } = exported([{ state: udp }, { isContinued: true }]);
    expect(flows.map(({ fields }) => fields.has('6'))).to.deep.equal([false, false]);
  });

  it('stands in v9 as in IPFIX, in one octet', () => {
    const { room, encoder, add } = opened(v9());
    add();
    encoder.flush(NOW);
    expect(collect(room.messages).flows[0]?.fields.get('6')).to.equal(0x13);
    expect(Buffer.concat(room.messages).includes(Buffer.from('00060001', 'hex'))).to.equal(true);
  });
});

describe('ICMP type and code', () => {
  const echo: Partial<SimState> = { proto: 1, protoAfter: 1 };

  it('is absent where it is not known, and from the reply record', () => {
    const { flows } = exported([
      { state: echo, icmpType: 8 },
      { state: echo, icmpType: 8, reply: 1 },
      { state: echo, icmpType: -1 },
    ]);
    expect(flows.map(({ fields }) => fields.get('32'))).to.deep.equal([8 * 256, undefined, undefined]);
    expect(flows.some(({ fields }) => fields.has('7'))).to.equal(false);
  });

  it('is that of the family shown: absent where af-to shows the other', () => {
    const six = { address: '2001:db8::1', port: 1 };
    const state: Partial<SimState> = {
      ...{ af: 6, afAfter: 4, proto: 58, protoAfter: 1 },
      originalSource: six,
      originalDestination: six,
    };
    const shown = (['original', 'translated'] as const).map(
      (nat) => exported([{ state, icmpType: 128 }], { nat }).flows[0]?.fields,
    );
    expect(shown.map((fields) => [fields?.get('139'), fields?.has('32')])).to.deep.equal([
      [128 * 256, false],
      [undefined, false],
    ]);
  });
});

const ENCODERS = [
  ['ipfix', ipfix],
  ['v9', v9],
] as const;

/** The ifIndex by which records of outbound states show an interface. */
function ifIndexOf({ interfaces }: SampleRows, name: string): number {
  return interfaces.indexOf(interfaces.numberOf(name), OUTBOUND);
}

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
            const names = new Map<number, string>([[0, '']]);
            const { messages } = sent(
              open({ announce: ALL }),
              ({ memory, add, encoder }) => {
                for (const [index, step] of steps) {
                  now += step;
                  const name = index === 0 ? '' : `em${index}`;
                  add({ observed: now, end: now, interfaceName: name });
                  names.set(ifIndexOf(memory, name), name);
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
                expect(named.get(egress!) ?? '').to.equal(names.get(egress!));
              }
            }
          },
        ),
        { numRuns: 40 },
      );
    });

    const others: readonly [string, (words: Int32Array, row: number, number: number) => void][] = [
      [
        'of route-to',
        (words, row, number) => {
          words[row * ROW + ROUTE] = number | (ROUTE_TO << 24);
        },
      ],
      [
        'of reply-to',
        (words, row, number) => {
          words[row * ROW + ROUTE] = number | (REPLY_TO << 24);
        },
      ],
      [
        'of the other state of a joined flow',
        (words, row, number) => {
          words[row * ROW + ORIGIN]! |= JOINED;
          words[row * ROW + OTHER_INTERFACE] = number;
        },
      ],
    ];
    for (const [which, change] of others) {
      it(`${format}: the interface ${which} is named before the flow, too`, () => {
        const { messages } = sent(open({ announce: ALL }), ({ memory, encoder }) => {
          const row = memory.add({ state: { direction: 'in' }, replyOctets: 1n });
          change(memory.rows.words, row, memory.interfaces.numberOf('em2'));
          preparer(memory.rows, memory.interfaces)(row, 1);
          encoder.add(row, 1);
          encoder.end(NOW);
        });
        const named = messages.flatMap(({ options }) => options.map(({ fields }) => fields.get('10')));
        const shown = messages.flatMap(({ flows }) =>
          flows.flatMap(({ ingress, egress }) => [ingress, egress]),
        );
        expect(new Set(shown.filter((index) => index !== 0)).size).to.equal(2);
        for (const index of shown) if (index !== 0) expect(named).to.include(index);
      });
    }

    it(`${format}: a refresh reports all that is known, in whatever many messages it takes`, () => {
      let before = 0;
      const { messages } = sent(open({ announce: ALL, refreshMessages: 1 }), ({ room, add, encoder }) => {
        for (let index = 1; index <= 100; index++) add({ interfaceName: `em${index}` });
        encoder.flush(NOW);
        before = room.messages.length;
        add({ interfaceName: 'em1' });
        encoder.flush(NOW);
      });
      const lastRefresh = messages.slice(before);
      expect(lastRefresh.flatMap(({ templates }) => templates)).to.include.members([8192, 8193]);
      const named = lastRefresh.flatMap(({ options }) => options.filter(({ fields }) => fields.has('82')));
      expect(new Set(named.map(({ fields }) => fields.get('10'))).size).to.equal(100);
    });

    it(`${format}: names that a hostile sender made up are text, and not without end`, () => {
      const { options } = sent(open({ announce: ALL }), ({ add, encoder }) => {
        for (let index = 1; index <= 3000; index++) {
          add({ interfaceName: `\x1b[2J\xff\xfe\x07"${index.toString(36)}` });
        }
        encoder.flush(NOW);
      });
      const names = options.filter(({ fields }) => fields.has('82'));
      expect(names.length).to.be.within(1000, 1100);
      expect(names[0]?.fields.get('82')).to.equal('?[2J???"1');
    });
  }

  const ONE_OF_ONE = [
    ['149', 42],
    ['305', 1],
    ['306', 0],
  ];
  const hasSampling = ({ fields }: { readonly fields: ReadonlyMap<string, unknown> }) => fields.has('305');
  /** A clock that goes on for hours, so that templates are sent again. */
  const hours = (count: number) =>
    Array.from({ length: count }, (_, i): Sample => ({ observed: NOW + 60_000 * i, end: NOW + 60_000 * i }));

  it('ipfix: says before the first flow, three times and never again, that one packet of one is looked at', () => {
    const { messages, options } = exported(hours(100));
    expect(options.map(({ fields }) => [...fields])).to.deep.equal([ONE_OF_ONE, ONE_OF_ONE, ONE_OF_ONE]);
    expect(messages.slice(0, 3).every((own) => own.options.some(hasSampling))).to.equal(true);
    // Whichever of them arrives is read by itself, and has its place in the sequence.
    expect(messages.slice(0, 3).map(({ templates }) => templates.length)).to.deep.equal([1, 1, 1]);
    expect(messages.slice(0, 4).map(({ sequence }) => sequence)).to.deep.equal([0, 1, 2, 3]);
    expect(messages[3]!.templates.length).to.equal(1);
  });

  it('ipfix: says so once in a file or a connection, and again in each session', () => {
    const { memory, room, encoder, add } = opened((rows, own) =>
      ipfix()(rows, Object.assign(own, { keepsTemplates: true })),
    );
    add();
    encoder.flush(NOW);
    encoder.restart();
    memory.count = 0;
    add();
    encoder.end(NOW);
    const sampled = room.messages.map((message) => collect([message]).options.some(hasSampling));
    expect(sampled).to.deep.equal([true, false, true, false]);
  });

  it('ipfix: says so once more to a collector that may be a new one, before its first flow', () => {
    const { room, encoder, add } = opened(ipfix());
    add();
    encoder.flush(NOW);
    const before = room.messages.length;
    encoder.refresh?.();
    add();
    add();
    encoder.flush(NOW);
    const { errors, messages, options } = collect(room.messages.slice(before));
    expect(errors).to.deep.equal([]);
    expect(messages.map((own) => own.options.filter(hasSampling).length)).to.deep.equal([1, 0]);
    expect(options.map(({ fields }) => [...fields])).to.deep.equal([ONE_OF_ONE]);
  });

  it('ipfix: says so with the templates, when asked to', () => {
    const { messages, options } = exported(hours(100), { announce: { names: false, sampling: true } });
    expect(options.length).to.be.greaterThan(1);
    for (const { fields } of options) expect([...fields]).to.deep.equal(ONE_OF_ONE);
    expect(messages[0]!.flows.length).to.be.greaterThan(0);
  });

  it('v9: always says so, in its own elements', () => {
    const { options } = sent(v9(), ({ add, encoder }) => {
      add();
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

  it('report at the end what was sent in the domain of the flows, what was not, and what was not read', () => {
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
    const statistics = collector.options.filter(({ fields }) => !fields.has('305'));
    expect(statistics.every(({ domain }) => domain === 0)).to.equal(true);
  });

  it('are not sent when the flows themselves are in domain 0, nor in the layout of pflow(4)', () => {
    const inZero = exported([{}], { domain: 0, counts: COUNTS }).options;
    expect(inZero.every(({ fields }) => fields.has('305'))).to.equal(true);
    const { options } = sent(
      pflow({ announce: ALL, biflow: true, counts: COUNTS }),
      ({ add, addNatEvent, encoder }) => {
        add();
        addNatEvent({ natEvent: 4 });
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
      counters: fc.constantFrom(EXACT, PARTIAL, TCPSEQ),
      flush: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(one, { maxLength: 60 }), fc.integer({ min: 512, max: 1472 }), (states, length) => {
        const { flows } = sent(
          ipfix({ biflow: true }),
          ({ memory, encoder }) => {
            for (const [id, { forward, reply, proto, counters, flush }] of states.entries()) {
              const state = { id: BigInt(id), proto, protoAfter: proto };
              memory.count = 0;
              const row = memory.add({ state, counters });
              const flow = memory.view(row);
              flow.directions = (forward ? FORWARD : 0) | (reply ? REPLY : 0);
              flow.setCounters(0, forward?.octets ?? 0n, BigInt(forward?.packets ?? 0));
              flow.setCounters(1, reply?.octets ?? 0n, BigInt(reply?.packets ?? 0));
              encoder.add(row, 1);
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

  it('has the flags of both ends', () => {
    const [flow] = exported([{ state: { peers: peers(7, 4) } }], { biflow: true }).flows;
    expect(flow?.fields.get('6')).to.equal(0x13);
    expect(flow?.fields.get('e29305:6')).to.equal(0x02);
  });

  it('leaves a state of unknown volume as it is', () => {
    const { flows } = exported([{ counters: NONE }], { biflow: true });
    expect(flows.map(({ fields }) => fields.has('e29305:1'))).to.deep.equal([false]);
  });
});

function volumes(flow: CollectedFlow) {
  return [flow.octets, flow.packets, flow.reverseOctets, flow.reversePackets];
}

/** The Template Records of a message, each with its set; written for the formats' layout alone. */
function templatesIn(message: Uint8Array): { id: number; text: string; isOptions: boolean; rest: number }[] {
  const octets = Buffer.from(message);
  const isV9 = octets.readUInt16BE(0) === 9;
  const found = [];
  for (let at = isV9 ? 20 : 16; at < octets.length; at += octets.readUInt16BE(at + 2)) {
    const setId = octets.readUInt16BE(at);
    const end = at + octets.readUInt16BE(at + 2);
    if (setId > 3) continue;
    const isOptions = setId % 2 === 1;
    for (let record = at + 4; record + 4 <= end && octets.readUInt16BE(record) !== 0; ) {
      const first = octets.readUInt16BE(record + 2);
      let next = record + (isOptions ? 6 : 4);
      const fields = isOptions && isV9 ? (first + octets.readUInt16BE(record + 4)) / 4 : first;
      for (let field = 0; field < fields; field++) next += octets.readUInt16BE(next) >= 0x8000 ? 8 : 4;
      const text = octets.toString('hex', record, next);
      found.push({ id: octets.readUInt16BE(record), text, isOptions, rest: end - next });
      record = next;
    }
  }
  return found;
}

describe('templates', () => {
  const everything: readonly Sample[] = [NONE, EXACT].flatMap((counters) =>
    [6, 17, 1].flatMap((proto) =>
      [STATE.originalSource, STATE.translatedSource].flatMap((translatedSource) => {
        const state = { proto, protoAfter: proto, translatedSource };
        return [
          { state, counters, replyOctets: 1n },
          { state, counters, natEvent: 4 },
          { state: { ...state, peers: peers(0, 0) }, counters, interfaceName: `em${proto}` },
        ];
      }),
    ),
  );
  const encoders: readonly [string, Open][] = [
    ['ipfix', ipfix({ announce: ALL, counts: COUNTS })],
    ['ipfix with biflows', ipfix({ announce: ALL, counts: COUNTS, biflow: true })],
    ['ipfix of pflow(4)', pflow({ announce: ALL, counts: COUNTS })],
    ['v9', v9()],
  ];
  for (const [name, open] of encoders) {
    const messagesOf = () => {
      const { room, encoder, add, addNatEvent } = opened(open);
      for (let round = 0; round < 3; round++) {
        for (const sample of everything) {
          const times = { observed: NOW + 40_000 * round, end: NOW };
          if (sample.natEvent === undefined) add({ ...sample, ...times });
          else addNatEvent({ ...sample, ...times });
        }
        encoder.flush(NOW + 40_000 * round);
      }
      encoder.end(NOW + 120_000);
      expect(collect(room.messages).errors).to.deep.equal([]);
      return room.messages;
    };

    it(`${name}: an id has one meaning in all domains: some collectors do not tell them apart`, () => {
      const known = new Map<number, string>();
      for (const { id, text } of messagesOf().flatMap(templatesIn)) {
        expect(known.get(id) ?? text, `template ${id}`).to.equal(text);
        known.set(id, text);
      }
      expect(known.size).to.be.greaterThan(1);
    });

    it(`${name}: sets of options templates have one each and no padding, also when announced to a new session`, () => {
      const store = new TemplateStore();
      const messages = [...messagesOf()];
      if (name !== 'v9') {
        for (const message of messages) store.keep(viewOf(message), 0);
        // Templates of each domain are announced in a message of its own.
        const firstOf = (domain: number) =>
          messages.find((message) => viewOf(message).getUint32(12) === domain);
        for (const like of [firstOf(0), firstOf(42)]) {
          if (like !== undefined) messages.push(store.announcement(viewOf(like), 0)!);
        }
      }
      const options = messages.flatMap(templatesIn).filter(({ isOptions }) => isOptions);
      expect(options.length > 0).to.equal(name !== 'ipfix of pflow(4)');
      for (const { id, rest } of options) expect(rest, `template ${id}`).to.equal(0);
      const plain = messages
        .flatMap(templatesIn)
        .filter(({ isOptions, rest }) => !isOptions && rest % 4 !== 0);
      expect(plain).to.deep.equal([]);
    });
  }
});

function viewOf({ buffer, byteOffset, length }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, length);
}

describe('NAT events', () => {
  it('stand in v9 as in IPFIX, with the times of a flow', () => {
    for (const [, open] of ENCODERS) {
      const { flows } = sent(open(), ({ add, addNatEvent, encoder }) => {
        addNatEvent({ natEvent: 4 });
        add();
        encoder.flush(NOW);
      });
      expect(flows.map(({ fields }) => fields.get('230'))).to.deep.equal([4, undefined]);
      expect(flows.map(({ endMs }) => endMs)).to.deep.equal([NOW, NOW]);
    }
  });
});

const CHANGES: Readonly<Record<string, Partial<SimState>>> = {
  udp: { proto: 17, protoAfter: 17 },
  plain: { translatedSource: STATE.originalSource, translatedDestination: STATE.originalDestination },
};

describe('exporters kept running', () => {
  const NEAR = 2 ** 32 - 50;
  const near: readonly [string, Open][] = [
    ['v5', (memory, room) => netflow5Encoder(memory, room, 'inside', 1, NEAR)],
    ['v9', v9({ sequence: NEAR })],
    ['ipfix', ipfix({ sequence: NEAR, counts: COUNTS, announce: ALL })],
    ['pflow', pflow({ sequence: NEAR })],
  ];
  for (const [format, open] of near) {
    it(`${format}: the sequence wraps at 2^32 without a gap`, () => {
      const { messages } = sent(
        open,
        ({ add, encoder }) => {
          for (let i = 0; i < 2000; i++) add();
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
          const { flows, messages } = sent(open({ announce: ALL, counts: COUNTS }), ({ add, encoder }) => {
            for (const moved of [...steps, 60 * DAY]) {
              now += moved;
              times.push(now);
              add({ observed: now, end: now, start: now - 40 * DAY });
              encoder.flush(now);
            }
          });
          expect(flows.map(({ endMs }) => endMs)).to.deep.equal(times);
          expect(flows.map(({ startMs }) => startMs)).to.deep.equal(times.map((time) => time - 40 * DAY));
          // The last flow comes with a refresh of its template.
          const { templateId } = flows.at(-1)!;
          const last = messages.slice(messages.findLastIndex((one) => one.templates.includes(templateId)));
          expect(last.flatMap((one) => one.flows).length).to.equal(1);
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
            const options = { announce: ALL, counts: COUNTS, biflow: true };
            const { room, encoder, add, addNatEvent } = opened(open(options), length);
            let now = NOW;
            let from = 0;
            let expected = 0;
            const check = () => {
              encoder.end(now);
              const collector = collect(room.messages.slice(from));
              expect(collector.errors).to.deep.equal([]);
              expect(collector.flows.length).to.equal(expected);
              from = room.messages.length;
              expected = 0;
            };
            for (const [id, name] of actions.entries()) {
              if (name === 'later') now += 20_000;
              else if (name === 'flush') encoder.flush(now);
              else if (name === 'restart') {
                check();
                encoder.restart();
              } else {
                const state = { id: BigInt(id), ...CHANGES[name] };
                const sample = { state, observed: now, end: now, counters: name === 'none' ? NONE : EXACT };
                if (name === 'event') addNatEvent({ ...sample, natEvent: 4 });
                else add(sample);
                expected++;
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
