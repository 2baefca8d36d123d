import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { PFCTL, type PfctlOptions, PfctlPoller, runInterval } from '../../src/source/pfctl.js';
import { ManualTimers } from './manual-timers.js';

const BLOCK = `all udp 192.0.2.1:1 -> 192.0.2.2:2       0:0
   age 00:00:05, expires in 00:00:09, 3:2 pkts, 210:480 bytes, rule 0
   id: 0000000000000005 creatorid: 00000006
`;

/** A firewall's pfctl is a line for the shell here, that prints blocks with `$BLOCK`. */
interface Fake {
  readonly poller: PfctlPoller;
  readonly lines: string[];
  readonly ids: number[];
  readonly timers: ManualTimers;
  now: number;
}

function fake(command: PfctlOptions['command'], options: Partial<PfctlOptions> = {}): Fake {
  const lines: string[] = [];
  const ids: number[] = [];
  const timers = new ManualTimers();
  const self = { lines, ids, timers, now: 1_000_000 } as Fake & { poller: PfctlPoller };
  self.poller = new PfctlPoller({
    command,
    interval: 10,
    onCounters: ({ idLow }) => ids.push(idLow) > 0,
    log: { warn: (text) => lines.push(`warn ${text}`), info: (text) => lines.push(`info ${text}`) },
    clock: () => self.now,
    startTimer: timers.start,
    ...options,
  });
  return self;
}

/** A zombie that nobody has waited for yet is dead; only Linux tells so without ps(1). */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return process.platform !== 'linux';
  }
}

