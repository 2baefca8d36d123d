import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect } from 'chai';
import { loadKoffi } from '../src/koffi.js';

const MODULE = join(import.meta.dirname, '../src/v8-flags.js');

/** Runs a script that has the module's functions in `flags`. */
function run(script: string) {
  const whole = `import(${JSON.stringify(MODULE)}).then((flags) => { ${script} })`;
  return spawnSync(process.execPath, ['-e', whole], { encoding: 'utf8' });
}

describe('V8', () => {
  for (const call of [
    "prepareFor('short', false)",
    "prepareFor('short', true)",
    "prepareFor('long', true)",
    'prepareFor(undefined, false)',
    'leaveMemoryToThread()',
  ]) {
    it(`knows the flags of ${call}`, () => {
      const { status, stdout, stderr } = run(`flags.${call};`);
      expect({ status, said: stdout + stderr }).to.deep.equal({ status: 0, said: '' });
    });
  }

  /** A function in a loop that V8 makes better code of within milliseconds, unless it is told not to. */
  const isBettered = `
    const { setFlagsFromString } = process.getBuiltinModule('node:v8');
    setFlagsFromString('--allow-natives-syntax');
    const hasBetter = new Function('f', 'return %ActiveTierIsMaglev(f) || %ActiveTierIsTurbofan(f)');
    const work = (n) => { let sum = 0; for (let i = 0; i < n; i++) sum += i % 7; return sum; };
    for (let i = 0; i < 2000; i++) work(10_000);
    console.log(hasBetter(work));`;

  for (const needsKoffi of [false, true]) {
    it(`makes no better code in a short run, told ${needsKoffi ? 'by koffi' : 'by node:v8'}`, () => {
      expect(run(`flags.prepareFor('short', ${needsKoffi}); ${isBettered}`).stdout).to.equal('false\n');
    });
  }

  it('makes it in a long one', () => {
    expect(run(`flags.prepareFor('long', true); ${isBettered}`).stdout).to.equal('true\n');
  });

  it('is told without node:v8 where koffi is there', function () {
    if (loadKoffi() === undefined) this.skip();
    const { stdout } = run(`
      flags.prepareFor('short', true);
      console.log(process.moduleLoadList.includes('NativeModule v8'));`);
    expect(stdout).to.equal('false\n');
  });
});
