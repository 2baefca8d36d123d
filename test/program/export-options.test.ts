/** Options, statistics, events and what messages say of a flow, from pfsync messages to a collector. */
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { ipfixEncoder } from '../../protocol/export/ipfix.js';
import { Statistics } from '../../src/observe/statistics.js';
import { openMemory, Pipeline } from '../../src/pipeline.js';
import { OPTIONS } from '../export/encoders.js';
import { type CollectedFlow, Collector } from '../peer/collector.js';
import { collect, NOW, Room, STATE } from '../peer/flow-sample.js';
import { LineLog } from '../peer/line-log.js';
import { run } from '../peer/pfflowd.js';
import {
  encodeClear,
  encodeCompressedDelete,
  encodeMessage,
  encodeState,
  type SimState,
} from '../peer/pfsync-writer.js';
import { UdpCollector } from '../peer/udp-collector.js';

/** What sends messages to a pipeline. */
interface Firewall {
  message(message: Buffer, time: number): void;
}

/** What a collector of IPFIX gets of the messages, flows and NAT events; states that are open at the end end then. */
async function exportedOf(play: (firewall: Firewall) => void, maxStates = 1000): Promise<Collector> {
  const { log } = new LineLog();
  const memory = openMemory(new Map(), log);
  const room = new Room();
  const encoder = ipfixEncoder(memory, room, 'full', OPTIONS);
  const sink = {
    add: encoder.add,
    addNatEvent: (row: number) => encoder.addNatEvent?.(row),
    flush: encoder.flush,
    isCongested: false,
    drained: async () => {},
    close: async (now: number) => encoder.end(now),
  };
  const limits = { maxStates, stateTimeout: 0, activeTimeout: 0 };
  const options = { direction: 'any', noUncounted: false, natEvents: true, ...limits } as const;
  const pipeline = new Pipeline(options, memory, [sink], log, new Statistics());
  play({
    message: (message, time) =>
      pipeline.datagram(
        new DataView(message.buffer, message.byteOffset, message.length),
        message.length,
        time,
      ),
  });
  await pipeline.close('flush');
  expect(pipeline.statistics.damaged.total).to.equal(0);
  const collector = collect(room.messages);
  expect(collector.errors).to.deep.equal([]);
  return collector;
}

/** The flows of states that messages of version 6 open, and end before their time. */
async function exportedStates(living: readonly SimState[], version: 'v6' | 'v6-openbsd47') {
  const states = living.map((state) => ({ ...state, expire: 60 }));
  const inserts = { action: 'insert' as const, records: states.map((one) => encodeState(version, one)) };
  const deletes = {
    action: 'compressedDelete' as const,
    records: states.map(({ id, creatorId }) => encodeCompressedDelete(version, { id, creatorId })),
  };
  const { flows } = await exportedOf((firewall) => {
    firewall.message(encodeMessage(version, [inserts]), NOW);
    firewall.message(encodeMessage(version, [deletes]), NOW + 5000);
  });
  return { flows: flows.filter(({ fields }) => !fields.has('230')) };
}

describe('tcpControlBits from messages', () => {
  it('follows from the states and sequence numbers of a state table', async () => {
    const numbers = (seqlo: number): SimState['peers'] => [
      { seqlo: 1, state: 4 },
      { seqlo, state: 4 },
    ];
    const states = [0, 2].map((seqlo, i) => ({ ...STATE, id: BigInt(i + 1), peers: numbers(seqlo) }));
    const { flows } = await exportedStates(states, 'v6');
    expect(flows.map(({ fields }) => fields.get('6'))).to.deep.equal([0x02, 0x12]);
  });
});

