import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { StartError } from '../../src/cli/errors.js';
import type { OpenMode } from '../../src/sink/open-output.js';
import { OutputFile, type OutputFileOptions } from '../../src/sink/output-file.js';

const MODULE = new URL('../../src/sink/output-file.js', import.meta.url).href;

function refusal(code: string, errno: number): Error {
  return Object.assign(new Error(`${code}: no, write`), { code, errno });
}

const NO_SPACE = refusal('ENOSPC', -28);
const FULL_PIPE = refusal('EAGAIN', -11);

/** Options, with the lines that were logged. */
function options(others: Partial<OutputFileOptions> = {}): OutputFileOptions & { readonly lines: string[] } {
  const lines: string[] = [];
  const limited = (key: string, text: string | (() => string)) => {
    lines.push(`${key}: ${typeof text === 'string' ? text : text()}`);
  };
  return { framing: 'lines', retryDelay: 1, ...others, log: { limited }, lines };
}

function begun(path: string, mode: OpenMode, others: Partial<OutputFileOptions> = {}): OutputFile {
  const file = OutputFile.open(path, mode, options(others));
  file.begin();
  return file;
}

function send(file: OutputFile, text: string | Uint8Array, records = 0): void {
  const octets = Buffer.from(text as string);
  file.send(octets, octets.length, records);
  // The caller uses its octets again.
  octets.fill(0xa5);
}

