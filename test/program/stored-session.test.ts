import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { Collector } from '../peer/collector.js';
import { run } from '../peer/pfflowd.js';
import { ipfixDump, itWith } from '../peer/programs.js';

const CAPTURES = fileURLToPath(new URL('../../../captures/', import.meta.url));

/** Takes one connection, and keeps what came. */
async function storing(): Promise<{ port: number; stored: Promise<Buffer> }> {
  const server = createServer();
  const stored = new Promise<Buffer>((resolve) => {
    server.once('connection', (socket: Socket) => {
      const parts: Buffer[] = [];
      socket.on('data', (part) => parts.push(part));
      socket.on('close', () => {
        server.close();
        resolve(Buffer.concat(parts));
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as { port: number }).port, stored };
}

describe('an IPFIX session over TCP, stored', () => {
  for (const [name, args] of [
    ['full', []],
    ['pflow', ['--template', 'pflow']],
    ['full, with names, sampling and NAT events', ['--options', 'names,sampling', '--nat-events']],
    ['biflow', ['--biflow']],
  ] as const) {
    itWith(['ipfixDump'], `of the profile ${name} is read by ipfixDump without an error`, async () => {
      const folder = mkdtempSync(join(tmpdir(), 'session-'));
      try {
        const { port, stored } = await storing();
        const capture = `${CAPTURES}v6_openbsd_dlt246.pcap`;
        const { status, summary } = await run([
          '-r',
          capture,
          '-n',
          `tcp://127.0.0.1:${port}`,
          '-v',
          '10',
          ...args,
        ]);
        expect(status).to.equal(0);
        const octets = await stored;
        const collector = new Collector();
        collector.decodeStream(octets);
        expect(collector.errors).to.deep.equal([]);
        expect(collector.flows.length).to.equal(summary?.records);
        const file = join(folder, 'session.ipfix');
        writeFileSync(file, octets);
        expect((await ipfixDump(file)).errors).to.equal('');
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  }
});
