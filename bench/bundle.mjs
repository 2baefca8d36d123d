/** Loads modules of build/ as they ship: bundled into one file, of which V8 makes other code than of many. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildSync } from 'esbuild';

const BUILD = join(import.meta.dirname, '../build');

/** Bundles these modules, named without `.js`, with the settings of the program's bundle. Resolves to all their exports. */
export async function importBundled(...modules) {
  const folder = mkdtempSync(join(tmpdir(), 'pfflowd-bundle-'));
  try {
    const outfile = join(folder, 'bundle.mjs');
    const contents = modules.map((name) => `export * from './${name}.js';`).join('\n');
    buildSync({
      stdin: { contents, resolveDir: BUILD },
      outfile,
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      external: ['koffi'],
      minifySyntax: true,
      // CommonJS packages call require.
      banner: {
        js: `import { createRequire } from 'node:module';\nconst require = createRequire(${JSON.stringify(BUILD)});`,
      },
      logLevel: 'warning',
    });
    return await import(pathToFileURL(outfile).href);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
