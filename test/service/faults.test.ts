import { spawnSync } from 'node:child_process';
import { expect } from 'chai';

const FAULTS = JSON.stringify(new URL('../../src/service/faults.js', import.meta.url).href);

describe('setFaultHandler', () => {
  const faults: [what: string, code: string][] = [
    ['an exception in a callback', `setImmediate(() => { throw new Error('one'); });`],
    ['a rejection that nobody awaits', `Promise.reject(new Error('one'));`],
    ['something else that was thrown', `setImmediate(() => { throw 'one'; });`],
    ['an error event without a listener', `new EventEmitter().emit('error', new Error('one'));`],
  ];
  for (const [what, code] of faults) {
    it(`handles ${what} in the latest handler, and the program goes on`, () => {
      const program = `
        import { EventEmitter } from 'node:events';
        const { setFaultHandler } = await import(${FAULTS});
        setFaultHandler(() => console.log('the first handler'));
        setFaultHandler((error) => console.log('fault', error.message ?? error));
        setTimeout(() => console.log('goes on'), 100);
        ${code}`;
      const result = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
        encoding: 'utf8',
      });
      expect([result.status, result.stdout, result.stderr]).to.deep.equal([0, 'fault one\ngoes on\n', '']);
    });
  }
});
