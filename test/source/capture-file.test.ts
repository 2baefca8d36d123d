import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { constants, deflateRawSync, gzipSync } from 'node:zlib';
import { expect } from 'chai';
import fc from 'fast-check';
import { locatePfsync, Payload } from '../../protocol/capture/link.js';
import type { Packet } from '../../protocol/capture/packet.js';
import {
  type CaptureEnd,
  CaptureOpenError,
  type CaptureProgress,
  isRegularFile,
  type PacketConsumer,
  readCapture,
  readCaptureStream,
} from '../../src/source/capture-file.js';
import { identifyFormat } from '../../src/source/capture-format.js';
import { pause } from '../../src/pause.js';
import {
  block,
  enhancedPacket,
  interfaceBlock,
  pcapFileHeader,
  pcapRecord,
  type SeenPacket,
  sectionHeader,
  seen,
  smallPcap,
} from '../capture/capture-bytes.js';

/** Keeps what it is given, and is never congested. */
class Collected implements PacketConsumer {
  readonly packets: SeenPacket[] = [];
  readonly isCongested = false;

  packet(packet: Packet): void {
    this.packets.push(seen(packet));
  }

  async drained(): Promise<void> {}
}

type Outcome = CaptureEnd & { seen: SeenPacket[] };

async function readPieces(...pieces: Uint8Array[]): Promise<Outcome> {
  const collected = new Collected();
  const end = await readCaptureStream(Readable.from(pieces), collected);
  return { ...end, seen: collected.packets };
}

async function readPath(path: string): Promise<Outcome> {
  const collected = new Collected();
  const end = await readCapture(path, collected);
  return { ...end, seen: collected.packets };
}

async function refusal(reading: Promise<unknown>): Promise<string> {
  try {
    await reading;
  } catch (error) {
    expect(error).to.be.instanceOf(CaptureOpenError);
    return (error as Error).message;
  }
  return expect.fail('it was read');
}

/** What the JSON beside a capture tells of it. */
interface Content {
  linktype: number;
  packets: { time: string; caplen: number; len: number; pfsyncLen: number }[];
}

/** Octets that do not compress, the same ones each time. */
function noise(length: number): Uint8Array {
  let state = 1;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state >>> 24;
  });
}

function largePcap(packets: number, size: number): Uint8Array {
  const record = pcapRecord({ octets: noise(size) });
  const capture = Buffer.alloc(24 + packets * record.length);
  capture.set(pcapFileHeader({ snaplen: size }));
  for (let at = 24; at < capture.length; at += record.length) capture.set(record, at);
  return capture;
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
          packets.push({ linkType, time: clock.time, caplen, len, held });
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
    expect(await refusal(readPath(folder))).to.equal(`${folder}: illegal operation on a directory`);
    const broken = new Readable({
      read() {
        this.destroy(new Error('device gone'));
      },
    });
    expect(await refusal(readCaptureStream(broken, new Collected()))).to.equal('capture: device gone');
  });

  it('is told from a regular file', () => {
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
        await setTimeout(1);
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
    const consumer = { packet() {}, isCongested: true, drained: () => never };
    const reading = readCaptureStream(stream, consumer, { signal: stop.signal });
    await setTimeout(20);
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
      await setTimeout(20);
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

  it('lets timers run in a long file and tells its progress', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'capture-'));
    try {
      const path = join(folder, 'long.pcap');
      const capture = largePcap(12000, 1000);
      writeFileSync(path, capture);
      const progress: CaptureProgress[] = [];
      let turns = 0;
      const timer = setInterval(() => {
        turns++;
      }, 0);
      // It takes its time: some 120 ms in all.
      const consumer: PacketConsumer = {
        isCongested: false,
        drained: async () => {},
        packet({ number }) {
          if (number % 1000 === 0) pause(10);
        },
      };
      const end = await readCapture(path, consumer, { onProgress: (at) => progress.push(at) });
      clearInterval(timer);
      expect(end).to.deep.equal({ packets: 12000, octets: capture.length });
      expect(turns).to.be.at.least(1);
      expect(progress.length).to.be.within(3, 5);
      expect(progress.at(-1)).to.deep.equal({ octets: capture.length, total: capture.length });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('tells its progress in octets of the compressed file', async () => {
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

describe('standard input', () => {
  const PROGRAM = `
    import { readCapture } from './build/src/capture-file.js';
    const consumer = {
      packet: ({ number, start, end }) => console.log(number + ':' + (end - start)),
      isCongested: false,
      drained: async () => {},
    };
    console.log(JSON.stringify(await readCapture('-', consumer).catch((error) => error.message)));
  `;

  function reader(input: 'pipe' | number): ChildProcess {
    return spawn(process.execPath, ['--input-type=module', '-e', PROGRAM], {
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
