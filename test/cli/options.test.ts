import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import fc from 'fast-check';
import { cidrMatcher, isLoopback, parseCidr } from '../../src/cli/cidr.js';
import { UsageError } from '../../src/cli/errors.js';
import type { Options } from '../../src/cli/option-table.js';
import { parseOptions } from '../../src/cli/options.js';
import { VERSION } from '../../src/cli/version.js';

/** A collector, so that the rule that there must be an output is kept. */
const SOME = ['-n', '192.0.2.9:2055'];

const read = (...argv: string[]): Options => parseOptions(argv, () => '');
const readWith = (...argv: string[]): Options => read(...SOME, ...argv);

function faultOf(...argv: string[]): string {
  try {
    read(...argv);
  } catch (error) {
    expect(error).to.be.instanceOf(UsageError);
    return (error as Error).message;
  }
  return 'no fault';
}

describe('options', () => {
  it('has these defaults', () => {
    expect(readWith()).to.deep.equal({
      interfaces: ['pfsync0'],
      reads: [],
      listen: [],
      allow: [],
      pfctl: false,
      pfctlInterval: 10,
      requestUpdates: false,
      requestInterval: 20,
      requestRate: 2000,
      excludeSelf: true,
      maxStates: 10_000_000,
      stateTimeout: 0,
      join: false,
      collectors: [{ protocol: 'udp', host: '192.0.2.9', family: 4, port: 2055 }],
      version: 5,
      templateSeconds: 30,
      templatePackets: 1000,
      domain: 42,
      hold: 1,
      failover: false,
      reconnect: 60,
      direction: 'any',
      ifmap: new Map(),
      activeTimeout: 0,
      biflow: false,
      template: 'full',
      exportOptions: [],
      exportStats: true,
      natEvents: false,
      noUncounted: false,
      flushOpen: false,
      output: '-',
      summary: 'text',
      progress: 'auto',
      foreground: false,
      debug: false,
      logLevel: 'info',
      logFormat: 'text',
      checkConfig: false,
      help: false,
      showVersion: false,
      captureFilter: [],
    });
  });

  const understood: [string[], Partial<Options>][] = [
    [['-v5'], { version: 5 }],
    [['-v', '9'], { version: 9 }],
    [['-v10'], { version: 10 }],
    [['--netflow-version=1'], { version: 1 }],
    [['--netflow-version', 'ipfix'], { version: 10 }],
    [['-v', '1', '-v', '9'], { version: 9 }],
    [['-dD'], { foreground: true, debug: true, logLevel: 'debug' }],
    [['-D'], { foreground: true, debug: true }],
    [['-D', '--log-level', 'warn'], { logLevel: 'warn' }],
    [['-dv9'], { foreground: true, version: 9 }],
    [['-i', 'em0', '-i', 'em1'], { interfaces: ['em0', 'em1'] }],
    [['-r', '-', '-r', 'a.pcap'], { reads: ['-', 'a.pcap'], interfaces: [], foreground: true }],
    [['--read=-x'], { reads: ['-x'] }],
    [
      ['--listen', '127.0.0.1:7000'],
      { interfaces: [], listen: [{ host: '127.0.0.1', family: 4, port: 7000 }] },
    ],
    [['--listen', '[::1]:7000'], { listen: [{ host: '::1', family: 6, port: 7000 }] }],
    [['--listen', '127.0.0.1:7000', '-i', 'em0', 'tcp'], { interfaces: ['em0'], captureFilter: ['tcp'] }],
    [
      ['--listen', '0.0.0.0:7000', '--allow', '192.0.2.0/24', '--allow', '2001:db8::5'],
      {
        allow: [
          { address: '192.0.2.0', prefix: 24, family: 'ipv4' },
          { address: '2001:db8::5', prefix: 128, family: 'ipv6' },
        ],
      },
    ],
    [['--pfctl-command', 'cat states'], { pfctl: true, pfctlCommand: 'cat states' }],
    [['--no-exclude-self'], { excludeSelf: false }],
    [['--no-exclude-self=no'], { excludeSelf: true }],
    [['--biflow', '-v10'], { biflow: true }],
    [['--options', 'names', '-v10'], { exportOptions: ['names'] }],
    [['--options', 'sampling,names,names', '-v10'], { exportOptions: ['sampling', 'names'] }],
    [['--no-export-stats'], { exportStats: false }],
    [['--nat-events', '-v9'], { natEvents: true }],
    [['--nat-events', '-v10'], { natEvents: true }],
    [['-m', '.25'], { templateSeconds: 15 }],
    [['-m', '2'], { templateSeconds: 120 }],
    [['-p', '0'], { templatePackets: 0 }],
    [['-e', '255'], { domain: 255 }],
    [['-e', '4294967295', '-v', '9'], { domain: 4294967295 }],
    [['-s', '192.0.2.1'], { source: '192.0.2.1' }],
    [['--rate', '0'], { rate: 0 }],
    [['--hold', '0'], { hold: 0 }],
    [['--datagram-size', '512'], { maxMessage: 512 }],
    [['--active-timeout', '0'], { activeTimeout: 0 }],
    [['--relay', 'fw2:7000'], { relay: { host: 'fw2', family: 0, port: 7000 } }],
    [['-S', 'out'], { direction: 'out' }],
    [
      ['--ifmap', 'em0=1,em1=2', '--ifmap', 'em2=65535'],
      {
        ifmap: new Map([
          ['em0', 1],
          ['em1', 2],
          ['em2', 65535],
        ]),
      },
    ],
    [['--ifmap', 'em0=4294967295', '-v9'], { ifmap: new Map([['em0', 4294967295]]) }],
    [
      ['--ifmap', 'all/in=1,all/out=2,vlan.7/in=3'],
      {
        ifmap: new Map([
          ['all/in', 1],
          ['all/out', 2],
          ['vlan.7/in', 3],
        ]),
      },
    ],
    [
      ['--format', 'ipfix', '-o', 'flows.ipfix'],
      { format: 'ipfix', output: 'flows.ipfix', foreground: false },
    ],
    [['--format', 'json'], { format: 'json', foreground: true }],
    [['--template', 'pflow', '--format', 'ipfix'], { template: 'pflow' }],
    [['--', 'host', '192.0.2.1'], { captureFilter: ['host', '192.0.2.1'] }],
    [['port', '80', '-d'], { captureFilter: ['port', '80'], foreground: true }],
    [['-h', '-i', 'a', '-r', 'b'], { help: true }],
    [['--version', '-n', 'nonsense'], { showVersion: true }],
  ];
  for (const [argv, expected] of understood) {
    it(`understands ${argv.join(' ')}`, () => {
      expect(readWith(...argv)).to.deep.include(expected);
    });
  }

  for (const argv of [['-D'], ['--check-config'], ['--relay', 'fw2:7000'], ['--format', 'csv']]) {
    it(`needs no collector with ${argv[0]}`, () => {
      expect(read(...argv).collectors).to.deep.equal([]);
    });
  }

  it('keeps numbers that no NetFlow v5 record will hold when none is sent', () => {
    expect(read('--format', 'json', '-e', '256', '--ifmap', 'em0=70000').domain).to.equal(256);
    expect(read('-n', 'udp://h:1?version=10', '-e', '256').domain).to.equal(256);
  });

  const refused: [string[], RegExp][] = [
    [[], /^nothing to do: give -n, --format, --relay, -D or --check-config$/],
    [[...SOME, '-i', 'em0', '-r', 'a'], /^-i and -r exclude each other$/],
    [[...SOME, '--listen', '[::1]:1', '-r', 'a'], /^--listen and -r exclude each other$/],
    [[...SOME, '--bogus'], /^unknown option '--bogus'$/],
    [[...SOME, '--estimate'], /^unknown option '--estimate'$/],
    [[...SOME, '--v', '5'], /^unknown option '--v'$/],
    [[...SOME, '--rate\n=1'], /^unknown option '--rate\\x0a'$/],
    [[...SOME, '-x'], /^unknown option '-x'$/],
    [[...SOME, '-dx'], /^unknown option '-x'$/],
    [[...SOME, '-v'], /^-v: the argument is missing, 1\|5\|9\|10$/],
    [['-r', ...SOME], /^-r: the argument is missing, file .*--read='-n'/],
    [[...SOME, '--debug=maybe'], /^--debug: 'maybe' is none of yes, no$/],
    [[...SOME, '-r', ''], /^-r: empty argument$/],
    [[...SOME, '-v', '7'], /^-v: '7' is none of 1, 5, 9, 10, ipfix$/],
    [[...SOME, '-v', 'constructor'], /^-v: 'constructor' is none of/],
    [[...SOME, '-S', 'both'], /^-S: 'both' is none of any, in, out$/],
    [[...SOME, '-s', 'host.example'], /^-s: 'host.example' is not an IPv4 or IPv6 address$/],
    [
      [...SOME, '-s', '2001:db8::1'],
      /^-n 192.0.2.9:2055: source '2001:db8::1' is of another address family$/,
    ],
    [['-n', '[::1]:1', '-s', '192.0.2.1'], /^-n \[::1\]:1: source '192.0.2.1' is of another/],
    [[...SOME, '-e', '256'], /^-n 192.0.2.9:2055: -e 256: NetFlow v5 holds 0 to 255$/],
    [[...SOME, '-e', '256', '-v', '1'], /NetFlow v1 holds 0 to 255$/],
    [['-D', '-e', '256'], /^-e 256: NetFlow v5 holds 0 to 255$/],
    [['--format', 'json', '-v5', '-e', '256'], /^-e 256: NetFlow v5 holds 0 to 255$/],
    [[...SOME, '-e', '4294967296', '-v10'], /^-e: '4294967296' is not a whole number from 0 to 4294967295$/],
    [[...SOME, '-e', '0x10'], /^-e: '0x10' is not a whole number/],
    [[...SOME, '-m', '0'], /^-m: '0' is not a number of minutes above 0$/],
    [[...SOME, '-m', '-1'], /^-m: the argument is missing/],
    [[...SOME, '-m', '1e3'], /^-m: '1e3' is not a number of minutes/],
    [[...SOME, '-m', '9'.repeat(400)], /^-m: '9{100}\.\.\.' is not a number of minutes/],
    [[...SOME, '-p', '1.5'], /^-p: '1.5' is not a whole number/],
    [[...SOME, '--rate=-1'], /^--rate: '-1' is not a whole number from 0 up$/],
    [[...SOME, '--rate', ''], /^--rate: '' is not a whole number/],
    [[...SOME, '--datagram-size', '511'], /^--datagram-size: '511' is not a whole number from 512 to 65507$/],
    [[...SOME, '--datagram-size', '65508'], /^--datagram-size: '65508' is not/],
    [[...SOME, '--max-states', '0'], /^--max-states: '0' is not/],
    [
      [...SOME, '--active-timeout', '.5'],
      /^--active-timeout: '.5' is not 0 or a number of seconds from 1 to/,
    ],
    [[...SOME, '--request-updates'], /^--request-updates needs -i with the interface of the sync link/],
    [[...SOME, '-i', 'pfsync0', '--request-updates'], /--pfctl reads the counters$/],
    [['-r', 'x.pcap', '--format', 'json', '--request-updates'], /^--request-updates needs -i/],
    [[...SOME, '--listen', '127.0.0.1:9', '--request-updates'], /^--request-updates needs -i/],
    [
      [...SOME, '-i', 'em1', '--request-updates', '--request-interval', '0'],
      /^--request-interval: '0' is not/,
    ],
    [[...SOME, '-i', 'em1', '--request-updates', '--request-rate', '0'], /^--request-rate: '0' is not/],
    [[...SOME, '--pfctl-interval', '0'], /^--pfctl-interval: '0' is not a number of seconds from 0.1/],
    [[...SOME, '--hold', '2147484'], /^--hold: '2147484' is not a number of seconds from 0 to 2147483$/],
    [[...SOME, '--nat', 'outside'], /^--nat: 'outside' is none of original, inside, translated$/],
    [[...SOME, '--format', 'xml'], /^--format: 'xml' is none of json, csv, table, ipfix$/],
    [[...SOME, '-o', 'flows'], /^-o needs --format$/],
    [[...SOME, '--template', 'pflow'], /^--template pflow needs IPFIX: -v 10 or --format ipfix$/],
    [['--format', 'json', '--template', 'pflow'], /^--template pflow needs IPFIX/],
    [[...SOME, '--biflow'], /^--biflow needs IPFIX/],
    [[...SOME, '--options', 'names'], /^--options needs IPFIX/],
    [[...SOME, '--options', 'names,all', '-v10'], /^--options: 'all' is none of names, sampling$/],
    [[...SOME, '--nat-events'], /^--nat-events needs version 9 or IPFIX/],
    [[...SOME, '-v10', '--nat-events', '--template', 'pflow'], /^--nat-events and --template pflow exclude/],
    [
      [...SOME, '-v10', '--options', 'names', '--template', 'pflow'],
      /^--options and --template pflow exclude/,
    ],
    [
      [...SOME, '-v10', '--biflow', '--template', 'pflow'],
      /^--biflow and --template pflow exclude each other$/,
    ],
    [[...SOME, '--ifmap', 'em0'], /^--ifmap: 'em0' is not INTERFACE=NUMBER/],
    [[...SOME, '--ifmap', 'em0=1,'], /^--ifmap: '' is not INTERFACE=NUMBER/],
    [[...SOME, '--ifmap', '=1'], /^--ifmap: '=1' is not INTERFACE=NUMBER/],
    [[...SOME, '--ifmap', 'em0=4294967296', '-v9'], /^--ifmap: 'em0=4294967296' is not/],
    [[...SOME, '--ifmap', 'em0=1,em0=2'], /^--ifmap: interface 'em0' has two numbers, 1 and 2$/],
    [[...SOME, '--ifmap', 'all/in=1,all/in=2'], /^--ifmap: interface 'all\/in' has two numbers, 1 and 2$/],
    [
      [...SOME, '--ifmap', 'em0/inn=1'],
      /^--ifmap: 'em0\/inn=1' is not INTERFACE=NUMBER, as in em0=1 or em0\/in/,
    ],
    [[...SOME, '--ifmap', '/in=1'], /^--ifmap: '\/in=1' is not INTERFACE=NUMBER/],
    [[...SOME, '--ifmap', 'em0=65536'], /--ifmap 'em0': 65536: NetFlow v5 holds 0 to 65535$/],
    [[...SOME, '--allow', '10.0.0.0/33'], /^--allow: '10.0.0.0\/33' is not a network/],
    [[...SOME, '--listen', '0.0.0.0:1'], /^--listen '0.0.0.0': --allow must name the senders to accept$/],
    [[...SOME, '--listen', '[2001:db8::1]:1'], /^--listen '2001:db8::1': --allow must name/],
    [[...SOME, '--listen', '[::1]:1', '--listen', '192.0.2.1:1'], /^--listen '192.0.2.1': --allow must name/],
    [[...SOME, '--listen', 'localhost:1'], /^--listen: 'localhost:1': 'localhost' is not an address$/],
    [
      [...SOME, '-r', 'a', 'tcp'],
      /^capture filter 'tcp': it needs -i; another capture to read needs its own -r$/,
    ],
    [[...SOME, '-r', 'a', 'b.pcap'], /^capture filter 'b.pcap': .*another capture to read needs its own -r$/],
    [[...SOME, '--listen', '[::1]:1', 'tcp'], /^capture filter 'tcp': it needs -i, --listen has none$/],
    [['-n', '192.0.2.9'], /^-n: '192.0.2.9': the port is missing, as in HOST:2055$/],
    [['-n', '192.0.2.9:'], /^-n: '192.0.2.9:': '' is not a port from 1 to 65535$/],
    [['-n', 'host:0'], /'0' is not a port/],
    [['-n', 'host:65536'], /'65536' is not a port/],
    [['-n', 'host:http'], /'http' is not a port/],
    [['-n', ':2055'], /'' is not a host name or an address$/],
    [['-n', ''], /'' is not a host name or an address$/],
    [['-n', '10.0.0.300:1'], /'10.0.0.300' is not a host name or an address$/],
    [['-n', 'a b:1'], /'a b' is not a host name or an address$/],
    [['-n', '2001:db8::5'], /write an IPv6 address in brackets, as in \[2001:db8::5\]:2055$/],
    [['-n', '2001:db8::5:2055'], /write an IPv6 address in brackets/],
    [['-n', '1:2:3:4:5:6:7:8:2055'], /write an IPv6 address in brackets/],
    [['-n', '[192.0.2.9]:1'], /'192.0.2.9' is not an IPv6 address$/],
    [['-n', '[2001:db8::5]'], /the port is missing/],
    [['-n', '[2001:db8::5]2055'], /is not HOST:PORT or \[IPv6\]:PORT$/],
    [['-n', 'http://h:1'], /'http' is none of udp, tcp, tls$/],
    [['-n', 'udp://h:1/path'], /^-n: 'h:1\/path': '1\/path' is not a port from 1 to 65535$/],
    [['-n', 'udp://'], /^-n: '': '' is not a host name or an address$/],
    [[...SOME, '--__proto__'], /^unknown option '--__proto__'$/],
    [['-n', 'udp://h:1?color=red'], /parameter 'color' is none of version, rate, domain/],
    [['-n', 'udp://h:1?version=9&version=5'], /parameter version is given twice$/],
    [['-n', 'udp://h:1?version=8'], /^-n: 'udp:\/\/h:1\?version=8': version: '8' is none of/],
    [['-n', 'udp://h:1?domain=256'], /^-n h:1: -e 256: NetFlow v5 holds/],
    [['-n', 'udp://h:1?template=pflow'], /^-n h:1: template pflow needs IPFIX/],
    [['-n', 'tcp://h:1'], /^-n h:1: tcp carries IPFIX only: -v 10 or \?version=10$/],
    [['-n', 'tls://h:1?version=9', '-v10'], /^-n h:1: tls carries IPFIX only/],
  ];
  for (const [argv, message] of refused) {
    it(`refuses ${JSON.stringify(argv.join(' ').slice(0, 80))}`, () => {
      expect(faultOf(...argv)).to.match(message);
    });
  }

  it('refuses in one line without control characters, whatever stands in the words', () => {
    const words = fc.array(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.constantFrom('-n', '-r', '-i', '--ifmap', '--listen', '--allow', '-e', '--', '-', '-h:1', 'h:1'),
      ),
    );
    fc.assert(
      fc.property(words, (argv) => {
        const message = faultOf(...argv);
        expect(message).to.match(/^[^\p{Cc}\u2028\u2029]+$/u);
      }),
    );
  });
});

