import { expect } from 'chai';
import { ipfixEncoder } from '../../protocol/export/ipfix.js';
import { netflow5Encoder } from '../../protocol/export/netflow5.js';
import { netflow9Encoder } from '../../protocol/export/netflow9.js';
import { EXACT, NONE, PARTIAL, TCPSEQ } from '../../protocol/flow/terms.js';
import { newVolume } from '../../protocol/flow/volume.js';
import { Exporter } from '../../src/sink/exporter.js';
import { Delivered, type Transport } from '../../src/sink/transport.js';
import { Collector } from '../peer/collector.js';
import { flowOf, NOW, Room, type Sample } from '../peer/flow-sample.js';
import { LineLog } from '../peer/line-log.js';

class Kept extends Room implements Transport {
  readonly sent = new Delivered();
  readonly lost = new Delivered();
  readonly errors = 0;
  readonly isDown = false;
  readonly isCongested = false;

  override send(octets: Uint8Array, length: number, records = 0): void {
    super.send(octets, length);
    this.sent.add(records, length);
  }

  async drained(): Promise<void> {}
  async close(): Promise<void> {}
}

const QUIET = new LineLog().log;

interface Settings {
  readonly version: 5 | 9 | 10;
  readonly estimate?: boolean;
  readonly noUncounted?: boolean;
  readonly direction?: 'any' | 'in' | 'out';
}

async function exported(samples: readonly Sample[], settings: Settings) {
  const { version, estimate = false, noUncounted = false, direction = 'any' } = settings;
  const room = new Kept();
  const templates = { nat: 'original', domain: 42, refreshTime: 30_000, refreshMessages: 0 } as const;
  const encoder =
    version === 5
      ? netflow5Encoder(room, 'inside', 42)
      : version === 9
        ? netflow9Encoder(room, templates)
        : ipfixEncoder(room, 'full', templates);
  const options = {
    name: 'collector',
    version,
    estimate,
    noUncounted,
    isPflow: false,
    direction,
    log: QUIET,
  };
  const exporter = new Exporter(encoder, room, options);
  for (const sample of samples) exporter.add(flowOf(sample));
  await exporter.close(NOW);
  const collector = new Collector();
  for (const message of room.messages) collector.decode(message);
  expect(collector.errors).to.deep.equal([]);
  return { flows: collector.flows, result: exporter.result };
}

const ESTIMATE: Sample = {
  counters: TCPSEQ,
  octets: 0n,
  packets: 0n,
  initiatorOctets: 2 ** 33 + 5,
  responderOctets: 700,
};

describe('exporter', () => {
  for (const version of [5, 9] as const) {
    it(`v${version}: with --estimate, TCP payload is the octets of two records`, async () => {
      const { flows } = await exported([ESTIMATE], { version, estimate: true });
      const forward = flows.filter(({ source }) => source === '192.168.1.50');
      const reply = flows.filter(({ source }) => source === '203.0.113.5');
      const octets = (some: typeof flows) => some.reduce((sum, flow) => sum + (flow.octets ?? 0n), 0n);
      expect(octets(forward)).to.equal(2n ** 33n + 5n);
      expect(octets(reply)).to.equal(700n);
    });

    it(`v${version}: without it, one record of unknown volume, or none with --no-uncounted`, async () => {
      const { flows } = await exported([ESTIMATE], { version });
      expect(flows.map(({ octets }) => octets ?? 0n)).to.deep.equal([0n]);
      const { flows: none, result } = await exported([ESTIMATE], { version, noUncounted: true });
      expect(none.length).to.equal(0);
      expect(result.uncounted).to.equal(1);
    });
  }

  it('IPFIX: TCP payload has elements of its own, also with --no-uncounted', async () => {
    const { flows, result } = await exported([ESTIMATE], { version: 10, noUncounted: true });
    expect(
      flows.map(({ initiatorOctets, responderOctets }) => [initiatorOctets, responderOctets]),
    ).to.deep.equal([[2n ** 33n + 5n, 700n]]);
    expect(result.uncounted).to.equal(0);
  });

  it('leaves the record as it was for the next sink', async () => {
    const flow = flowOf(ESTIMATE);
    const room = new Kept();
    const encoder = netflow5Encoder(room, 'inside', 42);
    const options = {
      name: '',
      version: 5,
      estimate: true,
      noUncounted: false,
      isPflow: false,
      log: QUIET,
    } as const;
    new Exporter(encoder, room, { ...options, direction: 'any' }).add(flow);
    expect([flow.counters, flow.reply]).to.deep.equal([TCPSEQ, 0]);
    const volume = newVolume();
    flow.state.readVolume(volume);
    expect(volume).to.deep.equal(newVolume());
  });

  it('sends a collector the direction that it wants, and counts the rest', async () => {
    const samples: Sample[] = [
      { state: { direction: 'in' }, counters: EXACT },
      { state: { direction: 'out' }, counters: PARTIAL },
      { state: { direction: 'out' }, counters: NONE },
    ];
    const { flows, result } = await exported(samples, { version: 10, direction: 'in' });
    expect(flows.length).to.equal(1);
    expect(result.filtered).to.equal(2);
  });
});
