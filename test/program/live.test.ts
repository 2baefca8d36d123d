import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { Packet } from '../../protocol/capture/packet.js';
import { Statistics } from '../../src/observe/statistics.js';
import { openMemory, Pipeline } from '../../src/pipeline.js';
import { Listener } from '../../src/source/listener.js';
import { LiveCapture } from '../../src/source/live-capture.js';
import { endedState } from '../peer/ended-state.js';
import { feed, Injector } from '../peer/injector.js';
import { LineLog } from '../peer/line-log.js';
import { itInNamespace, Namespace } from '../peer/namespace.js';
import { frame } from '../peer/pcap-writer.js';
import { PROGRAM, quoteLargeNumbers, type Summary } from '../peer/pfflowd.js';
import { encodeMessage, encodeState } from '../peer/pfsync-writer.js';

/** So many messages a second, for so long: what needs the machine for itself is a benchmark. */
const RATE = 1000;
const SECONDS = 2;
const MANY = RATE * SECONDS;

/** Milliseconds after which a packet has come through: the kernel hands a buffer that is not full on after a second. */
const LATENCY = 1500;

const OPTIONS = {
  direction: 'any',
  noUncounted: false,
  maxStates: 100_000,
  stateTimeout: 0,
  activeTimeout: 0,
} as const;

/** Messages of version 3, each with the deletes of two states: what a state had is told at its end. */
const MESSAGES = Array.from({ length: 500 }, (_, n) =>
  encodeMessage('v3', [
    { action: 'delete', records: [2 * n, 2 * n + 1].map((id) => encodeState('v3', ended(id))) },
  ]),
);
const STATES = 2;
const ETHERNET = MESSAGES.map((message, n) =>
  frame(message, { linkType: 1, envelope: n % 2 === 0 ? 'ipv4' : 'ipv6' }),
);

/** Octets of all states in so many messages. */
function octetsOf(messages: number): bigint {
  let sum = 0n;
  for (let n = 0; n < messages; n++) {
    for (const id of [0, 1]) sum += BigInt(2 * (n % MESSAGES.length) + id + 100) * 2n;
  }
  return sum;
}

function ended(id: number) {
  const octets = BigInt(id + 100);
  return endedState(id, [1n, 1n], [octets, octets]);
}

