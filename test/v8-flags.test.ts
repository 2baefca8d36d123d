import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect } from 'chai';

const MODULE = join(import.meta.dirname, '../src/v8-flags.js');

describe('V8', () => {
  for (const call of ["prepareFor('short')", "prepareFor('long')", 'prepareFor()', 'leaveMemoryToThread()']) {
    it(`knows the flags of ${call}`, () => {
      const script = `import(${JSON.stringify(MODULE)}).then((flags) => flags.${call})`;
      const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
      expect({ status, said: stdout + stderr }).to.deep.equal({ status: 0, said: '' });
    });
  }
});
