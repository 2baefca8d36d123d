import { Writable } from 'node:stream';
import { expect } from 'chai';
import fc from 'fast-check';
import { printable } from '../../src/cli/printable.js';
import { isJournal, Log, type LogOptions } from '../../src/service/log.js';

const START = Date.UTC(2025, 0, 2, 3, 4, 5, 678);

class Clock {
  time = START;
  readonly now = (): number => this.time;
}

class Lines extends Writable {
  text = '';

  get lines(): string[] {
    return this.text.split('\n').slice(0, -1);
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

function logTo(stream: Writable, options: Partial<LogOptions> = {}): Log {
  const rest = {
    level: 'info',
    format: 'text',
    timestamps: false,
    priorities: false,
    now: () => START,
  } as const;
  return new Log({ ...rest, stream, ...options });
}

describe('log', () => {
  it('writes a line at once, and needs no waiting', () => {
    const out = new Lines();
    const log = logTo(out);
    log.warn('one');
    expect(out.text).to.equal('pfflowd: one\n');
  });

  it('keeps the order, and has all written when it is closed', async () => {
    const out = new Lines();
    const log = logTo(out);
    const messages = Array.from({ length: 500 }, (_, index) => `message ${index}`);
    for (const message of messages) log.info(message);
    await log.close();
    expect(out.lines).to.deep.equal(messages.map((message) => `pfflowd: ${message}`));
    expect(out.writableEnded).to.equal(false);
  });

  const LEVELS = ['error', 'warn', 'info', 'debug'] as const;
  for (const [index, level] of LEVELS.entries()) {
    it(`with level ${level} writes that and the levels above`, () => {
      const out = new Lines();
      const log = logTo(out, { level });
      for (const each of LEVELS) log[each](each);
      expect(out.lines).to.deep.equal(LEVELS.slice(0, index + 1).map((each) => `pfflowd: ${each}`));
      expect(log.isDebug).to.equal(level === 'debug');
    });
  }

  it('changes its level', () => {
    const out = new Lines();
    const log = logTo(out);
    log.setLevel('debug');
    expect(log.isDebug).to.equal(true);
    log.debug('one');
    log.setLevel('error');
    expect(log.isDebug).to.equal(false);
    log.warn('two');
    log.limited('key', 'three');
    expect(out.lines).to.deep.equal(['pfflowd: one']);
  });

  const time = '2025-01-02T03:04:05.678Z';
  const looks: [string, Partial<LogOptions>, string][] = [
    ['text', {}, 'pfflowd: a "b"'],
    ['text with time', { timestamps: true }, `${time} pfflowd: a "b"`],
    ['text for the journal', { priorities: true }, '<4>pfflowd: a "b"'],
    ['JSON', { format: 'json' }, `{"timestamp":"${time}","level":"warn","message":"a \\"b\\""}`],
    [
      'JSON for the journal',
      { format: 'json', priorities: true },
      `<4>{"timestamp":"${time}","level":"warn","message":"a \\"b\\""}`,
    ],
  ];
  for (const [name, options, expected] of looks) {
    it(`writes ${name}`, () => {
      const out = new Lines();
      logTo(out, options).warn('a "b"');
      expect(out.lines).to.deep.equal([expected]);
    });
  }

  it('gives each level its syslog priority', () => {
    const out = new Lines();
    const log = logTo(out, { level: 'debug', priorities: true });
    for (const each of LEVELS) log[each]('x');
    expect(out.lines.map((line) => line.slice(0, 3))).to.deep.equal(['<3>', '<4>', '<6>', '<7>']);
  });

  it('makes one line of each message', () => {
    const out = new Lines();
    logTo(out).warn('em0\n<2>forged');
    expect(out.text).to.equal('pfflowd: em0\\x0a<2>forged\n');
  });

  it('outlives a stream that fails', async () => {
    const broken = new Writable({
      write(_chunk, _encoding, done) {
        done(new Error('EPIPE'));
      },
    });
    const log = logTo(broken);
    log.warn('one');
    await new Promise((resolve) => setImmediate(resolve));
    log.warn('two');
    await log.close();
    expect(broken.destroyed).to.equal(true);
  });
});

describe('limited warnings', () => {
  it('come five at once, then one in ten seconds with the number of the others', () => {
    const clock = new Clock();
    const out = new Lines();
    const log = logTo(out, { now: clock.now });
    for (let count = 0; count < 1239; count++) log.limited('short', `packet ${count}`);
    expect(out.lines).to.deep.equal([0, 1, 2, 3, 4].map((count) => `pfflowd: packet ${count}`));
    clock.time += 9_999;
    log.limited('short', 'too early');
    expect(out.lines).to.have.length(5);
    clock.time += 1;
    log.limited('short', 'now');
    log.limited('short', 'again too early');
    expect(out.lines.slice(5)).to.deep.equal(['pfflowd: now (and 1235 more)']);
  });

  it('are five at once again after a rest', () => {
    const clock = new Clock();
    const out = new Lines();
    const log = logTo(out, { now: clock.now });
    for (let count = 0; count < 5; count++) log.limited('short', 'x');
    clock.time += 3_600_000;
    for (let count = 0; count < 6; count++) log.limited('short', 'y');
    expect(out.lines.slice(5)).to.deep.equal(Array(5).fill('pfflowd: y'));
  });

  it('wait on, but not for ever, when the clock goes back', () => {
    const clock = new Clock();
    const out = new Lines();
    const log = logTo(out, { now: clock.now });
    for (let count = 0; count < 5; count++) log.limited('short', 'x');
    clock.time -= 3_600_000;
    log.limited('short', 'x');
    clock.time += 10_000;
    log.limited('short', 'y');
    expect(out.lines.slice(5)).to.deep.equal(['pfflowd: y (and 1 more)']);
  });

  it('have each key by itself', () => {
    const out = new Lines();
    const log = logTo(out);
    for (const key of ['short', 'long']) for (let count = 0; count < 9; count++) log.limited(key, key);
    expect(out.lines.filter((line) => line.endsWith('short'))).to.have.length(5);
    expect(out.lines.filter((line) => line.endsWith('long'))).to.have.length(5);
  });

  it('make their text only when it is logged', () => {
    let made = 0;
    const log = logTo(new Lines());
    for (let count = 0; count < 100; count++) {
      log.limited('short', () => `${made++}`);
    }
    expect(made).to.equal(5);
  });

  it('stay few when the keys are many', () => {
    const out = new Lines();
    const log = logTo(out);
    for (let count = 0; count < 10_000; count++) log.limited(`key ${count}`, 'x');
    expect(out.lines).to.have.length(256 + 5);
  });

  it('are logged with their number at the end', async () => {
    const out = new Lines();
    const log = logTo(out);
    for (let count = 0; count < 9; count++) log.limited('short', `packet ${count}`);
    await log.close();
    expect(out.lines.slice(5)).to.deep.equal(['pfflowd: packet 8 (and 3 more)']);
  });
});

describe('printable text', () => {
  const cases: [string, string][] = [
    ['em0', 'em0'],
    ['Grüße ☃ \\ "', 'Grüße ☃ \\ "'],
    ['a\0b\t\r\n', 'a\\x00b\\x09\\x0d\\x0a'],
    ['\u001b[2J\u007f\u009b', '\\x1b[2J\\x7f\\x9b'],
    ['\u2028\u202e\ufeff', '\\u2028\\u202e\\ufeff'],
    ['\ud800x', '\\ud800x'],
    ['😀', '😀'],
  ];
  for (const [text, expected] of cases) {
    it(`of ${JSON.stringify(text)} is ${expected}`, () => {
      expect(printable(text)).to.equal(expected);
    });
  }

  it('has no control characters, and is not changed a second time', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const once = printable(text);
        expect(once).to.match(/^\P{Cc}*$/u);
        expect(printable(once)).to.equal(once);
      }),
    );
  });
});

describe('journal', () => {
  const cases: [Record<string, string>, boolean][] = [
    [{ JOURNAL_STREAM: '9:12345' }, true],
    [{ JOURNAL_STREAM: '9:12346' }, false],
    [{ INVOCATION_ID: '0123456789abcdef0123456789abcdef' }, false],
    [{}, false],
  ];
  for (const [environment, expected] of cases) {
    it(`is ${expected ? '' : 'not '}where ${JSON.stringify(environment)} points`, () => {
      expect(isJournal(environment, { dev: 9, ino: 12345 })).to.equal(expected);
    });
  }
});