describe('ICMP types from messages', () => {
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
    ['an echo request', icmp(4, 4321, 8), '32', 8],
    ['an echo request whose id is 1, as of Windows', icmp(4, 1, 8), '32', 8],
    ['an echo request over IPv6', icmp(6, 4321, 128), '139', 128],
    ['a neighbour solicitation', icmp(6, 4321, 135), '139', 135],
    ['a state that a reply opened', icmp(4, 8, 77), undefined, undefined],
    ['an id that could be a type', icmp(4, 13, 8), undefined, undefined],
    ['a multicast listener query, or its report', icmp(6, 4321, 130), undefined, undefined],
    ['a number that is no type', icmp(4, 4321, 4321), undefined, undefined],
    ['a zero', icmp(4, 4321, 0), undefined, undefined],
  ];
  for (const [name, state, element, type] of cases) {
    it(`${name}: ${type ?? 'absent'}`, async () => {
      const {
        flows: [flow],
      } = await exportedStates([state], 'v6');
      const present = ['32', '139'].filter((key) => flow?.fields.has(key));
      expect(present).to.deep.equal(element === undefined ? [] : [element]);
      if (element !== undefined) expect(flow?.fields.get(element)).to.equal(256 * type!);
      expect(flow?.fields.has('7')).to.equal(false);
    });
  }

  it('are absent from kernels that write an id in its place', async () => {
    const {
      flows: [flow],
    } = await exportedStates([icmp(4, 4321, 8)], 'v6-openbsd47');
    expect(flow?.protocol).to.equal(1);
    expect(flow?.fields.has('32')).to.equal(false);
  });
});

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

  /** The events among the flows. */
  async function eventsOf(play: (firewall: Firewall) => void, maxStates?: number): Promise<CollectedFlow[]> {
    const { flows } = await exportedOf(play, maxStates);
    return flows.filter(({ fields }) => fields.has('230'));
  }

  const insert = (state: SimState) =>
    encodeMessage('v6', [{ action: 'insert', records: [encodeState('v6', state)] }]);
  const remove = ({ id, creatorId }: SimState) =>
    encodeMessage('v6', [
      { action: 'compressedDelete', records: [encodeCompressedDelete('v6', { id, creatorId })] },
    ]);

  for (const [name, change, numbers] of families) {
    it(`${name}: a creation and a deletion with their numbers, both views and true times`, async () => {
      const state: SimState = { ...STATE, ...change, creation: 7 };
      const events = await eventsOf((firewall) => {
        firewall.message(insert(state), NOW);
        firewall.message(remove(state), NOW + 60_000);
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
    (firewall: Firewall) => {
      for (const message of messages) firewall.message(message, NOW);
    };
  const lives: readonly [string, (firewall: Firewall) => void, number[], number?][] = [
    ['a state that is not translated', play(insert(plain), remove(plain)), []],
    ['a full delete of a state never seen', play(fullDelete(STATE)), [5]],
    ['a compressed delete of a state never seen', play(remove(STATE)), []],
    ['a state that is reported twice', play(insert(STATE), insert(STATE)), [4]],
    ['a clear', play(insert(STATE), clear), [4, 5]],
    ['a key used anew', play(insert(STATE), insert(reused)), [4, 5, 4]],
    ['a state that the full table forgets', play(insert(STATE), insert(other)), [4, 4], 1],
    ['a state still open at the end of the input', play(insert(STATE)), [4]],
  ];
  for (const [name, life, expected, maxStates] of lives) {
    it(`${name}: ${expected.length === 0 ? 'no event' : `events ${expected.join(', ')}`}`, async () => {
      expect((await eventsOf(life, maxStates)).map(({ fields }) => fields.get('230'))).to.deep.equal(
        expected,
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
    const opted = { names: '82', events: '230', reverse: 'e29305:1' };
    const plain = read(await fileOf());
    for (const [name, key] of Object.entries(opted)) expect(has(plain, key), name).to.equal(false);
    const all = read(await fileOf('--options', 'names,sampling', '--nat-events', '--biflow'));
    for (const [name, key] of Object.entries(opted)) expect(has(all, key), name).to.equal(true);
  });

  it('that nothing is sampled is said before the flows, or with the templates when asked for', async () => {
    const saying = ({ messages }: Collector) =>
      messages.findIndex(({ options }) => options.some(({ fields }) => fields.has('305')));
    const plain = read(await fileOf());
    expect(saying(plain)).to.equal(0);
    expect(plain.messages[0]!.flows.length).to.equal(0);
    const asked = read(await fileOf('--options', 'sampling'));
    expect(saying(asked)).to.equal(0);
    expect(asked.messages[0]!.flows.length).to.be.greaterThan(0);
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
