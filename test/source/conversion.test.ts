import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import type { Packet } from '../../protocol/capture/packet.js';
import { StartError } from '../../src/cli/errors.js';
import { type ConversionConsumer, convert } from '../../src/source/conversion.js';
import { pcapFileHeader, pcapRecord, smallPcap } from '../capture/capture-bytes.js';
import { LineLog } from '../peer/line-log.js';

/** Counts what a conversion gives it. */
class Converted implements ConversionConsumer {
  source = '';
  readonly isCongested = false;
  readonly sources: string[] = [];
  readonly damage: string[] = [];
  readonly statistics = {
    damaged: { add: (reason: string) => void this.damage.push(reason) },
    states: { ended: 0 },
  };
  onPacket: () => void = () => {};

  packet(_packet: Packet): void {
    this.sources.push(this.source);
    this.onPacket();
  }

  async drained(): Promise<void> {}

  flush(): void {}
}

describe('a conversion', () => {
  const folder = mkdtempSync(join(tmpdir(), 'conversion-'));
  after(() => rmSync(folder, { recursive: true }));

  function stored(name: string, ...octets: Uint8Array[]): string {
    const path = join(folder, name);
    writeFileSync(path, Buffer.concat(octets));
    return path;
  }

  const good = stored('good.pcap', smallPcap(2));
  const cut = stored('cut.pcap', smallPcap(2).subarray(0, -1));
  const text = stored('text', Buffer.from('this is no capture at all'));
  const empty = stored('empty', new Uint8Array(0));
  const zstd = stored('x.zst', Buffer.from('28b52ffd', 'hex'));
  const directory = join(folder, 'directory');
  mkdirSync(directory);
  const pflog = stored('pflog', pcapFileHeader({ linkType: 117 }), pcapRecord({ octets: [61, 2] }));
  const compressed = stored(
    'pflog.gz',
    gzipSync(Buffer.concat([pcapFileHeader({ linkType: 9 }), pcapRecord({ octets: [1] })])),
  );
  const snaplen = stored(
    'snaplen',
    pcapFileHeader(),
    pcapRecord({ octets: [3, 3, 9, 1], length: 200 }),
    pcapRecord({ octets: [3], length: 9 }),
  );

  async function converted(
    reads: readonly string[],
    signal = new AbortController().signal,
    consumer = new Converted(),
  ): Promise<{ consumer: Converted; lines: string[]; error: Error | undefined }> {
    const log = new LineLog();
    const options = { reads, hold: 1, progress: 'never' } as const;
    const error = await convert(options, consumer, log.log, signal).then(
      () => undefined,
      (reason: Error) => reason,
    );
    return { consumer, lines: log.lines, error };
  }

  it('reads captures in their order and names each for messages', async () => {
    const { consumer, lines, error } = await converted([good, pflog, good]);
    expect(error).to.equal(undefined);
    expect(consumer.sources).to.deep.equal([good, good, pflog, good, good]);
    expect(lines).to.have.length(1);
  });

  const STARTS: [name: string, path: string, reason: string][] = [
    ['is not there', join(folder, 'missing'), 'no such file'],
    ['is a directory', directory, 'is a directory'],
    ['is empty', empty, 'not a pcap or pcapng file'],
    ['is text', text, 'not a pcap or pcapng file'],
    ['is compressed with zstd', zstd, `compressed with zstd: zstd -dc ${zstd} | pfflowd -r -`],
  ];
  for (const [name, path, reason] of STARTS) {
    it(`does not start when the first capture ${name}, and says so in a line`, async () => {
      const { consumer, lines, error } = await converted([path, good]);
      expect(error).to.be.instanceOf(StartError);
      expect(error?.message).to.equal(`${path}: ${reason}`);
      expect(consumer).to.deep.include({ sources: [], damage: [] });
      expect(lines).to.deep.equal([]);
    });
  }

  it('does not start when any capture is not there', async () => {
    const { consumer, error } = await converted([good, join(folder, 'missing')]);
    expect(error).to.be.instanceOf(StartError);
    expect(consumer.sources).to.deep.equal([]);
  });

  for (const [name, path, reason] of STARTS.slice(1)) {
    it(`goes on when a later capture ${name}, which is damage`, async () => {
      const { consumer, lines, error } = await converted([good, path, good]);
      expect(error).to.equal(undefined);
      expect(consumer.sources).to.deep.equal([good, good, good, good]);
      expect(consumer.damage).to.deep.equal(['captureUnreadable']);
      expect(lines).to.deep.equal([`${path}: ${reason}`]);
    });
  }

  it('counts a capture that is cut short as damage, and says where it ends', async () => {
    const { consumer, lines } = await converted([cut]);
    expect(consumer.damage).to.deep.equal(['captureCut']);
    expect(lines).to.deep.equal([`${cut}: ends in the middle of packet 2`]);
  });

  for (const [path, what] of [
    [pflog, 'link type 117 (PFLOG)'],
    [compressed, 'link type 9 (PPP)'],
  ] as const) {
    it(`counts a capture of ${what} as damage, and says why nothing is in it`, async () => {
      const { consumer, lines } = await converted([path]);
      expect(consumer.damage).to.deep.equal(['unknownLinkType']);
      expect(lines).to.have.length(1);
      expect(lines[0]).to.include(`${path}: ${what}: `);
    });
  }

  it('says once for each capture how to avoid that the snaplen cuts messages', async () => {
    const { consumer, lines } = await converted([snaplen, snaplen]);
    // That messages are cut is found out, and counted, by who reads them.
    expect(consumer.damage).to.deep.equal([]);
    expect(lines).to.deep.equal(
      [1, 2].map(
        () => `${snaplen}: packet 1 is cut to 4 octets by the snaplen: capture with tcpdump -s 65535`,
      ),
    );
  });

  it('ends without damage when it is aborted, and reads no further capture', async () => {
    const stop = new AbortController();
    const consumer = new Converted();
    consumer.onPacket = () => stop.abort();
    const { lines, error } = await converted([good, cut], stop.signal, consumer);
    expect(error).to.equal(undefined);
    expect([lines, consumer.damage]).to.deep.equal([[], []]);
    expect(consumer.sources).to.not.include(cut);
  });

  it('passes on what its consumer throws', async () => {
    const consumer = new Converted();
    consumer.onPacket = () => {
      throw new RangeError('no room');
    };
    const { error } = await converted([good], undefined, consumer);
    expect(error).to.be.instanceOf(RangeError);
  });
});
