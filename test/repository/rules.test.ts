import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { OPTION_ROWS } from '../../src/cli/option-table.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const read = (path: string) => readFileSync(`${ROOT}${path}`, 'utf8');
const sources = (folder: string) =>
  readdirSync(`${ROOT}${folder}`).filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'));

/** npm's and other programs' options, which the README shows too. */
const FOREIGN = new Set(['silent', 'version']);

describe('rules of the repository', () => {
  for (const name of sources('protocol')) {
    it(`protocol/${name} imports nothing from outside its folder`, () => {
      const imports = [...read(`protocol/${name}`).matchAll(/\b(?:from|import)\s*\(?\s*'([^']+)'/g)].map(
        ([, from]) => from,
      );
      expect(imports.filter((from) => !/^\.\/[a-z0-9-]+\.js$/.test(from ?? ''))).to.deep.equal([]);
    });
  }

  for (const name of sources('assembly')) {
    it(`assembly/${name} imports from its folder, and constants of protocol`, () => {
      const imports = [...read(`assembly/${name}`).matchAll(/\bfrom\s*'([^']+)'/g)].map(
        ([, from]) => from ?? '',
      );
      const others = imports.filter((from) => !/^\.\/[a-z0-9-]+$/.test(from));
      for (const from of others) {
        expect(from).to.match(/^\.\.\/protocol\/[a-z0-9-]+$/);
        expect(read(`${from.slice(3)}.ts`)).to.not.match(/^import /m);
      }
    });
  }

  it('no file is a drawer', () => {
    const names = ['protocol', 'assembly', 'src'].flatMap(sources);
    expect(names.filter((name) => /util|helper|manager|misc|common/.test(name))).to.deep.equal([]);
  });

  it('every dependency has its line in the README', () => {
    const { dependencies, devDependencies, optionalDependencies } = JSON.parse(read('package.json'));
    const all = Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies });
    const named = all.filter((name) => !name.startsWith('@types/'));
    const table = read('README.md');
    expect(named.filter((name) => !table.includes(name))).to.deep.equal([]);
  });

  it('every option that the README and the services name exists', () => {
    const known = new Set(OPTION_ROWS.map(({ name }) => name));
    for (const file of ['README.md', 'etc/README.md']) {
      const used = [...read(file).matchAll(/(?<![\w-])--([a-z][a-z-]+)/g)].map(([, name]) => name ?? '');
      const foreign = (name: string) =>
        FOREIGN.has(name) || ['no-create-home', 'shell', 'system', 'now'].includes(name);
      expect(
        used.filter((name) => !known.has(name) && !foreign(name)),
        file,
      ).to.deep.equal([]);
    }
  });

  it('nothing runs when a user installs the package', () => {
    const { scripts } = JSON.parse(read('package.json'));
    for (const name of ['preinstall', 'install', 'postinstall']) expect(scripts).to.not.have.property(name);
  });
});