describe('collectors', () => {
  const understood: [string, object][] = [
    ['collector:2055', { protocol: 'udp', host: 'collector', family: 0, port: 2055 }],
    ['a_b.example.:1', { protocol: 'udp', host: 'a_b.example.', family: 0, port: 1 }],
    ['[2001:db8::5]:65535', { protocol: 'udp', host: '2001:db8::5', family: 6, port: 65535 }],
    ['[fe80::1%em0]:2055', { protocol: 'udp', host: 'fe80::1%em0', family: 6, port: 2055 }],
    ['udp://192.0.2.9:1', { protocol: 'udp', host: '192.0.2.9', family: 4, port: 1 }],
    ['TCP://h:4739?version=ipfix', { protocol: 'tcp', host: 'h', family: 0, port: 4739, version: 10 }],
    ['tls://h:4740/?version=10', { protocol: 'tls', host: 'h', family: 0, port: 4740, version: 10 }],
    [
      'udp://[::1]:1?version=10&rate=500&domain=256&source=::1&template=pflow&direction=in&nat=inside',
      {
        protocol: 'udp',
        host: '::1',
        family: 6,
        port: 1,
        version: 10,
        rate: 500,
        domain: 256,
        source: '::1',
        template: 'pflow',
        direction: 'in',
        nat: 'inside',
      },
    ],
  ];
  for (const [text, expected] of understood) {
    it(`are understood as ${text}`, () => {
      expect(read('-n', text).collectors).to.deep.equal([expected]);
    });
  }

  it('may be many', () => {
    const { collectors } = read('-n', 'a:1', '-n', 'b:2', '--collector=c:3');
    expect(collectors.map(({ host }) => host)).to.deep.equal(['a', 'b', 'c']);
  });
});

