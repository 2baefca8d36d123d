/** Makes dist of build: the program as one file, the code that V8 makes of it, the core, and what starts it. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { copyFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { devNull } from 'node:os';
import { basename, join } from 'node:path';
import { buildSync } from 'esbuild';
import { cacheOf, compile, evaluate, WRAPPER } from './build/src/code-cache.js';

const ROOT = import.meta.dirname;
const DIST = join(ROOT, 'dist');
const CAPTURE = join(ROOT, 'captures/v3_eth_full.pcap');

/** Bundles `build/src/NAME.js`; the answer is the path of the file. `options` are esbuild's. */
function bundle(name, entryNames, { define, ...options } = {}) {
  const { metafile } = buildSync({
    entryPoints: [join(ROOT, 'build/src', `${name}.js`)],
    outdir: DIST,
    entryNames,
    metafile: true,
    absWorkingDir: ROOT,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    define: { 'import.meta.url': '__filename', 'import.meta.dirname': '__dirname', ...define },
    external: ['winston', 'koffi'],
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'none',
    logLevel: 'warning',
    ...options,
  });
  return join(ROOT, Object.keys(metafile.outputs)[0]);
}

/** V8 keeps the functions that have run: the usual runs have them compiled. */
async function keepCode(program) {
  const collector = createSocket('udp4');
  collector.bind(0, '127.0.0.1');
  await once(collector, 'listening');
  const script = compile(program);
  const { run } = evaluate(script, program, createRequire(program));
  const collectorAt = `127.0.0.1:${collector.address().port}`;
  await convert(run, ['-v', '5', '-n', collectorAt]);
  await convert(run, ['-v', 'ipfix', '-n', collectorAt]);
  await convert(run, ['--format', 'json', '-o', devNull]);
  collector.close();
  writeFileSync(cacheOf(program), script.createCachedData());
}

async function convert(run, options) {
  const common = ['-r', CAPTURE, '--summary', 'none', '--log-level', 'error'];
  // V8 takes code back under the flags alone that it was made under.
  const status = await run([...common, ...options], async () => {});
  if (status !== 0) throw new Error(`pfflowd ${options.join(' ')}: exit status ${status}`);
}

rmSync(DIST, { recursive: true, force: true });
// V8 knows a source by its length alone: the name has to tell whether code belongs to it.
const program = bundle('program', '[name]-[hash]', {
  banner: { js: WRAPPER.before },
  footer: { js: WRAPPER.after },
});
bundle('main', 'pfflowd', { define: { PROGRAM: JSON.stringify(basename(program)) } });
bundle('datagram-sender', '[name]');
copyFileSync(join(ROOT, 'build/protocol/core.wasm'), join(DIST, 'core.wasm'));
writeFileSync(join(DIST, 'package.json'), '{"type":"commonjs"}\n');
await keepCode(program);
// What the runs have listened to would keep this one waiting.
process.exit();
