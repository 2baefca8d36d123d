import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import type { Options } from '../../src/cli/option-table.js';
import { parseOptions } from '../../src/cli/options.js';

const ETC = fileURLToPath(new URL('../../../etc/', import.meta.url));
const text = (name: string) => readFileSync(join(ETC, name), 'utf8');

/** The words of a command line behind the program, as the program understands them; no configuration file is read. */
function understood(line: string): Options {
  const [program, ...words] = line.trim().split(/\s+/);
  expect(program).to.equal('/usr/local/bin/pfflowd');
  return parseOptions(words, (file) => {
    expect(file).to.match(/pfflowd\.conf$/);
    return 'collector 192.0.2.9:2055\n';
  });
}

/** The program, or undefined where it is not installed. */
function tool(name: string, args: readonly string[]) {
  const { error, status, stdout, stderr } = spawnSync(name, args, { encoding: 'utf8' });
  return error === undefined ? { status, output: `${stdout}${stderr}` } : undefined;
}

/** A script of rc.d with an rc.subr of the test's own, which prints what the system's would go by. */
function runScript(name: string, subr: string, action: string, settings: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'pfflowd-rc-'));
  try {
    const own = join(directory, 'rc.subr');
    writeFileSync(own, `${settings}\n${subr}`);
    const script = text(name);
    expect(script).to.match(/^\. \/etc\/(rc\.d\/)?rc\.subr$/m);
    const here = script.replace(/^\. \/etc\/(rc\.d\/)?rc\.subr$/m, `. ${own}`);
    const result = spawnSync('/bin/sh', ['-eu', '-c', here, name, action], { encoding: 'utf8' });
    expect([result.status, result.stderr]).to.deep.equal([0, '']);
    return result.stdout.trim();
  } finally {
    rmSync(directory, { recursive: true });
  }
}

describe('etc/freebsd/pfflowd', () => {
  const SUBR = `load_rc_config() { :; }
run_rc_command() { echo "$command \${pfflowd_flags:-} $command_args"; }`;
  const common = { pidFile: '/var/run/pfflowd.pid', user: '_pfflowd', foreground: false };
  const cases = [
    { settings: '', expected: { interfaces: ['pfsync0'], version: 5, hosts: ['127.0.0.1:2055'] } },
    {
      settings: 'pfflowd_host="192.0.2.9:9995"',
      expected: { interfaces: ['pfsync0'], version: 5, hosts: ['192.0.2.9:9995'] },
    },
    {
      settings: `pfflowd_host="192.0.2.9:1 192.0.2.10:2" pfflowd_interface="em0 em1" pfflowd_version=10
        pfflowd_source=192.0.2.1 pfflowd_flags="--hold 2" pfflowd_runas=flows pfflowd_pidfile=/tmp/p`,
      expected: {
        interfaces: ['em0', 'em1'],
        version: 10,
        hosts: ['192.0.2.9:1', '192.0.2.10:2'],
        source: '192.0.2.1',
        hold: 2,
        user: 'flows',
        pidFile: '/tmp/p',
      },
    },
    {
      settings: 'pfflowd_config=/usr/local/etc/pfflowd.conf',
      expected: { config: '/usr/local/etc/pfflowd.conf', hosts: ['192.0.2.9:2055'] },
    },
  ];
  for (const { settings, expected } of cases) {
    it(`starts the program with ${settings.split(/\s+/).join(' ') || 'nothing set'} as its words say`, () => {
      const options = understood(runScript('freebsd/pfflowd', SUBR, 'start', settings));
      const hosts = options.collectors.map(({ host, port }) => `${host}:${port}`);
      expect({ ...options, hosts }).to.deep.include({ ...common, ...expected });
    });
  }

  it('removes the pid file that is left empty', () => {
    const path = join(tmpdir(), `pfflowd-${process.pid}.pid`);
    const subr = `load_rc_config() { :; }
run_rc_command() { : >"$pidfile"; $stop_postcmd; if [ -e "$pidfile" ]; then echo left; else echo gone; fi; }`;
    expect(runScript('freebsd/pfflowd', subr, 'stop', `pfflowd_pidfile=${path}`)).to.equal('gone');
  });
});

