import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { StartError } from '../../src/cli/errors.js';
import { openPidFile } from '../../src/service/pid-file.js';

const PID_FILE = new URL('../../src/service/pid-file.js', import.meta.url).href;

/** Another process that opens the file, tells how that went, and stays. */
const HOLDER = `
const { openPidFile } = await import(${JSON.stringify(PID_FILE)});
try {
  openPidFile(process.argv[1]);
  console.log('open');
  process.stdin.resume();
} catch (error) {
  console.log(error.message);
}`;

describe('openPidFile', () => {
  let directory: string;
  let path: string;
  const children: ChildProcess[] = [];
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'pfflowd-pid-'));
    path = join(directory, 'pfflowd.pid');
  });
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    rmSync(directory, { recursive: true });
  });

  async function startHolder(): Promise<{ child: ChildProcess; said: string }> {
    const child = spawn(process.execPath, ['--input-type=module', '-e', HOLDER, path], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    children.push(child);
    const [text] = await once(child.stdout!, 'data');
    return { child, said: String(text).trim() };
  }

  it('holds the process id and a newline, as every script expects, and goes at the end', () => {
    const file = openPidFile(path);
    expect(readFileSync(path, 'latin1')).to.equal(`${process.pid}\n`);
    expect(readdirSync(directory)).to.deep.equal(['pfflowd.pid']);
    file.release();
    expect(readdirSync(directory)).to.deep.equal([]);
    file.release();
  });

  it('is refused while another process has it, and free when that one is killed', async () => {
    const { child, said } = await startHolder();
    expect(said).to.equal('open');
    expect(() => openPidFile(path)).to.throw(StartError, `already running as pid ${child.pid} (${path})`);
    expect(readFileSync(path, 'latin1')).to.equal(`${child.pid}\n`);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(existsSync(path)).to.equal(true);
    openPidFile(path).release();
  });

  it('goes when the process exits by itself', async () => {
    const { child } = await startHolder();
    child.stdin!.end();
    await once(child, 'exit');
    expect(existsSync(path)).to.equal(false);
  });

  it('is had by one of many that start at once over a stale one', async () => {
    writeFileSync(path, '99999999\n');
    const holders = await Promise.all(Array.from({ length: 6 }, startHolder));
    const winners = holders.filter(({ said }) => said === 'open');
    expect(winners.length).to.equal(1);
    for (const { said } of holders)
      expect(said).to.match(/^(open$|already running as pid |pid file .* at the same time)/);
    expect(readFileSync(path, 'latin1')).to.equal(`${winners[0]!.child.pid}\n`);
  });

  const stale: [string, () => string][] = [
    ['of a process that is gone', () => `${spawnSync('true').pid}\n`],
    ['with our own id, which the last one had too', () => `${process.pid}\n`],
    ['that was emptied', () => ''],
    ['without a number', () => 'what is this\n'],
    ['with a number that is no process id', () => '99999999999999999999\n'],
    ['with a group', () => '-1\n'],
  ];
  for (const [what, content] of stale) {
    it(`takes over a file ${what}`, () => {
      writeFileSync(path, content());
      const file = openPidFile(path);
      expect(readFileSync(path, 'latin1')).to.equal(`${process.pid}\n`);
      file.release();
    });
  }

  it('takes over a file whose process id is that of somebody else now', () => {
    const other = spawn('sleep', ['60']);
    children.push(other);
    writeFileSync(path, `${other.pid}\n`);
    openPidFile(path).release();
    expect(existsSync(path)).to.equal(false);
  });

  it('leaves a file alone that is not its own any more', () => {
    const file = openPidFile(path);
    rmSync(path);
    writeFileSync(path, '1\n');
    file.release();
    expect(readFileSync(path, 'latin1')).to.equal('1\n');
  });

  it('names what is wrong in one line', () => {
    const missing = join(directory, 'none', 'pfflowd.pid');
    expect(() => openPidFile(missing)).to.throw(StartError, `pid file ${missing}: no such directory`);
    mkdirSync(path);
    expect(() => openPidFile(path)).to.throw(StartError, `pid file ${path}: not a regular file`);
  });

  it('is refused where the name is a link to nothing, which stays', () => {
    symlinkSync(join(directory, 'nothing'), path);
    expect(() => openPidFile(path)).to.throw(
      StartError,
      `pid file ${path}: a link to a file that does not exist`,
    );
    expect(readdirSync(directory)).to.deep.equal(['pfflowd.pid']);
  });

  it('is left empty where its directory is not the new user’s, and says so when it is not the old one’s', function () {
    if (process.getuid?.() !== 0) {
      expect(process.env.CI, 'CI runs as root').to.equal(undefined);
      this.skip();
    }
    const program = `
      const { openPidFile } = await import(${JSON.stringify(PID_FILE)});
      openPidFile(process.argv[1]);
      process.setgroups([]); process.setgid(65534); process.setuid(65534);
      try { openPidFile(process.argv[1] + '2'); } catch (error) { console.log(error.message); }`;
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program, path], {
      encoding: 'utf8',
    });
    expect(stdout).to.match(/^pid file \S+: permission denied: name another with --pid-file\n$/);
    expect(readFileSync(path, 'latin1')).to.equal('');
    openPidFile(path).release();
    expect(existsSync(path)).to.equal(false);
  });
});
