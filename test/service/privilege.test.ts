import { spawnSync } from 'node:child_process';
import { expect } from 'chai';
import { StartError } from '../../src/cli/errors.js';
import { type Account, lookUpAccount, planPrivileges } from '../../src/service/privilege.js';

const source = (name: string) =>
  JSON.stringify(new URL(`../../src/service/${name}.js`, import.meta.url).href);

const ACCOUNTS: Record<string, Account> = {
  _pfflowd: { name: '_pfflowd', uid: 900, gid: 900, groups: [900] },
  flows: { name: 'flows', uid: 1000, gid: 1000, groups: [1000, 20] },
  root: { name: 'root', uid: 0, gid: 0, groups: [0] },
  toor: { name: 'toor', uid: 0, gid: 0, groups: [0] },
};
const lookup = (name: string) => ACCOUNTS[name];

describe('planPrivileges', () => {
  const LIVE: readonly string[] = [];
  const FILE = ['x.pcap'];
  const becomes = [
    { uid: 0, reads: LIVE, user: undefined, name: '_pfflowd' },
    { uid: 0, reads: LIVE, user: 'flows', name: 'flows' },
    { uid: 0, reads: FILE, user: 'flows', name: 'flows' },
    { uid: 0, reads: LIVE, user: 'root', name: undefined },
    { uid: 0, reads: LIVE, user: 'toor', name: undefined },
    { uid: 0, reads: FILE, user: undefined, name: undefined },
    { uid: 1000, reads: LIVE, user: undefined, name: undefined },
    { uid: 1000, reads: LIVE, user: 'flows', name: undefined },
    { uid: 1000, reads: FILE, user: undefined, name: undefined },
  ];
  for (const { uid, reads, user, name } of becomes) {
    const how = `${reads === LIVE ? 'live' : '-r'}${user === undefined ? '' : ` --user ${user}`}`;
    it(`makes uid ${uid} with ${how} ${name ?? 'stay what it is'}`, () => {
      const plan = planPrivileges({ reads, ...(user === undefined ? {} : { user }) }, uid, lookup);
      expect(plan.account?.name).to.equal(name);
    });
  }

  const refusals = [
    { uid: 0, user: 'nosuch', says: "--user 'nosuch': no such user" },
    { uid: 1000, user: 'nosuch', says: "--user 'nosuch': no such user" },
    { uid: 1000, user: '_pfflowd', says: "--user '_pfflowd': only root can become another user" },
    { uid: 1000, user: 'root', says: "--user 'root': only root can become another user" },
  ];
  for (const { uid, user, says } of refusals) {
    it(`refuses uid ${uid} with --user ${user}`, () => {
      expect(() => planPrivileges({ reads: LIVE, user }, uid, lookup)).to.throw(StartError, says);
    });
  }

  it('never stays root because the user is missing', () => {
    expect(() => planPrivileges({ reads: LIVE }, 0, () => undefined)).to.throw(
      StartError,
      'no such user _pfflowd, which root becomes: create it, or name another with --user (--user root stays root)',
    );
  });
});

describe('lookUpAccount', () => {
  it('finds root', () => {
    const root = lookUpAccount('root');
    expect([root?.uid, root?.gid]).to.deep.equal([0, 0]);
    expect(root?.groups).to.include(0);
  });

  for (const name of ['no_such_user_here', '', '-u', '--help', ' root', 'a b', 'root; id', 'root\n']) {
    it(`finds nobody as ${JSON.stringify(name)}`, () => {
      expect(lookUpAccount(name)).to.equal(undefined);
    });
  }
});

const isRoot = process.getuid?.() === 0 && process.platform === 'linux';

