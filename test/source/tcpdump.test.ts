import { expect } from 'chai';
import { StartError } from '../../src/cli/errors.js';
import {
  missingTcpdump,
  startFailure,
  statisticsSignal,
  TcpdumpReport,
  tcpdumpArguments,
} from '../../src/source/tcpdump.js';

const OURS = 'ip proto 240 or ip6 proto 240';

describe('the command line of tcpdump', () => {
  const CASES: { platform: NodeJS.Platform; interfaceName: string; filter: string; args: string }[] = [
    {
      platform: 'linux',
      interfaceName: 'pfsync0',
      filter: '',
      args: '-U -B 65536 -n -s 65535 -w - -i pfsync0 --',
    },
    {
      platform: 'linux',
      interfaceName: 'eth1',
      filter: '',
      args: `-U -B 65536 -n -s 65535 -w - -i eth1 -- ${OURS}`,
    },
    {
      platform: 'linux',
      interfaceName: 'any',
      filter: 'src host 192.0.2.1',
      args: `-U -B 65536 -n -s 65535 -w - -i any -- ( ${OURS} ) and ( src host 192.0.2.1 )`,
    },
    {
      platform: 'freebsd',
      interfaceName: 'pfsync0',
      filter: 'greater 100',
      args: '-U -B 65536 -n -s 65535 -w - --immediate-mode -i pfsync0 -- greater 100',
    },
    {
      platform: 'openbsd',
      interfaceName: 'pfsync1',
      filter: '',
      args: '-n -s 65535 -w - -i pfsync1 --',
    },
    {
      platform: 'openbsd',
      interfaceName: 'em3',
      filter: '-w /etc/x',
      args: `-n -s 65535 -w - -i em3 -- ( ${OURS} ) and ( -w /etc/x )`,
    },
  ];

  for (const { platform, interfaceName, filter, args } of CASES) {
    it(`is for ${platform}, ${interfaceName}${filter && `, ${filter}`}: ${args}`, () => {
      const words = filter === '' ? [] : filter.split(' ');
      expect(tcpdumpArguments(platform, { interfaceName, filter: words })).to.deep.equal(args.split(' '));
    });
  }

  it('hands each word of a filter on as one argument, whatever stands in it', () => {
    const filter = ['host', 'a b; $(id)', '"'];
    expect(tcpdumpArguments('linux', { interfaceName: 'pfsync0', filter }).slice(-3)).to.deep.equal(filter);
  });

  it('knows the signal for statistics, where there is one', () => {
    const signals = (['linux', 'freebsd', 'openbsd'] as const).map(statisticsSignal);
    expect(signals).to.deep.equal(['SIGUSR1', 'SIGINFO', undefined]);
  });
});

describe('the report of tcpdump', () => {
  const CASES: {
    name: string;
    lines: string[];
    listening?: string;
    counts?: [number | undefined, number, number];
    complaint?: string;
  }[] = [
    {
      name: 'tcpdump 4.99 on Linux',
      lines: [
        'tcpdump: listening on v1, link-type EN10MB (Ethernet), snapshot length 65535 bytes',
        '9 packets captured',
        '12 packets received by filter',
        '3 packets dropped by kernel',
      ],
      listening: 'v1, link-type EN10MB (Ethernet)',
      counts: [9, 12, 3],
    },
    {
      name: 'an older tcpdump, with the drops of the interface',
      lines: [
        'dropped privs to tcpdump',
        'tcpdump: listening on pfsync0, link-type PFSYNC (Packet filter state syncing), capture size 65535 bytes',
        '',
        '1 packet captured',
        '1 packet received by filter',
        '1 packet dropped by kernel',
        '77 packets dropped by interface',
      ],
      listening: 'pfsync0, link-type PFSYNC (Packet filter state syncing)',
      counts: [1, 1, 1],
    },
    {
      name: "OpenBSD's own",
      lines: [
        'tcpdump: listening on pfsync0, link-type PFSYNC',
        '',
        '41 packets received by filter',
        '4 packets dropped by kernel',
      ],
      listening: 'pfsync0, link-type PFSYNC',
      counts: [undefined, 41, 4],
    },
    {
      name: 'statistics that were asked for, twice',
      lines: [
        'tcpdump: data link type LINUX_SLL2',
        'tcpdump: listening on any, link-type LINUX_SLL2 (Linux cooked v2), snapshot length 65535 bytes',
        'tcpdump: 5 packets captured, 6 packets received by filter, 0 packets dropped by kernel',
        'tcpdump: 50 packets captured, 66 packets received by filter, 7 packets dropped by kernel',
      ],
      listening: 'any, link-type LINUX_SLL2 (Linux cooked v2)',
      counts: [50, 66, 7],
    },
    {
      name: 'an interface that disappears',
      lines: [
        'tcpdump: WARNING: v1: no IPv4 address assigned',
        'tcpdump: listening on v1, link-type EN10MB (Ethernet), snapshot length 65535 bytes',
        'tcpdump: pcap_loop: The interface disappeared',
        '0 packets captured',
        '3 packets received by filter',
        '0 packets dropped by kernel',
      ],
      listening: 'v1, link-type EN10MB (Ethernet)',
      counts: [0, 3, 0],
      complaint: 'pcap_loop: The interface disappeared',
    },
    {
      name: 'no permission, in two lines',
      lines: [
        "tcpdump: v1: You don't have permission to perform this capture on that device",
        '(socket: Operation not permitted)',
      ],
      complaint:
        "v1: You don't have permission to perform this capture on that device (socket: Operation not permitted)",
    },
  ];

  for (const { name, lines, listening, counts = [undefined, 0, 0], complaint = '' } of CASES) {
    for (const size of [1, 7, 10_000]) {
      it(`reads ${name}, in pieces of ${size} characters`, () => {
        const report = new TcpdumpReport();
        const text = lines.join('\n');
        for (let at = 0; at < text.length; at += size) report.add(text.slice(at, at + size));
        report.end();
        expect(report.listening).to.equal(listening);
        expect([report.captured, report.received, report.dropped]).to.deep.equal(counts);
        expect(report.complaint).to.equal(complaint);
      });
    }
  }

  it('keeps little of a tcpdump that never stops complaining', () => {
    const report = new TcpdumpReport();
    for (let n = 0; n < 10_000; n++) report.add(`tcpdump: fault ${n} ${'x'.repeat(1000)}\n`);
    for (let n = 0; n < 10_000; n++) report.add('x'.repeat(1000));
    report.end();
    expect(report.complaint.length).to.be.within(1000, 10_000);
  });
});

