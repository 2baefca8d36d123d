/** The package as users get it: packed, installed without anything else, and run. Also its one file, alone. */
import { execFileSync, spawnSync } from 'node:child_process';
import { lookup } from 'node:dns/promises';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { VERSION } from '../../src/cli/version.js';
import { Authority, type Certificate, describeWithOpenssl, read } from '../peer/certificates.js';
import { NODE, PROGRAM, run } from '../peer/pfflowd.js';
import { StreamCollector } from '../peer/stream-collector.js';
import { type Loopback, UdpCollector } from '../peer/udp-collector.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const V3 = join(ROOT, 'captures/v3_dlt246.pcap');
/** Its flows: IPv6 is among them. */
const FLOWS = 21;

/** Writes the native files that are loaded to standard error. */
const SHOW_NATIVE = `--import=data:text/javascript,${encodeURIComponent(
  `const { dlopen } = process; process.dlopen = (module, file, ...rest) => {
    process._rawDebug('native ' + file); return dlopen(module, file, ...rest); };`,
)}`;

let folder = '';
let tarball = '';
before(function () {
  this.timeout(60_000);
  folder = mkdtempSync(join(tmpdir(), 'pfflowd-package-'));
  // Without scripts: what was built is what the other tests run.
  const words = ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder];
  tarball = join(folder, npm(words, ROOT).trim());
});
after(() => rmSync(folder, { recursive: true, force: true }));

