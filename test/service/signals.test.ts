import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect } from 'chai';
import { onSignals } from '../../src/service/signals.js';

const SIGNALS = JSON.stringify(new URL('../../src/service/signals.js', import.meta.url).href);

/** Tells on standard output what it is asked; `leave` ends it with status 9. */
const program = (reopen: string) => `
const { onSignals } = await import(${SIGNALS});
const say = (word) => () => process.stdout.write(word + '\\n');
onSignals({ drain: say('drain'), statistics: say('statistics'), ${reopen} leave: () => process.exit(9) });
say('ready')();
setInterval(() => {}, 1000);`;

async function send(signals: readonly NodeJS.Signals[], reopen = `reopen: say('reopen'),`) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', program(reopen)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (text) => {
    errors += text;
  });
  const heard: string[] = [];
  const lines = child.stdout[Symbol.asyncIterator]();
  await lines.next();
  const exited = once(child, 'exit');
  for (const signal of signals) {
    child.kill(signal);
    const { value, done } = await lines.next();
    if (!done) heard.push(String(value).trim());
  }
  child.kill('SIGKILL');
  const [code, signal] = await exited;
  return { heard, code, signal, errors };
}

describe('onSignals', () => {
  const cases: { signals: NodeJS.Signals[]; heard: string[]; code: number | null }[] = [
    { signals: ['SIGTERM', 'SIGTERM'], heard: ['drain'], code: 9 },
    { signals: ['SIGINT', 'SIGTERM'], heard: ['drain'], code: 9 },
    { signals: ['SIGINT'], heard: ['drain'], code: null },
    { signals: ['SIGHUP', 'SIGHUP'], heard: ['reopen', 'reopen'], code: null },
    { signals: ['SIGUSR1', 'SIGTERM', 'SIGUSR1'], heard: ['statistics', 'drain', 'statistics'], code: null },
  ];
  for (const { signals, heard, code } of cases) {
    it(`hears ${signals.join(', ')} as ${heard.join(', ')}${code === null ? '' : ', leave'}`, async () => {
      const result = await send(signals);
      expect([result.heard, result.code]).to.deep.equal([heard, code]);
    });
  }

  it('keeps the debugger of Node.js closed', async () => {
    const { errors } = await send(['SIGUSR1']);
    expect(errors).to.equal('');
  });

  it('lets a hang-up end a program that has nothing to reopen', async () => {
    const { heard, signal } = await send(['SIGHUP'], '');
    expect([heard, signal]).to.deep.equal([[], 'SIGHUP']);
  });

  it('hears nothing any more when it is told so', () => {
    const before = process.listenerCount('SIGTERM');
    const ignore = () => {};
    const stop = onSignals({ drain: ignore, leave: ignore, statistics: ignore, reopen: ignore });
    expect(process.listenerCount('SIGTERM')).to.equal(before + 1);
    stop();
    expect(process.listenerCount('SIGTERM')).to.equal(before);
  });
});
