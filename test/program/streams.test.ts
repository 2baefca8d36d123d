/** Standard streams that fail, and errors that nobody foresaw. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { endedState } from '../peer/ended-state.js';
import { NODE, PROGRAM, quoteLargeNumbers, run } from '../peer/pfflowd.js';
import { encodeMessage, encodeState } from '../peer/pfsync-writer.js';
import { StreamCollector, until } from '../peer/stream-collector.js';
import { UdpCollector } from '../peer/udp-collector.js';

const V3 = fileURLToPath(new URL('../../../captures/v3_dlt246.pcap', import.meta.url));
const FLOWS = 21;

let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'pfflowd-streams-'));
});
after(() => rmSync(folder, { recursive: true }));

/** Runs a line for the shell, in which `"$@"` is the program. */
function shell(line: string) {
  const args = ['-c', line, 'sh', NODE, PROGRAM];
  return spawnSync('/bin/sh', args, { encoding: 'utf8', timeout: 15_000 });
}

describe('standard streams', () => {
  for (const option of ['-h', '--version']) {
    it(`${option} into a pipe that nobody reads: one line, status 1`, async () => {
      const child = spawn(NODE, [PROGRAM, option], { stdio: ['ignore', 'pipe', 'pipe'] });
      child.stdout.destroy();
      let stderr = '';
      child.stderr.on('data', (text) => {
        stderr += text;
      });
      const [status] = await once(child, 'close');
      expect([status, stderr]).to.deep.equal([1, 'pfflowd: standard output: broken pipe\n']);
    });

    it(`${option} into a full device: one line, status 1`, function () {
      if (process.platform !== 'linux') this.skip();
      const { status, stderr } = shell(`"$@" ${option} >/dev/full`);
      expect([status, stderr]).to.deep.equal([1, 'pfflowd: standard output: no space left on device\n']);
    });

    it(`${option} in a working directory that was removed`, () => {
      const { status, stdout, stderr } = shell(`d=$(mktemp -d); cd "$d"; rmdir "$d"; "$@" ${option}`);
      expect([status, stderr]).to.deep.equal([0, '']);
      expect(stdout).to.match(/pfflowd/);
    });
  }

  it('a usage error without a standard error has status 1', function () {
    if (process.platform !== 'linux') this.skip();
    expect(shell('"$@" --bogus 2>/dev/full').status).to.equal(1);
    expect(shell('"$@" --bogus 2>&-').status).to.equal(1);
  });

  it('a summary that cannot be written changes nothing', function () {
    if (process.platform !== 'linux') this.skip();
    const { status, stdout } = shell(`"$@" -r '${V3}' --format json 2>/dev/full`);
    expect([status, stdout.trimEnd().split('\n').length]).to.deep.equal([0, FLOWS]);
  });

  it('a reader that goes away ends a run that writes to nobody else', async () => {
    const child = spawn(NODE, [PROGRAM, '-r', '-', '--format', 'json', '--summary', 'none']);
    child.stdin.on('error', () => {});
    child.stdin.write(readFileSync(V3));
    await once(child.stdout, 'data');
    child.stdout.destroy();
    // Standard input stays open: only the reader's end can end the run.
    const records = readFileSync(V3).subarray(24);
    const timer = setInterval(() => child.stdin.write(records), 50);
    const [status] = await once(child, 'close');
    clearInterval(timer);
    expect(status).to.equal(0);
  });

  it('a reader that goes away does not end a run that sends to a collector as well', async () => {
    const udp = await UdpCollector.listen('127.0.0.1');
    const args = ['-r', '-', '--format', 'json', '-n', udp.endpoint, '-v', '10', '--summary', 'json'];
    const child = spawn(NODE, [PROGRAM, ...args]);
    let stderr = '';
    child.stderr.on('data', (text) => {
      stderr += text;
    });
    const [header, records] = [readFileSync(V3).subarray(0, 24), readFileSync(V3).subarray(24)];
    child.stdin.write(Buffer.concat([header, records]));
    await once(child.stdout, 'data');
    child.stdout.destroy();
    for (let n = 0; n < 200; n++) child.stdin.write(records);
    child.stdin.end();
    const [status] = await once(child, 'close');
    expect(status).to.equal(3);
    const summary = JSON.parse(quoteLargeNumbers(stderr.trimEnd().split('\n').at(-1)!));
    await udp.received(summary.datagrams);
    await udp.close();
    expect(summary.flows).to.equal(201 * FLOWS);
    expect(summary.records).to.equal(udp.collector.flows.length);
    expect(udp.collector.flows.length).to.be.greaterThan(200 * FLOWS);
  });
});

