import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import fc from 'fast-check';
import { locatePfsync, Payload } from '../../protocol/capture/link.js';
import type { Packet } from '../../protocol/capture/packet.js';
import {
  CaptureOpenError,
  type CaptureProgress,
  readCapture,
  readCaptureStream,
} from '../../src/source/capture-file.js';
import type { PacketConsumer } from '../../src/source/consumer.js';
import {
  block,
  enhancedPacket,
  interfaceBlock,
  pcapFileHeader,
  pcapRecord,
  sectionHeader,
  smallPcap,
  timeOf,
} from '../capture/capture-bytes.js';
import { Collected, largePcap, noise, type Outcome, readPath, readPieces, turns } from './reading.js';

/** What the JSON beside a capture tells of it. */
interface Content {
  linktype: number;
  packets: { time: string; caplen: number; len: number; pfsyncLen: number }[];
}

describe('capture files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'capture-'));
  after(() => rmSync(folder, { recursive: true }));

  function stored(name: string, octets: Uint8Array): string {
    const path = join(folder, name);
    writeFileSync(path, octets);
    return path;
  }

  const names = readdirSync('captures').filter((name) => name.endsWith('.json'));
  for (const name of names) {
    const content = JSON.parse(readFileSync(`captures/${name}`, 'utf8')) as Content & { file: string };

    it(`gives the packets of ${content.file}`, async () => {
      const path = `captures/${content.file}`;
      const payload = new Payload();
      const packets: unknown[] = [];
      const end = await readCapture(path, {
        isCongested: false,
        drained: async () => {},
        packet(packet) {
          const { clock, linkType, start, wireEnd, number } = packet;
          expect(locatePfsync(packet, payload), `packet ${number}`).to.equal('pfsync');
          const [caplen, len] = [packet.end - start, wireEnd - start];
          const held = [payload.end - payload.start, payload.wireEnd - payload.start];
          packets.push({ linkType, time: timeOf(clock), caplen, len, held });
        },
      });
      const wanted = content.packets.map(({ time, caplen, len, pfsyncLen }) => ({
        linkType: content.linktype,
        time: Number(time.replace('.', '').slice(0, 13)),
        caplen,
        len,
        held: [pfsyncLen, pfsyncLen],
      }));
      expect(packets).to.deep.equal(wanted);
      expect(end).to.deep.equal({ packets: wanted.length, octets: readFileSync(path).length });
    });
  }

  it('have the same content from a file, a stream, and compressed', async () => {
    for (const name of ['v3_vlan_net.pcap', 'v6_openbsd_ng.pcapng']) {
      const path = `captures/${name}`;
      const capture = readFileSync(path);
      const plain = await readPath(path);
      const compressed = gzipSync(capture);
      expect(plain.seen.length).to.be.greaterThan(10);
      expect(await readPieces(capture)).to.deep.equal(plain);
      expect(await readPieces(...Array.from(capture, (octet) => Uint8Array.of(octet)))).to.deep.equal(plain);
      expect(await readPath(stored(`${name}.gz`, compressed))).to.deep.equal(plain);
      expect(await readPieces(compressed)).to.deep.equal(plain);
      expect(await readPieces(...Array.from(compressed, (octet) => Uint8Array.of(octet)))).to.deep.equal(
        plain,
      );
    }
  });

  it('have no packets and no damage when there is a header only', async () => {
    expect(await readPieces(pcapFileHeader())).to.deep.equal({ packets: 0, octets: 24, seen: [] });
    expect(await readPieces(sectionHeader())).to.deep.equal({ packets: 0, octets: 28, seen: [] });
    expect(await readPieces(gzipSync(pcapFileHeader()))).to.deep.equal({ packets: 0, octets: 24, seen: [] });
  });

  it('cut anywhere, give what is whole before and say where they end', async () => {
    const capture = smallPcap(4);
    const path = join(folder, 'cut.pcap');
    for (let cut = 4; cut < capture.length; cut++) {
      const packets = Math.max(Math.floor((cut - 24) / 17), 0);
      const isWhole = cut >= 24 && (cut - 24) % 17 === 0;
      const where = cut < 24 ? 'its file header' : `packet ${packets + 1}`;
      writeFileSync(path, capture.subarray(0, cut));
      const outcome = await readPath(path);
      expect(
        outcome.seen.map(({ octets }) => Number(octets)),
        `cut at ${cut}`,
      ).to.deep.equal([1, 2, 3, 4].slice(0, packets));
      expect(outcome.damage, `cut at ${cut}`).to.equal(
        isWhole ? undefined : `ends in the middle of ${where}`,
      );
      expect(outcome.octets).to.equal(cut);
      expect(await readPieces(capture.subarray(0, cut))).to.deep.equal(outcome);
    }
  });

  it('say which block of a pcapng file is cut', async () => {
    const capture = Buffer.concat([sectionHeader(), interfaceBlock(), enhancedPacket({ octets: [1] })]);
    expect((await readPieces(capture.subarray(0, -1))).damage).to.equal('ends in the middle of packet 1');
    expect((await readPieces(capture.subarray(0, 30))).damage).to.equal(
      'ends in the middle of a block before packet 1',
    );
    expect((await readPieces(capture, block(5, noise(40)).subarray(0, 20))).damage).to.equal(
      'ends in the middle of a block before packet 2',
    );
  });

  it('may hold blocks longer than all memory given to them', async () => {
    const long = block(0x0bad, new Uint8Array(0));
    const length = 5_000_000;
    new DataView(long.buffer).setUint32(4, length, true);
    const gap = Buffer.alloc(length);
    gap.set(long.subarray(0, 8));
    const head = [sectionHeader(), interfaceBlock(), enhancedPacket({ octets: [1] })];
    const path = stored('gap.pcapng', Buffer.concat([...head, gap, enhancedPacket({ octets: [2] })]));
    const outcome = await readPath(path);
    expect(outcome.seen.map(({ octets }) => octets)).to.deep.equal(['01', '02']);
    expect(outcome.damage).to.equal(undefined);
    expect((await readPieces(...head, gap.subarray(0, -1))).damage).to.match(
      /^ends in the middle of a block/,
    );
  });

  it('hold packets of any size across the reads', async () => {
    const sizes = [1, 262144, 100, 700000, 1048560, 0, 3, 262143];
    const records = sizes.map((size) => pcapRecord({ octets: noise(size) }));
    const path = stored('sizes.pcap', Buffer.concat([pcapFileHeader({ snaplen: 1 << 20 }), ...records]));
    const lengths: number[] = [];
    const ends: string[] = [];
    const packet = ({ view, start, end }: Packet) => {
      lengths.push(end - start);
      ends.push(
        Buffer.from(view.buffer as ArrayBuffer, view.byteOffset + start, end - start)
          .subarray(-4)
          .toString('hex'),
      );
    };
    const end = await readCapture(path, { packet, isCongested: false, drained: async () => {} });
    expect(lengths).to.deep.equal(sizes);
    expect(ends).to.deep.equal(sizes.map((size) => Buffer.from(noise(size)).subarray(-4).toString('hex')));
    expect(end.damage).to.equal(undefined);
  });

  it('end at a packet of a length that cannot be', async () => {
    const bad = pcapRecord({ octets: [2], captured: 0xfffffff0 });
    const outcome = await readPieces(smallPcap(1), bad, pcapRecord({ octets: [3] }));
    expect(outcome.seen.length).to.equal(1);
    expect(outcome.damage).to.equal('has a packet 2 of 4294967280 octets, more than 262144');
  });
});

