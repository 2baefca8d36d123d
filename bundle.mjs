/**
 * Makes dist/pfflowd.mjs of build/: the whole program in one file, with the packages that it needs inside and their
 * licences at its end. Optional packages stay outside: import() finds them where they are installed.
 */
import { appendFileSync, chmodSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { buildSync } from 'esbuild';

const ROOT = import.meta.dirname;
const FILE = join(ROOT, 'dist/pfflowd.mjs');
const { optionalDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));

rmSync(join(ROOT, 'dist'), { recursive: true, force: true });
const { metafile } = buildSync({
  entryPoints: [join(ROOT, 'build/src/main.js')],
  outfile: FILE,
  absWorkingDir: ROOT,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  external: Object.keys(optionalDependencies),
  // Puts constants of one file in place in the others. Names stay as they are.
  minifySyntax: true,
  // CommonJS packages call require.
  banner: {
    js: "import { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);",
  },
  metafile: true,
  logLevel: 'warning',
});
appendFileSync(FILE, licences(Object.keys(metafile.inputs)));
chmodSync(FILE, 0o755);

/** The licences of the packages that these files are of, as comments. */
function licences(files) {
  const folders = files.flatMap((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(file) ?? []);
  const texts = [...new Set(folders)].sort().map((folder) => {
    const { name, version } = JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8'));
    const file = readdirSync(join(ROOT, folder)).find((entry) => /^licen[cs]e/i.test(entry));
    if (file === undefined) throw new Error(`${folder}: no licence`);
    return `${name} ${version}\n\n${readFileSync(join(ROOT, folder, file), 'utf8').trim()}\n`;
  });
  return `\n/*\n${texts.join('\n----\n\n').replaceAll('*/', '* /')}*/\n`;
}
