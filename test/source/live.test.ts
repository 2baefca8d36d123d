import { createSocket } from 'node:dgram';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { parseCidr } from '../../src/cli/cidr.js';
import type { Options } from '../../src/cli/option-table.js';
import { SourceCounts } from '../../src/observe/statistics.js';
import { LiveSources, type LiveSourcesConsumer, ownAddresses } from '../../src/source/live.js';
import { LineLog } from '../peer/line-log.js';

/** Writes down what it is called with. */
class Recorder implements LiveSourcesConsumer {
  source = '';
  readonly isCongested = false;
  readonly calls: string[] = [];
  readonly statistics = {
    sources: new SourceCounts(),
  };

  packet(): void {
    this.calls.push('packet');
  }

  datagram(view: DataView, length: number): void {
    this.calls.push(Buffer.from(view.buffer, 0, length).toString());
  }

  flush(): void {
    this.calls.push('flush');
  }

  reportCounters({ idLow, expire }: { idLow: number; expire: number }, startedAt: number): boolean {
    const now = Date.now();
    this.calls.push(`state ${idLow}, ${expire} s left, ${startedAt > now - 600_000 && startedAt <= now}`);
    return true;
  }

  lost(): void {
    this.calls.push('lost');
  }

  async drained(): Promise<void> {}
}

const OPTIONS = {
  interfaces: [],
  captureFilter: [],
  listen: [],
  allow: [],
  hold: 0,
  pfctl: false,
  pfctlInterval: 10,
} as unknown as Options;

async function send(type: 'udp4' | 'udp6', host: string, port: number): Promise<void> {
  const socket = createSocket(type);
  for (const text of ['one', 'two']) await new Promise((resolve) => socket.send(text, port, host, resolve));
  socket.close();
}

describe('the live sources', () => {
  it('pass datagrams on, flush after each with --hold 0, and count what is refused', async () => {
    const consumer = new Recorder();
    const log = new LineLog();
    const listen = [
      { host: '127.0.0.1', family: 4, port: 0 },
      { host: '::1', family: 6, port: 0 },
    ] as const;
    const options: Options = { ...OPTIONS, listen, allow: [parseCidr('127.0.0.0/8')!] };
    const sources = new LiveSources(options, consumer, log.log, 'kept');
    await sources.start();
    const ports = log.lines.flatMap((line) => /^listening on .*, port (\d+)$/.exec(line)?.slice(1) ?? []);
    expect(ports).to.have.length(2);
    await send('udp4', '127.0.0.1', Number(ports[0]));
    await send('udp6', '::1', Number(ports[1]));
    await sources.stop();
    expect(consumer.calls).to.deep.equal(['one', 'flush', 'two', 'flush']);
    expect(consumer.source).to.equal('--listen 127.0.0.1:0');
    expect(consumer.statistics.sources.refused).to.equal(2);
  });

  it('report the counters that pfctl prints', async () => {
    const consumer = new Recorder();
    const block = [
      'all udp 192.0.2.1:1 -> 192.0.2.2:2 0:0',
      '  age 00:00:05, expires in 00:01:09, 3:2 pkts, 210:480 bytes',
      '  id: 0000000000000005 creatorid: 00000006',
    ];
    const pfctlCommand = `printf '%s\\n' ${block.map((line) => `'${line}'`).join(' ')}`;
    const options = { ...OPTIONS, pfctl: true, pfctlCommand, hold: 1 } as Options;
    const sources = new LiveSources(options, consumer, new LineLog().log, 'kept');
    await sources.start();
    while (consumer.calls.length === 0) await sleep(5);
    await sources.stop();
    expect(consumer.calls.filter((call) => call !== 'flush')).to.deep.equal(['state 5, 69 s left, true']);
    expect(consumer.statistics.sources).to.include({ pfctlRuns: 1, pfctlFailures: 0 });
  });
});

describe('the addresses of our own exports', () => {
  it('are those of all collectors and of the relay', async () => {
    const collectors = [
      { host: '192.0.2.1', port: 2055 },
      { host: '2001:db8::1', port: 4739 },
    ];
    const relay = { host: '127.0.0.1', port: 9 };
    expect(await ownAddresses({ collectors, relay, excludeSelf: true })).to.deep.equal([
      { address: '192.0.2.1', port: 2055 },
      { address: '2001:db8::1', port: 4739 },
      { address: '127.0.0.1', port: 9 },
    ]);
  });

  it('are all that a name stands for, and none where nobody knows it', async () => {
    const collectors = [
      { host: 'localhost', port: 2055 },
      { host: 'collector.invalid', port: 2056 },
    ];
    const own = await ownAddresses({ collectors, excludeSelf: true });
    expect(own.map(({ address }) => address)).to.include('127.0.0.1');
    expect(own.every(({ port }) => port === 2055)).to.equal(true);
  });

  it('are none when own states are to be kept, or there is no collector', async () => {
    const collectors = [{ host: '192.0.2.1', port: 2055 }];
    expect(await ownAddresses({ collectors, excludeSelf: false })).to.deep.equal([]);
    expect(await ownAddresses({ collectors: [], excludeSelf: true })).to.deep.equal([]);
  });
});