describe('an error that nobody foresaw', () => {
  const faults: [what: string, code: string][] = [
    ['an exception in a callback', `setImmediate(() => { throw new TypeError('two\\nlines'); });`],
    ['a rejection that nobody awaits', `Promise.reject(new TypeError('two\\nlines'));`],
    ['something thrown that is no error', `setImmediate(() => { throw 'two\\nlines'; });`],
  ];
  /** Loaded before the program: throws when the file appears that the environment names. */
  const preload = (code: string) => `
    import { existsSync } from 'node:fs';
    const timer = setInterval(() => {
      if (!existsSync(process.env.FAULT)) return;
      clearInterval(timer);
      ${code}
    }, 10);
    timer.unref();`;

  function faulty(name: string, code: string, args: readonly string[]) {
    const module = join(folder, `${name}.mjs`);
    const trigger = join(folder, `${name}.now`);
    writeFileSync(module, preload(code));
    const env = { ...process.env, NODE_OPTIONS: `--import=file://${module}`, FAULT: trigger };
    const child = spawn(NODE, [PROGRAM, '--summary', 'json', ...args], { env });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (text) => {
      stdout += text;
    });
    child.stderr.on('data', (text) => {
      stderr += text;
    });
    child.stdin.on('error', () => {});
    const closed = once(child, 'close');
    return {
      child,
      stdout: () => stdout,
      stderr: () => stderr,
      /** Makes the fault happen, and resolves when the program has ended. */
      async ends() {
        writeFileSync(trigger, '');
        const [status] = await closed;
        const lines = stderr.trimEnd().split('\n');
        const faults = lines.filter((line) => /error/.test(line) && !line.startsWith('{'));
        return { status, stdout, faults, summary: JSON.parse(quoteLargeNumbers(lines.at(-1)!)) };
      },
    };
  }

  for (const [index, [what, code]] of faults.entries()) {
    it(`${what} ends a live run in order: one line, what is queued, the summary, status 3`, async () => {
      const udp = await UdpCollector.listen('127.0.0.1');
      const file = join(folder, `${index}.json`);
      const port = await freePort();
      const args = ['-d', '--user', 'root', '--listen', `127.0.0.1:${port}`, '--hold', '60'];
      const outputs = ['-n', udp.endpoint, '-v', '10', '--format', 'json', '-o', file];
      const running = faulty(`live${index}`, code, [...args, ...outputs]);
      await until(() => /listening on/.test(running.stderr()), 'a listener', 15_000);
      await sendStates(port, 5);
      await until(() => isEnded(running, 5), 'five states', 15_000);
      const { status, faults, summary } = await running.ends();
      expect(faults).to.deep.equal(['pfflowd: internal error: two\\x0alines']);
      expect([status, summary.flows, summary.records]).to.deep.equal([3, 10, 10]);
      await udp.received(summary.datagrams);
      await udp.close();
      expect(udp.collector.flows.length).to.equal(10);
      expect(readFileSync(file, 'utf8').trimEnd().split('\n').length).to.equal(10);
    });

    it(`${what} ends a conversion in order, though its input goes on`, async () => {
      const running = faulty(`file${index}`, code, ['-r', '-', '--format', 'json']);
      running.child.stdin.write(readFileSync(V3));
      await until(() => running.stdout() !== '', 'the first flows', 15_000);
      const { status, stdout, faults, summary } = await running.ends();
      expect(faults).to.deep.equal(['pfflowd: internal error: two\\x0alines']);
      expect([status, summary.flows]).to.deep.equal([3, FLOWS]);
      expect(stdout.trimEnd().split('\n').length).to.equal(FLOWS);
    });
  }

  it('ends the run within seconds, though a collector takes nothing', async () => {
    const tcp = await StreamCollector.listen({ onConnection: (socket) => socket.pause() });
    const collector = `tcp://127.0.0.1:${tcp.port}`;
    const running = faulty('stuck', faults[0]![1], [
      '-r',
      '-',
      '-n',
      collector,
      '-v',
      '10',
      '--format',
      'json',
    ]);
    const records = readFileSync(V3).subarray(24);
    running.child.stdin.write(readFileSync(V3));
    for (let n = 0; n < 10_000; n++) running.child.stdin.write(records);
    // An error before the run has begun would be a failed start.
    await until(() => running.stdout() !== '', 'the first flows', 15_000);
    const { status, faults: lines, summary } = await running.ends();
    await tcp.close();
    expect([status, lines.length]).to.deep.equal([3, 1]);
    expect(summary.flows).to.be.greaterThan(0);
  });

  it('in the middle of a capture ends a conversion in order, with the flows before it', async () => {
    const module = join(folder, 'bug.mjs');
    writeFileSync(
      module,
      `let calls = 0;
      const { getUint8 } = DataView.prototype;
      DataView.prototype.getUint8 = function (at) {
        if (++calls === 100_000) throw new RangeError('a bug');
        return getUint8.call(this, at);
      };`,
    );
    const records = readFileSync(V3).subarray(24);
    const capture = join(folder, 'long.pcap');
    writeFileSync(capture, Buffer.concat([readFileSync(V3), ...Array(5000).fill(records)]));
    const options = { env: { NODE_OPTIONS: `--import=file://${module}` } };
    const { status, stdout, stderr, summary } = await run(['-r', capture, '--format', 'json'], options);
    expect(stderr.split('\n')[0]).to.equal('pfflowd: internal error: a bug');
    expect(stderr.trimEnd().split('\n').length).to.equal(2);
    expect(status).to.equal(3);
    expect(summary!.packets).to.be.within(1, 13 * 5000);
    expect(stdout.toString().trimEnd().split('\n').length).to.equal(summary!.flows);
  });
});

/** Asks for the statistics, and whether they tell of so many ended states. */
function isEnded({ child, stderr }: { child: ChildProcess; stderr(): string }, count: number): boolean {
  child.kill('SIGUSR1');
  return new RegExp(`states ended +${count} `).test(stderr());
}

/** Sends the full deletes of so many states, one in a datagram. */
async function sendStates(port: number, count: number): Promise<void> {
  const socket = createSocket('udp4');
  for (let n = 0; n < count; n++) {
    const record = encodeState('v3', endedState(n, [2n, 3n], [100n, 200n]));
    const message = encodeMessage('v3', [{ action: 'delete', records: [record] }]);
    await new Promise((resolve) => socket.send(message, port, '127.0.0.1', resolve));
  }
  socket.close();
}

async function freePort(): Promise<number> {
  const udp = await UdpCollector.listen('127.0.0.1');
  const { port } = udp;
  await udp.close();
  return port;
}
