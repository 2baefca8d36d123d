import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import type { CollectedFlow } from '../peer/collector.js';
import { PROGRAM, quoteLargeNumbers, run } from '../peer/pfflowd.js';
import { UdpCollector } from '../peer/udp-collector.js';

const CAPTURES = fileURLToPath(new URL('../../../captures/', import.meta.url));
const V3 = `${CAPTURES}v3_dlt246.pcap`;

interface Ground {
  readonly packets: readonly {
    readonly time: string;
    readonly regions: readonly { readonly kind: string; readonly records: readonly GroundState[] }[];
  }[];
}

interface GroundState {
  readonly id: string;
  readonly direction: 'in' | 'out';
  readonly af: 4 | 6;
  readonly proto: number;
  readonly ifname: string;
  readonly srcBefore: { readonly ip: string; readonly port: number };
  readonly dstBefore: { readonly ip: string; readonly port: number };
  readonly packets: readonly [string, string];
  readonly bytes: readonly [string, string];
}

/** The states that the full deletes of a capture end. */
function endedStates(capture: string): GroundState[] {
  const ground = JSON.parse(readFileSync(`${CAPTURES}${capture}.json`, 'utf8')) as Ground;
  return ground.packets.flatMap(({ regions }) =>
    regions.filter(({ kind }) => kind === 'DEL').flatMap(({ records }) => records),
  );
}

function sum(values: readonly (bigint | string | undefined)[]): bigint {
  return values.reduce<bigint>((total, value) => total + BigInt(value ?? 0), 0n);
}

type JsonFlow = Readonly<Record<string, string | number>> & {
  readonly pf: Readonly<Record<string, unknown>>;
};

function jsonLines(stdout: Buffer): JsonFlow[] {
  return stdout
    .toString()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(quoteLargeNumbers(line)));
}

let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'pfflowd-'));
});
after(() => rmSync(folder, { recursive: true }));

function scratch(name: string, octets: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, octets);
  return path;
}

