import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { Packet } from '../../protocol/capture/packet.js';
import { StartError } from '../../src/cli/errors.js';
import { PrivilegedShells } from '../../src/service/privileged-shell.js';
import { LiveCapture, type LiveCaptureOptions, type LiveConsumer } from '../../src/source/live-capture.js';
import { LineLog } from '../peer/line-log.js';
import { writePcap } from '../peer/pcap-writer.js';
import { ManualTimers } from './manual-timers.js';

/** Remembers the packets it was given, as text. */
class Packets implements LiveConsumer {
  source = '';
  isCongested = false;
  readonly texts: string[] = [];
  #release: () => void = () => {};

  packet({ view, start, end }: Packet): void {
    this.texts.push(Buffer.from(view.buffer, view.byteOffset + start, end - start).toString());
  }

  drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#release = resolve;
    });
  }

  unblock(): void {
    this.isCongested = false;
    this.#release();
  }
}

const LISTENING = 'echo "tcpdump: listening on pfsync0, link-type PFSYNC, snapshot length 65535 bytes" >&2';
const COUNTS =
  'printf "%s\\n" "" "4 packets captured" "9 packets received by filter" "2 packets dropped by kernel" >&2';
const ON_TERM = `trap '${COUNTS}; exit 0' TERM`;
const FOREVER = 'while sleep 0.02; do :; done';
const UNTIL_TERM = `${ON_TERM}; ${FOREVER}`;

