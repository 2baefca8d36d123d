/** What the program does when it cannot start: one line, status 1, and nothing touched. */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { describeWithOpenssl } from '../peer/certificates.js';
import { NODE, PROGRAM } from '../peer/pfflowd.js';

const V3 = fileURLToPath(new URL('../../../captures/v3_dlt246.pcap', import.meta.url));

describe('a start that fails', () => {
  let folder = '';
  const at = (name: string) => join(folder, name);
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pfflowd-start-'));
    writeFileSync(at('capture'), readFileSync(V3));
    writeFileSync(at('old.json'), 'old\n');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** Runs a line for the shell, in which `$pfflowd` is the program, in the folder of the test. */
  function shell(line: string): SpawnSyncReturns<string> {
    const args = ['-c', line.replaceAll('$pfflowd', '"$@"'), 'sh', NODE, PROGRAM];
    return spawnSync('/bin/sh', args, { cwd: folder, encoding: 'utf8', timeout: 15_000 });
  }

  function expectFault({ status, stdout, stderr }: SpawnSyncReturns<string>, message: RegExp): void {
    expect(stderr).to.match(/^pfflowd: [^\n]*\n$/);
    expect(stderr).to.match(message);
    expect([status, stdout]).to.deep.equal([1, '']);
  }

  const user = process.getuid?.() === 0 ? '--user root' : '';
  const live = `--listen 127.0.0.1:1 -d ${user}`;
  const faults: [what: string, line: string, message: RegExp, prepare?: () => void][] = [
    [
      'an output that is the capture',
      '$pfflowd -r capture --format json -o capture',
      /-o capture: the same file as -r/,
    ],
    [
      'an output that is a symbolic link to the capture',
      '$pfflowd -r capture --format json -o soft',
      /-o soft: the same file as -r capture/,
      () => symlinkSync('capture', at('soft')),
    ],
    [
      'an output that is a hard link to the capture',
      '$pfflowd -r capture --format ipfix -o hard',
      /-o hard: the same file as -r capture/,
      () => linkSync(at('capture'), at('hard')),
    ],
    [
      'standard output that is appended to the capture',
      '$pfflowd -r capture --format json >>capture',
      /-o -: the same file as -r capture/,
    ],
    [
      'an output that is the capture on standard input',
      '$pfflowd -r - --format json -o capture <capture',
      /-o capture: the same file as -r -/,
    ],
    [
      'a pid file that is the capture',
      '$pfflowd -r capture -D --pid-file capture',
      /--pid-file capture: the same/,
    ],
    [
      'a pid file that is the configuration',
      `$pfflowd -c conf -D ${live} --pid-file conf`,
      /--pid-file conf: the same file as -c/,
      () => writeFileSync(at('conf'), 'hold 2\n'),
    ],
    ['a missing configuration file', '$pfflowd -c none -D', /-c 'none': no such file or directory$/m],
    ['a folder as configuration file', '$pfflowd -c . -D', /-c '\.': is a directory$/m],
    [
      'a pid file that is a link to nothing',
      `$pfflowd ${live} -D --pid-file link`,
      /pid file \S+link: a link to a file that does not exist/,
      () => symlinkSync('nothing', at('link')),
    ],
    [
      'a second capture without -r',
      '$pfflowd -r capture capture --format json',
      /another capture to read needs its own -r/,
    ],
    [
      'a working directory that was removed',
      `mkdir gone; cd gone; rmdir ../gone; $pfflowd ${live} -D`,
      /working directory: no such file or directory/,
    ],
    [
      'a capture in a working directory that was removed',
      'mkdir gone; cd gone; rmdir ../gone; $pfflowd -r capture --format json',
      /capture: no such file/,
    ],
  ];
  for (const [what, line, message, prepare] of faults) {
    it(`by ${what}: one line, status 1, nothing touched`, () => {
      prepare?.();
      const names = readdirSync(folder);
      expectFault(shell(line), message);
      expect(readdirSync(folder)).to.deep.equal(names);
      expect(readFileSync(at('capture')).equals(readFileSync(V3))).to.equal(true);
    });
  }

  const untouched: [what: string, words: string, message: RegExp][] = [
    ['a missing capture', '-r none', /none: no such file/],
    ['a file that is no capture', '-r old.csv', /not a pcap or pcapng file/],
    ['a collector that nobody knows', '-r capture -n collector.invalid:2055', /collector\.invalid/],
    ['a source address that is not here', '-r capture -n 127.0.0.1:9 -s 192.0.2.1', /192\.0\.2\.1/],
    ['a collector that refuses to be connected', '-r capture -v 10 -n tcp://127.0.0.1:1', /127\.0\.0\.1:1/],
    ['certificates that are missing', '-r capture -v 10 -n tls://127.0.0.1:1 --tls-ca none', /--tls-ca none/],
  ];
  for (const [what, words, message] of untouched) {
    it(`by ${what} leaves the file of -o as it was`, () => {
      writeFileSync(at('old.csv'), 'no capture, though long enough for a header\n');
      expectFault(shell(`$pfflowd ${words} --format json -o old.json`), message);
      expect(readFileSync(at('old.json'), 'utf8')).to.equal('old\n');
    });

    it(`by ${what} leaves no file of -o where there was none`, () => {
      writeFileSync(at('old.csv'), 'no capture, though long enough for a header\n');
      for (const format of ['json', 'ipfix']) {
        expectFault(shell(`$pfflowd ${words} --format ${format} -o new`), message);
        expect(existsSync(at('new'))).to.equal(false);
      }
    });
  }

  it('by an address that is not here leaves the file of -o as it was, live', () => {
    const line = `$pfflowd -d ${user} --listen 192.0.2.1:7 --allow 192.0.2.0/24 --format json -o old.json`;
    expectFault(shell(line), /192\.0\.2\.1:7/);
    expect(readFileSync(at('old.json'), 'utf8')).to.equal('old\n');
    expectFault(shell(line.replace('old.json', 'new')), /192\.0\.2\.1:7/);
    expect(existsSync(at('new'))).to.equal(false);
  });

  describeWithOpenssl('by a key that is encrypted', () => {
    it('says so', () => {
      const key = spawnSync('openssl', [
        'genrsa',
        '-aes256',
        '-passout',
        'pass:x',
        '-out',
        at('key'),
        '2048',
      ]);
      expect(key.status).to.equal(0);
      spawnSync('openssl', [
        'req',
        '-x509',
        '-key',
        at('key'),
        '-passin',
        'pass:x',
        '-subj',
        '/CN=x',
        '-out',
        at('pem'),
      ]);
      expect(lstatSync(at('pem')).isFile()).to.equal(true);
      const words = '-v 10 -n tls://127.0.0.1:1 --tls-cert pem --tls-key key';
      expectFault(shell(`$pfflowd -r capture ${words}`), /--tls-key key: .*encrypted/);
    });
  });

  describe('by too few descriptors', () => {
    /** How many Node.js itself needs to come as far as the program. */
    function fewest(): number {
      for (let count = 8; count < 64; count++) {
        if (shell(`ulimit -n ${count}; $pfflowd --version`).status === 0) return count;
      }
      throw new Error('none of 63 descriptors is enough');
    }

    const commands = [
      '-r capture --format json -o new.json',
      '-r capture -n 127.0.0.1:9',
      '-r capture -n localhost:9',
      '-r capture -v 10 -n tcp://127.0.0.1:1',
      `${live} -n 127.0.0.1:9`,
      `-i lo -d ${user} -n 127.0.0.1:9`,
      `-i lo ${user} --pid-file pid -n 127.0.0.1:9`,
    ];
    it('is one line and never a trace, whatever was to be opened', function () {
      this.timeout(120_000);
      const least = fewest();
      for (const words of commands) {
        // One more each time, until the program starts.
        for (let more = 0; more < 16; more++) {
          const limits = `ulimit -n ${least + more}; timeout -s TERM 2`;
          const { status, stderr } = shell(`${limits} $pfflowd --summary none ${words}`);
          expect(stderr, words).to.not.match(/^\s+at /m);
          expect(stderr, words).to.not.match(/node:internal|\.mjs:\d/);
          if (status !== 1) break;
          expect(stderr, words).to.match(/^(pfflowd: [^\n]*\n)+$/);
        }
      }
    });
  });
});
