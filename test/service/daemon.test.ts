import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import {
  mkdtempSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { parseOptions } from '../../src/cli/options.js';
import { withAbsolutePaths } from '../../src/service/daemon.js';

const DAEMON = new URL('../../src/service/daemon.js', import.meta.url).href;

/** A program that goes to the background, and there does what its first argument says. */
const PROGRAM = `
import { readFileSync, readlinkSync, writeFileSync, writeSync } from 'node:fs';
import { goToBackground, takeBackground } from ${JSON.stringify(DAEMON)};
const background = takeBackground();
if (background === undefined) process.exit(await goToBackground());
const [deed, file] = process.argv.slice(2);
if (deed === 'fail') { writeSync(2, 'pfflowd: no such thing\\n'); process.exit(1); }
if (deed === 'throw') throw new Error('a fault');
if (deed === 'die') process.kill(process.pid, 'SIGKILL');
if (deed === 'wait') setTimeout(() => {}, 60_000);
if (deed === 'ready') {
  process.on('SIGTERM', () => process.exit(0));
  setTimeout(() => process.exit(0), 60_000);
  writeSync(2, 'pfflowd: a last word\\n');
  const before = process.cwd();
  background.ready();
  writeSync(2, 'nobody reads this\\n');
  const descriptors = [0, 1, 2].map((n) => { try { return readlinkSync('/proc/self/fd/' + n); } catch { return ''; } });
  const [, session] = /^\\d+ \\(.*\\) \\S \\d+ \\d+ (\\d+)/s.exec(readFileSync('/proc/self/stat', 'latin1'));
  writeFileSync(file, JSON.stringify({
    pid: process.pid, session: Number(session), before, cwd: process.cwd(), descriptors, argv: process.argv.slice(1),
    hasMarker: Object.keys(process.env).some((name) => name.startsWith('PFFLOWD')),
  }));
}`;

describe('goToBackground', function () {
  if (process.platform !== 'linux') return;
  this.timeout(30_000);
  let directory: string;
  let program: string;
  before(() => {
    directory = realpathSync(mkdtempSync(join(tmpdir(), 'pfflowd-daemon-')));
    program = join(directory, 'program.mjs');
    writeFileSync(program, PROGRAM);
  });
  after(() => rmSync(directory, { recursive: true }));

  /** Runs it as a shell does: until it has ended and nobody holds the pipes any more. */
  function run(...args: string[]): SpawnSyncReturns<string> {
    return spawnSync(process.execPath, [program, ...args], {
      cwd: directory,
      encoding: 'utf8',
      timeout: 20_000,
    });
  }

  it('leaves with 0 once the other process is ready, which runs on by itself', async () => {
    const file = join(directory, 'told');
    const { status, stdout, stderr } = run('ready', file);
    expect([status, stdout, stderr]).to.deep.equal([0, '', 'pfflowd: a last word\n']);
    let text = '';
    while (!text.endsWith('}')) text = contentOf(file);
    const told = JSON.parse(text);
    process.kill(told.pid, 'SIGTERM');
    expect(told).to.deep.equal({
      pid: told.pid,
      session: told.pid,
      before: directory,
      cwd: '/',
      descriptors: ['/dev/null', '/dev/null', '/dev/null'],
      argv: [program, 'ready', file],
      hasMarker: false,
    });
  });

  const failures = [
    { deed: 'fail', status: 1, says: /^pfflowd: no such thing\n$/ },
    { deed: 'throw', status: 1, says: /Error: a fault/ },
    { deed: 'die', status: 1, says: /^pfflowd: ended by SIGKILL while it started\n$/ },
  ];
  for (const { deed, status, says } of failures) {
    it(`passes on why it did not start: ${deed}`, () => {
      const result = run(deed);
      expect(result.status).to.equal(status);
      expect(result.stderr).to.match(says);
    });
  }

  it('passes a signal on while it waits', () => {
    const line = `"$0" "$1" wait & sleep 1; kill -s TERM $!; wait $!`;
    const { status, stderr } = spawnSync('/bin/sh', ['-c', line, process.execPath, program], {
      encoding: 'utf8',
      timeout: 20_000,
    });
    expect([status, stderr]).to.deep.equal([1, 'pfflowd: ended by SIGTERM while it started\n']);
  });

  it('keeps the name that the program was called by, which rc scripts look for', () => {
    const link = join(directory, 'pfflowd');
    symlinkSync('program.mjs', link);
    const file = join(directory, 'told-link');
    expect(spawnSync(process.execPath, [link, 'ready', file], { timeout: 20_000 }).status).to.equal(0);
    let text = '';
    while (!text.endsWith('}')) text = contentOf(file);
    const { pid, argv } = JSON.parse(text);
    process.kill(pid, 'SIGTERM');
    expect([argv[0], readlinkSync(link)]).to.deep.equal([link, 'program.mjs']);
  });
});

function contentOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

describe('withAbsolutePaths', () => {
  const cases = [
    { argv: ['-o', 'flows.json', '--format', 'json'], field: 'output', path: '/home/op/flows.json' },
    { argv: ['-o', '../x', '--format', 'json'], field: 'output', path: '/home/x' },
    { argv: ['--format', 'json'], field: 'output', path: '-' },
    { argv: ['--pid-file', 'run/pid', '-D'], field: 'pidFile', path: '/home/op/run/pid' },
    { argv: ['--pid-file', '/run/pid', '-D'], field: 'pidFile', path: '/run/pid' },
    { argv: ['-D'], field: 'pidFile', path: undefined },
    { argv: ['-c', 'my.conf', '-D'], field: 'config', path: '/home/op/my.conf' },
  ] as const;
  for (const { argv, field, path } of cases) {
    it(`makes ${argv.join(' ')} ${path}`, () => {
      const options = parseOptions(argv, () => '');
      expect(withAbsolutePaths(options, '/home/op')[field]).to.equal(path);
    });
  }
});
