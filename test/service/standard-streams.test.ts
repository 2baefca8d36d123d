import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { expect } from 'chai';
import { isTerminal } from '../../src/service/standard-streams.js';

const STREAMS = JSON.stringify(new URL('../../src/service/standard-streams.js', import.meta.url).href);

describe('a standard stream', () => {
  function terminalAt(path: string): boolean {
    const descriptor = openSync(path, 'r+');
    try {
      return isTerminal(descriptor);
    } finally {
      closeSync(descriptor);
    }
  }

  it('is no terminal where it is thrown away', () => expect(terminalAt('/dev/null')).to.equal(false));

  it('is no terminal in a device of another kind', () => expect(terminalAt('/dev/zero')).to.equal(false));

  it('is no terminal in a file', () => expect(terminalAt('package.json')).to.equal(false));

  it('is one on a pseudo-terminal', function () {
    if (process.platform !== 'linux') this.skip();
    expect(terminalAt('/dev/ptmx')).to.equal(true);
  });
});

describe('print', () => {
  /** Prints to standard output, and the outcome to standard error. */
  const program = `
    const { print } = await import(${STREAMS});
    const outcome = await print(process.stdout, 'x'.repeat(300_000)).then(() => 'written', ({ code }) => code);
    process.stderr.write(outcome);`;
  const node = [process.execPath, '--input-type=module', '-e', program];

  it('writes all of a long text to a pipe', () => {
    const text = execFileSync(node[0]!, node.slice(1), { maxBuffer: 1e6, encoding: 'latin1', stdio: 'pipe' });
    expect(text.length).to.equal(300_000);
  });

  it('rejects when nobody reads the pipe', async () => {
    const child = spawn(node[0]!, node.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.destroy();
    let outcome = '';
    child.stderr.on('data', (text) => {
      outcome += text;
    });
    const [status] = await once(child, 'close');
    expect([status, outcome]).to.deep.equal([0, 'EPIPE']);
  });

  it('rejects when the device is full', function () {
    if (process.platform !== 'linux') this.skip();
    const line = '"$@" 2>&1 >/dev/full';
    const outcome = execFileSync('/bin/sh', ['-c', line, 'sh', ...node], { encoding: 'latin1' });
    expect(outcome).to.equal('ENOSPC');
  });
});
