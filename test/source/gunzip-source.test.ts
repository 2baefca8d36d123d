import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { constants, deflateRawSync, gzipSync } from 'node:zlib';
import { expect } from 'chai';
import fc from 'fast-check';
import { CaptureOpenError } from '../../src/source/capture-file.js';
import { pcapFileHeader, pcapRecord, smallPcap } from '../capture/capture-bytes.js';
import { noise, type Outcome, readPath, readPieces } from './reading.js';

describe('compressed captures', () => {
  const capture = smallPcap(60);
  const plain = Array.from({ length: 60 }, (_, index) => index + 1);
  const numbers = ({ seen }: Outcome) => seen.map(({ octets }) => Number.parseInt(octets, 16));

  it('may have several members, split anywhere', async () => {
    const members = [
      capture.subarray(0, 7),
      capture.subarray(7, 7),
      capture.subarray(7, 300),
      capture.subarray(300),
    ];
    const outcome = await readPieces(Buffer.concat(members.map((member) => gzipSync(member))));
    expect(numbers(outcome)).to.deep.equal(plain);
    expect(outcome).to.include({ packets: 60, octets: capture.length });
    expect(outcome.damage).to.equal(undefined);
  });

  it('may be padded with zeros, as on a tape', async () => {
    const outcome = await readPieces(gzipSync(capture), new Uint8Array(20000));
    expect(numbers(outcome)).to.deep.equal(plain);
    expect(outcome.damage).to.equal(undefined);
  });

  it('cut anywhere, give every octet before', async () => {
    // Stored without compression, so that it is known which octets are there.
    const compressed = gzipSync(capture, { level: 0 });
    const header = 15;
    for (let cut = 2; cut < compressed.length; cut += 5) {
      const outcome = await readPieces(compressed.subarray(0, cut));
      const octets = Math.min(Math.max(cut - header, 0), capture.length);
      expect(outcome.octets, `cut at ${cut}`).to.equal(octets);
      expect(outcome.packets, `cut at ${cut}`).to.equal(Math.max(Math.floor((octets - 24) / 17), 0));
      expect(outcome.damage).to.equal(`ends in the middle of its gzip data, after packet ${outcome.packets}`);
    }
  });

  /** Whole blocks of deflate, then one of a type that does not exist. */
  function corruptBehind(octets: Uint8Array, tail: Uint8Array): Uint8Array {
    const deflated = deflateRawSync(octets, { finishFlush: constants.Z_SYNC_FLUSH });
    const gzipHeader = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3);
    return Buffer.concat([gzipHeader, deflated, Uint8Array.of(0x07), tail]);
  }

  const corrupt: [name: string, pieces: (octets: Uint8Array) => Uint8Array[]][] = [
    ['a stream', (octets) => [octets]],
    ['a stream that goes on behind', (octets) => [octets, noise(5000)]],
    ['a stream of small pieces', (octets) => [octets.subarray(0, 50), octets.subarray(50)]],
  ];
  for (const [name, pieces] of corrupt) {
    it(`give every octet before the damage of ${name}`, async () => {
      const outcome = await readPieces(...pieces(corruptBehind(capture, new Uint8Array(0))));
      expect(numbers(outcome)).to.deep.equal(plain);
      expect(outcome.octets).to.equal(capture.length);
      expect(outcome.damage).to.equal('has corrupt gzip data after packet 60: invalid block type');
    });
  }

  it('give every octet before late damage of a file, and all but one step of a stream', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'capture-'));
    try {
      const records = Buffer.from(noise(1250 * 1216));
      for (let at = 0; at < records.length; at += 1216) {
        records.set(pcapRecord({ octets: [], captured: 1200, length: 1200 }), at);
      }
      const large = Buffer.concat([pcapFileHeader(), records]);
      const compressed = corruptBehind(large, noise(100000));
      expect(compressed.length).to.be.greaterThan(1_200_000);
      const path = join(folder, 'late.pcap.gz');
      writeFileSync(path, compressed);
      const whole = 1250;
      const file = await readPath(path);
      expect([file.octets, file.packets]).to.deep.equal([large.length, whole]);
      expect(file.damage).to.equal(`has corrupt gzip data after packet ${whole}: invalid block type`);
      const stream = await readPieces(compressed);
      expect(stream.octets).to.be.within(large.length - 4200, large.length);
      expect(stream.seen).to.deep.equal(file.seen.slice(0, stream.packets));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('with a wrong checksum are read to the end, and damaged', async () => {
    const compressed = gzipSync(capture);
    compressed[compressed.length - 8]! ^= 1;
    const outcome = await readPieces(compressed);
    expect(numbers(outcome)).to.deep.equal(plain);
    expect(outcome.damage).to.equal('has corrupt gzip data after packet 60: incorrect data check');
  });

  it('with something else behind are read to the end, and damaged', async () => {
    const outcome = await readPieces(gzipSync(capture), Buffer.from('something else'));
    expect(numbers(outcome)).to.deep.equal(plain);
    expect(outcome.damage).to.match(/^has corrupt gzip data after packet 60/);
  });

  it('changed anywhere, give a capture, damage or a refusal', async () => {
    const compressed = gzipSync(capture);
    await fc.assert(
      fc.asyncProperty(
        fc.nat(compressed.length - 1),
        fc.integer({ min: 1, max: 255 }),
        async (at, change) => {
          const changed = Uint8Array.from(compressed);
          changed[at]! ^= change;
          const outcome = await readPieces(changed).catch((error: unknown) => error);
          if (outcome instanceof CaptureOpenError) return;
          const { packets, octets } = outcome as Outcome;
          expect(packets * 16).to.be.at.most(octets);
        },
      ),
      { numRuns: 60 },
    );
  });
});