describe('the live capture', () => {
  let folder: string;
  let packets: Packets;
  let log: LineLog;
  let timers: ManualTimers;
  let now: number;
  const started: LiveCapture[] = [];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pfflowd-live-'));
    packets = new Packets();
    log = new LineLog();
    timers = new ManualTimers();
    now = 0;
  });

  afterEach(async () => {
    for (const capture of started.splice(0)) await capture.stop();
    rmSync(folder, { recursive: true });
  });

  /** A capture whose tcpdump is this shell script. */
  function captureWith(script: string, options: Partial<LiveCaptureOptions> = {}): LiveCapture {
    const capture = new LiveCapture({
      interfaceName: 'pfsync0',
      filter: [],
      consumer: packets,
      log: log.log,
      clock: () => now,
      startTimer: timers.start,
      command: ['/bin/sh', '-c', script, 'tcpdump'],
      ...options,
    });
    started.push(capture);
    return capture;
  }

  /** Waits for the end of a run, and starts the next one. */
  async function startAgain(): Promise<void> {
    await until(() => timers.pending.size > 0);
    timers.expire();
  }

  /** Writes a capture for a script to show, and gives its path. */
  function captureFile(texts: readonly string[], name = 'capture'): string {
    const path = join(folder, name);
    const parts = texts.map((text, n) => ({ timeMs: 1000 * n, bytes: Buffer.from(text) }));
    writeFileSync(path, writePcap(parts, { linkType: 246 }));
    return path;
  }

  async function until(condition: () => boolean): Promise<void> {
    while (!condition()) await sleep(5);
  }

  async function failureOf(capture: LiveCapture): Promise<Error | undefined> {
    const failure = await capture.start().then(
      () => undefined,
      (error: Error) => error,
    );
    if (failure !== undefined) expect(failure).to.be.instanceOf(StartError);
    return failure;
  }

  it('hands on packets as they come, and names their interface', async () => {
    const file = captureFile(['one', 'two']);
    const capture = captureWith(`${LISTENING}; cat ${file}; ${UNTIL_TERM}`);
    await capture.start();
    await until(() => packets.texts.length === 2);
    expect(packets.texts).to.deep.equal(['one', 'two']);
    expect(packets.source).to.equal('pfsync0');
    expect(log.lines).to.deep.equal(['capturing on pfsync0, link-type PFSYNC']);
  });

  it('gives tcpdump an environment of its own, its arguments word by word, and no standard input', async () => {
    process.env.PFFLOWD_TEST_SECRET = 'x';
    const told = join(folder, 'told');
    const script = `{ printf '[%s]' "$@"; echo; env; cat; } > ${told}; ${LISTENING}; ${UNTIL_TERM}`;
    const capture = captureWith(script, { filter: ['host', '$(id) x'], platform: 'openbsd' });
    await capture.start();
    delete process.env.PFFLOWD_TEST_SECRET;
    const text = readFileSync(told, 'utf8');
    expect(text).to.match(/^\[-n\]\[-s\]\[65535\]\[-w\]\[-\]\[-i\]\[pfsync0\]\[--\]\[host\]\[\$\(id\) x\]\n/);
    expect(text)
      .to.match(/^LC_ALL=C$/m)
      .and.not.include('PFFLOWD_TEST_SECRET');
  });

  const FAILURES: { name: string; script: string; message: RegExp; command?: string[] }[] = [
    {
      name: 'there is no tcpdump',
      script: '',
      command: ['no-such-tcpdump'],
      message: /^-i pfsync0: no-such-tcpdump is not found: install tcpdump/,
    },
    {
      name: 'there is no such interface',
      script: 'echo "tcpdump: pfsync0: No such device exists" >&2; exit 1',
      message: /^-i pfsync0: no such interface: /,
    },
    {
      name: 'it is not permitted',
      script: `echo "tcpdump: pfsync0: You don't have permission to capture on that device" >&2; exit 1`,
      message: /^-i pfsync0: no permission to capture: run pfflowd as root/,
    },
    {
      name: 'tcpdump says nothing',
      script: 'exit 3',
      message: /^-i pfsync0: tcpdump: ended without a word$/,
    },
  ];
  for (const { name, script, message, command } of FAILURES) {
    it(`does not start when ${name}`, async () => {
      const capture = captureWith(script, command === undefined ? {} : { command });
      expect((await failureOf(capture))?.message).to.match(message);
      expect(log.lines).to.deep.equal([]);
    });
  }

  it('does not try again when it could not start', async () => {
    const runs = join(folder, 'runs');
    const capture = captureWith(`echo run >> ${runs}; exit 1`);
    await failureOf(capture);
    expect(timers.running).to.deep.equal([]);
    expect(readFileSync(runs, 'utf8')).to.equal('run\n');
  });

  it('loses nothing of what tcpdump wrote before it was stopped', async () => {
    const many = Array.from({ length: 20_000 }, (_, n) => `packet ${n}`);
    const capture = captureWith(`${LISTENING}; trap '' TERM; cat ${captureFile(many)}; ${COUNTS}`);
    await capture.start();
    await capture.stop();
    expect(packets.texts).to.deep.equal(many);
  });

  it('counts what the kernel dropped, and what tcpdump left unread, over all runs', async () => {
    const capture = captureWith(`${LISTENING}; cat ${captureFile(['one'])}; ${COUNTS}`);
    await capture.start();
    await startAgain();
    await until(() => timers.pending.size > 0);
    await capture.stop();
    expect(timers.running).to.deep.equal([]);
    expect(capture.counters).to.include({ restarts: 1, received: 2, kernelDrops: 4, unread: 6, cut: 0 });
  });

  it('starts tcpdump again when it ends, and tells why it did', async () => {
    const again = join(folder, 'again');
    const fault = 'echo "tcpdump: pcap_loop: The interface disappeared" >&2; exit 1';
    const [first, second] = [captureFile(['one'], 'first'), captureFile(['two'], 'second')];
    const script = `if [ -e ${again} ]; then ${LISTENING}; cat ${second}; ${UNTIL_TERM}
      else touch ${again}; ${LISTENING}; cat ${first}; ${fault}; fi`;
    const capture = captureWith(script);
    await capture.start();
    await startAgain();
    await until(() => packets.texts.length === 2);
    expect(packets.texts).to.deep.equal(['one', 'two']);
    expect(capture.counters.restarts).to.equal(1);
    expect(log.lines).to.deep.equal([
      'capturing on pfsync0, link-type PFSYNC',
      'pfsync0: tcpdump: pcap_loop: The interface disappeared; again in 0.5 s',
      'capturing again on pfsync0, link-type PFSYNC',
    ]);
  });

  it('waits longer each time that tcpdump ends at once, and not after a long run', async () => {
    const capture = captureWith(`${LISTENING}; exit 1`);
    await capture.start();
    const pauses: number[] = [];
    for (const duration of [0, 0, 0, 0, 0, 0, 0, 0, 10_000, 9999]) {
      await until(() => timers.pending.size > 0);
      pauses.push(...timers.running);
      timers.expire();
      now += duration;
    }
    await until(() => timers.pending.size > 0);
    expect(pauses).to.deep.equal([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000, 500]);
    expect(timers.running).to.deep.equal([1000]);
    expect(log.lines.filter((line) => line.includes('again in')).slice(0, 3)).to.deep.equal(
      [0.5, 1, 2].map((seconds) => `pfsync0: tcpdump: ended; again in ${seconds} s`),
    );
  });

  it('counts a run that ends in the middle of a packet, and keeps those before it', async () => {
    const file = captureFile(['one', 'two']);
    const capture = captureWith(`${LISTENING}; head -c -1 ${file}; exit 1`);
    await capture.start();
    await until(() => log.lines.some((line) => line.includes('again in')));
    expect(packets.texts).to.deep.equal(['one']);
    expect(capture.counters.cut).to.equal(1);
    expect(log.lines).to.include('pfsync0: the capture ends in the middle of packet 2');
  });

  it('leaves packets with tcpdump while the consumer is congested', async () => {
    const done = join(folder, 'done');
    const large = Array.from({ length: 2000 }, () => 'x'.repeat(1400));
    packets.isCongested = true;
    const capture = captureWith(`${LISTENING}; cat ${captureFile(large)}; touch ${done}; ${UNTIL_TERM}`);
    await capture.start();
    await until(() => packets.texts.length > 0);
    await sleep(100);
    expect(packets.texts).to.have.length(1);
    expect(existsSync(done)).to.equal(false);
    packets.unblock();
    await until(() => packets.texts.length === large.length);
  });

  it('requests the statistics of tcpdump while it runs', async function () {
    if (process.platform !== 'linux') this.skip();
    const told =
      'echo "tcpdump: 7 packets captured, 8 packets received by filter, 1 packet dropped by kernel" >&2';
    const capture = captureWith(`trap '${told}' USR1; ${LISTENING}; ${UNTIL_TERM}`);
    await capture.start();
    await capture.requestStatistics();
    expect(capture.counters.kernelDrops).to.equal(1);
    expect(timers.running).to.deep.equal([]);
  });

  it('does not wait for ever for statistics', async function () {
    if (process.platform !== 'linux') this.skip();
    const capture = captureWith(`trap '' USR1; ${LISTENING}; ${UNTIL_TERM}`);
    await capture.start();
    const requested = capture.requestStatistics();
    expect(timers.running).to.deep.equal([500]);
    timers.expire();
    await requested;
    expect(capture.counters.kernelDrops).to.equal(0);
  });

  it('warns that pflog0 shows packets, not states', async () => {
    const listening = LISTENING.replace('pfsync0, link-type PFSYNC', 'pflog0, link-type PFLOG (log)');
    const capture = captureWith(`${listening}; ${UNTIL_TERM}`, { interfaceName: 'pflog0' });
    await capture.start();
    expect(log.lines.at(-1)).to.equal('-i pflog0: it shows packets, not states: capture pfsync0');
  });

  it('warns of a link type that holds no pfsync messages, once for all runs', async () => {
    const file = captureFile(['one', 'two']);
    writeFileSync(file, readFileSync(file).fill(9, 20, 21));
    const capture = captureWith(`${LISTENING}; cat ${file}`);
    await capture.start();
    await startAgain();
    await until(() => packets.texts.length === 4);
    expect(log.lines.filter((line) => line.startsWith('pfsync0: link type 9 (PPP): '))).to.have.length(1);
  });

  describe('by a shell that keeps its rights', () => {
    let shells: PrivilegedShells;

    beforeEach(() => {
      shells = new PrivilegedShells();
    });

    afterEach(() => shells.close());

    it('starts tcpdump again, and loses nothing of either run', async () => {
      const many = Array.from({ length: 5000 }, (_, n) => `packet ${n}`);
      const script = `${LISTENING}; trap '' TERM; cat ${captureFile(many)}; ${COUNTS}`;
      const capture = captureWith(script, { spawn: shells.spawn });
      await capture.start();
      await startAgain();
      await until(() => timers.pending.size > 0);
      await capture.stop();
      expect(packets.texts).to.deep.equal([...many, ...many]);
      expect(capture.counters).to.deep.equal({
        restarts: 1,
        received: 10_000,
        kernelDrops: 4,
        unread: 6,
        cut: 0,
      });
    });

    it('ends tcpdump, which may be of another user', async () => {
      const capture = captureWith(`${ON_TERM}; ${LISTENING}; cat ${captureFile(['one'])}; ${FOREVER}`, {
        spawn: shells.spawn,
      });
      await capture.start();
      await capture.stop();
      expect(packets.texts).to.deep.equal(['one']);
      expect(capture.counters).to.include({ received: 1, kernelDrops: 2 });
    });

    it('tells that there is no tcpdump', async () => {
      const capture = captureWith('', { spawn: shells.spawn, command: ['no-such-tcpdump'] });
      expect((await failureOf(capture))?.message).to.match(/no-such-tcpdump is not found: install tcpdump/);
    });
  });

  it('ends a tcpdump that ignores SIGTERM', async () => {
    const capture = captureWith(`trap '' TERM; ${LISTENING}; exec sleep 60`);
    await capture.start();
    const stopped = capture.stop();
    expect(timers.running).to.deep.equal([2000]);
    timers.expire();
    await stopped;
  });
});