describe('a capture that cannot start', () => {
  const CASES: {
    platform: NodeJS.Platform;
    interfaceName?: string;
    filter?: string;
    complaint: string;
    message: string;
  }[] = [
    {
      platform: 'linux',
      complaint: 'em9: No such device exists (No such device exists)',
      message: '-i em9: no such interface: ip link shows those there are',
    },
    {
      platform: 'freebsd',
      interfaceName: 'pfsync0',
      complaint: 'pfsync0: No such device exists (BIOCSETIF failed: Device not configured)',
      message:
        '-i pfsync0: no such interface: ifconfig shows those there are; ifconfig pfsync0 create makes it',
    },
    {
      platform: 'openbsd',
      complaint: 'Failed to open bpf device for em9: Device not configured',
      message: '-i em9: no such interface: ifconfig shows those there are',
    },
    {
      platform: 'linux',
      complaint:
        "em9: You don't have permission to perform this capture on that device (socket: Operation not permitted)",
      message: '-i em9: no permission to capture: run pfflowd as root, or give it the capability CAP_NET_RAW',
    },
    {
      platform: 'freebsd',
      complaint:
        "em9: You don't have permission to capture on that device ((cannot open BPF device) /dev/bpf: Permission denied)",
      message:
        '-i em9: no permission to capture: run pfflowd as root, or let it read /dev/bpf (devfs.rules(5))',
    },
    {
      platform: 'openbsd',
      complaint: 'need root privileges',
      message: '-i em9: no permission to capture: run pfflowd as root',
    },
    {
      platform: 'linux',
      complaint: 'em9: That device is not up',
      message: '-i em9: the interface is down: ip link set em9 up',
    },
    {
      platform: 'openbsd',
      complaint: 'Failed to open bpf device for em9: Network is down',
      message: '-i em9: the interface is down: ifconfig em9 up',
    },
    {
      platform: 'freebsd',
      complaint: '(there are no BPF devices)',
      message: '-i em9: no bpf device is free, or there is none: see bpf(4)',
    },
    {
      platform: 'linux',
      filter: 'foo bar',
      complaint: "can't parse filter expression: syntax error",
      message: "capture filter 'foo bar': can't parse filter expression: syntax error; see pcap-filter(7)",
    },
    {
      platform: 'linux',
      complaint: "can't parse filter expression: syntax error",
      message: "-i em9: tcpdump: can't parse filter expression: syntax error",
    },
    { platform: 'linux', complaint: '', message: '-i em9: tcpdump: ended without a word' },
    { platform: 'linux', complaint: 'the sky fell', message: '-i em9: tcpdump: the sky fell' },
  ];

  for (const { platform, interfaceName = 'em9', filter = '', complaint, message } of CASES) {
    it(`says on ${platform} of '${complaint}': ${message}`, () => {
      const request = { interfaceName, filter: filter === '' ? [] : filter.split(' ') };
      const failure = startFailure(platform, request, complaint);
      expect(failure).to.be.instanceOf(StartError);
      expect(failure.message).to.equal(message);
    });
  }

  it('says that tcpdump is missing', () => {
    expect(missingTcpdump('em0', 'tcpdump').message).to.equal(
      '-i em0: tcpdump is not found: install tcpdump, or see --listen',
    );
  });
});
