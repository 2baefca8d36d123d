/** Makes dist of build: the program as one file, the code that V8 makes of it, the core, and what starts it. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { buildSync } from 'esbuild';
import { WRAPPER } from './build/src/code-cache.js';
import { LIKELY_RUNS } from './build/src/likely-run.js';

const ROOT = import.meta.dirname;
const DIST = join(ROOT, 'dist');

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
    // Short names too: to read and take back what has long ones takes 2 ms of each start.
    minify: true,
    legalComments: 'none',
    logLevel: 'warning',
    ...options,
  });
  return join(ROOT, Object.keys(metafile.outputs)[0]);
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
for (const kind of LIKELY_RUNS) {
  execFileSync(process.execPath, [join(ROOT, 'keep-code.mjs'), program, kind], { stdio: 'inherit' });
}
