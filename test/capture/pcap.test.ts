import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import fc from 'fast-check';
import { PcapReader } from '../../protocol/capture/pcap.js';
import { readPcapHeader } from '../../src/source/capture-format.js';
import { type PcapOptions, pcapFileHeader, pcapRecord, readAll, windowOn } from './capture-bytes.js';

const HEADER = 24;

async function readerOf(options: PcapOptions = {}): Promise<PcapReader> {
  const header = await readPcapHeader(pcapFileHeader(options));
  return new PcapReader(header!);
}

describe('pcap', () => {
  const variants: { name: string; magic: number; littleEndian: boolean; fraction: number }[] = [
    { name: 'microseconds, little endian', magic: 0xa1b2c3d4, littleEndian: true, fraction: 234999 },
    { name: 'microseconds, big endian', magic: 0xa1b2c3d4, littleEndian: false, fraction: 234999 },
    { name: 'nanoseconds, little endian', magic: 0xa1b23c4d, littleEndian: true, fraction: 234999999 },
    { name: 'nanoseconds, big endian', magic: 0xa1b23c4d, littleEndian: false, fraction: 234999999 },
    { name: 'the modified format, little endian', magic: 0xa1b2cd34, littleEndian: true, fraction: 234999 },
    { name: 'the modified format, big endian', magic: 0xa1b2cd34, littleEndian: false, fraction: 234999 },
  ];
  for (const { name, magic, littleEndian, fraction } of variants) {
    it(`reads ${name}`, async () => {
      const modified = magic === 0xa1b2cd34;
      const records = [
        { seconds: 1700000000, fraction, octets: [3, 1, 4] },
        { seconds: 0xffffffff, octets: [] },
        { octets: [9, 9], length: 1500 },
      ].map((record) => pcapRecord(record, littleEndian, modified));
      const reader = await readerOf({ magic, littleEndian, linkType: 1 });
      const packets = readAll(reader, Buffer.concat(records));
      expect(packets).to.deep.equal([
        { number: 1, time: 1700000000234, linkType: 1, wireLength: 3, octets: '030104' },
        { number: 2, time: 4294967295000, linkType: 1, wireLength: 0, octets: '' },
        { number: 3, time: 1000, linkType: 1, wireLength: 1500, octets: '0909' },
      ]);
      expect(reader.damage).to.equal(undefined);
    });
  }

  it('takes the link type without the bits about frame check sequences above it', async () => {
    const reader = await readerOf({ linkType: 0x54000001 });
    expect(readAll(reader, pcapRecord({ octets: [1] }))[0]?.linkType).to.equal(1);
  });

  it('never lets a packet end on the wire before its captured octets do', async () => {
    const reader = await readerOf();
    expect(readAll(reader, pcapRecord({ octets: [1, 2, 3], length: 0 }))[0]?.wireLength).to.equal(3);
  });

  const lengths: { captured: number; snaplen: number; isDamage: boolean }[] = [
    { captured: 262144, snaplen: 96, isDamage: false },
    { captured: 262145, snaplen: 96, isDamage: true },
    { captured: 262145, snaplen: 0, isDamage: true },
    { captured: 300000, snaplen: 300000, isDamage: false },
    { captured: 300001, snaplen: 300000, isDamage: true },
    { captured: 1048560, snaplen: 0xffffffff, isDamage: false },
    { captured: 1048561, snaplen: 0xffffffff, isDamage: true },
    { captured: 0xffffffff, snaplen: 0xffffffff, isDamage: true },
  ];
  for (const { captured, snaplen, isDamage } of lengths) {
    it(`${isDamage ? 'refuses' : 'waits for'} ${captured} octets at a snaplen of ${snaplen}`, async () => {
      const reader = await readerOf({ snaplen });
      const records = [pcapRecord({ octets: [1] }), pcapRecord({ octets: [2], captured })];
      const packets = readAll(reader, Buffer.concat(records));
      expect(packets.length).to.equal(1);
      expect(reader.isOver).to.equal(isDamage);
      if (isDamage)
        expect(reader.damage).to.match(new RegExp(`^has a packet 2 of ${captured} octets, more than`));
      else expect(reader.unfinished()).to.equal('packet 2');
    });
  }

  it('gives all that is whole, wherever a capture is cut', async () => {
    const capture = readFileSync('captures/v3_eth_net.pcap');
    const header = (await readPcapHeader(capture))!;
    const whole = readAll(new PcapReader(header), capture, HEADER);
    expect(whole.length).to.equal(12);
    let ends = HEADER;
    const endOf = whole.map(({ octets }) => {
      ends += 16 + octets.length / 2;
      return ends;
    });
    const wanted = Array.from({ length: capture.length - HEADER + 1 }, (_, index) => {
      return endOf.filter((end) => end <= HEADER + index).length;
    });
    const counted = wanted.map((_, index) => {
      const reader = new PcapReader(header);
      const packets = readAll(reader, capture.subarray(0, HEADER + index), HEADER);
      return packets.length === reader.packets && reader.damage === undefined ? packets.length : -1;
    });
    expect(counted).to.deep.equal(wanted);
  });

  it('has no time before 1970, whatever stands in a record', async () => {
    const word = fc.nat(0xffffffff);
    for (const { magic, littleEndian } of variants) {
      const reader = await readerOf({ magic, littleEndian });
      const isModified = magic === 0xa1b2cd34;
      fc.assert(
        fc.property(word, word, (seconds, fraction) => {
          const record = pcapRecord({ seconds, fraction, octets: [] }, littleEndian, isModified);
          const [packet] = readAll(reader, record);
          expect(packet!.time).to.be.within(0, 8.64e15);
        }),
      );
    }
  });

  it('reads any octets without harm', async () => {
    const headers = await Promise.all(
      variants.map(async ({ magic, littleEndian }) =>
        readPcapHeader(pcapFileHeader({ magic, littleEndian })),
      ),
    );
    const small = fc.uint8Array({ maxLength: 8, max: 40 });
    const octets = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.array(small, { maxLength: 40 }).map((a) => Buffer.concat(a)),
    );
    fc.assert(
      fc.property(fc.constantFrom(...headers), octets, (header, records) => {
        const reader = new PcapReader(header!);
        const window = windowOn(records);
        for (const { octets: held, wireLength } of readAll(reader, records)) {
          expect(wireLength).to.be.at.least(held.length / 2);
        }
        expect(reader.packets).to.be.at.most(records.length / 16);
        expect(reader.unfinished(), `${window.end}`).to.be.a('string');
      }),
    );
  });

  it('reads every capture that came with its content', async () => {
    const names = readdirSync('captures').filter((name) => name.endsWith('.pcap'));
    expect(names.length).to.be.greaterThan(20);
    for (const name of names) {
      const capture = readFileSync(`captures/${name}`);
      const content = JSON.parse(readFileSync(`captures/${name.replace('.pcap', '.json')}`, 'utf8')) as {
        packets: unknown[];
      };
      const reader = new PcapReader((await readPcapHeader(capture))!);
      expect(readAll(reader, capture, HEADER).length, name).to.equal(content.packets.length);
    }
  });
});
