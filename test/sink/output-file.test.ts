import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { OutputFile } from '../../src/sink/output-file.js';

const MODULE = new URL('../../src/sink/output-file.js', import.meta.url).href;

function refusal(code: string, errno: number): Error {
  return Object.assign(new Error(`${code}: no, write`), { code, errno });
}

describe('an output file', () => {
  let folder: string;
  let path: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'output-file-'));
    path = join(folder, 'flows');
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  it('holds text and octets in the order written, around the size of a block', () => {
    const file = new OutputFile(path);
    const pieces = [
      'a'.repeat(65535),
      'b',
      Buffer.alloc(65536, 'c'),
      'é€𝄞',
      Buffer.alloc(200000, 'd'),
      'e'.repeat(65536),
      '',
      'f'.repeat(21846),
      Buffer.from([0, 0xff]),
    ];
    for (const piece of pieces) file.write(piece);
    file.close();
    expect(readFileSync(path).equals(Buffer.concat(pieces.map((piece) => Buffer.from(piece))))).to.equal(
      true,
    );
  });

  it('empties the file that was there, and writes nothing before it is flushed', () => {
    const before = new OutputFile(path);
    before.write('old');
    before.close();
    const file = new OutputFile(path);
    file.write('new');
    expect(readFileSync(path, 'utf8')).to.equal('');
    file.flush();
    expect(readFileSync(path, 'utf8')).to.equal('new');
    file.close();
  });

  it('goes on after partial writes, interruptions and a full pipe', () => {
    const written: number[] = [];
    let call = 0;
    const file = new OutputFile(path, {
      write(_descriptor, bytes, offset, length) {
        call++;
        if (call % 3 === 1) throw refusal('EAGAIN', -11);
        if (call % 3 === 2) throw refusal('EINTR', -4);
        const part = Math.min(length, 7);
        written.push(...bytes.subarray(offset, offset + part));
        return part;
      },
    });
    file.write('some flows, no more');
    file.close();
    expect(Buffer.from(written).toString()).to.equal('some flows, no more');
  });

  it('throws file and reason once, and drops what comes after', () => {
    let calls = 0;
    const file = new OutputFile(path, {
      write() {
        calls++;
        throw refusal('ENOSPC', -28);
      },
    });
    file.write('flows');
    expect(() => file.flush()).to.throw(/^[^\n]*flows: no space left on device$/);
    expect(file.isClosed).to.equal(true);
    file.write('more');
    file.flush();
    file.close();
    expect(calls).to.equal(1);
  });

  it('says so when the disk is full', function () {
    if (!existsSync('/dev/full')) this.skip();
    const file = new OutputFile('/dev/full');
    file.write('flows');
    expect(() => file.close()).to.throw('/dev/full: no space left on device');
  });

  const unopenable: [claim: string, path: () => string, reason: string][] = [
    ['a folder that is not there', () => join(folder, 'none', 'flows'), 'no such file or directory'],
    ['a folder', () => folder, 'illegal operation on a directory'],
  ];
  for (const [what, where, reason] of unopenable) {
    it(`refuses ${what} when it is made`, () => {
      expect(() => new OutputFile(where())).to.throw(`${where()}: ${reason}`);
    });
  }

  it('goes on in a new file after a rotation, and at the end of one that stayed', () => {
    const file = new OutputFile(path);
    file.write('one ');
    expect(file.reopen()).to.equal(false);
    file.write('two');
    renameSync(path, `${path}.0`);
    expect(file.reopen()).to.equal(true);
    file.write('three');
    file.close();
    expect(readFileSync(`${path}.0`, 'utf8')).to.equal('one two');
    expect(readFileSync(path, 'utf8')).to.equal('three');
  });

  it('keeps the old file when the new one cannot be opened', () => {
    const inner = mkdtempSync(join(folder, 'inner-'));
    const file = new OutputFile(join(inner, 'flows'));
    file.write('one ');
    renameSync(inner, `${inner}.gone`);
    expect(() => file.reopen()).to.throw('no such file or directory');
    file.write('two');
    file.close();
    expect(readFileSync(join(`${inner}.gone`, 'flows'), 'utf8')).to.equal('one two');
  });

  it('opens again after an error, for then there may be room', () => {
    let isFull = true;
    const file = new OutputFile(path, {
      write(_descriptor, _bytes, _offset, length) {
        if (isFull) throw refusal('ENOSPC', -28);
        return length;
      },
    });
    file.write('lost');
    expect(() => file.flush()).to.throw('no space left');
    isFull = false;
    expect(file.reopen()).to.equal(true);
    expect(file.isClosed).to.equal(false);
    file.close();
  });

  it('calls back once when the reader has gone, and is quiet from then on', () => {
    let gone = 0;
    let calls = 0;
    const file = new OutputFile(path, {
      onReaderGone: () => {
        gone++;
      },
      write() {
        calls++;
        throw refusal('EPIPE', -32);
      },
    });
    file.write('flows');
    file.flush();
    file.write(Buffer.alloc(100000));
    file.flush();
    file.close();
    expect([gone, calls, file.isClosed]).to.deep.equal([1, 1, true]);
  });
});

describe('standard output as an output file', () => {
  function start(program: string) {
    return spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
  }
  function ended(child: ReturnType<typeof start>): Promise<number | null> {
    return new Promise((resolve) => {
      child.once('exit', resolve);
    });
  }

  it('waits for a slow reader of a pipe that does not block', async () => {
    // Looking at process.stdout is what makes the descriptor non-blocking.
    const child = start(`
      import { OutputFile } from ${JSON.stringify(MODULE)};
      process.stdout.isTTY;
      const file = new OutputFile('-');
      for (let n = 0; n < 40000; n++) file.write(String(n).padStart(99, '.') + '\\n');
      file.close();
    `);
    const code = ended(child);
    const hash = createHash('sha256');
    await delay(300);
    for await (const part of child.stdout) hash.update(part);
    const expected = createHash('sha256');
    for (let n = 0; n < 40000; n++) expected.update(`${String(n).padStart(99, '.')}\n`);
    expect(hash.digest('hex')).to.equal(expected.digest('hex'));
    expect(await code).to.equal(0);
  });

  it('ends quietly when the reader has seen enough', async () => {
    const child = start(`
      import { OutputFile } from ${JSON.stringify(MODULE)};
      let isGone = false;
      const file = new OutputFile('-', { onReaderGone: () => { isGone = true; } });
      for (let n = 0; !isGone && n < 1e6; n++) file.write('x'.repeat(99) + '\\n');
      process.exitCode = isGone && file.isClosed ? 0 : 9;
    `);
    const code = ended(child);
    child.stdout.once('data', () => child.stdout.destroy());
    expect(await code).to.equal(0);
  });

  it('is not closed with the file, nor opened anew', async () => {
    const child = start(`
      import { writeSync } from 'node:fs';
      import { OutputFile } from ${JSON.stringify(MODULE)};
      const file = new OutputFile('-');
      file.write('one ');
      file.write(String(file.reopen()));
      file.close();
      writeSync(1, ' two');
    `);
    const code = ended(child);
    let text = '';
    for await (const part of child.stdout) text += part;
    expect(text).to.equal('one false two');
    expect(await code).to.equal(0);
  });
});