describe('etc/openbsd/pfflowd', () => {
  it('starts the program, and knows its process by what ps shows', () => {
    const subr = 'rc_cmd() { echo "$daemon $daemon_flags"; echo "$pexp"; }';
    const [line, pattern] = runScript('openbsd/pfflowd', subr, 'start', '').split('\n');
    const { foreground, config } = understood(line!);
    expect([foreground, config]).to.deep.equal([false, '/etc/pfflowd.conf']);
    const process = new RegExp(`^(?:${pattern})$`);
    expect(`/usr/local/bin/node ${line}`).to.match(process);
    expect(`/usr/local/bin/node /usr/local/bin/other -c /etc/pfflowd.conf`).not.to.match(process);
    expect(`/bin/sh -c run ${line}`).not.to.match(process);
  });
});

describe('rc.d scripts', () => {
  for (const name of ['freebsd/pfflowd', 'openbsd/pfflowd']) {
    it(`${name} is understood by sh -n`, () => {
      expect(tool('sh', ['-n', join(ETC, name)])).to.deep.equal({ status: 0, output: '' });
    });

    it(`${name} is clean to shellcheck`, function () {
      const result = tool('shellcheck', ['-s', 'sh', join(ETC, name)]);
      if (result === undefined) this.skip();
      expect(result).to.deep.equal({ status: 0, output: '' });
    });
  }
});

describe('etc/pfflowd.service', () => {
  const unit = text('pfflowd.service');
  const [, command] = /^ExecStart=(.*)$/m.exec(unit) ?? [];

  it('starts the program in the foreground', () => {
    const { foreground, config, user } = understood(command!);
    expect([foreground, config, user]).to.deep.equal([true, '/etc/pfflowd.conf', undefined]);
  });

  it('gives the right to capture and no other', () => {
    for (const name of ['AmbientCapabilities', 'CapabilityBoundingSet']) {
      expect(unit.match(new RegExp(`^${name}=.*$`, 'gm'))).to.deep.equal([`${name}=CAP_NET_RAW`]);
    }
  });

  it('is at 2.0 or better to systemd-analyze security', function () {
    const result = tool('systemd-analyze', [
      'security',
      '--offline=yes',
      '--no-pager',
      join(ETC, 'pfflowd.service'),
    ]);
    if (result === undefined) this.skip();
    const [, exposure] = /Overall exposure level for pfflowd\.service: ([\d.]+)/.exec(result.output) ?? [];
    expect(Number(exposure), result.output).to.be.within(0.1, 2);
  });

  it('has no word that systemd does not know', function () {
    const result = tool('systemd-analyze', ['verify', '--man=no', join(ETC, 'pfflowd.service')]);
    if (result === undefined) this.skip();
    const complaints = result.output
      .split('\n')
      .filter((line) => line !== '' && !/is not executable/.test(line));
    expect(complaints).to.deep.equal([]);
  });
});

describe('etc/container', () => {
  const [, entry] = /^ENTRYPOINT (\[.*\])$/m.exec(text('container/Containerfile')) ?? [];
  const compose = text('container/compose.yaml');
  const [, command] = /^ +command: (\[.*\])$/m.exec(compose) ?? [];

  it('starts the program with words that it understands, in the foreground', () => {
    const [node, program, ...words] = JSON.parse(entry!) as string[];
    expect([node, program]).to.deep.equal(['node', '/opt/pfflowd/dist/pfflowd.mjs']);
    const { foreground, interfaces, version } = parseOptions([...words, ...JSON.parse(command!)]);
    expect([foreground, interfaces, version]).to.deep.equal([true, ['eth1'], 10]);
  });

  const rights: [string, RegExp][] = [
    ['drops every capability', /^ {4}cap_drop: \[ALL\]$/m],
    ['adds NET_RAW alone', /^ {4}cap_add: \[NET_RAW\]$/m],
    ['writes to no file', /^ {4}read_only: true$/m],
    ['sees the host’s interfaces', /^ {4}network_mode: host$/m],
  ];
  for (const [what, pattern] of rights) {
    it(what, () => expect(compose).to.match(pattern));
  }

  it('is never privileged, and runs as the user of its own', () => {
    expect(compose).not.to.match(/privileged|^ *user:/m);
    expect(text('container/Containerfile').match(/^USER .*$/gm)).to.deep.equal(['USER _pfflowd']);
  });
});

describe('etc/README.md', () => {
  it('names every file there is', () => {
    const readme = text('README.md');
    for (const name of [
      'pfflowd.service',
      'freebsd/pfflowd',
      'openbsd/pfflowd',
      'container/Containerfile',
      'container/compose.yaml',
    ]) {
      expect(readme).to.contain(`\`${name}\``);
      expect(text(name).length).to.be.greaterThan(0);
    }
  });
});
