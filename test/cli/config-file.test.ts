import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { parseConfigFile } from '../../src/cli/config-file.js';
import { UsageError } from '../../src/cli/errors.js';
import { OPTION_ROWS, type Options } from '../../src/cli/option-table.js';
import { parseOptions } from '../../src/cli/options.js';

const FILE = 'pfflowd.conf';

/** The options of a file with this text, and of the words after it. */
function read(text: string, ...argv: string[]): Options {
  return parseOptions(['-c', FILE, ...argv], (file) => {
    expect(file).to.equal(FILE);
    return text;
  });
}

describe('configuration file', () => {
  const understood: [string, Partial<Options>][] = [
    ['rate 500', { rate: 500 }],
    ['\n  rate\t 500  \r\n\n', { rate: 500 }],
    ['\uFEFFrate 500', { rate: 500 }],
    ['# rate 1\nrate 500 # or so\n#', { rate: 500 }],
    ['pid-file /var/run/a#b', { pidFile: '/var/run/a#b' }],
    ['pfctl-command ssh fw pfctl -vvss', { pfctlCommand: 'ssh fw pfctl -vvss', pfctl: true }],
    ['rate 1\nrate 2', { rate: 2 }],
    ['interface em0\ninterface em1', { interfaces: ['em0', 'em1'] }],
    ['flush-open', { flushOpen: true }],
    ['flush-open yes', { flushOpen: true }],
    ['flush-open yes\nflush-open no', { flushOpen: false }],
    ['no-exclude-self', { excludeSelf: false }],
    [
      'ifmap em0=1\nifmap em1=2',
      {
        ifmap: new Map([
          ['em0', 1],
          ['em1', 2],
        ]),
      },
    ],
    ['netflow-version ipfix\ntemplate pflow', { version: 10, template: 'pflow' }],
  ];
  for (const [text, expected] of understood) {
    it(`understands ${JSON.stringify(text)}`, () => {
      expect(read(text, '-n', 'h:1')).to.deep.include(expected);
    });
  }

  it('gives way to the command line, which adds to repeatable options', () => {
    const text = 'rate 500\ncollector a:1\nflush-open\nno-uncounted\nallow 192.0.2.1';
    const options = read(text, '-n', 'b:2', '--rate=7', '--flush-open=no');
    expect(options).to.include({ rate: 7, flushOpen: false, noUncounted: true });
    expect(options.collectors.map(({ host }) => host)).to.deep.equal(['a', 'b']);
    expect(options.allow).to.have.length(1);
  });

  it('is read from the last of several -c', () => {
    const texts: Record<string, string> = { a: 'rate 1', b: 'rate 2' };
    expect(parseOptions(['-c', 'a', '-c', 'b', '-D'], (file) => texts[file]!).rate).to.equal(2);
  });

  it('takes every option that makes sense there', () => {
    const names = OPTION_ROWS.filter((row) => !row.commandLineOnly);
    const text = names.map((row) => `${row.name} ${row.argument === undefined ? '' : 'x'}`).join('\n');
    expect(parseConfigFile(text, FILE)).to.have.length(names.length);
    expect(names).to.have.length(OPTION_ROWS.length - 4);
  });

  const refused: [string, RegExp][] = [
    ['\n\nrates 500', /^pfflowd.conf:3: unknown name 'rates'$/],
    ['n h:1', /^pfflowd.conf:1: unknown name 'n'$/],
    ['--rate 500', /^pfflowd.conf:1: unknown name '--rate'$/],
    ['rate=500', /^pfflowd.conf:1: unknown name 'rate=500'$/],
    ['rate', /^pfflowd.conf:1: rate needs a value, records$/],
    ['rate # 5', /^pfflowd.conf:1: rate needs a value, records$/],
    ['rate fast', /^pfflowd.conf:1: rate: 'fast' is not a whole number from 0 up$/],
    ['# one\ncollector h', /^pfflowd.conf:2: collector: 'h': the port is missing/],
    ['flush-open true', /^pfflowd.conf:1: flush-open: 'true' is none of yes, no$/],
    ['config other.conf', /^pfflowd.conf:1: config belongs on the command line$/],
    ['help', /^pfflowd.conf:1: help belongs on the command line$/],
    ['rate \u001b[2J', /^pfflowd.conf:1: rate: '\\x1b\[2J' is not a whole number/],
    ['interface em0\nread a.pcap', /^-i and -r exclude each other$/],
  ];
  for (const [text, message] of refused) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      expect(() => read(text, '-n', 'h:1')).to.throw(UsageError, message);
    });
  }

  const unreadable: [string, RegExp][] = [
    ['/nonexistent/pfflowd.conf', /^-c '\/nonexistent\/pfflowd.conf': no such file or directory$/],
    ['/', /^-c '\/': is a directory$/],
  ];
  for (const [file, message] of unreadable) {
    it(`that cannot be read is a fault of one line: ${file}`, () => {
      expect(() => parseOptions(['-c', file, '-D'])).to.throw(UsageError, message);
    });
  }

  it('is complete in the example of its manual', () => {
    const manual = readFileSync(new URL('../../../man/pfflowd.conf.5', import.meta.url), 'utf8');
    const [, example = ''] = /^\.Bd -literal\n(.*?)^\.Ed/ms.exec(manual) ?? [];
    expect(read(example)).to.deep.include({ interfaces: ['pfsync0'], activeTimeout: 300, noUncounted: true });
  });
});