describe(`dropPrivileges${isRoot ? '' : ' (left out: needs root on Linux)'}`, () => {
  before(function () {
    if (isRoot) return;
    expect(process.env.CI, 'CI runs as root').to.equal(undefined);
    this.skip();
  });

  /** Runs with every right, opens a socket, gives up what it is told to, and then `deed`. */
  function run(account: Account, deed: string): string {
    const program = `
      import { createSocket } from 'node:dgram';
      import { once } from 'node:events';
      import { readFile } from 'node:fs/promises';
      import { readdirSync, readFileSync } from 'node:fs';
      import { dropPrivileges } from ${source('privilege')};
      import { PrivilegedShells } from ${source('privileged-shell')};
      process.setgroups([0, 1, 2, 3, 4]);
      const shells = new PrivilegedShells();
      const ask = async () => {
        const run = shells.spawn('id', ['-u'], process.env);
        const closed = once(run, 'close');
        const text = String((await once(run.stdout, 'data'))[0]).trim();
        // The shell has one run at a time, and one is closed when all it wrote is read.
        run.stdout.resume();
        run.stderr.resume();
        await closed;
        return text;
      };
      const socket = createSocket('udp4').bind(0, '127.0.0.1');
      await once(socket, 'listening');
      await readFile('/proc/self/stat'); // Other threads are there already.
      const before = [await ask()];
      console.log(dropPrivileges(${JSON.stringify(account)}));
      ${deed}
      socket.close(); shells.close();`;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
    });
    expect(stderr).to.equal('');
    return stdout;
  }

  const accounts: { account: Account; groups: string; says: string }[] = [
    {
      account: { name: 'nobody', uid: 65534, gid: 65534, groups: [65534] },
      groups: '65534',
      says: 'dropped root for nobody: uid 65534, gid 65534',
    },
    {
      account: { name: 'flows', uid: 4711, gid: 4712, groups: [4712, 20, 4713] },
      groups: '20 4712 4713',
      says: 'dropped root for flows: uid 4711, gid 4712, groups 20 4713',
    },
    {
      account: { name: 'lone', uid: 4711, gid: 4712, groups: [] },
      groups: '',
      says: 'dropped root for lone: uid 4711, gid 4712',
    },
  ];
  for (const { account, groups, says } of accounts) {
    it(`leaves every thread of the process with the rights of ${account.name} alone, in /proc`, () => {
      const output = run(
        account,
        `for (const thread of readdirSync('/proc/self/task')) {
          const status = readFileSync('/proc/self/task/' + thread + '/status', 'latin1');
          console.log(JSON.stringify(status.match(/^(Uid|Gid|Groups|Cap(Prm|Eff|Amb)):.*$/gm)));
        }`,
      );
      const [line, ...threads] = output.trim().split('\n');
      const four = (id: number) => Array(4).fill(id).join('\t');
      expect(line).to.equal(says);
      expect(threads.length).to.be.greaterThan(2);
      for (const thread of threads) {
        expect(JSON.parse(thread).map((text: string) => text.trim())).to.deep.equal([
          `Uid:\t${four(account.uid)}`,
          `Gid:\t${four(account.gid)}`,
          groups === '' ? 'Groups:' : `Groups:\t${groups}`,
          'CapPrm:\t0000000000000000',
          'CapEff:\t0000000000000000',
          'CapAmb:\t0000000000000000',
        ]);
      }
    });
  }

  const nobody = { name: 'nobody', uid: 65534, gid: 65534, groups: [65534] };

  it('cannot be taken back', () => {
    const deed = `for (const regain of ['setuid', 'seteuid', 'setgid', 'setegid', 'setgroups']) {
      try { process[regain](regain === 'setgroups' ? [0] : 0); console.log(regain); } catch {}
    }`;
    expect(run(nobody, deed)).to.equal('dropped root for nobody: uid 65534, gid 65534\n');
  });

  it('leaves the shell of the capture its rights: the command starts again, and nothing else does', () => {
    const deed = `
      const others = shells.spawn('id', ['-un'], process.env);
      const name = String((await once(others.stdout, 'data'))[0]).trim();
      console.log(before[0], await ask(), process.getuid(), name);`;
    expect(run(nobody, deed)).to.equal('dropped root for nobody: uid 65534, gid 65534\n0 0 65534 nobody\n');
  });

  it('fails when it cannot be done', () => {
    const deed = `
      const before2 = process.getuid();
      try { dropPrivileges({ name: 'flows', uid: 4711, gid: 4712, groups: [] }); }
      catch (error) { console.log(error.constructor.name, error.message, process.getuid() === before2); }`;
    expect(run(nobody, deed)).to.match(/\nStartError cannot become flows: \S.* true\n$/);
  });
});