describe('networks', () => {
  for (const text of [
    '',
    '/8',
    '10.0.0.0/',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    '10/8',
    '::/129',
    '::1%em0',
    'host',
  ]) {
    it(`are not ${text || 'the empty text'}`, () => {
      expect(parseCidr(text)).to.equal(undefined);
    });
  }

  const cases: [string, string, boolean][] = [
    ['192.0.2.0/24', '192.0.2.255', true],
    ['192.0.2.0/24', '192.0.3.0', false],
    ['192.0.2.77/24', '192.0.2.1', true],
    ['192.0.2.0/24', '::ffff:192.0.2.1', true],
    ['192.0.2.0/24', '2001:db8::1', false],
    ['0.0.0.0/0', '203.0.113.9', true],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['2001:db8::/32', '2001:db8:ffff::1', true],
    ['2001:db8::/32', '2001:db9::', false],
    ['fe80::/10', 'fe80::1%em0', true],
    ['192.0.2.1', '192.0.2.1', true],
    ['192.0.2.1', '192.0.2.2', false],
    ['192.0.2.1', 'host', false],
  ];
  for (const [network, address, expected] of cases) {
    it(`${network} ${expected ? 'holds' : 'does not hold'} ${address}`, () => {
      expect(cidrMatcher([parseCidr(network)!])(address)).to.equal(expected);
    });
  }

  it('tell loopback addresses from others', () => {
    const addresses = ['127.0.0.1', '127.255.255.255', '::1', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1'];
    expect(addresses.filter(isLoopback)).to.deep.equal(addresses);
    expect(['128.0.0.1', '0.0.0.0', '::', '::2', 'localhost'].filter(isLoopback)).to.deep.equal([]);
  });
});

describe('version', () => {
  it('is the one in package.json', () => {
    const manifest = new URL('../../../package.json', import.meta.url);
    expect(VERSION).to.equal(JSON.parse(readFileSync(manifest, 'utf8')).version);
  });
});
