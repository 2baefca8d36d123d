import { expect } from 'chai';
import { ipfixEncoder } from '../../protocol/export/ipfix.js';
import type { FlowEncoder } from '../../protocol/export/message.js';
import { netflow5Encoder } from '../../protocol/export/netflow5.js';
import { netflow9Encoder } from '../../protocol/export/netflow9.js';
import { END_WIRE, ROW, START_WIRE, UPTIMES } from '../../protocol/flow/row.js';
import { EXACT, NONE, PARTIAL, TCPSEQ } from '../../protocol/flow/terms.js';
import { Exporter } from '../../src/sink/exporter.js';
import { Delivered, type Transport } from '../../src/sink/transport.js';
import { collect, DAY, NOW, Room, type Sample, SampleRows } from '../peer/flow-sample.js';
import { LineLog } from '../peer/line-log.js';

class Kept extends Room implements Transport {
  readonly sent = new Delivered();
  readonly lost = new Delivered();
  readonly errors = 0;
  readonly isDown = false;
  readonly isCongested = false;
  onTrouble?: () => void;

  override send(octets: Uint8Array, length: number, records = 0): void {
    super.send(octets, length);
    this.sent.add(records, length);
  }

  async drained(): Promise<void> {}
  async close(): Promise<void> {}
}

type Version = 5 | 9 | 10;

function encoderOf(version: Version, memory: SampleRows, room: Room): FlowEncoder {
  const templates = { nat: 'original', domain: 42, refreshTime: 30_000, refreshMessages: 0 } as const;
  if (version === 5) return netflow5Encoder(memory, room, 'inside', 42);
  if (version === 9) return netflow9Encoder(memory, room, templates);
  return ipfixEncoder(memory, room, 'full', templates);
}

interface Settings {
  readonly version: Version;
  readonly direction?: 'any' | 'in' | 'out';
}

/** What a collector gets of the samples, which come in one range of rows, and then of the NAT events. */
async function exported(samples: readonly (Sample | undefined)[], { version, direction = 'any' }: Settings) {
  const memory = new SampleRows();
  const room = new Kept();
  const lines = new LineLog();
  const options = { name: 'collector', version, direction, log: lines.log };
  const exporter = new Exporter(memory, encoderOf(version, memory, room), room, options);
  for (const sample of samples) {
    const row = memory.add(sample);
    if (sample === undefined) memory.view(row).directions = 0;
  }
  const before = memory.rows.words.slice();
  exporter.add(0, memory.count);
  const after = memory.rows.words.slice();
  await exporter.close(NOW);
  const { errors, flows } = collect(room.messages);
  expect(errors).to.deep.equal([]);
  return { flows, result: exporter.result, lines: lines.lines, before, after };
}

const TIMES = [START_WIRE, END_WIRE, UPTIMES].flatMap((word) => [word, word + 1]);

describe('exporter', () => {
  for (const version of [5, 9, 10] as const) {
    it(`v${version}: flows known by sequence numbers go out as others that are counted`, async () => {
      const counted: Sample = { octets: 2n ** 33n + 5n, packets: 10n, replyOctets: 700n };
      const [tcpseq, partial] = await Promise.all(
        [TCPSEQ, PARTIAL].map((counters) => exported([{ ...counted, counters }], { version })),
      );
      const volumes = (side: typeof tcpseq) =>
        side!.flows.map(({ source, octets, packets }) => [source, octets, packets]);
      expect(volumes(tcpseq)).to.deep.equal(volumes(partial));
      const octets = (from: string) =>
        tcpseq!.flows
          .filter(({ source }) => source === from)
          .reduce((sum, flow) => sum + (flow.octets ?? 0n), 0n);
      expect([octets('192.168.1.50'), octets('203.0.113.5')]).to.deep.equal([2n ** 33n + 5n, 700n]);
    });
  }

  it('sends a collector the direction that it wants, and counts the records of the others', async () => {
    const [inbound, outbound] = (['in', 'out'] as const).map((direction) => ({ state: { direction } }));
    const samples: (Sample | undefined)[] = [
      { ...outbound, replyOctets: 1n },
      { ...inbound, octets: 1n, counters: EXACT },
      { ...outbound, counters: PARTIAL },
      { ...outbound, counters: NONE },
      { ...inbound, octets: 2n, counters: EXACT },
      { ...inbound, octets: 3n, counters: EXACT },
      undefined,
      { ...inbound, octets: 4n, counters: EXACT },
    ];
    const { flows, result } = await exported(samples, { version: 10, direction: 'in' });
    expect(flows.map(({ octets }) => octets)).to.deep.equal([1n, 2n, 3n, 4n]);
    expect(result).to.include({ filtered: 4, records: 4 });
    const { result: other } = await exported(samples, { version: 10, direction: 'out' });
    expect(other).to.include({ filtered: 4, records: 4 });
    const { result: all } = await exported(samples, { version: 10 });
    expect(all).to.include({ filtered: 0, records: 8 });
  });

  it('sends a collector the NAT events of the direction that it wants', () => {
    const memory = new SampleRows();
    const room = new Kept();
    const { log } = new LineLog();
    const encoder = encoderOf(10, memory, room);
    const exporter = new Exporter(memory, encoder, room, {
      ...{ name: '', version: 10, direction: 'out' as const, log },
    });
    for (const [i, direction] of (['in', 'out', 'in'] as const).entries()) {
      exporter.addNatEvent(memory.add({ state: { direction }, natEvent: i + 1 }));
    }
    exporter.flush(NOW);
    expect(collect(room.messages).flows.map(({ fields }) => fields.get('230'))).to.deep.equal([2]);
  });

  for (const version of [5, 10] as const) {
    it(`v${version}: leaves the rows as they were for the next sink`, async () => {
      const { before, after } = await exported([{}, undefined, { replyOctets: 1n }], { version });
      // Times in wire order are for the encoder of a message.
      const kept = (words: Int32Array) => words.filter((_, at) => !TIMES.includes(at % ROW));
      expect(kept(after)).to.deep.equal(kept(before));
    });
  }

  it('warns of starts and counters that the format cannot hold, and counts them', async () => {
    const { result, lines } = await exported([{ start: NOW - 60 * DAY }, { octets: 2n ** 64n - 1n }], {
      version: 5,
    });
    expect(result).to.include({ kind: 'collector', collector: 'collector', clippedTimes: 1, clamped: 1 });
    expect(lines.join('\n')).to.match(/NetFlow v5.*clipped.*clamped/s);
  });

  it('counts the records that the format has no room for', async () => {
    const end = { address: '2001:db8::1', port: 1 };
    const six: Sample['state'] = {
      ...{ af: 6, afAfter: 6, originalSource: end, originalDestination: end },
      ...{ translatedSource: end, translatedDestination: end },
    };
    const { result } = await exported([{ state: six, replyOctets: 1n }, { state: six }, {}], { version: 5 });
    expect(result).to.include({ unsupported: 3, records: 1, datagrams: 1, lostRecords: 0 });
  });
});
