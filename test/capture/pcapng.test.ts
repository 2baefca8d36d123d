import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import fc from 'fast-check';
import { Packet } from '../../protocol/capture/packet.js';
import { PcapngReader } from '../../protocol/capture/pcapng.js';
import {
  block,
  enhancedPacket,
  interfaceBlock,
  obsoletePacket,
  readAll,
  sectionHeader,
  simplePacket,
  Writer,
  windowOn,
} from './capture-bytes.js';

/** The last millisecond of a Date. */
const LATEST = 8640000000000000n;

function readTime(time: bigint, resolution: number | undefined, offset?: bigint): number | undefined {
  const description = {
    ...(resolution !== undefined && { resolution }),
    ...(offset !== undefined && { offset }),
  };
  const capture = Buffer.concat([
    sectionHeader(),
    interfaceBlock(description),
    enhancedPacket({ time, octets: [] }),
  ]);
  return readAll(new PcapngReader(), capture)[0]?.time;
}

describe('pcapng', () => {
  for (const littleEndian of [true, false]) {
    it(`reads each kind of packet, ${littleEndian ? 'little' : 'big'} endian`, () => {
      const capture = Buffer.concat([
        sectionHeader(littleEndian),
        interfaceBlock({ linkType: 246 }, littleEndian),
        interfaceBlock({ linkType: 1, resolution: 9 }, littleEndian),
        enhancedPacket({ time: 1700000000123999n, octets: [1, 2, 3], length: 99 }, littleEndian),
        block(5, new Uint8Array(8), littleEndian),
        obsoletePacket({ interfaceId: 1, time: 1700000001123999999n, octets: [4] }, littleEndian),
        simplePacket([5, 6, 7, 8, 9], undefined, littleEndian),
      ]);
      const reader = new PcapngReader();
      expect(readAll(reader, capture)).to.deep.equal([
        { number: 1, time: 1700000000123, linkType: 246, wireLength: 99, octets: '010203' },
        { number: 2, time: 1700000001123, linkType: 1, wireLength: 1, octets: '04' },
        { number: 3, time: 1700000001123, linkType: 246, wireLength: 5, octets: '0506070809' },
      ]);
      expect(reader.damage).to.equal(undefined);
    });
  }

  it('begins anew with each section: byte order and interfaces', () => {
    const capture = Buffer.concat([
      sectionHeader(true),
      interfaceBlock({ linkType: 1 }, true),
      enhancedPacket({ octets: [1] }, true),
      sectionHeader(false),
      interfaceBlock({ linkType: 101, resolution: 3 }, false),
      enhancedPacket({ octets: [2], time: 77n }, false),
      sectionHeader(true),
      enhancedPacket({ octets: [3] }, true),
    ]);
    const reader = new PcapngReader();
    const packets = readAll(reader, capture);
    expect(packets.map(({ linkType, time }) => [linkType, time])).to.deep.equal([
      [1, 0],
      [101, 77],
      [-1, 0],
    ]);
    expect(reader.damage).to.equal('has a block after packet 2 on interface 0, which no block describes');
    expect(reader.isOver).to.equal(false);
  });

  const times: { name: string; time: bigint; resolution?: number; offset?: bigint; expected: number }[] = [
    { name: 'microseconds by default', time: 1700000000999999n, expected: 1700000000999 },
    { name: 'seconds', time: 1700000000n, resolution: 0, expected: 1700000000000 },
    { name: 'milliseconds', time: 1700000000001n, resolution: 3, expected: 1700000000001 },
    { name: 'nanoseconds', time: 1700000000999999999n, resolution: 9, expected: 1700000000999 },
    { name: 'picoseconds', time: 9007199254740993000n, resolution: 12, expected: 9007199254 },
    { name: 'the last nanosecond there is', time: 2n ** 64n - 1n, resolution: 9, expected: 18446744073709 },
    {
      name: '2 ** -10 seconds',
      time: 1700000000n * 1024n + 1023n,
      resolution: 0x8a,
      expected: 1700000000999,
    },
    {
      name: '2 ** -32 seconds',
      time: (1700000000n << 32n) + 0x80000000n,
      resolution: 0xa0,
      expected: 1700000000500,
    },
    { name: '2 ** -33 seconds', time: (1700000000n << 33n) + 1n, resolution: 0xa1, expected: 1700000000000 },
    { name: 'whole seconds as a power of two', time: 7n, resolution: 0x80, expected: 7000 },
    { name: 'the finest resolution', time: 2n ** 64n - 1n, resolution: 0x7f, expected: 0 },
    { name: 'an offset', time: 1500000n, offset: 1700000000n, expected: 1700000001500 },
    { name: 'a negative offset', time: 1700000000500000n, offset: -10n, expected: 1699999990500 },
    { name: 'a time before the epoch as 0', time: 0n, offset: -1n, expected: 0 },
    {
      name: 'a time no Date can hold as the last one',
      time: 2n ** 64n - 1n,
      resolution: 0,
      expected: Number(LATEST),
    },
  ];
  for (const { name, time, resolution, offset, expected } of times) {
    it(`takes ${name}`, () => {
      expect(readTime(time, resolution, offset)).to.equal(expected);
    });
  }

  it('rounds every time down to the exact millisecond', () => {
    const ticks = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    const offsets = fc.bigInt({ min: -(2n ** 34n), max: 2n ** 34n });
    const resolutions = fc.oneof(fc.integer({ min: 0, max: 19 }), fc.integer({ min: 0x80, max: 0xc0 }));
    fc.assert(
      fc.property(ticks, resolutions, offsets, (time, resolution, offset) => {
        const power = BigInt(resolution & 0x7f);
        const perSecond = resolution < 0x80 ? 10n ** power : 2n ** power;
        const exact = (time * 1000n) / perSecond;
        const wanted = exact + offset * 1000n;
        // Where the time alone is past all dates, an offset that brings it back may round.
        fc.pre(exact < LATEST);
        const clipped = wanted < 0n ? 0n : wanted > LATEST ? LATEST : wanted;
        expect(readTime(time, resolution, offset)).to.equal(Number(clipped));
      }),
      { numRuns: 500 },
    );
  });

  const simple: { snaplen: number; length: number; expected: string }[] = [
    { snaplen: 0, length: 5, expected: '0102030405' },
    { snaplen: 3, length: 5, expected: '010203' },
    { snaplen: 100, length: 5, expected: '0102030405' },
    { snaplen: 0, length: 1500, expected: '0102030405000000' },
    { snaplen: 0, length: 0, expected: '' },
  ];
  for (const { snaplen, length, expected } of simple) {
    it(`takes ${expected.length / 2} octets of a simple packet of ${length} at a snaplen of ${snaplen}`, () => {
      const capture = [sectionHeader(), interfaceBlock({ snaplen }), simplePacket([1, 2, 3, 4, 5], length)];
      const [packet] = readAll(new PcapngReader(), Buffer.concat(capture));
      expect([packet?.octets, packet?.wireLength, packet?.time]).to.deep.equal([expected, length, 0]);
    });
  }

  const head = Buffer.concat([sectionHeader(), interfaceBlock(), enhancedPacket({ octets: [1] })]);
  const behind = enhancedPacket({ octets: [2] });
  const odd = (type: number, length: number, last = length) =>
    new Writer(true)
      .uint32(type, length)
      .raw(new Uint8Array(Math.max(0, Math.min(length, 64) - 12)))
      .uint32(last).bytes;
  const damages: { name: string; bad: Uint8Array; packets: number; damage: string }[] = [
    { name: 'a length of 0', bad: odd(6, 0), packets: 1, damage: 'of 0 octets' },
    { name: 'a length that is no multiple of 4', bad: odd(6, 33), packets: 1, damage: 'of 33 octets' },
    { name: 'two lengths', bad: odd(6, 32, 36), packets: 1, damage: 'whose two lengths differ' },
    {
      name: 'a huge packet',
      bad: odd(6, 1048580),
      packets: 1,
      damage: 'of 1048580 octets, more than 1048576',
    },
    {
      name: 'a huge section header',
      bad: Buffer.concat([odd(0x0a0d0d0a, 0x7ffffff0).subarray(0, 8), sectionHeader().subarray(8)]),
      packets: 1,
      damage: 'of 2147483632 octets, more than 1048576',
    },
    {
      name: 'no byte order',
      bad: odd(0x0a0d0d0a, 28),
      packets: 1,
      damage: 'that begins a section in no known byte order',
    },
    { name: 'a packet block without room', bad: odd(6, 28), packets: 2, damage: 'too short for its packet' },
    { name: 'a simple packet without room', bad: odd(3, 12), packets: 2, damage: 'too short for its packet' },
    {
      name: 'an interface without room',
      bad: odd(1, 16),
      packets: 2,
      damage: 'that is too short to describe an interface',
    },
    {
      name: 'more captured than the block holds',
      bad: enhancedPacket({ octets: [1], captured: 5 }),
      packets: 2,
      damage: 'too short for its packet',
    },
  ];
  for (const { name, bad, packets, damage } of damages) {
    it(`${packets === 1 ? 'ends at' : 'goes on behind'} ${name}`, () => {
      const reader = new PcapngReader();
      expect(readAll(reader, Buffer.concat([head, bad, behind])).length).to.equal(packets);
      expect(reader.damage).to.equal(`has a block after packet 1 ${damage}`);
      expect(reader.isOver).to.equal(packets === 1);
    });
  }

  it('passes over a block that is longer than the window', () => {
    const window = windowOn(Buffer.concat([head, new Writer(true).uint32(0xbad, 0xfffffffc, 0).bytes]));
    const reader = new PcapngReader();
    const packet = new Packet();
    expect(reader.next(window, packet)).to.equal(true);
    expect(reader.next(window, packet)).to.equal(false);
    expect(window.at).to.equal(head.length + 0xfffffffc);
    expect(reader.unfinished(window)).to.equal('a block before packet 2');
    expect(reader.isOver).to.equal(false);
  });

  it('keeps no more than 65536 interfaces of a section', () => {
    const description = interfaceBlock();
    const section = Buffer.alloc(28 + 65536 * description.length);
    section.set(sectionHeader());
    for (let at = 28; at < section.length; at += description.length) section.set(description, at);
    const last = enhancedPacket({ interfaceId: 65535, octets: [1] });
    const full = new PcapngReader();
    expect(readAll(full, Buffer.concat([section, last]))[0]?.linkType).to.equal(246);
    const overfull = new PcapngReader();
    expect(readAll(overfull, Buffer.concat([section, description, last]))).to.deep.equal([]);
    expect(overfull.isOver).to.equal(true);
  });

  it('gives all that is whole, wherever a capture is cut', () => {
    const capture = readFileSync('captures/v6_openbsd_ng.pcapng');
    const whole = readAll(new PcapngReader(), capture);
    expect(whole.length).to.equal(21);
    let before = 0;
    for (let cut = 0; cut <= capture.length; cut++) {
      const reader = new PcapngReader();
      const packets = readAll(reader, capture.subarray(0, cut));
      if (reader.damage !== undefined || packets.length - before > 1 || packets.length < before) {
        expect.fail(`cut at ${cut}: ${packets.length} packets, ${reader.damage}`);
      }
      before = packets.length;
    }
    expect(before).to.equal(21);
  });

  it('reads any octets without harm', () => {
    const blocks = fc.array(
      fc.oneof(
        fc.constantFrom(
          sectionHeader(),
          sectionHeader(false),
          interfaceBlock(),
          enhancedPacket({ octets: [1, 2] }),
        ),
        fc
          .tuple(fc.constantFrom(1, 2, 3, 5, 6), fc.uint8Array({ maxLength: 40 }), fc.boolean())
          .map(([type, body, order]) => block(type, body, order)),
        fc.uint8Array({ maxLength: 40, max: 40 }),
      ),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(blocks, (parts) => {
        const capture = Buffer.concat(parts);
        const reader = new PcapngReader();
        for (const { time, octets, wireLength } of readAll(reader, capture)) {
          expect(wireLength).to.be.at.least(octets.length / 2);
          expect(new Date(time).toISOString()).to.be.a('string');
        }
        expect(reader.packets).to.be.at.most(capture.length / 16);
      }),
      { numRuns: 500 },
    );
  });
});