describe('live sources', function () {
  this.timeout(90_000);
  let folder: string;
  let log: LineLog;
  const cleanup: (() => unknown)[] = [];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pfflowd-live-'));
    log = new LineLog();
  });

  afterEach(async () => {
    for (const step of cleanup.splice(0).reverse()) await step();
    rmSync(folder, { recursive: true });
  });

  function namespace(): Namespace {
    const made = new Namespace();
    cleanup.push(() => made.remove());
    return made;
  }

  async function tun(within: Namespace, name: string): Promise<Injector> {
    const injector = await Injector.ofTun(within, name);
    cleanup.push(() => injector.close());
    return injector;
  }

  async function ether(within: Namespace, name: string): Promise<Injector> {
    const injector = await Injector.ofInterface(within, name);
    cleanup.push(() => injector.close());
    return injector;
  }

  function capture(within: Namespace, interfaceName: string, pipeline: Pipeline): LiveCapture {
    const live = new LiveCapture({
      interfaceName,
      filter: [],
      consumer: pipeline,
      log: log.log,
      clock: () => performance.now(),
      command: [...within.prefix, 'tcpdump'],
    });
    cleanup.push(() => live.stop());
    return live;
  }

  function pipelineOf(): Pipeline {
    return new Pipeline(OPTIONS, openMemory(new Map(), log.log), [], log.log, new Statistics());
  }

  async function until(condition: () => boolean, limitMs = 15_000): Promise<void> {
    for (let waited = 0; !condition() && waited < limitMs; waited += 20) await sleep(20);
  }

  /** All that was sent has been understood, to the octet. */
  function expectAll({ statistics }: Pipeline, messages: number): void {
    expect(statistics.pfsyncMessages).to.equal(messages);
    expect(statistics.damaged.total).to.equal(0);
    expect(statistics.states.ended).to.equal(STATES * messages);
    expect(statistics.octets.value).to.equal(octetsOf(messages));
  }

  const INTERFACES = [
    { name: 'pfsync0, which speaks bare pfsync', interfaceName: 'pfsync0' },
    { name: 'the Ethernet interface of the sync link', interfaceName: 'sync1' },
  ];
  for (const { name, interfaceName } of INTERFACES) {
    itInNamespace(`lose nothing of ${RATE} messages a second for ${SECONDS} s on ${name}`, async () => {
      const within = namespace();
      const isTun = interfaceName === 'pfsync0';
      if (!isTun) within.addCable('sync0', 'sync1');
      const injector = isTun ? await tun(within, 'pfsync0') : await ether(within, 'sync0');
      const pipeline = pipelineOf();
      const live = capture(within, interfaceName, pipeline);
      await live.start();
      await injector.feed(isTun ? MESSAGES : ETHERNET, MANY, RATE, folder);
      await until(() => pipeline.statistics.pfsyncMessages >= MANY, 3000);
      await live.stop();
      expect(within.receivedOn(interfaceName), 'what the feed brought').to.equal(MANY);
      expect(live.counters).to.deep.equal({ restarts: 0, received: MANY, kernelDrops: 0, unread: 0, cut: 0 });
      expectAll(pipeline, MANY);
    });
  }

  it(`lose nothing of ${RATE} messages a second for ${SECONDS} s on --listen`, async () => {
    const pipeline = pipelineOf();
    const listener = new Listener({
      endpoint: { host: '127.0.0.1', family: 4, port: 0 },
      allow: [],
      consumer: pipeline,
      log: log.log,
      clock: Date.now,
    });
    await listener.start();
    const here = {
      spawn: ([program, ...args]: readonly string[], options = {}) => spawn(program!, args, options),
    };
    await feed(here, listener.port, MESSAGES, MANY, RATE, folder);
    await listener.stop();
    expect(listener.counters).to.deep.equal({ received: MANY, refused: 0, overflows: 0 });
    expectAll(pipeline, MANY);
  });

  itInNamespace('see only pfsync on an Ethernet interface', async () => {
    const within = namespace();
    within.addCable('sync0', 'sync1');
    const injector = await ether(within, 'sync0');
    const pipeline = pipelineOf();
    const live = capture(within, 'sync1', pipeline);
    await live.start();
    const other = Buffer.from(ETHERNET[0]!);
    other[23] = 17;
    await injector.feed([other, ETHERNET[0]!], 100, 1000, folder);
    await until(() => live.counters.received >= 50, 3000);
    await live.stop();
    expect(within.receivedOn('sync1')).to.equal(100);
    expect(live.counters.received).to.equal(50);
    expect(pipeline.statistics.pfsyncMessages).to.equal(50);
  });

  itInNamespace('start tcpdump again when it is killed', async () => {
    const within = namespace();
    const injector = await tun(within, 'pfsync0');
    const pipeline = pipelineOf();
    const live = capture(within, 'pfsync0', pipeline);
    await live.start();
    await injector.feed(MESSAGES, 100, 1000, folder);
    await until(() => pipeline.statistics.pfsyncMessages >= 100);
    killTcpdump(within);
    await until(() => live.counters.restarts === 1);
    await injector.feed(MESSAGES, 100, 1000, folder);
    await until(() => pipeline.statistics.pfsyncMessages >= 200);
    await live.stop();
    expect(live.counters).to.include({ restarts: 1, received: 200 });
    expect(pipeline.statistics.octets.value).to.equal(2n * octetsOf(100));
  });

  itInNamespace('go on when an interface was removed and is back', async () => {
    const within = namespace();
    const first = await tun(within, 'pfsync0');
    const pipeline = pipelineOf();
    const live = capture(within, 'pfsync0', pipeline);
    await live.start();
    await first.feed(MESSAGES, 50, 1000, folder);
    await until(() => pipeline.statistics.pfsyncMessages >= 50);
    await first.close();
    await until(() => log.lines.some((line) => /again in 1 s/.test(line)));
    const second = await tun(within, 'pfsync0');
    await until(() => live.counters.restarts === 1);
    await second.feed(MESSAGES, 50, 1000, folder);
    await until(() => pipeline.statistics.pfsyncMessages >= 100);
    await live.stop();
    expect(live.counters).to.include({ restarts: 1, received: 100 });
    expect(log.lines.join('\n')).to.match(/pfsync0: tcpdump: .*disappeared.*; again in 0\.5 s/);
  });

  itInNamespace('tell by tcpdump itself that there is no such interface', async () => {
    const live = capture(namespace(), 'pfsync7', pipelineOf());
    const failure = await live.start().catch((error: Error) => error);
    expect(failure).to.be.instanceOf(Error);
    expect((failure as Error).message).to.equal(
      '-i pfsync7: no such interface: ip link shows those there are',
    );
  });

  itInNamespace('tell what the kernel dropped while nobody read', async () => {
    const within = namespace();
    const injector = await tun(within, 'pfsync0');
    let received = 0;
    let isCongested = true;
    let release = () => {};
    const consumer = {
      source: '',
      packet: (_packet: Packet) => {
        received++;
      },
      get isCongested() {
        return isCongested;
      },
      drained: () =>
        new Promise<void>((resolve) => {
          release = resolve;
        }),
    };
    const live = capture(within, 'pfsync0', consumer as unknown as Pipeline);
    await live.start();
    // More than the 64 MiB of the kernel's buffer and what lies in the pipe hold.
    const large = new Uint8Array(1400).fill(3);
    const count = 70_000;
    await injector.feed([large], count, 35_000, folder);
    await sleep(300);
    isCongested = false;
    release();
    await until(() => received > 100 && live.counters.received === received);
    await sleep(LATENCY);
    await live.requestStatistics();
    const { kernelDrops } = live.counters;
    await live.stop();
    expect(kernelDrops).to.be.above(0);
    // The kernel may have dropped some on the way in, before they were on the interface.
    const brought = within.receivedOn('pfsync0');
    expect(brought).to.be.within(count / 2, count);
    expect(received + live.counters.kernelDrops + live.counters.unread).to.equal(brought);
  });

  describe('of the whole program', () => {
    /** Runs inside a namespace. */
    function start(within: Namespace, args: readonly string[]) {
      const command = [process.execPath, PROGRAM, '--summary', 'json', '-d', '--user', 'root', ...args];
      const child = within.spawn(command, { stdio: ['ignore', 'ignore', 'pipe'] });
      cleanup.push(() => child.kill('SIGKILL'));
      let text = '';
      child.stderr!.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      const closed = once(child, 'close') as Promise<[number | null]>;
      return {
        child,
        stderr: () => text,
        says: (pattern: RegExp, times = 1) => until(() => [...text.matchAll(pattern)].length >= times),
        /** Its exit status, and the summary that is the last thing it says. */
        ended: async () => {
          const [status] = await closed;
          const line = text.trimEnd().split('\n').at(-1) ?? '';
          const isSummary = line.startsWith('{');
          return { status, summary: (isSummary ? JSON.parse(quoteLargeNumbers(line)) : {}) as Summary };
        },
      };
    }

    function lines(file: string): number {
      return readFileSync(file, 'utf8').split('\n').length - 1;
    }

    const CAPTURING = /capturing on/g;

    itInNamespace('convert three sources at once', async () => {
      const within = namespace();
      within.addCable('sync0', 'sync1');
      const [bare, wired] = [await tun(within, 'pfsync0'), await ether(within, 'sync0')];
      const csv = join(folder, 'flows.csv');
      const sources = ['-i', 'pfsync0', '-i', 'sync1', '--listen', '127.0.0.1:19999'];
      const pfflowd = start(within, [...sources, '--format', 'csv', '-o', csv]);
      await pfflowd.says(CAPTURING, 2);
      await Promise.all([
        bare.feed(MESSAGES, 1000, 1000, folder),
        wired.feed(ETHERNET, 1000, 1000, folder),
        feed(within, 19_999, MESSAGES, 1000, 1000, folder),
      ]);
      await sleep(LATENCY);
      pfflowd.child.kill('SIGTERM');
      const { status, summary } = await pfflowd.ended();
      expect(status).to.equal(0);
      expect(summary.pfsyncMessages).to.equal(3000);
      expect(summary.states.ended).to.equal(6000);
      expect(BigInt(summary.octets)).to.equal(3n * octetsOf(1000));
      expect(lines(csv)).to.equal(1 + 12_000);
    });

    itInNamespace('lose nothing that was read when TERM comes in mid-stream', async () => {
      const within = namespace();
      const injector = await tun(within, 'pfsync0');
      const csv = join(folder, 'flows.csv');
      const pfflowd = start(within, ['-i', 'pfsync0', '--format', 'csv', '-o', csv]);
      await pfflowd.says(CAPTURING);
      const most = 4 * RATE;
      const feeding = injector.feed(MESSAGES, most, RATE, folder);
      await sleep(2500);
      pfflowd.child.kill('SIGTERM');
      const { status, summary } = await pfflowd.ended();
      await feeding;
      expect(status).to.equal(0);
      expect(summary.pfsyncMessages).to.be.within(1000, most - 1);
      expect(summary.states.ended).to.equal(STATES * summary.pfsyncMessages);
      expect(summary.flows).to.equal(2 * summary.states.ended!);
      expect(BigInt(summary.octets)).to.equal(octetsOf(summary.pfsyncMessages));
      expect(lines(csv)).to.equal(1 + summary.flows);
    });

    itInNamespace('bring the messages of an interface to a converter elsewhere', async () => {
      const within = namespace();
      const injector = await tun(within, 'pfsync0');
      const csv = join(folder, 'flows.csv');
      const far = start(within, ['--listen', '127.0.0.1:19998', '--format', 'csv', '-o', csv]);
      await far.says(/listening on/g);
      const near = start(within, ['-i', 'pfsync0', '--relay', '127.0.0.1:19998']);
      await near.says(CAPTURING);
      await injector.feed(MESSAGES, 2000, 1000, folder);
      await sleep(LATENCY);
      for (const pfflowd of [near, far]) {
        pfflowd.child.kill('SIGTERM');
        const { status, summary } = await pfflowd.ended();
        expect(status).to.equal(0);
        expect(summary.pfsyncMessages).to.equal(2000);
        expect(BigInt(summary.octets)).to.equal(octetsOf(2000));
      }
      expect(lines(csv)).to.equal(1 + 8000);
    });

    itInNamespace('end with one line and status 1 when an interface is not there', async () => {
      const pfflowd = start(namespace(), ['-i', 'pfsync9', '--format', 'csv', '-o', join(folder, 'x')]);
      const { status } = await pfflowd.ended();
      expect(status).to.equal(1);
      expect(pfflowd.stderr()).to.equal(
        'pfflowd: -i pfsync9: no such interface: ip link shows those there are\n',
      );
    });
  });
});

function killTcpdump(within: Namespace): void {
  const pids = execFileSync('ip', ['netns', 'pids', within.name], { encoding: 'utf8' }).trim().split('\n');
  const victims = pids.filter((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'tcpdump');
  expect(victims).to.have.length(1);
  process.kill(Number(victims[0]), 'SIGKILL');
}
