import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { cacheOf, compile } from '../src/code-cache.js';
import { LIKELY_RUNS, likelyRun } from '../src/likely-run.js';
import { VERSION } from '../src/version.js';
import { PROGRAM } from './peer/pfflowd.js';

const DIST = join(PROGRAM, '..');

describe('the code that the build keeps', () => {
  let folder = '';
  let file = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pfflowd-code-'));
    cpSync(DIST, folder, { recursive: true });
    file = join(folder, readdirSync(folder).find((name) => /^program-.*\.js$/.test(name))!);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function version(): string {
    const { stdout, stderr } = spawnSync(process.execPath, [join(folder, 'pfflowd.js'), '--version'], {
      encoding: 'utf8',
    });
    return stdout + stderr;
  }

  for (const run of LIKELY_RUNS) {
    it(`is taken by the Node.js that built it, in a run of the kind ${run}`, () => {
      expect(compile(file, run).cachedDataRejected).to.equal(false);
      expect(version()).to.equal(`pfflowd ${VERSION}\n`);
    });
  }

  it('is not needed', () => {
    rmSync(cacheOf(file, 'fixed'));
    expect(compile(file, 'fixed').cachedDataRejected).to.equal(undefined);
    expect(version()).to.equal(`pfflowd ${VERSION}\n`);
  });

  for (const [what, spoil] of [
    ['of another version of V8', (code: Buffer) => code.fill(0x5a, 0, 16)],
    ['cut short', (code: Buffer) => code.subarray(0, code.length / 2)],
    ['empty', () => Buffer.alloc(0)],
  ] as const) {
    it(`is refused when it is ${what}, and the program runs all the same`, () => {
      writeFileSync(cacheOf(file, 'fixed'), spoil(readFileSync(cacheOf(file, 'fixed'))));
      expect(compile(file, 'fixed').cachedDataRejected).to.equal(true);
      expect(version()).to.equal(`pfflowd ${VERSION}\n`);
    });
  }

  it('is refused when the program is another one', () => {
    writeFileSync(file, `${readFileSync(file, 'latin1')};`);
    expect(compile(file, 'fixed').cachedDataRejected).to.equal(true);
    expect(version()).to.equal(`pfflowd ${VERSION}\n`);
  });
});

describe('the likely run', () => {
  for (const [line, run] of [
    ['-r x.pcap -n 127.0.0.1:9995', 'fixed'],
    ['-v 5 -n 127.0.0.1:9', 'fixed'],
    ['', 'fixed'],
    ['-n 127.0.0.1:4739 -v ipfix', 'templates'],
    ['-v 10 -n [::1]:4739', 'templates'],
    ['-v 9 -n 127.0.0.1:9995 -i pfsync0', 'templates'],
    ['-r - --format json', 'text'],
    ['-v 10 --format=csv -o x.csv', 'text'],
  ] as const) {
    it(`of ${line || 'no options'} is of the kind ${run}`, () => {
      expect(likelyRun(line.split(' '))).to.equal(run);
    });
  }
});
