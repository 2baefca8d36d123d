/** Bundles a measurement as the program itself is bundled: V8 makes faster code of one file than of its modules. */
import { copyFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';

const FOLDER = dirname(fileURLToPath(import.meta.url));

/** Those made so far. */
const bundles = new Set();

/** The path of the bundle of `bench/NAME.mjs`. */
export function bundle(name) {
  const outfile = join(FOLDER, '../build/bench', `${name}.mjs`);
  if (bundles.has(name)) return outfile;
  bundles.add(name);
  buildSync({
    entryPoints: [join(FOLDER, `${name}.mjs`)],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    minifySyntax: true,
    external: ['winston', 'koffi'],
    logLevel: 'warning',
  });
  copyFileSync(join(FOLDER, '../build/protocol/core.wasm'), join(FOLDER, '../build/bench/core.wasm'));
  return outfile;
}