describe('reading a capture', () => {
  it('never throws but for what is no capture', async () => {
    const part = fc.oneof(
      fc.constantFrom(pcapFileHeader(), sectionHeader(), interfaceBlock(), enhancedPacket({ octets: [1] })),
      fc.constantFrom(pcapRecord({ octets: [1, 2] }), gzipSync(smallPcap(2))),
      fc.uint8Array({ maxLength: 30 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(part, { maxLength: 8 }), async (parts) => {
        const outcome = await readPieces(...parts).catch((error: unknown) => error);
        if (outcome instanceof CaptureOpenError) return;
        expect((outcome as Outcome).seen.length).to.equal((outcome as Outcome).packets);
      }),
      { numRuns: 150 },
    );
  });

  it('hands a packet of a live stream on before more arrives', async () => {
    const stream = new PassThrough();
    const collected = new Collected();
    const reading = readCaptureStream(stream, collected);
    stream.write(pcapFileHeader());
    for (let packet = 1; packet <= 3; packet++) {
      const record = pcapRecord({ octets: [packet, packet] });
      stream.write(record.subarray(0, 5));
      await setImmediate();
      expect(collected.packets.length).to.equal(packet - 1);
      stream.write(record.subarray(5));
      while (collected.packets.length < packet) await setImmediate();
    }
    stream.end();
    expect(await reading).to.deep.equal({ packets: 3, octets: 24 + 3 * 18 });
  });

  it('waits while the consumer is congested', async () => {
    let isCongested = false;
    let waits = 0;
    const packets: number[] = [];
    const consumer: PacketConsumer = {
      packet({ number }) {
        expect(isCongested).to.equal(false);
        packets.push(number);
        isCongested = number % 2 === 0;
      },
      get isCongested() {
        return isCongested;
      },
      async drained() {
        waits++;
        await setImmediate();
        isCongested = false;
      },
    };
    const end = await readCaptureStream(Readable.from([smallPcap(5)]), consumer);
    expect(end.packets).to.equal(5);
    expect(packets).to.deep.equal([1, 2, 3, 4, 5]);
    expect(waits).to.equal(2);
  });

  it('leaves a fast sender waiting while the consumer is congested', async () => {
    const never = new Promise<void>(() => {});
    const stop = new AbortController();
    let sent = 0;
    const stream = new Readable({
      read() {
        sent++;
        this.push(sent === 1 ? pcapFileHeader() : largePcap(50, 1000).subarray(24));
      },
    });
    let packets = 0;
    const consumer = { packet: () => void packets++, isCongested: true, drained: () => never };
    const reading = readCaptureStream(stream, consumer, { signal: stop.signal });
    while (packets === 0) await setImmediate();
    await turns(50);
    expect(sent).to.be.within(2, 20);
    stop.abort();
    expect((await reading).packets).to.equal(1);
  });

  it('ends without damage when it is told to, in the middle of a quiet stream', async () => {
    for (const pieces of [[], [smallPcap(3).subarray(0, -1)], [gzipSync(smallPcap(3)).subarray(0, -9)]]) {
      const stop = new AbortController();
      const stream = new PassThrough();
      for (const piece of pieces) stream.write(piece);
      const reading = readCaptureStream(stream, new Collected(), { signal: stop.signal });
      await turns(50);
      stop.abort();
      expect((await reading).damage).to.equal(undefined);
      expect(stream.destroyed).to.equal(true);
    }
  });

  it('ends when its consumer tells it to, congested or not', async () => {
    for (const isCongested of [true, false]) {
      const stop = new AbortController();
      const packet = () => stop.abort();
      const consumer = { packet, isCongested, drained: () => new Promise<void>(() => {}) };
      const end = await readCaptureStream(new PassThrough().end(smallPcap(3)), consumer, {
        signal: stop.signal,
      });
      expect(end.packets).to.equal(isCongested ? 1 : 3);
      expect(end.damage).to.equal(undefined);
    }
  });

  it('ends at once when it was told to before', async () => {
    const end = await readCapture('captures/v3_eth_net.pcap', new Collected(), {
      signal: AbortSignal.abort(),
    });
    expect(end).to.deep.equal({ packets: 0, octets: 0 });
  });

  it('says what broke in the middle of a stream', async () => {
    const stream = new PassThrough();
    const collected = new Collected();
    const reading = readCaptureStream(stream, collected);
    stream.write(smallPcap(2));
    while (collected.packets.length < 2) await setImmediate();
    stream.destroy(new Error('device gone'));
    expect((await reading).damage).to.equal('cannot be read after packet 2: device gone');
  });

  it('passes on what the consumer throws, and closes its input', async () => {
    const stream = new PassThrough();
    stream.end(smallPcap(2));
    const packet = () => {
      throw new RangeError('no room');
    };
    const consumer: PacketConsumer = { packet, isCongested: false, drained: async () => {} };
    const error = await readCaptureStream(stream, consumer).catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(RangeError);
    expect(stream.destroyed).to.equal(true);
  });

  describe('a long file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'capture-'));
    after(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'long.pcap');
    const capture = largePcap(12000, 1000);
    before(() => writeFileSync(path, capture));

    /** Reads it with a consumer that takes `pace` milliseconds for 1000 packets, and counts the turns of the event loop. */
    async function turnsAt(pace: number): Promise<{ seenTurns: number; progress: CaptureProgress[] }> {
      const progress: CaptureProgress[] = [];
      let now = 0;
      let seenTurns = 0;
      let isOver = false;
      const consumer: PacketConsumer = {
        isCongested: false,
        drained: async () => {},
        packet({ number }) {
          if (number % 1000 === 0) now += pace;
          // What waits for the event loop while the file is read.
          if (number === 1) void countTurns();
        },
      };
      const countTurns = async () => {
        for (await setImmediate(); !isOver; await setImmediate()) seenTurns++;
      };
      const end = await readCapture(path, consumer, {
        onProgress: (at) => progress.push(at),
        clock: () => now,
      });
      isOver = true;
      expect(end).to.deep.equal({ packets: 12000, octets: capture.length });
      return { seenTurns, progress };
    }

    it('lets the event loop turn when it takes its time', async () => {
      expect((await turnsAt(10)).seenTurns).to.be.at.least(2);
      expect((await turnsAt(0)).seenTurns).to.equal(0);
    });

    it('reports its progress', async () => {
      const { progress } = await turnsAt(0);
      expect(progress.length).to.be.within(3, 5);
      expect(progress.at(-1)).to.deep.equal({ octets: capture.length, total: capture.length });
    });
  });

  it('reports its progress in octets of the compressed file', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'capture-'));
    try {
      const path = join(folder, 'x.pcap.gz');
      const compressed = gzipSync(smallPcap(30));
      writeFileSync(path, compressed);
      const progress: CaptureProgress[] = [];
      await readCapture(path, new Collected(), { onProgress: (at) => progress.push(at) });
      expect(progress).to.deep.equal([{ octets: compressed.length, total: compressed.length }]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
