import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { Log } from '../../src/service/log.js';
import { loggerCommand, ServiceLog } from '../../src/service/service-log.js';

describe('ServiceLog', () => {
  let directory: string;
  let syslog: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'pfflowd-log-'));
    syslog = join(directory, 'syslog');
    writeFileSync(syslog, '');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  /** A logger is a line for the shell here, which writes to `$0`. */
  const logger = (line: string) => ['/bin/sh', '-c', line, syslog];
  const content = () => readFileSync(syslog, 'utf8');
  const close = (log: ServiceLog) => new Promise<void>((resolve) => log.end(() => resolve()));

  it('gives lines with their priorities to logger, without the name that it writes itself', async () => {
    const stream = new ServiceLog({ command: logger('cat >>"$0"') });
    const log = new Log({
      level: 'info',
      format: 'text',
      timestamps: false,
      priorities: true,
      stream,
      now: Date.now,
    });
    log.info('capturing on pfsync0');
    log.warn('pfflowd: is a name too');
    await log.close();
    await close(stream);
    expect(content()).to.equal('<6>capturing on pfsync0\n<4>pfflowd: is a name too\n');
  });

  it('starts a logger that died again, and keeps what comes meanwhile', async () => {
    const stream = new ServiceLog({ command: logger('head -n 1 >>"$0"') });
    stream.write('one\n');
    while (content() !== 'one\n') await sleep(5);
    await sleep(100);
    stream.write('two\n');
    while (content() !== 'one\ntwo\n') await sleep(5);
    await close(stream);
    expect(stream.dropped).to.equal(0);
  });

  it('never waits for a logger that does not read: lines beyond the queue are counted, and their number is logged when it reads again', async () => {
    const stream = new ServiceLog({
      command: logger('while [ ! -e "$0.go" ]; do sleep 0.05; done; cat >>"$0"'),
    });
    const line = `${'x'.repeat(999)}\n`;
    for (let count = 0; count < 2000; count++) expect(stream.write(line)).to.equal(true);
    expect(stream.dropped).to.be.within(1, 1740);
    writeFileSync(`${syslog}.go`, '');
    while (content().length === 0) await sleep(5);
    stream.write('last\n');
    await close(stream);
    const lines = content().trim().split('\n');
    expect(lines.slice(-2)).to.deep.equal([
      `${stream.dropped} lines of the log could not be written`,
      'last',
    ]);
    expect(lines.length).to.equal(2000 - stream.dropped + 2);
  });

  it('goes on without a logger', async () => {
    const stream = new ServiceLog({ command: ['/nonexistent/logger'] });
    for (let count = 0; count < 10; count++) {
      stream.write('line\n');
      await sleep(1);
    }
    await close(stream);
    expect(stream.dropped).to.equal(0);
  });

  it('leaves logger no rights that are not needed, when root starts it', async function () {
    if (process.getuid?.() !== 0) {
      expect(process.env.CI, 'CI runs as root').to.equal(undefined);
      this.skip();
    }
    chmodSync(directory, 0o755);
    chmodSync(syslog, 0o666);
    const stream = new ServiceLog({ command: logger('id >>"$0"'), account: { uid: 4711, gid: 4712 } });
    await close(stream);
    expect(content().trim()).to.match(/^uid=4711 gid=4712( groups=4712)?$/);
  });

  it('does not wait for ever for a logger at the end', async () => {
    const stream = new ServiceLog({ command: logger('exec sleep 60') });
    stream.write('line\n');
    await close(stream);
    expect(content()).to.equal('');
  });
});

describe('loggerCommand', () => {
  const systems = [
    { system: 'util-linux', prints: 'echo "logger from util-linux 2.38.1"', hasPriorities: true },
    { system: 'BSD', prints: 'echo "logger: illegal option -- -" >&2; exit 1', hasPriorities: false },
  ];
  for (const { system, prints, hasPriorities } of systems) {
    it(`${hasPriorities ? 'asks' : 'does not ask'} that of ${system} to read priorities`, () => {
      const directory = mkdtempSync(join(tmpdir(), 'pfflowd-logger-'));
      const program = join(directory, 'logger');
      writeFileSync(program, `#!/bin/sh\n${prints}\n`);
      chmodSync(program, 0o755);
      const result = loggerCommand(program);
      rmSync(directory, { recursive: true });
      expect(result.hasPriorities).to.equal(hasPriorities);
      expect(result.command.includes('--prio-prefix')).to.equal(hasPriorities);
      expect(result.command.slice(0, 5)).to.deep.equal([program, '-t', 'pfflowd', '-p', 'daemon.notice']);
    });
  }

  it('makes a command with which this system’s logger tells tag and priority', async function () {
    const { command, hasPriorities } = loggerCommand();
    // Another one cannot be told to send to us instead of to the system's log.
    if (!hasPriorities) this.skip();
    const syslog = createSocket('udp4').bind(0, '127.0.0.1');
    await once(syslog, 'listening');
    const there = ['--udp', '--server', '127.0.0.1', '--port', String(syslog.address().port)];
    const stream = new ServiceLog({ command: [...command, ...there] });
    stream.end(`<4>pfflowd: ${'long '.repeat(300)}\n`);
    const [message] = await once(syslog, 'message');
    syslog.close();
    expect(String(message)).to.match(/^<28>.*\bpfflowd\b.* (long ){299}long ?$/);
  });
});
