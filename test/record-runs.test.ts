import { expect } from 'chai';
import { NONE, TCPSEQ } from '../protocol/flow-terms.js';
import { type IpfixOptions, ipfixEncoder } from '../protocol/ipfix.js';
import { netflow9Encoder } from '../protocol/netflow9.js';
import {
  collect,
  flowOf,
  ipfix as ipfixOnce,
  NOW,
  OPTIONS,
  type Open,
  Room,
  type Sample,
} from './flow-sample.js';
import type { CollectedFlow } from './peer/collector.js';

const COUNTS = {
  ignoredPackets: 0,
  ignoredOctets: 0,
  notSentMessages: 0,
  notSentOctets: 0,
  notSentRecords: 0,
};

const UDP = { proto: 17, protoAfter: 17 };
const PLAIN = {
  translatedSource: { address: '192.168.1.50', port: 40000 },
};
const SIX = {
  af: 6,
  afAfter: 6,
  originalSource: { address: '2001:db8::1', port: 1024 },
  originalDestination: { address: '2001:db8::2', port: 443 },
  translatedSource: { address: '2001:db8::1', port: 1024 },
  translatedDestination: { address: '2001:db8::2', port: 443 },
} as const;

/** One of each kind of record. */
const KINDS: readonly Omit<Sample, 'octets'>[] = [
  {},
  { replyOctets: 77n },
  { state: PLAIN, replyOctets: 5n },
  { state: UDP },
  { state: { ...UDP, ...PLAIN }, replyOctets: 9n },
  { state: SIX, replyOctets: 1n },
  { state: { ...SIX, ...UDP } },
  { state: { proto: 1, protoAfter: 1 }, icmpType: 8 },
  { counters: NONE, state: UDP },
  { counters: TCPSEQ, initiatorOctets: 5, responderOctets: 6 },
];

/** Some kinds are frequent and some are not; each flow has its own octets, and half a second after the last. */
const SAMPLES: readonly Sample[] = Array.from({ length: 3000 }, (_, i) => ({
  ...KINDS[Math.floor(KINDS.length * ((i * 0.618034) % 1) ** 2)]!,
  octets: BigInt(1000 + i),
  start: NOW + 500 * i - 100,
  end: NOW + 500 * i,
  observed: NOW + 500 * i,
}));

class RunRoom extends Room {
  readonly likesRuns = true;
}

/** Templates are told again and again. */
const OFTEN: IpfixOptions = { ...OPTIONS, refreshMessages: 40 };

function ipfix(options: Partial<IpfixOptions> = {}): Open {
  return ipfixOnce({ ...OFTEN, ...options });
}

function encoded(open: Open, room: Room): readonly Uint8Array[] {
  const encoder = open(room);
  for (const sample of SAMPLES) encoder.add(flowOf(sample));
  encoder.end(SAMPLES.at(-1)!.observed!);
  return room.messages;
}

/** Every field of every flow, in an order of their own. */
function told(messages: readonly Uint8Array[]): string[] {
  const collector = collect(messages);
  expect(collector.errors).to.deep.equal([]);
  return collector.messages.flatMap(({ flows }) => flows.map(text)).sort();
}

function text({ templateId, fields }: CollectedFlow): string {
  return `${templateId} ${[...fields].map(([key, value]) => `${key}=${value}`).join(' ')}`;
}

describe('runs of records', () => {
  const formats: readonly [string, Open][] = [
    ['IPFIX', ipfix()],
    ['IPFIX with statistics', ipfix({ counts: COUNTS })],
    ['IPFIX with names', ipfix({ announce: { names: true, sampling: true } })],
    ['biflows', ipfix({ biflow: true })],
    ['the layout of pflow(4)', (room) => ipfixEncoder(room, 'pflow', OFTEN)],
  ];
  for (const [name, open] of formats) {
    it(`tell the same flows as messages in order, without a gap: ${name}`, () => {
      const wanted = told(encoded(open, new Room()));
      const got = told(encoded(open, new RunRoom()));
      expect(got).to.deep.equal(wanted);
      expect(got.length).to.be.at.least(SAMPLES.length);
    });
  }

  for (const length of [500, 9000, 65_535]) {
    it(`tell the same flows in messages of ${length} octets`, () => {
      const wanted = told(encoded(ipfix(), new Room(length)));
      expect(told(encoded(ipfix(), new RunRoom(length)))).to.deep.equal(wanted);
    });
  }

  it('make messages of one length behind each other', () => {
    const changes = (messages: readonly Uint8Array[]) =>
      messages.filter(({ length }, i) => i > 0 && length !== messages[i - 1]!.length).length;
    const inOrder = encoded(ipfix({ refreshMessages: 0, refreshTime: 1e9 }), new Room());
    const inRuns = encoded(ipfix({ refreshMessages: 0, refreshTime: 1e9 }), new RunRoom());
    expect(changes(inOrder)).to.be.above(inOrder.length / 2);
    expect(changes(inRuns)).to.be.below(inRuns.length / 3);
  });

  it('keep the order of records of one template', () => {
    const { messages } = collect(encoded(ipfix(), new RunRoom()));
    const octets = messages
      .flatMap(({ flows }) => flows)
      .filter(({ protocol, octets, postNatSource }) => protocol === 17 && octets && postNatSource)
      .map((flow) => flow.octets!);
    expect(octets.length).to.be.above(100);
    expect(octets).to.deep.equal(octets.toSorted((one, other) => Number(one - other)));
  });

  it('leave nothing behind when they are flushed', () => {
    const room = new RunRoom();
    const encoder = ipfix()(room);
    for (let count = 1; count <= 50; count++) {
      for (const sample of SAMPLES.slice(0, count)) encoder.add(flowOf(sample));
      const before = room.messages.length;
      encoder.flush(NOW);
      expect(room.messages.length).to.be.above(before);
    }
    const collector = collect(room.messages);
    const flows = collector.messages.flatMap((message) => message.flows);
    const wanted = Array.from({ length: 50 }, (_, i) => SAMPLES.slice(0, i + 1)).flat();
    expect(collector.errors).to.deep.equal([]);
    expect(flows.length).to.equal(wanted.reduce((sum, sample) => sum + flowOf(sample).records, 0));
  });

  it('are not sent before their flows have ended, where the clock was set back', () => {
    const room = new RunRoom();
    const encoder = ipfix()(room);
    const late = NOW + 3_000_000;
    for (const sample of KINDS.slice(0, 3)) encoder.add(flowOf({ ...sample, end: late, observed: late }));
    encoder.add(flowOf({ state: SIX, end: NOW, observed: NOW }));
    for (const sample of SAMPLES.slice(30, 60)) encoder.add(flowOf({ ...sample, end: NOW, observed: NOW }));
    encoder.flush(NOW);
    const { messages } = collect(room.messages);
    const ends = (flows: readonly CollectedFlow[]) => flows.map(({ endMs }) => endMs!);
    expect(messages.some(({ flows }) => ends(flows).includes(late))).to.equal(true);
    // The header counts whole seconds.
    for (const { exportMs, flows } of messages) {
      if (flows.length > 0) expect(exportMs + 999).to.be.at.least(Math.max(...ends(flows)));
    }
  });

  it('are not for uptimes, which are counted from a moment that each message chooses', () => {
    const v9: Open = (room) => netflow9Encoder(room, OFTEN);
    expect(encoded(v9, new RunRoom())).to.deep.equal(encoded(v9, new Room()));
  });
});