/** Takes octets until the room is used up, and then refuses. */
class Disk {
  text = '';
  room = 0;
  refusal: Error = NO_SPACE;
  readonly write = (_descriptor: number, octets: Uint8Array, offset: number, length: number): number => {
    if (this.room === 0) throw this.refusal;
    const taken = Math.min(length, this.room);
    this.text += Buffer.from(octets.subarray(offset, offset + taken)).toString('latin1');
    this.room -= taken;
    return taken;
  };
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 1));
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

  it('holds text and octets in the order sent, at once, whatever their length', async () => {
    const file = begun(path, 'replace');
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
    const expected = Buffer.concat(pieces.map((piece) => Buffer.from(piece as string)));
    for (const piece of pieces) send(file, piece);
    expect(readFileSync(path).equals(expected)).to.equal(true);
    await file.close();
    expect(readFileSync(path).equals(expected)).to.equal(true);
  });

  it('leaves the file as it is until it begins', async () => {
    writeFileSync(path, 'old');
    const file = OutputFile.open(path, 'replace', options());
    expect(readFileSync(path, 'utf8')).to.equal('old');
    const { mtimeMs } = statSync(path);
    await file.close();
    expect(readFileSync(path, 'utf8')).to.equal('old');
    expect(statSync(path).mtimeMs).to.equal(mtimeMs);
  });

  it('replaces what is there in a conversion', async () => {
    writeFileSync(path, 'something longer');
    const file = OutputFile.open(path, 'replace', options());
    expect(file.begin()).to.equal(true);
    send(file, 'new');
    await file.close();
    expect(readFileSync(path, 'utf8')).to.equal('new');
  });

  it('goes on at the end of what is there in a live run, also of what others wrote meanwhile', async () => {
    writeFileSync(path, 'one ');
    const file = OutputFile.open(path, 'append', options());
    expect(file.begin()).to.equal(false);
    writeFileSync(path, 'two ', { flag: 'a' });
    send(file, 'three');
    await file.close();
    expect(readFileSync(path, 'utf8')).to.equal('one two three');
  });

  it('is at its beginning in a live run when it is empty', async () => {
    const file = OutputFile.open(path, 'append', options());
    expect(file.begin()).to.equal(true);
    await file.close();
  });

  const unopenable: [claim: string, path: () => string, reason: string][] = [
    ['a folder that is not there', () => join(folder, 'none', 'flows'), 'no such file or directory'],
    ['a folder', () => folder, 'is a directory'],
  ];
  for (const [what, where, reason] of unopenable) {
    for (const mode of ['append', 'replace'] as const) {
      it(`refuses ${what} when it is opened, to ${mode}`, () => {
        expect(() => OutputFile.open(where(), mode, options())).to.throw(StartError, `${where()}: ${reason}`);
      });
    }
  }

  it('goes on after partial writes, interruptions and a full pipe', async () => {
    const written: number[] = [];
    let call = 0;
    const file = begun(path, 'replace', {
      write(_descriptor, octets, offset, length) {
        call++;
        if (call % 3 === 1) throw FULL_PIPE;
        if (call % 3 === 2) throw refusal('EINTR', -4);
        const part = Math.min(length, 7);
        written.push(...octets.subarray(offset, offset + part));
        return part;
      },
    });
    send(file, 'some flows, ', 1);
    send(file, 'no more', 1);
    await file.close();
    expect(Buffer.from(written).toString()).to.equal('some flows, no more');
    expect(file.result).to.include({ records: 2, lostRecords: 0, errors: 0 });
  });

  it('is congested while a full pipe has much to take, and drained when the pipe took it', async () => {
    const pipe = new Disk();
    pipe.refusal = FULL_PIPE;
    const file = begun(path, 'append', { write: pipe.write });
    const line = `${'x'.repeat(65_535)}\n`;
    let sent = 0;
    for (; !file.isCongested; sent++) send(file, line, 1);
    send(file, line, 1);
    sent++;
    expect(sent * line.length).to.be.within(1, 4 << 20);
    let isDrained = false;
    const drained = file.drained().then(() => {
      isDrained = true;
    });
    pipe.room = 10;
    await until(() => pipe.room === 0);
    expect([isDrained, file.isCongested]).to.deep.equal([false, true]);
    pipe.room = Number.POSITIVE_INFINITY;
    await drained;
    expect(file.isCongested).to.equal(false);
    await file.close();
    expect(pipe.text === line.repeat(sent)).to.equal(true);
    expect(file.result).to.include({ records: sent, lostRecords: 0, errors: 0 });
  });

  it('holds a bounded number of octets for a pipe that nobody empties, and counts the records beyond', async () => {
    const pipe = new Disk();
    pipe.refusal = FULL_PIPE;
    const file = begun(path, 'append', { write: pipe.write });
    const line = `${'x'.repeat(99_999)}\n`;
    for (let n = 0; n < 1000; n++) send(file, line, 1);
    const kept = 1000 - file.result.lostRecords;
    expect(kept * line.length).to.be.within(1 << 20, 32 << 20);
    pipe.room = Number.POSITIVE_INFINITY;
    await file.close();
    expect(pipe.text === line.repeat(kept)).to.equal(true);
    expect(file.result).to.include({ records: kept, lostRecords: 1000 - kept });
  });

  describe('that cannot be written', () => {
    it('says so, is not congested, and goes on where it stopped when there is room again', async () => {
      const disk = new Disk();
      disk.room = 12;
      const given = options({ write: disk.write });
      const file = OutputFile.open(path, 'append', given);
      send(file, 'first\nsecond\n', 2);
      send(file, 'third\n', 1);
      for (let n = 0; n < 50; n++) send(file, `${'x'.repeat(65_535)}\n`, 1);
      expect(file.isCongested).to.equal(false);
      await file.drained();
      await until(() => file.result.errors > 2);
      expect(disk.text).to.equal('first\nsecond');
      disk.room = Number.POSITIVE_INFINITY;
      await until(() => file.result.records === 53);
      expect(disk.text.slice(0, 20)).to.equal('first\nsecond\nthird\nx');
      await file.close();
      expect(file.result).to.include({ records: 53, lostRecords: 0 });
      expect(given.lines).to.deep.equal([`output: ${path}: no space left on device`]);
    });

    it('counts what finds no room in the queue, and keeps its lines whole', async () => {
      const disk = new Disk();
      disk.room = 100;
      const file = begun(path, 'append', { write: disk.write });
      const line = `${'y'.repeat(99_999)}\n`;
      for (let n = 0; n < 1000; n++) send(file, line, 1);
      const { lostRecords } = file.result;
      expect(lostRecords).to.be.within(700, 995);
      disk.room = Number.POSITIVE_INFINITY;
      await until(() => file.result.records === 1000 - lostRecords);
      send(file, 'last\n', 1);
      await file.close();
      expect(disk.text === `${line.repeat(1000 - lostRecords)}last\n`).to.equal(true);
    });

    it('counts the lines that it did not get at the end, and no others', async () => {
      const disk = new Disk();
      disk.room = 9;
      const file = begun(path, 'replace', { write: disk.write });
      send(file, 'head\n', 0);
      send(file, 'a\nb\nc\nd\n', 4);
      send(file, 'e\n', 1);
      await file.close();
      expect(disk.text).to.equal('head\na\nb\n');
      expect(file.result).to.include({ records: 2, lostRecords: 3 });
      expect(file.lost).to.include({ messages: 2, records: 3, octets: 6 });
    });

    it('takes the beginning of a line out of the file that it cannot finish', async () => {
      let room = 8;
      const write = (descriptor: number, octets: Uint8Array, offset: number, length: number): number => {
        if (room === 0) throw NO_SPACE;
        const taken = writeSync(descriptor, octets, offset, Math.min(length, room));
        room -= taken;
        return taken;
      };
      const file = begun(path, 'append', { write });
      send(file, 'one\ntwo\nthree\nfour\n', 4);
      room = 3;
      await until(() => room === 0);
      expect(readFileSync(path, 'utf8')).to.equal('one\ntwo\nthr');
      await file.close();
      expect(readFileSync(path, 'utf8')).to.equal('one\ntwo\n');
      expect(file.result).to.include({ records: 2, lostRecords: 2 });
    });

    it('takes the beginning of a message out of the file, whose records are lost together', async () => {
      let room = 16;
      const write = (descriptor: number, octets: Uint8Array, offset: number, length: number): number => {
        if (room === 0) throw NO_SPACE;
        const taken = writeSync(descriptor, octets, offset, Math.min(length, room));
        room -= taken;
        return taken;
      };
      const file = begun(path, 'replace', { write, framing: 'messages' });
      send(file, '0123456789', 3);
      send(file, 'abcd\nfghij', 4);
      await file.close();
      expect(readFileSync(path, 'utf8')).to.equal('0123456789');
      expect(file.result).to.include({ records: 3, lostRecords: 4 });
    });

    it('tries no more often than that, while records come', async () => {
      let tries = 0;
      const write = () => {
        tries++;
        throw refusal('EIO', -5);
      };
      const given = options({ write, retryDelay: 3_600_000 });
      const file = OutputFile.open(path, 'append', given);
      for (let n = 0; n < 100; n++) send(file, 'flow\n', 1);
      expect([tries, given.lines]).to.deep.equal([1, [`output: ${path}: i/o error`]]);
      await file.close();
      expect(tries).to.equal(2);
      expect(file.result).to.include({ records: 0, lostRecords: 100, errors: 2 });
    });

    it('is tried again after a rotation, for then there may be room', async () => {
      const disk = new Disk();
      const file = begun(path, 'append', { write: disk.write });
      send(file, 'lost\n', 1);
      expect(file.reopen()).to.equal(true);
      expect(file.result.lostRecords).to.equal(1);
      disk.room = 100;
      send(file, 'kept\n', 1);
      await file.close();
      expect([disk.text, file.result.records]).to.deep.equal(['kept\n', 1]);
    });

    for (const mode of ['append', 'replace'] as const) {
      it(`is /dev/full, to ${mode}: every record is counted as lost`, async function () {
        if (!existsSync('/dev/full')) this.skip();
        const given = options();
        const file = OutputFile.open('/dev/full', mode, given);
        expect(file.begin()).to.equal(true);
        for (let n = 0; n < 10; n++) send(file, 'flow\n', 1);
        await file.close();
        expect(given.lines).to.deep.equal(['output: /dev/full: no space left on device']);
        expect(file.result).to.include({ output: '/dev/full', records: 0, lostRecords: 10 });
        expect(file.result.errors).to.be.greaterThan(0);
      });
    }

    it('is on a full file system, and goes on in whole lines when there is space', async function () {
      const mount = join(folder, 'small');
      mkdirSync(mount);
      try {
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', mount], { stdio: 'ignore' });
      } catch {
        // Needs the rights to mount a small file system.
        this.skip();
      }
      try {
        const ballast = join(mount, 'ballast');
        writeFileSync(ballast, Buffer.alloc(50_000));
        const file = begun(join(mount, 'flows'), 'append');
        let expected = '';
        for (let n = 0; n < 30; n++) {
          const line = `${String(n).padStart(999, '.')}\n`;
          expected += line;
          send(file, line, 1);
        }
        expect(file.result.records).to.be.within(1, 29);
        expect(file.result.errors).to.be.greaterThan(0);
        unlinkSync(ballast);
        await until(() => file.result.records === 30);
        await file.close();
        expect(readFileSync(join(mount, 'flows'), 'utf8') === expected).to.equal(true);
        expect(file.result).to.include({ lostRecords: 0 });
      } finally {
        execFileSync('umount', [mount]);
      }
    });
  });

  it('goes on in a new file after a rotation, and at the end of one that stayed', async () => {
    const file = begun(path, 'append');
    send(file, 'one ');
    expect(file.reopen()).to.equal(false);
    send(file, 'two');
    renameSync(path, `${path}.0`);
    expect(file.reopen()).to.equal(true);
    send(file, 'three');
    await file.close();
    expect(readFileSync(`${path}.0`, 'utf8')).to.equal('one two');
    expect(readFileSync(path, 'utf8')).to.equal('three');
  });

  it('keeps the old file when the new one cannot be opened', async () => {
    const inner = mkdtempSync(join(folder, 'inner-'));
    const file = begun(join(inner, 'flows'), 'append');
    send(file, 'one ');
    renameSync(inner, `${inner}.gone`);
    expect(() => file.reopen()).to.throw(`${join(inner, 'flows')}: no such file or directory`);
    send(file, 'two');
    await file.close();
    expect(readFileSync(join(`${inner}.gone`, 'flows'), 'utf8')).to.equal('one two');
  });

  it('calls back once when the reader has gone, and is quiet from then on', async () => {
    let gone = 0;
    let calls = 0;
    const given = options({
      onReaderGone: () => {
        gone++;
      },
      write() {
        calls++;
        throw refusal('EPIPE', -32);
      },
    });
    const file = OutputFile.open(path, 'append', given);
    send(file, 'flows\n', 1);
    send(file, Buffer.alloc(100000), 2);
    await file.drained();
    await file.close();
    expect([gone, calls, file.isGone, file.isCongested]).to.deep.equal([1, 1, true, false]);
    expect(given.lines).to.deep.equal([]);
    expect(file.result).to.include({ records: 0, lostRecords: 3, errors: 0 });
  });

  it('counts the lines that the reader took before it went away', async () => {
    const pipe = new Disk();
    pipe.room = 6;
    pipe.refusal = FULL_PIPE;
    let gone = 0;
    const onReaderGone = () => {
      gone++;
    };
    const file = begun(path, 'append', { write: pipe.write, onReaderGone });
    send(file, 'a\nb\nc\nd\n', 4);
    pipe.refusal = refusal('EPIPE', -32);
    await until(() => file.isGone);
    expect([gone, file.result.records, file.result.lostRecords]).to.deep.equal([1, 3, 1]);
    await file.close();
  });
});