function npm(words: readonly string[], cwd: string): string {
  // What npm sets for the scripts that it runs, as npm test, is not for another npm.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));
  return execFileSync('npm', words, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Converts a capture in every way, with the program at this path and from its folder. */
function conversions(program: () => string): void {
  const options = () => ({ program: program(), cwd: dirname(program()) });

  it('to a file', async () => {
    const file = join(dirname(program()), 'flows.json');
    const { status, summary, stderr } = await run(['-r', V3, '--format', 'json', '-o', file], options());
    expect([status, summary?.flows], stderr).to.deep.equal([0, FLOWS]);
    expect(readFileSync(file, 'utf8').trimEnd().split('\n').length).to.equal(FLOWS);
  });

  it('to a collector by name, over UDP', async () => {
    const { address } = await lookup('localhost');
    const udp = await UdpCollector.listen(address as Loopback);
    const args = ['-r', V3, '-n', `localhost:${udp.port}`, '-v', '10'];
    const { status, summary, stderr } = await run(args, options());
    expect([status, summary?.records], stderr).to.deep.equal([0, FLOWS]);
    await udp.received(summary!.datagrams);
    await udp.close();
    expect([udp.collector.flows.length, udp.collector.errors]).to.deep.equal([FLOWS, []]);
  });

  it('to a collector by name, over TCP', async () => {
    const tcp = await StreamCollector.listen();
    const args = ['-r', V3, '-n', `tcp://localhost:${tcp.port}`, '-v', '10'];
    const { status, stderr } = await run(args, options());
    expect(status, stderr).to.equal(0);
    await tcp.close();
    expect([tcp.flows.length, tcp.errors]).to.deep.equal([FLOWS, []]);
  });

  describeWithOpenssl('to a collector by name, over TLS', () => {
    let authority: Authority;
    let certificate: Certificate;
    before(() => {
      authority = new Authority();
      certificate = authority.issue('collector', 'DNS:localhost');
    });
    after(() => authority.remove());

    it('whose certificate an authority has signed', async () => {
      const tls = await StreamCollector.listen({ tls: read(certificate) });
      const args = ['-r', V3, '-n', `tls://localhost:${tls.port}`, '-v', '10', '--tls-ca', authority.ca];
      const { status, stderr } = await run(args, options());
      expect(status, stderr).to.equal(0);
      await tls.close();
      expect([tls.flows.length, tls.errors]).to.deep.equal([FLOWS, []]);
    });
  });

  it('logs through winston, which is inside', async () => {
    const args = ['-r', V3, '--format', 'json', '-o', '/dev/null', '--log-format', 'json', '-D'];
    const { status, stderr } = await run(args, options());
    expect(status).to.equal(0);
    expect(JSON.parse(stderr.split('\n')[0]!)).to.have.keys('timestamp', 'level', 'message');
  });
}

/** The native files that a conversion over UDP loads. */
async function nativeFiles(program: string): Promise<string[]> {
  const udp = await UdpCollector.listen('127.0.0.1');
  const env = { NODE_OPTIONS: SHOW_NATIVE };
  const { status, stderr } = await run(['-r', V3, '-n', udp.endpoint], {
    program,
    cwd: dirname(program),
    env,
  });
  await udp.close();
  expect(status, stderr).to.equal(0);
  return [...stderr.matchAll(/^native (.*)$/gm)].map(([, file]) => file!);
}

describe('the package', function () {
  this.timeout(30_000);

  it('holds the program, the manuals and the services, and nothing else', () => {
    const names = execFileSync('tar', ['-tzf', tarball], { encoding: 'utf8' }).trim().split('\n');
    const places = names.map((name) => name.replace(/^package\//, ''));
    const own = ['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json', 'dist/pfflowd.mjs'];
    expect(places).to.include.members([...own, 'man/pfflowd.8', 'man/pfflowd.conf.5']);
    expect(places.filter((place) => !own.includes(place) && !/^(man|etc)\//.test(place))).to.deep.equal([]);
  });

  it('brings the licences of the packages that are in the file', () => {
    const text = readFileSync(PROGRAM, 'utf8');
    for (const name of ['winston', 'binary-parser']) {
      expect(text).to.match(new RegExp(`^${name} \\d+\\.\\d+\\.\\d+\\n[^]{0,100}Copyright`, 'm'));
    }
  });

  describe('installed without development packages, without koffi and without a network', () => {
    let installed = '';
    before(() => {
      installed = join(folder, 'plain');
      mkdirSync(installed);
      const words = [
        'install',
        tarball,
        '--omit=dev',
        '--omit=optional',
        '--offline',
        '--no-audit',
        '--no-fund',
      ];
      npm(words, installed);
    });
    const program = () => join(installed, 'node_modules/.bin/pfflowd');

    it('has no other package beside it', () => {
      expect(existsSync(join(installed, 'node_modules/winston'))).to.equal(false);
      expect(existsSync(join(installed, 'node_modules/koffi'))).to.equal(false);
    });

    it('is a command', () => {
      const version = spawnSync(program(), ['--version'], { encoding: 'utf8' });
      expect([version.stdout, version.stderr]).to.deep.equal([`pfflowd ${VERSION}\n`, '']);
    });

    conversions(program);

    it('loads nothing native', async () => expect(await nativeFiles(program())).to.deep.equal([]));
  });

  const koffi = join(ROOT, 'node_modules/koffi');
  describe(`installed with koffi${existsSync(koffi) ? '' : ' (left out: koffi is not installed here)'}`, () => {
    let installed = '';
    before(function () {
      if (!existsSync(koffi)) this.skip();
      installed = join(folder, 'koffi');
      mkdirSync(installed);
      npm(
        ['install', tarball, '--omit=dev', '--omit=optional', '--offline', '--no-audit', '--no-fund'],
        installed,
      );
      // From here instead of from a registry.
      const packages = join(installed, 'node_modules');
      cpSync(koffi, join(packages, 'koffi'), { recursive: true, dereference: true });
      cpSync(join(ROOT, 'node_modules/@koromix'), join(packages, '@koromix'), {
        recursive: true,
        dereference: true,
      });
    });
    const program = () => join(installed, 'node_modules/.bin/pfflowd');

    conversions(program);

    it('loads it for datagrams, on Linux', async function () {
      if (process.platform !== 'linux') this.skip();
      const files = await nativeFiles(program());
      expect(files.map((file) => basename(file))).to.deep.equal(['koffi.node']);
    });
  });
});

describe('the file of the program alone in a folder', function () {
  this.timeout(30_000);
  let program = '';
  before(() => {
    const alone = join(folder, 'alone');
    mkdirSync(alone);
    program = join(alone, 'pfflowd.mjs');
    copyFileSync(PROGRAM, program);
  });

  it('runs', () => {
    const { stdout } = spawnSync(NODE, [program, '--version'], { encoding: 'utf8' });
    expect(stdout).to.equal(`pfflowd ${VERSION}\n`);
  });

  conversions(() => program);
});

describe('npm install -g . in a clone', function () {
  this.timeout(180_000);

  it('builds the program and puts it on the path', () => {
    const clone = join(folder, 'clone');
    const left = ['node_modules', 'build', 'dist', '.git', 'coverage'];
    cpSync(ROOT, clone, {
      recursive: true,
      filter: (path) => !left.some((name) => path === join(ROOT, name)) && !path.endsWith('.tsbuildinfo'),
    });
    // Only where everything is tested do the development packages come from the registry.
    if (!process.env.CI) symlinkSync(join(ROOT, 'node_modules'), join(clone, 'node_modules'));
    npm(['install', '-g', '--prefix', join(folder, 'global'), '--no-audit', '--no-fund', '.'], clone);
    const command = join(folder, 'global/bin/pfflowd');
    const { stdout, stderr } = spawnSync(command, ['--version'], { encoding: 'utf8' });
    expect([stdout, stderr]).to.deep.equal([`pfflowd ${VERSION}\n`, '']);
  });
});
