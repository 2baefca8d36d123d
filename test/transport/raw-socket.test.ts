import type { ChildProcess } from 'node:child_process';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { MOST_REQUESTS, RequestMessage } from '../../protocol/pfsync/request.js';
import { itInNamespace, Namespace } from '../peer/namespace.js';
import { areRequired } from '../peer/programs.js';

const PORT = fileURLToPath(new URL('../peer/frame-port.js', import.meta.url));
const SENDER = fileURLToPath(new URL('../peer/request-sender.js', import.meta.url));

const FIREWALL_MAC = '02:00:00:00:00:09';
/** The firewall's addresses: text for ip(8), octets in hexadecimal. */
const IPV4 = ['192.0.2.9', 'c0000209'] as const;
const LINK_LOCAL = ['fe80::9', `fe80${'0'.repeat(27)}9`] as const;
const GLOBAL = ['2001:db8::9', `20010db8${'0'.repeat(23)}9`] as const;

/** A converter's end of a cable, `sync0`, with the firewall's end, `fw0`, whose addresses it knows. */
function cable(namespace: Namespace): void {
  namespace.addCable('sync0', 'fw0');
  namespace.ip('addr', 'add', '192.0.2.5/24', 'dev', 'sync0');
  for (const address of ['fe80::5/64', '2001:db8::5/64'])
    namespace.ip('addr', 'add', address, 'dev', 'sync0', 'nodad');
  for (const [address] of [IPV4, LINK_LOCAL, GLOBAL]) {
    namespace.ip('neigh', 'add', address, 'lladdr', FIREWALL_MAC, 'dev', 'sync0', 'nud', 'permanent');
  }
}

async function portOn(
  namespace: Namespace,
  name: string,
): Promise<{ child: ChildProcess; lines: AsyncIterator<string> }> {
  const child = namespace.spawn([process.execPath, PORT, name], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  expect((await lines.next()).value).to.equal('ready');
  return { child, lines };
}

function send(namespace: Namespace, sendings: readonly object[]): string[] {
  const [program, ...before] = namespace.prefix;
  const args = [...before, process.execPath, SENDER, JSON.stringify(sendings)];
  return JSON.parse(execFileSync(program!, args, { encoding: 'utf8' })) as string[];
}

function requests(version: 5 | 6, count: number): string {
  const message = new RequestMessage();
  for (let n = 1; n <= count; n++) message.add(n, 0x0102_0304, -2);
  return Buffer.from(message.finish(version)).toString('hex');
}

const hasKoffi = await import('koffi').then(
  () => true,
  () => false,
);

describe('raw socket', () => {
  if (!hasKoffi) {
    it('sends requests (left out: koffi is not installed)', function () {
      if (areRequired()) throw new Error('koffi is not installed');
      this.skip();
    });
    return;
  }

  itInNamespace('sends requests as packets of protocol 240 with TTL 255 to one host, over IPv4 and IPv6', async () => {
    const namespace = new Namespace();
    try {
      cable(namespace);
      const { child, lines } = await portOn(namespace, 'fw0');
      const cases = [
        { to: IPV4, version: 6, count: MOST_REQUESTS[4] },
        { to: LINK_LOCAL, version: 5, count: MOST_REQUESTS[6] },
        { to: GLOBAL, version: 6, count: 1 },
        { to: IPV4, version: 5, count: 1 },
      ] as const;
      const sendings = cases.map(({ to, version, count }) => ({
        address: to[1],
        message: requests(version, count),
        interfaceName: 'sync0',
      }));
      // Groups, all hosts, nobody, and ourselves.
      const refused = [
        'e00000f0',
        'ffffffff',
        '00000000',
        '7f000001',
        `ff12${'0'.repeat(26)}f0`,
        '0'.repeat(32),
      ];
      const others = refused.map((address) => ({ address, message: requests(6, 1), interfaceName: 'sync0' }));
      const broadcast = { address: 'c00002ff', message: requests(6, 1), interfaceName: 'sync0' };
      const results = send(namespace, [...others, broadcast, ...sendings]);
      expect(results).to.deep.equal([
        ...refused.map(() => 'EADDRNOTAVAIL'),
        'EACCES',
        ...sendings.map(() => 'sent'),
      ]);
      for (const { address, message } of sendings) {
        const frame = Buffer.from(String((await nextOfProtocol(lines)).value), 'hex');
        expect(frame.subarray(0, 6).toString('hex')).to.equal(FIREWALL_MAC.replaceAll(':', ''));
        const isIpv4 = address.length === 8;
        expect(frame.readUInt16BE(12)).to.equal(isIpv4 ? 0x0800 : 0x86dd);
        const packet = frame.subarray(14);
        const [hops, destination, header] = isIpv4
          ? [packet[8], packet.subarray(16, 20), 20]
          : [packet[7], packet.subarray(24, 40), 40];
        expect(hops).to.equal(255);
        expect(destination.toString('hex')).to.equal(address);
        expect(packet.subarray(header).toString('hex')).to.equal(message);
      }
      child.stdin!.end();
      await once(child, 'close');
    } finally {
      namespace.remove();
    }
  }, ['ip']);

  itInNamespace('says what the system says where nobody can be reached', async () => {
    const namespace = new Namespace();
    try {
      const sending = { address: IPV4[1], message: requests(6, 1), interfaceName: 'sync0' };
      expect(send(namespace, [sending])).to.deep.equal(['ENETUNREACH']);
    } finally {
      namespace.remove();
    }
  }, ['ip']);
});

/** The next frame with protocol 240: multicast listeners' reports and the like pass on every cable. */
async function nextOfProtocol(lines: AsyncIterator<string>): Promise<IteratorResult<string>> {
  for (;;) {
    const next = await lines.next();
    if (next.done) return next;
    const frame = Buffer.from(next.value, 'hex');
    const type = frame.readUInt16BE(12);
    const protocol = type === 0x0800 ? frame[23] : type === 0x86dd ? frame[20] : undefined;
    if (protocol === 240) return next;
  }
}
