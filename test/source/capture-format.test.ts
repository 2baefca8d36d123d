import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import fc from 'fast-check';
import { readCaptureStream } from '../../src/source/capture-file.js';
import { identifyFormat } from '../../src/source/capture-format.js';
import { isRegularFile } from '../../src/source/open-octets.js';
import { smallPcap } from '../capture/capture-bytes.js';
import { Collected, noise, readPath, refusal } from './reading.js';

describe('what is no capture', () => {
  const folder = mkdtempSync(join(tmpdir(), 'capture-'));
  after(() => rmSync(folder, { recursive: true }));

  const contents: [name: string, octets: Uint8Array][] = [
    ['an empty file', new Uint8Array(0)],
    ['one octet', Uint8Array.of(0xa1)],
    ['half a magic number', Uint8Array.of(0xa1, 0xb2)],
    ['text', Buffer.from('1.2.3.4 -> 5.6.7.8\n'.repeat(9))],
    ['zeros', new Uint8Array(4096)],
    ['a section in no byte order', Buffer.from('0a0d0d0a0000001c000000000001000000000000', 'hex')],
    ['compressed text', gzipSync('text\n')],
    ['nothing, compressed', gzipSync('')],
    ['a capture compressed twice', gzipSync(gzipSync(smallPcap(3)))],
  ];
  for (const [name, octets] of contents) {
    it(`is ${name}`, async () => {
      const path = join(folder, 'x.pcap');
      writeFileSync(path, octets);
      expect(await refusal(readPath(path))).to.equal(`${path}: not a pcap or pcapng file`);
      const stream = readCaptureStream(Readable.from([octets]), new Collected(), { name: 'em0' });
      expect(await refusal(stream)).to.equal('em0: not a pcap or pcapng file');
    });
  }

  it('is named with the reason when it cannot be read', async () => {
    expect(await refusal(readPath('missing.pcap'))).to.equal('missing.pcap: no such file or directory');
    expect(await refusal(readPath(folder))).to.equal(`${folder}: is a directory`);
    const broken = new Readable({
      read() {
        this.destroy(new Error('device gone'));
      },
    });
    expect(await refusal(readCaptureStream(broken, new Collected()))).to.equal('capture: device gone');
  });

  const COMPRESSED: [format: string, magic: string][] = [
    ['zstd', '28b52ffd'],
    ['xz', 'fd377a585a00'],
    ['bzip2', '425a6839314159265359'],
    ['lz4', '04224d18'],
  ];
  for (const [format, magic] of COMPRESSED) {
    it(`is named with the remedy when it is compressed with ${format}`, async () => {
      const octets = Buffer.concat([Buffer.from(magic, 'hex'), noise(100)]);
      const path = join(folder, `x.pcap.${format}`);
      for (const length of [magic.length / 2, octets.length]) {
        writeFileSync(path, octets.subarray(0, length));
        expect(await refusal(readPath(path))).to.equal(
          `${path}: compressed with ${format}: ${format} -dc ${path} | pfflowd -r -`,
        );
      }
      const stream = readCaptureStream(Readable.from([octets]), new Collected(), { name: 'standard input' });
      expect(await refusal(stream)).to.equal(
        `standard input: compressed with ${format}: decompress it with ${format} -dc first`,
      );
      const twice = readCaptureStream(Readable.from([gzipSync(octets)]), new Collected());
      expect(await refusal(twice)).to.equal('capture: not a pcap or pcapng file');
    });
  }

  it('is distinguished from a regular file', () => {
    expect(isRegularFile('captures/v3_bad.pcap')).to.equal(true);
    expect(isRegularFile('captures')).to.equal(false);
    expect(isRegularFile('/dev/null')).to.equal(false);
    expect(isRegularFile('missing.pcap')).to.equal(false);
  });

  it('never passes for a capture by its first octets', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 30, max: 9 }), (octets) => {
        expect(identifyFormat(octets)).to.equal(undefined);
      }),
    );
  });
});