describe('conversion of a capture', () => {
  for (const capture of ['v2_dlt246', 'v3_dlt246', 'v4_dlt246', 'v3_eth_full']) {
    it(`${capture}: every state that ended is in the JSON flows, to the last octet`, async () => {
      const { status, stdout, summary } = await run(['-r', `${CAPTURES}${capture}.pcap`, '--format', 'json']);
      expect(status).to.equal(0);
      const seen = jsonLines(stdout).map((flow) => ({
        id: flow.pf.stateId,
        reply: flow.pf.reply,
        source: flow.sourceIPv4Address ?? flow.sourceIPv6Address,
        sourcePort: flow.sourceTransportPort,
        interface: flow.interfaceName,
        octets: `${flow.octetDeltaCount}`,
        packets: `${flow.packetDeltaCount}`,
      }));
      const expected = endedStates(capture).flatMap((state) =>
        [0, 1]
          .filter((index) => state.packets[index] !== '0')
          .map((index) => {
            const { ip, port } = index === 0 ? state.srcBefore : state.dstBefore;
            return {
              id: state.id,
              reply: index === 1,
              source: ip,
              sourcePort: [6, 17, 132].includes(state.proto) ? port : undefined,
              interface: state.ifname,
              octets: state.bytes[index],
              packets: state.packets[index],
            };
          }),
      );
      expect(seen).to.deep.equal(expected);
      expect(summary?.octets).to.equal(sum(expected.map(({ octets }) => octets)));
      expect(summary?.packetsCounted).to.equal(sum(expected.map(({ packets }) => packets)));
    });
  }

  for (const host of ['127.0.0.1', '::1'] as const) {
    for (const version of ['1', '5', '9', '10']) {
      it(`version ${version} to ${host}: the collector's sums are the capture's`, async () => {
        const udp = await UdpCollector.listen(host);
        const { status, summary } = await run(['-r', V3, '-n', udp.endpoint, '-v', version]);
        expect(status).to.equal(0);
        await udp.received(summary?.datagrams ?? 0);
        await udp.close();
        expect(udp.collector.errors).to.deep.equal([]);
        // Versions 1 and 5 leave IPv6 out, and clamp the one state that has 2^64-1 octets.
        const isOld = Number(version) <= 5;
        const isClamped = (flow: { proto?: number; id?: string }) => isOld && flow.id === '5f00000000000103';
        const states = endedStates('v3_dlt246').filter(
          (state) => !(isOld && state.af === 6) && !isClamped(state),
        );
        const isKept = (flow: CollectedFlow) =>
          !isOld || ![flow.source, flow.destination].includes('203.0.113.77');
        const flows = udp.collector.flows.filter(isKept);
        expect(sum(flows.map(({ octets }) => octets))).to.equal(sum(states.flatMap(({ bytes }) => bytes)));
        expect(sum(flows.map(({ packets }) => packets))).to.equal(
          sum(states.flatMap(({ packets }) => packets)),
        );
        expect(summary?.records).to.equal(udp.collector.flows.length);
      });
    }
  }

  it('gives the same datagrams each time', async () => {
    for (const version of ['1', '5', '9', '10']) {
      const [first, second] = [[], []] as Buffer[][];
      for (const datagrams of [first!, second!]) {
        const udp = await UdpCollector.listen('127.0.0.1');
        const { summary } = await run(['-r', V3, '-n', udp.endpoint, '-v', version]);
        await udp.received(summary?.datagrams ?? 0);
        await udp.close();
        datagrams.push(...udp.datagrams);
      }
      expect(Buffer.concat(first!).equals(Buffer.concat(second!)), version).to.equal(true);
      expect(first!.length).to.be.greaterThan(0);
    }
  });

  it('reads several captures in their order', async () => {
    const twice = await run(['-r', V3, '-r', `${CAPTURES}v4_dlt246.pcap`, '--format', 'json']);
    const apart = await Promise.all(
      ['v3_dlt246', 'v4_dlt246'].map((name) => run(['-r', `${CAPTURES}${name}.pcap`, '--format', 'json'])),
    );
    expect(twice.stdout.equals(Buffer.concat(apart.map(({ stdout }) => stdout)))).to.equal(true);
  });

  it('reads gzip, and standard input', async () => {
    const plain = await run(['-r', V3, '--format', 'csv']);
    const packed = scratch('v3.pcap.gz', gzipSync(readFileSync(V3)));
    expect((await run(['-r', packed, '--format', 'csv'])).stdout.equals(plain.stdout)).to.equal(true);
    const piped = await run(['-r', '-', '--format', 'csv'], { stdin: readFileSync(V3) });
    expect(piped.stdout.equals(plain.stdout)).to.equal(true);
  });

  it('hands on the flows of a live pipe within a second, to a file and to a collector', async () => {
    const udp = await UdpCollector.listen('127.0.0.1');
    const octets = readFileSync(V3);
    const child = spawn(process.execPath, [PROGRAM, '-r', '-', '--format', 'json', '-n', udp.endpoint]);
    let text = '';
    child.stdout.on('data', (part) => {
      text += part;
    });
    child.stdin.write(octets);
    for (let waited = 0; waited < 5000 && (text === '' || udp.datagrams.length === 0); waited += 20)
      await sleep(20);
    expect(text.split('\n').length).to.equal(22);
    expect(udp.collector.flows.length).to.be.greaterThan(0);
    expect(child.exitCode).to.equal(null);
    child.stdin.end();
    expect(await new Promise((resolve) => child.on('exit', resolve))).to.equal(0);
    await udp.close();
  });

  it('converts what stands before the end of a capture that is cut short: status 2', async () => {
    const octets = readFileSync(V3);
    const { status, summary, stderr } = await run([
      '-r',
      scratch('cut.pcap', octets.subarray(0, -100)),
      '--format',
      'json',
    ]);
    expect(status).to.equal(2);
    expect(summary?.damaged).to.deep.equal({ captureCut: 1 });
    expect(stderr).to.match(/cut\.pcap: ends in the middle of packet 12/);
    expect(summary?.states.ended).to.equal(13);
  });

  it('a packet cut by the snaplen gives its whole states: status 2', async () => {
    const octets = Buffer.from(readFileSync(V3).subarray(0, 24 + 16 + 20 + 240 + 100));
    octets.writeUInt32LE(360, 32);
    const { status, summary } = await run([
      '-r',
      scratch('snap.pcap', octets),
      '--format',
      'json',
      '--flush-open',
    ]);
    expect(status).to.equal(2);
    expect(summary?.damaged).to.deep.equal({ recordTruncated: 1 });
    expect(summary?.states.ended).to.equal(1);
  });

  it('a collector that refuses does not stop the others, and is counted: status 3', async () => {
    const udp = await UdpCollector.listen('127.0.0.1');
    const refusing = await UdpCollector.listen('127.0.0.1');
    const refused = refusing.endpoint;
    await refusing.close();
    const paced = ['--rate', '2000'];
    const reads = new Array(40).fill(['-r', V3]).flat();
    const { status, summary } = await run([
      ...reads,
      '-n',
      refused,
      '-n',
      udp.endpoint,
      '-v',
      '10',
      ...paced,
    ]);
    await udp.received(1);
    await udp.close();
    expect(status).to.equal(3);
    expect(udp.collector.flows.length).to.equal(40 * 21);
    expect(udp.collector.errors).to.deep.equal([]);
    expect(summary?.flows).to.equal(40 * 21);
  });

  it('sends each collector its own version and sequence', async () => {
    const [one, other] = [await UdpCollector.listen('127.0.0.1'), await UdpCollector.listen('::1')];
    const args = [
      '-r',
      V3,
      '-n',
      `udp://${one.endpoint}?version=9`,
      '-n',
      `udp://${other.endpoint}?version=10&domain=7`,
    ];
    const { summary } = await run(args);
    await Promise.all([one.received(1), other.received(1)]);
    await Promise.all([one.close(), other.close()]);
    expect(one.collector.messages[0]?.version).to.equal(9);
    expect(other.collector.messages[0]?.version).to.equal(10);
    expect(other.collector.messages[0]?.domain).to.equal(7);
    expect([...one.collector.errors, ...other.collector.errors]).to.deep.equal([]);
    expect(summary?.records).to.equal(42);
  });

  it('keeps the states of the direction that was asked for', async () => {
    for (const direction of ['in', 'out'] as const) {
      const { stdout, summary } = await run(['-r', V3, '-S', direction, '--format', 'json']);
      const flows = jsonLines(stdout);
      expect(flows.every(({ pf }) => pf.direction === direction)).to.equal(true);
      const others = endedStates('v3_dlt246').filter((state) => state.direction !== direction).length;
      expect(summary?.skipped.direction).to.equal(others);
      const skipped = Object.values(summary?.skipped ?? {}).reduce((total, count) => total + count, 0);
      expect(summary?.states.ended).to.equal((summary?.states.exported ?? 0) + skipped);
    }
  });

  it('shows the view that was asked for', async () => {
    const sources = async (...args: string[]) => {
      const { stdout } = await run(['-r', V3, '--format', 'json', ...args]);
      const flow = jsonLines(stdout).find(
        ({ pf }) => pf.stateId === '5f00000000000102' && pf.reply === false,
      );
      return [flow?.sourceIPv4Address, flow?.postNATSourceIPv4Address];
    };
    expect(await sources()).to.deep.equal(['192.168.1.50', '198.51.100.1']);
    expect(await sources('--nat', 'original')).to.deep.equal(['192.168.1.50', '198.51.100.1']);
    expect(await sources('--nat', 'inside')).to.deep.equal(['192.168.1.50', undefined]);
    expect(await sources('--nat', 'translated')).to.deep.equal(['198.51.100.1', undefined]);
  });

  it('maps interfaces as told, and to the same numbers each time otherwise', async () => {
    const indexes = async (...args: string[]) => {
      const udp = await UdpCollector.listen('127.0.0.1');
      await run(['-r', V3, '-n', udp.endpoint, ...args]);
      await udp.received(1);
      await udp.close();
      return [
        ...new Set(udp.collector.flows.map(({ ingress, egress }) => (ingress ?? 0) + (egress ?? 0))),
      ].sort();
    };
    expect(await indexes('--ifmap', 'em0=11,em1=12')).to.deep.equal([11, 12]);
    expect(await indexes()).to.deep.equal(await indexes());
  });

  it('ends quietly when the reader of its output goes away', async () => {
    const reads = new Array(300).fill(['-r', V3]).flat();
    const child = spawn('sh', [
      '-c',
      '"$0" "$@" --summary none | head -n 1',
      process.execPath,
      PROGRAM,
      ...reads,
      '--format',
      'json',
    ]);
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (part) => {
      stdout += part;
    });
    child.stderr.on('data', (part) => {
      stderr += part;
    });
    await new Promise((resolve) => child.on('close', resolve));
    expect(stdout.split('\n').length).to.equal(2);
    expect(stderr).to.equal('');
  });

  it('drains after a signal, and says what it did', async () => {
    const child = spawn(process.execPath, [PROGRAM, '-r', '-', '--format', 'json', '--summary', 'json']);
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (part) => {
      stdout += part;
    });
    child.stderr.on('data', (part) => {
      stderr += part;
    });
    child.stdin.write(readFileSync(V3));
    for (let waited = 0; waited < 5000 && stdout === ''; waited += 20) await sleep(20);
    child.kill('SIGTERM');
    const status = await new Promise((resolve) => child.on('close', resolve));
    expect(status).to.equal(0);
    expect(stdout.trimEnd().split('\n').length).to.equal(21);
    expect(JSON.parse(quoteLargeNumbers(stderr)).flows).to.equal(21);
  });

  const USAGE: readonly [string, readonly string[], RegExp][] = [
    ['no output', ['-r', V3], /nothing to do/],
    ['a missing file', ['-r', '/nowhere/x.pcap', '--format', 'json'], /\/nowhere\/x\.pcap: no such file/],
    [
      'a file that is no capture',
      ['-r', `${CAPTURES}v3_bad.json`, '--format', 'json'],
      /v3_bad\.json: not a pcap or pcapng file/,
    ],
    ['a bad port', ['-r', V3, '-n', '127.0.0.1:70000'], /70000/],
    ['a bad version', ['-r', V3, '-n', '127.0.0.1:2055', '-v', '7'], /7/],
    ['a bad direction', ['-r', V3, '--format', 'json', '-S', 'up'], /up/],
    ['an unknown option', ['-r', V3, '--formt', 'json'], /formt/],
    ['an interface and a file', ['-r', V3, '-i', 'em0', '--format', 'json'], /-i and -r/],
    ['a collector whose name nobody knows', ['-r', V3, '-n', 'collector.invalid:2055'], /collector\.invalid/],
    [
      'a source address that is not here',
      ['-r', V3, '-n', '127.0.0.1:2055', '-s', '192.0.2.1'],
      /192\.0\.2\.1/,
    ],
    ['an output that cannot be written', ['-r', V3, '--format', 'json', '-o', '/nowhere/x'], /\/nowhere\/x/],
  ];

  for (const [what, args, message] of USAGE) {
    it(`${what}: one line and status 1`, async () => {
      const { status, stderr, stdout } = await run(args);
      expect(status).to.equal(1);
      expect(stderr.trimEnd().split('\n').length).to.equal(1);
      expect(stderr).to.match(/^pfflowd: /);
      expect(stderr).to.match(message);
      expect(stdout.length).to.equal(0);
    });
  }
});
