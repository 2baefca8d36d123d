/** Makes dist of build: the program as one file, the code that V8 makes of it, and what starts it. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { devNull } from 'node:os';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { cacheOf, compile, evaluate } from './build/src/code-cache.js';

const ROOT = import.meta.dirname;
const DIST = join(ROOT, 'dist');
const PROGRAM = join(DIST, 'program.js');
const CAPTURE = join(ROOT, 'captures/v3_eth_full.pcap');

function bundle(entry, outfile) {
  buildSync({
    entryPoints: [join(ROOT, 'build/src', entry)],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    define: { 'import.meta.url': '__filename', 'import.meta.dirname': '__dirname' },
    external: ['winston', 'koffi'],
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'none',
    logLevel: 'warning',
  });
}

/** V8 keeps the functions that have run: the usual runs have them compiled. */
async function keepCode() {
  const collector = createSocket('udp4');
  collector.bind(0, '127.0.0.1');
  await once(collector, 'listening');
  const script = compile(PROGRAM);
  const { run } = evaluate(script, PROGRAM);
  const collectorAt = `127.0.0.1:${collector.address().port}`;
  await convert(run, ['-v', '5', '-n', collectorAt]);
  await convert(run, ['-v', 'ipfix', '-n', collectorAt]);
  await convert(run, ['--format', 'json', '-o', devNull]);
  collector.close();
  writeFileSync(cacheOf(PROGRAM), script.createCachedData());
}

async function convert(run, options) {
  const status = await run(['-r', CAPTURE, '--summary', 'none', '--log-level', 'error', ...options]);
  if (status !== 0) throw new Error(`pfflowd ${options.join(' ')}: exit status ${status}`);
}

rmSync(DIST, { recursive: true, force: true });
bundle('program.js', PROGRAM);
bundle('main.js', join(DIST, 'pfflowd.js'));
writeFileSync(join(DIST, 'package.json'), '{"type":"commonjs"}\n');
await keepCode();
// What the runs have listened to would keep this one waiting.
process.exit();