/** Until it holds; the test's own time limit is the end of patience. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(5);
}

describe('runInterval', () => {
  const cases: readonly (readonly [number, number, number])[] = [
    [10, 0, 10_000],
    [10, 1, 10_000],
    [10, 2, 20_000],
    [10, 5, 160_000],
    [10, 6, 300_000],
    [10, 5000, 300_000],
    [0.1, 3, 400],
    [600, 9, 600_000],
  ];
  for (const [interval, failures, expected] of cases) {
    it(`of ${interval} s is ${expected} ms after ${failures} failures`, () => {
      expect(runInterval(interval, failures)).to.equal(expected);
    });
  }
});

describe('PfctlPoller', () => {
  before(() => {
    process.env.BLOCK = BLOCK;
  });
  after(() => {
    delete process.env.BLOCK;
  });

  it('runs pfctl -vvss', () => {
    expect(PFCTL).to.deep.equal(['pfctl', '-vvss']);
  });

  it('hands on the states that a line for the shell prints', async () => {
    const { poller, ids, lines } = fake('echo message >&2; printf "%s" "$BLOCK$BLOCK"', { clock: () => 77 });
    expect(await poller.runOnce()).to.deep.equal({ result: 'success', states: 2, known: 2, unparsed: 0 });
    expect(ids).to.deep.equal([5, 5]);
    expect(lines).to.deep.equal([]);
    expect(poller.counters).to.deep.include({ runs: 1, failures: 0, timeouts: 0, states: 2, known: 2 });
    expect(poller.counters).to.include({ unparsed: 0, lastSuccess: 77 });
  });

  it('runs a program without a shell', async () => {
    const { poller, ids } = fake(['printf', '%s', `${BLOCK}$HOME;exit 3\n`]);
    expect(await poller.runOnce()).to.include({ result: 'success', states: 1, unparsed: 1 });
    expect(ids).to.deep.equal([5]);
  });

  it('finds programs in /sbin without being told', async () => {
    const { poller } = fake('case "$PATH" in */sbin*) printf "%s" "$BLOCK";; esac');
    expect((await poller.runOnce()).states).to.equal(1);
  });

  it('takes an empty list for a list without states', async () => {
    const { poller, lines } = fake('true');
    expect(await poller.runOnce()).to.deep.equal({ result: 'success', states: 0, known: 0, unparsed: 0 });
    expect(lines).to.deep.equal([]);
  });

  it('counts the states that are not known', async () => {
    const { poller } = fake('printf "%s" "$BLOCK"', { onCounters: () => false });
    expect(await poller.runOnce()).to.deep.include({ result: 'success', states: 1, known: 0 });
  });

  it('says of all counters when their poll began', async () => {
    const times: number[] = [];
    const self = fake('printf "%s" "$BLOCK$BLOCK"', {
      onCounters: (_counters, startedAt) => {
        times.push(startedAt);
        self.now += 700;
        return true;
      },
    });
    await self.poller.runOnce();
    self.now = 2_000_000;
    await self.poller.runOnce();
    expect(times).to.deep.equal([1_000_000, 1_000_000, 2_000_000, 2_000_000]);
  });

  it('joins ids in the order that FreeBSD prints them', async () => {
    const { poller } = fake('printf "%s" "$BLOCK"', {
      onCounters: ({ idHigh, idLow }) => idHigh === 0x05000000 && idLow === 0,
    });
    expect(await poller.runOnce()).to.deep.include({ states: 1, known: 1 });
  });

  it('reads a long list whole, and lets the event loop turn meanwhile', async () => {
    const { poller } = fake(`i=0; while [ $i -lt 9 ]; do BLOCK="$BLOCK$BLOCK"; i=$((i+1)); done
      for i in 1 2 3 4 5 6 7 8 9 10; do printf "%s" "$BLOCK"; done`);
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    const { states } = await poller.runOnce();
    clearInterval(timer);
    expect(states).to.equal(5120);
    expect(turns).to.be.greaterThan(5);
  });

  const failures: readonly {
    name: string;
    command: PfctlOptions['command'];
    result: string;
    states?: number;
    line: RegExp;
  }[] = [
    {
      name: 'a status',
      command: 'echo first >&2; echo "pfctl: /dev/pf: Permission denied" >&2; echo >&2; exit 3',
      result: 'exit',
      line: /: exit status 3: pfctl: \/dev\/pf: Permission denied$/,
    },
    {
      name: 'a status after some states',
      command: 'printf "%s" "$BLOCK"; exit 1',
      result: 'exit',
      states: 1,
      line: /: exit status 1$/,
    },
    { name: 'no such command', command: '/nonexistent/pfctl -vvss', result: 'exit', line: /exit status 127/ },
    {
      name: 'no such program',
      command: ['/nonexistent/pfctl'],
      result: 'spawn',
      line: /cannot be run: .*ENOENT/,
    },
    { name: 'no program', command: [], result: 'spawn', line: /cannot be run/ },
    { name: 'a name that no file has', command: ['a\0b'], result: 'spawn', line: /cannot be run/ },
    { name: 'a signal', command: 'kill -USR1 $$', result: 'signal', line: /killed by SIGUSR1/ },
    { name: 'garbage', command: 'echo hello; echo world', result: 'garbled', line: /no state in 12 octets/ },
    {
      name: 'one huge line',
      command: 'head -c 3000000 /dev/zero',
      result: 'garbled',
      line: /no state in 3000000 octets/,
    },
    {
      name: 'a hostile message',
      command: `printf '\\033[2Jbad\\007 ${'x'.repeat(2000)}' >&2; exit 1`,
      result: 'exit',
      line: /: exit status 1: x{200}\.\.\.$/,
    },
    {
      name: 'a hostile message that is short',
      command: `printf 'one\\n\\033[2Jbad\\007\\r\\n' >&2; exit 1`,
      result: 'exit',
      line: /: exit status 1: \\x1b\[2Jbad\\x07$/,
    },
  ];
  for (const { name, command, result, states = 0, line } of failures) {
    it(`counts ${name} as ${result}, and warns`, async () => {
      const { poller, lines } = fake(command);
      expect(await poller.runOnce()).to.include({ result, states });
      expect(poller.counters).to.include({ runs: 1, failures: 1, timeouts: 0, states, lastSuccess: 0 });
      expect(poller.counters.reasons).to.include({ [result]: 1 });
      expect(lines).to.have.length(1);
      expect(lines[0])
        .to.match(/^warn /)
        .and.match(line);
    });
  }

  it('counts a list that its reader cannot take as read', async () => {
    const { poller, lines } = fake('printf "%s" "$BLOCK"', {
      onCounters: () => {
        throw new Error('table is full');
      },
    });
    expect((await poller.runOnce()).result).to.equal('read');
    expect(lines[0]).to.match(/output cannot be read: table is full$/);
  });

  it('ends a run that hangs, with all that it started', async () => {
    const { poller, lines, ids, timers } = fake(
      'sleep 60 & echo $! $$ >&2; printf "%s" "$BLOCK"; wait; sleep 60',
      { timeout: 0.2 },
    );
    const run = poller.runOnce();
    await until(() => ids.length > 0);
    expect(timers.running).to.deep.equal([200]);
    timers.expire();
    expect(await run).to.include({ result: 'timeout', states: 1 });
    expect(poller.counters).to.include({ failures: 1, timeouts: 1 });
    const pids = /not done after 0\.2 s: (\d+) (\d+)$/.exec(lines[0])!.slice(1).map(Number);
    await until(() => !pids.some(isAlive));
    expect(timers.running).to.deep.equal([]);
  });

  it('ends a run that does not care for SIGTERM', async () => {
    const { poller, ids, timers } = fake('trap "" TERM; printf "%s" "$BLOCK"; while :; do sleep 1; done');
    const run = poller.runOnce();
    await until(() => ids.length > 0);
    expect(timers.running).to.deep.equal([10_000]);
    timers.expire();
    expect(timers.running).to.deep.equal([1000]);
    timers.expire();
    expect((await run).result).to.equal('timeout');
  });

  it('ends a run whose output does not end', async () => {
    const { poller, ids, timers } = fake('while :; do printf "%s" "$BLOCK"; done');
    const run = poller.runOnce();
    await until(() => ids.length > 0);
    timers.expire();
    expect((await run).result).to.equal('timeout');
    expect(poller.counters.states).to.be.greaterThan(0);
  });

  it('warns once a minute of one reason, at once of another, and tells when it works again', async () => {
    const self = fake('exit $STATUS');
    const run = async (status: string, now: number) => {
      process.env.STATUS = status;
      self.now = now;
      await self.poller.runOnce();
    };
    for (let i = 0; i < 4; i++) await run('1', i * 10_000);
    await run('1', 60_000);
    process.env.STATUS = '';
    await run('0', 61_000);
    await run('0', 62_000);
    delete process.env.STATUS;
    expect(self.lines).to.deep.equal([
      'warn exit $STATUS: exit status 1',
      'warn exit $STATUS: exit status 1 (and 3 more)',
      'info exit $STATUS: works again after 5 failed runs',
    ]);
    expect(self.poller.counters).to.include({ runs: 7, failures: 5, lastSuccess: 62_000 });
  });

  it('shares the run that is under way', async () => {
    const { poller } = fake('printf "%s" "$BLOCK"');
    const [first, second] = await Promise.all([poller.runOnce(), poller.runOnce()]);
    expect(second).to.equal(first);
    expect(poller.counters.runs).to.equal(1);
  });

  it('runs again and again from start to stop', async () => {
    const self = fake('printf "%s" "$BLOCK"', { interval: 10 });
    const { poller, lines, timers } = self;
    poller.start();
    poller.start();
    for (let runs = 1; runs < 4; runs++) {
      await until(() => poller.counters.states === runs && timers.running[0] === 10_000);
      timers.expire();
    }
    await until(() => poller.counters.states === 4 && timers.running[0] === 10_000);
    await poller.stop();
    expect(timers.running).to.deep.equal([]);
    expect(poller.counters.runs).to.equal(4);
    expect(lines).to.deep.equal([]);
  });

  it('starts a run an interval after the start of the one before, whatever that took', async () => {
    const durations = [4000, 25_000, -5000, 0];
    const onCounters = () => {
      self.now += durations.shift()!;
      return true;
    };
    const self: Fake = fake('printf "%s" "$BLOCK"', { onCounters, timeout: 77 });
    const { poller, timers } = self;
    const pauses: number[] = [];
    poller.start();
    for (let runs = 1; runs <= 4; runs++) {
      await until(() => poller.counters.states === runs && timers.running.length > 0);
      pauses.push(...timers.running);
      if (runs < 4) timers.expire();
    }
    await poller.stop();
    expect(pauses).to.deep.equal([6000, 0, 10_000, 10_000]);
  });

  it('goes on after failures, with longer pauses', async () => {
    const { poller, timers } = fake('exit 1', { timeout: 77 });
    const pauses: number[] = [];
    poller.start();
    for (let failures = 1; failures <= 3; failures++) {
      await until(() => poller.counters.failures === failures && timers.running.length > 0);
      pauses.push(...timers.running);
      timers.expire();
    }
    await poller.stop();
    expect(pauses).to.deep.equal([10_000, 10_000 * 2, 10_000 * 4]);
  });

  it('stops a run that is under way, which is no failure, and takes nothing more from it', async () => {
    const { poller, ids, lines } = fake('while :; do printf "%s" "$BLOCK"; done');
    poller.start();
    await until(() => ids.length > 0);
    const stopped = poller.stop();
    const { length } = ids;
    await stopped;
    expect(ids).to.have.length(length);
    expect(poller.counters).to.include({ failures: 0, timeouts: 0, lastSuccess: 0 });
    expect(lines).to.deep.equal([]);
  });

  it('can be stopped before it starts, and twice', async () => {
    const { poller } = fake('true');
    await poller.stop();
    await poller.stop();
    expect(poller.counters.runs).to.equal(0);
  });
});