describe('a named pipe as an output file', () => {
  let folder: string;
  let path: string;
  beforeEach(function () {
    folder = mkdtempSync(join(tmpdir(), 'output-pipe-'));
    path = join(folder, 'pipe');
    try {
      execFileSync('mkfifo', [path]);
    } catch {
      // Needs mkfifo(1).
      this.skip();
    }
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  it('does not block a live run when it is full, and gives everything to a slow reader', async () => {
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const file = begun(path, 'append');
    let sent = '';
    for (let n = 0; n < 300; n++) {
      const line = `${String(n).padStart(999, '.')}\n`;
      sent += line;
      send(file, line, 1);
    }
    const closed = file.close();
    let text = '';
    const octets = Buffer.alloc(10_000);
    while (text.length < sent.length) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      try {
        text += octets.toString('latin1', 0, readSync(reader, octets));
      } catch (error) {
        expect((error as NodeJS.ErrnoException).code).to.equal('EAGAIN');
      }
    }
    await closed;
    closeSync(reader);
    expect(text === sent).to.equal(true);
    expect(file.result).to.include({ records: 300, lostRecords: 0, errors: 0 });
  });

  it('waits for a reader when it is opened', async () => {
    const reader = spawn('cat', [path], { stdio: ['ignore', 'pipe', 'inherit'] });
    const file = begun(path, 'append');
    send(file, 'flow\n', 1);
    await file.close();
    let text = '';
    for await (const part of reader.stdout) text += part;
    expect(text).to.equal('flow\n');
  });

  it('is gone with its reader, and there again after a rotation with another one', async () => {
    let reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    let gone = 0;
    const onReaderGone = () => {
      gone++;
    };
    const file = begun(path, 'append', { onReaderGone });
    closeSync(reader);
    send(file, 'lost\n', 1);
    expect([gone, file.isGone]).to.deep.equal([1, true]);
    expect(() => file.reopen()).to.throw(`${path}: no such device or address`);
    reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    file.reopen();
    send(file, 'kept\n', 1);
    expect(file.isGone).to.equal(false);
    await file.close();
    const octets = Buffer.alloc(100);
    expect(octets.toString('latin1', 0, readSync(reader, octets))).to.equal('kept\n');
    closeSync(reader);
    expect(file.result).to.include({ records: 1, lostRecords: 1 });
  });
});

describe('standard output as an output file', () => {
  const HEAD = `
    import { OutputFile } from ${JSON.stringify(MODULE)};
    const log = { limited: (_key, text) => process.stderr.write(text + '\\n') };
    const open = (mode, others) => OutputFile.open('-', mode, { framing: 'lines', log, ...others });
    const send = (file, text) => file.send(Buffer.from(text), Buffer.byteLength(text), 1);
  `;
  /** `reader` reads the program's output in a shell, through a pipe; without it, this process does, through a socket. */
  function start(program: string, reader?: string) {
    const words = ['--input-type=module', '-e', HEAD + program];
    const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe'];
    if (reader === undefined) return spawn(process.execPath, words, { stdio });
    return spawn('sh', ['-c', `"$@" | { ${reader}; }`, 'sh', process.execPath, ...words], { stdio });
  }
  function ended(child: ReturnType<typeof start>): Promise<number | null> {
    return new Promise((resolve) => {
      child.once('close', resolve);
    });
  }
  function linesHash(count: number): string {
    const hash = createHash('sha256');
    for (let n = 0; n < count; n++) hash.update(`${String(n).padStart(99, '.')}\n`);
    return hash.digest('hex');
  }

  for (const [what, preparation, mode, reader] of [
    // Looking at process.stdout is what makes the descriptor non-blocking.
    ['a socket that does not block', 'process.stdout.isTTY;', 'replace', undefined],
    ['a pipe, in a live run', '', 'append', 'sleep 0.3; cat'],
    ['a pipe, in a conversion', '', 'replace', 'sleep 0.3; cat'],
  ] as const) {
    it(`waits for the slow reader of ${what}`, async () => {
      const program = `
        import { writeSync } from 'node:fs';
        ${preparation}
        const file = open('${mode}');
        for (let n = 0; n < 40000; n++) {
          send(file, String(n).padStart(99, '.') + '\\n');
          if (file.isCongested) await file.drained();
        }
        await file.close();
        if (file.result.records !== 40000) writeSync(1, 'some are lost');
      `;
      const child = start(program, reader);
      const code = ended(child);
      const hash = createHash('sha256');
      if (reader === undefined) await new Promise((resolve) => setTimeout(resolve, 300));
      for await (const part of child.stdout) hash.update(part);
      expect(hash.digest('hex')).to.equal(linesHash(40000));
      expect(await code).to.equal(0);
    });
  }

  it('does not keep a live run waiting for the reader of a pipe', async function () {
    // Other systems cannot open a pipe a second time.
    if (!existsSync('/proc/self/fd')) this.skip();
    const folder = mkdtempSync(join(tmpdir(), 'output-pipe-'));
    const mark = join(folder, 'sent');
    const child = start(
      `
        import { writeFileSync } from 'node:fs';
        const file = open('append');
        for (let n = 0; n < 5000; n++) send(file, String(n).padStart(99, '.') + '\\n');
        writeFileSync(${JSON.stringify(mark)}, '');
        await file.close();
      `,
      `while [ ! -e '${mark}' ]; do sleep 0.05; done; cat`,
    );
    const hash = createHash('sha256');
    for await (const part of child.stdout) hash.update(part);
    rmSync(folder, { recursive: true });
    expect(hash.digest('hex')).to.equal(linesHash(5000));
  });

  for (const mode of ['append', 'replace'] as const) {
    it(`ends quietly when the reader has seen enough, to ${mode}`, async () => {
      const program = `
        import { writeSync } from 'node:fs';
        let isGone = false;
        const file = open('${mode}', { onReaderGone: () => { isGone = true; } });
        for (let n = 0; !isGone && n < 1e6; n++) {
          send(file, 'x'.repeat(99) + '\\n');
          if (file.isCongested) await file.drained();
        }
        await file.close();
        writeSync(2, isGone && file.isGone ? 'gone' : 'still there');
      `;
      for (const reader of [undefined, 'head -n 1; sleep 0.05']) {
        const child = start(program, reader);
        let errors = '';
        child.stderr.on('data', (part) => {
          errors += part;
        });
        if (reader === undefined) child.stdout.once('data', () => child.stdout.destroy());
        else child.stdout.resume();
        await ended(child);
        expect(errors).to.equal('gone');
      }
    });

    it(`is not closed with the file, nor opened anew, to ${mode}`, async () => {
      const child = start(`
        import { writeSync } from 'node:fs';
        const file = open('${mode}');
        send(file, 'one ' + file.begin() + ' ');
        send(file, String(file.reopen()));
        await file.close();
        writeSync(1, ' two');
      `);
      const code = ended(child);
      let text = '';
      for await (const part of child.stdout) text += part;
      expect(text).to.equal('one true false two');
      expect(await code).to.equal(0);
    });
  }
});
