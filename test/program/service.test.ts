import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { endedState } from '../peer/ended-state.js';
import { PROGRAM } from '../peer/pfflowd.js';
import { encodeMessage, encodeState } from '../peer/pfsync-writer.js';
import { UdpCollector } from '../peer/udp-collector.js';

/** Debian's and the BSDs' user without rights. */
const NOBODY = 65534;
const canDrop = process.platform === 'linux' && process.getuid?.() === 0;

const message = (n: number) =>
  encodeMessage('v3', [
    { action: 'delete', records: [encodeState('v3', endedState(n, [2n, 3n], [100n, 200n]))] },
  ]);

async function until(isTrue: () => boolean, limit = 8000): Promise<void> {
  for (let waited = 0; waited < limit && !isTrue(); waited += 20) await sleep(20);
  expect(isTrue()).to.equal(true);
}

async function freePort(): Promise<number> {
  const udp = await UdpCollector.listen('127.0.0.1');
  const { port } = udp;
  await udp.close();
  return port;
}

describe('the program as a service', () => {
  let folder = '';
  const children: ChildProcess[] = [];
  const pids: number[] = [];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'service-'));
    chmodSync(folder, 0o777);
  });
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    for (const pid of pids.splice(0)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended, as it should.
      }
    }
    rmSync(folder, { recursive: true });
  });

  function start(args: readonly string[]) {
    const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    children.push(child);
    let text = '';
    child.stderr.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    const closed = once(child, 'close') as Promise<[number | null]>;
    return { child, stderr: () => text, status: async () => (await closed)[0] };
  }

  /** Sends a message, and sees to it that it was read: datagrams on loopback are not lost, but take their time. */
  async function tell(port: number, n: number): Promise<void> {
    const socket = createSocket('udp4');
    await new Promise((resolve) => socket.send(message(n), port, '127.0.0.1', resolve));
    socket.close();
  }

  const user = canDrop ? ['--user', 'nobody'] : [];

  it('logs statistics on USR1, goes on in a new file after HUP, and ends with TERM', async () => {
    const port = await freePort();
    const [file, rotated] = [join(folder, 'flows.json'), join(folder, 'flows.json.0')];
    const args = [
      '-d',
      ...user,
      '--listen',
      `127.0.0.1:${port}`,
      '--format',
      'json',
      '-o',
      file,
      '--hold',
      '0.2',
    ];
    const { child, stderr, status } = start([...args, '--summary', 'json']);
    await until(() => /listening on/.test(stderr()) && /rights|dropped/.test(stderr()));
    await tell(port, 1);
    await until(() => readFileSync(file, 'utf8').split('\n').length === 3);
    child.kill('SIGUSR1');
    await until(() => /states ended\s+1/.test(stderr()));
    renameSync(file, rotated);
    // A file that is there already belongs to whoever rotates.
    writeFileSync(file, '');
    if (canDrop) chownSync(file, NOBODY, NOBODY);
    child.kill('SIGHUP');
    await until(() => /reopened/.test(stderr()));
    await tell(port, 2);
    await until(() => readFileSync(file, 'utf8').split('\n').length === 3);
    expect(readFileSync(rotated, 'utf8').split('\n').length).to.equal(3);
    child.kill('SIGTERM');
    expect(await status()).to.equal(0);
    const summary = JSON.parse(stderr().trimEnd().split('\n').at(-1) ?? '');
    expect(summary.states.ended).to.equal(2);
    expect(summary.flows).to.equal(4);
  });

  it('sends templates at once to a collector that comes back', async () => {
    const port = await freePort();
    const collectorPort = await freePort();
    const collector = `127.0.0.1:${collectorPort}`;
    const args = [
      '-d',
      ...user,
      '--listen',
      `127.0.0.1:${port}`,
      '-n',
      collector,
      '-v',
      '10',
      '--hold',
      '0.1',
      '-m',
      '60',
    ];
    const { child, stderr, status } = start([...args, '--summary', 'json', '--no-export-stats']);
    await until(() => /rights|dropped/.test(stderr()));
    // Nobody listens for the first flows, with which the templates go.
    for (let n = 0; n < 12; n++) {
      await tell(port, n);
      await sleep(150);
    }
    const datagrams: Buffer[] = [];
    const back = createSocket('udp4');
    back.on('message', (datagram) => datagrams.push(datagram));
    await new Promise<void>((resolve) => back.bind(collectorPort, '127.0.0.1', resolve));
    for (let n = 20; n < 24; n++) {
      await tell(port, n);
      await sleep(150);
    }
    await until(() => datagrams.length >= 3);
    back.close();
    const setIds = datagrams.map((datagram) => datagram.readUInt16BE(16));
    expect(setIds.slice(0, 2), 'the first or second message announces templates').to.include(2);
    child.kill('SIGTERM');
    expect(await status()).to.equal(3);
    const summary = JSON.parse(stderr().trimEnd().split('\n').at(-1) ?? '');
    expect(summary.collectors[0].lostRecords).to.be.greaterThan(0);
    expect(summary.flows).to.equal(32);
  });

  (canDrop ? it : it.skip)(
    'goes to the background with a pid file, as a user without rights (root on Linux only)',
    async () => {
      const port = await freePort();
      const [file, pidFile] = [join(folder, 'flows.json'), join(folder, 'pfflowd.pid')];
      const args = [
        '--listen',
        `127.0.0.1:${port}`,
        '--format',
        'json',
        '-o',
        file,
        '--pid-file',
        pidFile,
        '--hold',
        '0.2',
      ];
      const { status, stderr } = start([...args, '--user', 'nobody']);
      expect(await status(), stderr()).to.equal(0);
      const pid = Number(readFileSync(pidFile, 'utf8'));
      pids.push(pid);
      const proc = readFileSync(`/proc/${pid}/status`, 'utf8');
      for (const line of ['Uid', 'Gid'])
        expect(proc).to.match(new RegExp(`^${line}:(\\s+${NOBODY}){4}$`, 'm'));
      expect(proc).to.match(/^CapEff:\s+0+$/m);
      const second = start([...args, '--user', 'nobody']);
      expect(await second.status()).to.equal(1);
      expect(second.stderr()).to.match(/already running/);
      await tell(port, 1);
      await until(() => readFileSync(file, 'utf8').split('\n').length === 3);
      process.kill(pid, 'SIGTERM');
      await until(() => !existsSync(`/proc/${pid}`));
      expect(existsSync(pidFile) ? readFileSync(pidFile, 'utf8') : '').to.equal('');
    },
  );
});
