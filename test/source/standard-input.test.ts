import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import { pcapFileHeader, pcapRecord, smallPcap } from '../capture/capture-bytes.js';

describe('standard input', () => {
  const PROGRAM = fileURLToPath(new URL('./standard-input-reader.js', import.meta.url));

  function reader(input: 'pipe' | number): ChildProcess {
    return spawn(process.execPath, [PROGRAM], {
      stdio: [input, 'pipe', 'inherit'],
    });
  }

  async function lines(child: ChildProcess): Promise<string[]> {
    const chunks: string[] = [];
    child.stdout!.setEncoding('utf8').on('data', (chunk: string) => chunks.push(chunk));
    await once(child, 'close');
    return chunks.join('').trim().split('\n');
  }

  it('gives the packets of a live pipe before it ends', async () => {
    const child = reader('pipe');
    const output = lines(child);
    child.stdin!.write(pcapFileHeader());
    child.stdin!.write(pcapRecord({ octets: [1, 2, 3] }));
    const [first] = (await once(child.stdout!, 'data')) as [string];
    expect(first).to.equal('1:3\n');
    child.stdin!.end(pcapRecord({ octets: [1] }).subarray(0, 16));
    const end = { packets: 1, octets: 24 + 19 + 16, damage: 'ends in the middle of packet 2' };
    expect(await output).to.deep.equal(['1:3', JSON.stringify(end)]);
  });

  it('may be compressed', async () => {
    const child = reader('pipe');
    child.stdin!.end(gzipSync(smallPcap(2)));
    expect(await lines(child)).to.deep.equal(['1:1', '2:1', JSON.stringify({ packets: 2, octets: 58 })]);
  });

  it('may be no capture', async () => {
    const child = reader('pipe');
    child.stdin!.end();
    expect(await lines(child)).to.deep.equal(['"standard input: not a pcap or pcapng file"']);
  });

  it('may be a file, compressed or not', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'capture-'));
    try {
      for (const octets of [smallPcap(2), gzipSync(smallPcap(2))]) {
        const path = join(folder, 'input');
        writeFileSync(path, octets);
        const file = openSync(path, 'r');
        const child = reader(file);
        closeSync(file);
        expect(await lines(child)).to.deep.equal(['1:1', '2:1', JSON.stringify({ packets: 2, octets: 58 })]);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
