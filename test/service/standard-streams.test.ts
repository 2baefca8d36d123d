import { closeSync, openSync } from 'node:fs';
import { expect } from 'chai';
import { isTerminal } from '../../src/service/standard-streams.js';

describe('a standard stream', () => {
  function told(path: string): boolean {
    const descriptor = openSync(path, 'r+');
    try {
      return isTerminal(descriptor);
    } finally {
      closeSync(descriptor);
    }
  }

  it('is no terminal where it is thrown away', () => expect(told('/dev/null')).to.equal(false));

  it('is no terminal in a device of another kind', () => expect(told('/dev/zero')).to.equal(false));

  it('is no terminal in a file', () => expect(told('package.json')).to.equal(false));

  it('is one on a pseudo-terminal', function () {
    if (process.platform !== 'linux') this.skip();
    expect(told('/dev/ptmx')).to.equal(true);
  });
});
