import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { cacheOf, compile } from '../src/code-cache.js';
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

  it('is taken by the Node.js that built it', () => {
    expect(compile(file).cachedDataRejected).to.equal(false);
    expect(version()).to.equal(`pfflowd ${VERSION}\n`);
  });

  it('is not needed', () => {
    rmSync(cacheOf(file));
    expect(compile(file).cachedDataRejected).to.equal(undefined);
    expect(version()).to.equal(`pfflowd ${VERSION}\n`);
  });

  for (const [what, spoil] of [
    ['of another version of V8', (code: Buffer) => code.fill(0x5a, 0, 16)],
    ['cut short', (code: Buffer) => code.subarray(0, code.length / 2)],
    ['empty', () => Buffer.alloc(0)],
  ] as const) {
    it(`is refused when it is ${what}, and the program runs all the same`, () => {
      writeFileSync(cacheOf(file), spoil(readFileSync(cacheOf(file))));
      expect(compile(file).cachedDataRejected).to.equal(true);
      expect(version()).to.equal(`pfflowd ${VERSION}\n`);
    });
  }

  it('is refused when the program is another one', () => {
    writeFileSync(file, `${readFileSync(file, 'latin1')};`);
    expect(compile(file).cachedDataRejected).to.equal(true);
    expect(version()).to.equal(`pfflowd ${VERSION}\n`);
  });
});
