import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { type CommandRun, PrivilegedShells, shellScript } from '../../src/service/privileged-shell.js';

/** A command is a line for the shell. */
function start(shells: PrivilegedShells, line: string): CommandRun {
  return shells.spawn('/bin/sh', ['-c', line], { PATH: process.env.PATH });
}

async function content(stream: CommandRun['stdout']): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

async function outcome(run: CommandRun) {
  // once() would reject at an error.
  const closed = new Promise((resolve) => run.once('close', resolve));
  const [output, errors] = await Promise.all([content(run.stdout), content(run.stderr)]);
  await closed;
  const { exitCode: code, signalCode: signal } = run;
  return { output: output.toString('latin1'), errors: errors.toString('latin1'), code, signal };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

function parentOf(pid: number): number {
  return Number(/^\d+ \(.*\) \S (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, 'latin1'))![1]);
}

describe('shellScript', () => {
  it('is understood by sh -n, whatever the words', () => {
    const script = shellScript('/usr/sbin/tcpdump', ['-i', "it's", '$(touch x)', '`x`', 'a\nb', '']);
    const { status, stderr } = spawnSync('/bin/sh', ['-n', '-c', script], { encoding: 'utf8' });
    expect([status, stderr]).to.deep.equal([0, '']);
  });
});

describe('PrivilegedShells', () => {
  let shells: PrivilegedShells;
  beforeEach(() => {
    shells = new PrivilegedShells();
  });
  afterEach(() => shells.close());

  it('hands every argument over as it is', async () => {
    const words = ['a b', "it's", '$HOME', '`id`', '*', '', '-n', 'x\ny', '\\'];
    const run = shells.spawn('/usr/bin/env', ['printf', '<%s>', ...words], { PATH: process.env.PATH });
    const { output } = await outcome(run);
    expect(output).to.equal(words.map((word) => `<${word}>`).join(''));
  });

  const endings = [
    { line: 'exit 0', code: 0, signal: null },
    { line: 'exit 7', code: 7, signal: null },
    { line: 'kill -s TERM $$', code: null, signal: 'SIGTERM' },
    { line: 'kill -s KILL $$', code: null, signal: 'SIGKILL' },
  ];
  for (const { line, code, signal } of endings) {
    it(`tells how it ended: ${line}`, async () => {
      const ended = await outcome(start(shells, `echo out; echo err >&2; ${line}`));
      expect(ended).to.deep.equal({ output: 'out\n', errors: 'err\n', code, signal });
    });
  }

  it('keeps the runs apart, octet by octet, when one ends in the middle of a record', async () => {
    const line = 'head -c 1000001 /dev/zero; printf x; head -c 3 /dev/zero >&2';
    const nothing = '\0'.repeat(1_000_001);
    for (let number = 0; number < 5; number++) {
      const { output, errors, code } = await outcome(start(shells, line));
      expect(output === `${nothing}x`, `run ${number}, ${output.length} octets`).to.equal(true);
      expect([errors, code]).to.deep.equal(['\0\0\0', 0]);
    }
  });

  it('does not hold back the last octets while the command runs', async () => {
    const run = start(shells, 'printf 4567; exec sleep 60');
    expect(String((await once(run.stdout, 'data'))[0])).to.equal('4567');
    run.kill();
    expect((await outcome(run)).signal).to.equal('SIGTERM');
  });

  it('makes a fast command wait for its reader', async () => {
    const run = start(shells, 'head -c 50000000 /dev/zero; echo done >&2');
    run.stdout.pause();
    run.stderr.resume();
    await sleep(300);
    expect([run.stdout.readableLength < 1_000_000, run.exitCode]).to.deep.equal([true, null]);
    expect((await content(run.stdout)).length).to.equal(50_000_000);
  });

  const signals = [
    { signal: 'SIGTERM', caught: 'TERM' },
    { signal: 'SIGUSR1', caught: 'USR1' },
  ] as const;
  for (const { signal, caught } of signals) {
    it(`passes ${signal} on`, async () => {
      const run = start(
        shells,
        `trap 'echo caught; exit 3' ${caught}; echo set; while :; do sleep 0.05; done`,
      );
      await once(run.stdout, 'readable');
      expect(run.kill(signal)).to.equal(true);
      const { output, code } = await outcome(run);
      expect([output, code]).to.deep.equal(['set\ncaught\n', 3]);
      expect(run.kill(signal)).to.equal(false);
    });
  }

  it('passes SIGKILL on to a command that hears nothing else, and tells which signal ended it', async () => {
    const runs = Array.from({ length: 20 }, async (_, number) => {
      const run = start(shells, `trap '' TERM; echo set ${number}; while :; do sleep 0.05; done`);
      await once(run.stdout, 'readable');
      run.kill('SIGTERM');
      await sleep(100);
      run.kill('SIGKILL');
      return (await outcome(run)).signal;
    });
    expect(await Promise.all(runs)).to.deep.equal(Array(20).fill('SIGKILL'));
  });

  it('tells of a program that is not there as spawn does', async () => {
    const run = shells.spawn('/nonexistent/tcpdump', [], { PATH: process.env.PATH });
    const failed = once(run, 'error');
    const ended = outcome(run);
    const [error] = await failed;
    expect([error.code, run.pid]).to.deep.equal(['ENOENT', undefined]);
    expect((await ended).code).to.equal(127);
  });

  for (const line of ['echo $$; exec sleep 60', `trap '' TERM; echo $$; while :; do sleep 0.05; done`]) {
    it(`ends the command and itself when it is closed: ${line}`, async () => {
      const run = start(shells, line);
      const pid = Number((await once(run.stdout, 'data'))[0]);
      const shell = parentOf(parentOf(pid));
      expect([isAlive(pid), isAlive(shell)]).to.deep.equal([true, true]);
      shells.close();
      while (isAlive(pid) || isAlive(shell)) await sleep(10);
    });
  }

  it('ends itself when it is closed between two runs', async () => {
    const run = start(shells, 'echo $PPID; read -r line </proc/$PPID/stat; echo $line');
    const { output } = await outcome(run);
    const [, shell] = /^\d+\n\d+ \(.*\) \S (\d+)/s.exec(output)!;
    expect(isAlive(Number(shell))).to.equal(true);
    shells.close();
    while (isAlive(Number(shell))) await sleep(10);
  });

  it('ends the command when the program is killed', async () => {
    const program = `
      const { PrivilegedShells } = await import(${JSON.stringify(new URL('../../src/service/privileged-shell.js', import.meta.url).href)});
      const run = new PrivilegedShells().spawn('/bin/sh', ['-c', 'echo $$; exec sleep 60'], process.env);
      run.stdout.on('data', (pid) => { process.stdout.write(pid, () => process.kill(process.pid, 'SIGKILL')); });`;
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
    });
    const pid = Number(stdout);
    expect(pid).to.be.greaterThan(1);
    while (isAlive(pid)) await sleep(10);
  });

  it('starts a shell anew when somebody ended it, and tells of the lost run', async () => {
    const run = start(shells, 'echo $PPID; exec sleep 1');
    const shell = parentOf(Number((await once(run.stdout, 'data'))[0]));
    const ended = outcome(run);
    process.kill(shell, 'SIGKILL');
    expect((await ended).signal).to.equal('SIGKILL');
    expect((await outcome(start(shells, 'echo $PPID; exec sleep 1'))).code).to.equal(0);
  });
});
