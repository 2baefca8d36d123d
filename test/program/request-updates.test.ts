import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { addressOctets } from '../peer/address.js';
import { ipPacket } from '../peer/answering-firewall.js';
import { itInNamespace, Namespace } from '../peer/namespace.js';
import { NODE, PROGRAM, type Summary } from '../peer/pfflowd.js';
import type { SimState } from '../peer/pfsync-writer.js';
import {
  busOf,
  compressedUpdateOf,
  counted,
  deleteOf,
  insertOf,
  simState,
  updateOf,
} from '../peer/state-messages.js';

const PORT = fileURLToPath(new URL('../peer/frame-port.js', import.meta.url));
const MAC = '020000000009';

interface Frame {
  readonly family: 4 | 6;
  readonly hops: number;
  readonly destination: string;
  /** From the pfsync header on, in hexadecimal. */
  readonly message: string;
}

/** A firewall at the end of a cable, as far as a test plays it. */
class Firewall {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #family: 4 | 6;

  constructor(namespace: Namespace, name: string, family: 4 | 6) {
    this.#child = namespace.spawn([process.execPath, PORT, name], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
    this.#family = family;
  }

  async ready(): Promise<void> {
    expect((await this.#lines.next()).value).to.equal('ready');
  }

  send(message: Buffer): void {
    const group = this.#family === 4 ? '01005e0000f00200000000090800' : '3333000000f002000000000986dd';
    const packet = this.#family === 4 ? ipPacket('192.0.2.9', message) : ip6Packet('fe80::9', message);
    this.#child.stdin!.write(`${group}${packet.toString('hex')}\n`);
  }

  /** The next pfsync message that comes in. */
  async next(): Promise<Frame> {
    for (;;) {
      const frame = Buffer.from(String((await this.#lines.next()).value), 'hex');
      const packet = frame.subarray(14);
      if (frame.readUInt16BE(12) === 0x0800 && packet[9] === 240) {
        const message = packet.subarray(20).toString('hex');
        return { family: 4, hops: packet[8]!, destination: packet.subarray(16, 20).toString('hex'), message };
      }
      if (frame.readUInt16BE(12) === 0x86dd && packet[6] === 240) {
        const message = packet.subarray(40).toString('hex');
        return { family: 6, hops: packet[7]!, destination: packet.subarray(24, 40).toString('hex'), message };
      }
    }
  }

  async close(): Promise<void> {
    const closed = once(this.#child, 'close');
    this.#child.stdin!.end();
    await closed;
  }
}

function ip6Packet(source: string, message: Buffer): Buffer {
  const header = Buffer.alloc(40);
  header[0] = 0x60;
  header.writeUInt16BE(message.length, 4);
  header[6] = 240;
  header[7] = 255;
  addressOctets(source).copy(header, 8);
  addressOctets('ff12::f0').copy(header, 24);
  return Buffer.concat([header, message]);
}

const icmp = (more: Partial<SimState> = {}) =>
  simState(1, { proto: 1, protoAfter: 1, timeout: 9, expire: 20, ...more });

describe('--request-updates', function () {
  this.timeout(60_000);
  for (const family of [4, 6] as const) {
    itInNamespace(`the program asks over a cable and gets exact counters, over IPv${family}`, async () => {
      const namespace = new Namespace();
      try {
        namespace.addCable('sync0', 'fw0');
        namespace.ip('addr', 'add', '192.0.2.5/24', 'dev', 'sync0');
        namespace.ip('addr', 'add', 'fe80::5/64', 'dev', 'sync0', 'nodad');
        for (const address of ['192.0.2.9', 'fe80::9']) {
          namespace.ip(
            'neigh',
            'add',
            address,
            'lladdr',
            MAC.replace(/..(?!$)/g, '$&:'),
            'dev',
            'sync0',
            'nud',
            'permanent',
          );
        }
        const firewall = new Firewall(namespace, 'fw0', family);
        await firewall.ready();
        const args = [
          '-i',
          'sync0',
          '--request-updates',
          '--format',
          'json',
          '--summary',
          'json',
          '--user',
          'root',
        ];
        const program = namespace.spawn([NODE, PROGRAM, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
        let stdout = '';
        let stderr = '';
        program.stdout!.on('data', (part: Buffer) => (stdout += part));
        program.stderr!.on('data', (part: Buffer) => (stderr += part));
        while (!stderr.includes('exact counters: updates are requested')) await sleep(20);

        firewall.send(insertOf(icmp()));
        const bulk = await firewall.next();
        expect(bulk).to.deep.equal({
          family,
          hops: 255,
          destination: family === 4 ? 'c0000209' : `fe80${'0'.repeat(27)}9`,
          message: '060000240000000000000000000000000000000005030001000000000000000000000000',
        });
        firewall.send(busOf('start'));
        firewall.send(busOf('end'));
        firewall.send(compressedUpdateOf(icmp()));
        const request = await firewall.next();
        expect(request).to.include({ family, hops: 255, destination: bulk.destination });
        expect(request.message).to.equal(
          '0600002400000000000000000000000000000000050300010000000000000001a1b2c3d4',
        );
        firewall.send(updateOf(icmp({ ...counted(5, 420), expire: 1 })));
        await sleep(1500);
        firewall.send(deleteOf(icmp()));
        while (!stdout.includes('\n')) await sleep(20);
        program.kill('SIGTERM');
        await once(program, 'close');
        const [line] = stdout.split('\n');
        const flow = JSON.parse(line!) as {
          octetDeltaCount: number;
          pf: { counters: string; countersFrom: string };
        };
        expect([flow.octetDeltaCount, flow.pf.counters, flow.pf.countersFrom]).to.deep.equal([
          420,
          'exact',
          'update',
        ]);
        const summary = JSON.parse(stderr.trimEnd().split('\n').at(-1)!) as Summary & { requests: object };
        expect(summary.requests).to.deep.equal({
          messages: 2,
          states: 1,
          bulk: 1,
          unanswered: 0,
          notAsked: 0,
          failures: 0,
        });
        await firewall.close();
      } finally {
        namespace.remove();
      }
    }, ['ip', 'tcpdump']);
  }
});
