import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { UsageError } from '../../src/cli/errors.js';
import { checkFileRoles } from '../../src/cli/file-roles.js';
import { parseOptions } from '../../src/cli/options.js';

describe('the files of the options', () => {
  let folder = '';
  const at = (name: string) => join(folder, name);
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'pfflowd-roles-'));
    for (const name of ['capture', 'other', 'conf', 'key']) writeFileSync(at(name), '');
    linkSync(at('capture'), at('hard'));
    symlinkSync('capture', at('soft'));
    mkdirSync(at('folder'));
    symlinkSync('..', at('folder/up'));
  });
  after(() => rmSync(folder, { recursive: true }));

  /** A word that begins with a slash is a file of the test's folder. */
  function check(words: string): void {
    const argv = words.split(' ').map((word) => (word.startsWith('/') ? at(word.slice(1)) : word));
    checkFileRoles(parseOptions(argv, () => ''));
  }

  const refused: [string, RegExp][] = [
    ['-r /capture --format json -o /capture', /^-o \S+\/capture: the same file as -r \S+\/capture$/],
    ['-r /capture --format json -o /hard', /^-o \S+\/hard: the same file as -r \S+\/capture$/],
    ['-r /capture --format json -o /soft', /^-o \S+\/soft: the same file as -r \S+\/capture$/],
    ['-r /soft --format json -o /hard', /^-o \S+\/hard: the same file as -r \S+\/soft$/],
    ['-r /other -r /capture --format ipfix -o /soft', /^-o \S+\/soft: the same file as -r \S+\/capture$/],
    ['-r /none --format json -o /none', /^-o \S+\/none: the same file as -r/],
    ['-c /conf -D --format json -o /conf', /^-o \S+\/conf: the same file as -c/],
    ['-c /conf -D --pid-file /conf', /^--pid-file \S+\/conf: the same file as -c/],
    ['-r /capture -D --pid-file /soft', /^--pid-file \S+\/soft: the same file as -r/],
    ['-D --format json -o /new --pid-file /new', /^--pid-file \S+\/new: the same file as -o \S+\/new$/],
    ['-D --format json -o /new --pid-file /folder/up/new', /^--pid-file \S+: the same file as -o/],
    ['-D --tls-cert /other --tls-key /key --format json -o /key', /^-o \S+: the same file as --tls-key/],
  ];
  for (const [words, message] of refused) {
    it(`are refused in ${words}`, () => {
      expect(() => check(words)).to.throw(UsageError, message);
    });
  }

  const accepted = [
    '-r /capture --format json -o /other',
    '-r /capture -r /soft --format json',
    '-r /capture -r /capture --format json -o /new',
    '-r /capture -n h:1 -o - --format csv',
    '-c /conf -D --format json -o /new --pid-file /pid',
  ];
  for (const words of accepted) {
    it(`are accepted in ${words}`, () => check(words));
  }

  it('may be the same device', () => {
    const argv = ['-r', '/dev/null', '--format', 'json', '-o', '/dev/null'];
    expect(() => checkFileRoles(parseOptions(argv))).to.not.throw();
  });
});
