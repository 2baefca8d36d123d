import { expect } from 'chai';
import { parseOptions } from '../../src/cli/options.js';
import { openSinks } from '../../src/collectors.js';
import { Statistics } from '../../src/observe/statistics.js';
import { SampleRows } from '../peer/flow-sample.js';
import { numbered } from '../peer/flow-samples.js';
import { LineLog } from '../peer/line-log.js';
import { UdpCollector } from '../peer/udp-collector.js';

const MANY = 512;

/** Adds flows until a collector asks to pause, or the number is reached. */
async function convert(args: readonly string[], screen: 'terminal' | 'none', most = 100 * MANY) {
  const log = new LineLog();
  const samples = new SampleRows(MANY);
  for (let number = 0; number < MANY; number++) samples.add(numbered({ number }));
  const options = parseOptions([...args]);
  const { sinks, exporters } = await openSinks(options, samples, log.log, new Statistics(), screen);
  for (let added = 0; added < most; added += MANY) {
    for (const sink of sinks) sink.add(0, MANY);
    const congested = sinks.filter((sink) => sink.isCongested);
    if (congested.length > 0) {
      for (const sink of congested) void sink.drained();
      break;
    }
  }
  return { log, exporters };
}

describe('the pace of a conversion', () => {
  let udp: UdpCollector;
  beforeEach(async () => {
    udp = await UdpCollector.listen('127.0.0.1');
  });
  afterEach(() => udp.close());

  const ADVICE = /--rate .* larger receive buffer, or use tcp:\/\/ with -v 10$/;

  it('a terminal gets the advice how to go faster, once for all collectors', async () => {
    const to = ['-n', udp.endpoint, '-n', udp.endpoint];
    const { log, exporters } = await convert(['-r', '-', ...to], 'terminal');
    expect(log.lines.length).to.equal(1);
    expect(log.lines[0]).to.match(ADVICE).and.contain('2000 datagrams a second');
    await Promise.all(exporters.map((exporter) => exporter.close(0)));
  }).timeout(30_000);

  const QUIET: readonly [string, readonly string[], 'terminal' | 'none', number][] = [
    ['without a terminal', ['-r', '-'], 'none', 100 * MANY],
    ['with --rate', ['-r', '-', '--rate', '1000000'], 'terminal', 100 * MANY],
    ['without a limit', ['-r', '-', '--rate', '0'], 'terminal', 100 * MANY],
    ['for a small capture', ['-r', '-'], 'terminal', MANY],
    ['live', ['-d'], 'terminal', 4 * MANY],
  ];
  for (const [what, args, screen, most] of QUIET) {
    it(`there is no advice ${what}`, async () => {
      const { log, exporters } = await convert([...args, '-n', udp.endpoint], screen, most);
      await Promise.all(exporters.map((exporter) => exporter.close(0)));
      expect(log.lines).to.deep.equal([]);
    }).timeout(30_000);
  }
});
