import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { build } from 'esbuild';
import { OPTION_ROWS } from '../../src/cli/option-table.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

/** The rooms in the order of the data's way: a file imports from its own room and from those before it. */
const PROTOCOL = ['flow', 'capture', 'pfsync', 'export'].map((room) => `protocol/${room}`);
const SRC = ['cli', 'service', 'observe', 'source', 'state', 'flow', 'sink', 'transport'].map(
  (room) => `src/${room}`,
);
const ROOMS = [...PROTOCOL, ...SRC];
/** Of the files directly in src/, which join the stages. */
const JOINTS = 'src';
/** Rooms that serve a page in a browser as well. */
const PURE = [...PROTOCOL, 'src/state', 'src/flow'];

/** npm's and other programs' options, which the README shows too. */
const FOREIGN = new Set(['silent', 'version', 'no-create-home', 'shell', 'system', 'now', 'omit']);

const files = ['protocol', 'src'].flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
    .map((name) => join(folder, name)),
);

/** What a file imports, types too, in whatever form. */
function importsOf(path: string): string[] {
  return [...read(path).matchAll(/\b(?:from|import)\s*\(?\s*'([^']+)'/g)].map(([, from]) => from!);
}

/** The files of ours among the imports, as paths from the root. */
function ownImportsOf(path: string): string[] {
  return importsOf(path)
    .filter((from) => from.startsWith('.'))
    .map((from) => relative(ROOT, join(ROOT, dirname(path), from)).replace(/\.js$/, '.ts'));
}

/** The imports that lead from a file back to itself, if any do. */
function circleFrom(start: string): string[] | undefined {
  const seen = new Set<string>();
  const walk = (path: string, way: readonly string[]): string[] | undefined => {
    for (const next of ownImportsOf(path)) {
      if (next === start) return [...way, next];
      if (seen.has(next) || !existsSync(join(ROOT, next))) continue;
      seen.add(next);
      const found = walk(next, [...way, next]);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return walk(start, [start]);
}

describe('rooms', () => {
  it('hold every file', () => {
    const outside = files.filter((path) => ![...ROOMS, JOINTS].includes(dirname(path)));
    expect(outside).to.deep.equal([]);
  });

  for (const [index, room] of ROOMS.entries()) {
    it(`${room} imports from itself and from the rooms before it`, () => {
      const allowed = ROOMS.slice(0, index + 1);
      const wrong = files
        .filter((path) => dirname(path) === room)
        .flatMap((path) => ownImportsOf(path).map((imported) => ({ path, imported })))
        .filter(({ imported }) => !allowed.includes(dirname(imported)));
      expect(wrong.map(({ path, imported }) => `${path} imports ${imported}`)).to.deep.equal([]);
    });
  }

  it('have no circles of imports', () => {
    expect(files.flatMap((path) => circleFrom(path)?.join(' -> ') ?? [])).to.deep.equal([]);
  });

  for (const room of PURE) {
    it(`${room} can be bundled for a browser: nothing of Node.js, no packages`, async () => {
      const paths = files.filter((path) => dirname(path) === room);
      const foreign = paths.flatMap(importsOf).filter((from) => !from.startsWith('.'));
      expect(foreign).to.deep.equal([]);
      const contents = paths.map((path) => `export * from './${path}';`).join('\n');
      const options = { bundle: true, write: false, platform: 'browser', format: 'esm' } as const;
      await build({
        ...options,
        stdin: { contents, resolveDir: ROOT },
        target: 'es2023',
        logLevel: 'silent',
      });
    });
  }

  it('can be seen in file names: none is a drawer', () => {
    expect(files.filter((path) => /util|helper|manager|misc|common/.test(path))).to.deep.equal([]);
  });
});

describe('rules of the repository', () => {
  const { dependencies, devDependencies, optionalDependencies, scripts } = JSON.parse(read('package.json'));
  const packages = Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies });

  it('every dependency is justified in CONTRIBUTING.md', function () {
    if (!existsSync(join(ROOT, 'CONTRIBUTING.md'))) this.skip();
    const named = packages.filter((name) => !name.startsWith('@types/'));
    const table = read('CONTRIBUTING.md')
      .split('\n')
      .filter((line) => line.startsWith('|'))
      .join('\n');
    expect(named.filter((name) => !table.includes(name))).to.deep.equal([]);
  });

  it('every package that is imported is a dependency', () => {
    const imported = files.flatMap(importsOf).filter((from) => !/^(\.|node:)/.test(from));
    const names = new Set(imported.map((from) => /^(?:@[^/]+\/)?[^/]+/.exec(from)![0]));
    expect([...names].filter((name) => !packages.includes(name))).to.deep.equal([]);
    expect([...names].filter((name) => builtinModules.includes(name))).to.deep.equal([]);
  });

  it('the lock file names no registry', () => {
    expect(read('package-lock.json')).to.not.match(/"resolved": "(?!https:\/\/registry\.npmjs\.org\/)/);
  });

  it('every option that the README and the services name exists', () => {
    const known = new Set(OPTION_ROWS.map(({ name }) => name));
    for (const file of ['README.md', 'etc/README.md']) {
      const used = [...read(file).matchAll(/(?<![\w-])--([a-z][a-z-]+)/g)].map(([, name]) => name ?? '');
      expect(
        used.filter((name) => !known.has(name) && !FOREIGN.has(name)),
        file,
      ).to.deep.equal([]);
    }
  });

  it('nothing runs when a user installs the package', () => {
    for (const name of ['preinstall', 'install', 'postinstall']) expect(scripts).to.not.have.property(name);
  });
});
