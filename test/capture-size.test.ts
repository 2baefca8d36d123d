import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import { extentOf } from '../src/capture-size.js';

const SMALL = 'captures/v3_eth_net.pcap';

describe('extent of a run', () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'pfflowd-size-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  function file(name: string, octets: Uint8Array, size = octets.length): string {
    const path = join(folder, name);
    writeFileSync(path, octets);
    truncateSync(path, size);
    return path;
  }

  it('is short when there is little to read', () => {
    expect(extentOf([SMALL])).to.equal('short');
    expect(extentOf([SMALL, SMALL])).to.equal('short');
  });

  it('is long when one capture is large, or many are together', () => {
    const large = file('large.pcap', new Uint8Array(0), 9 << 20);
    expect(extentOf([large])).to.equal('long');
    expect(extentOf([SMALL, large])).to.equal('long');
    expect(extentOf(['-', large])).to.equal('long');
    const some = file('some.pcap', new Uint8Array(0), 5 << 20);
    expect(extentOf([some])).to.equal('short');
    expect(extentOf([some, some])).to.equal('long');
  });

  it('depends on what a compressed capture may hold', () => {
    const compressed = gzipSync(new Uint8Array(1000));
    expect(extentOf([file('small.gz', compressed)])).to.equal('short');
    expect(extentOf([file('some.gz', compressed, 1 << 20)])).to.equal(undefined);
    expect(extentOf([file('large.gz', compressed, 9 << 20)])).to.equal('long');
    expect(extentOf([file('plain.pcap', new Uint8Array(0), 1 << 20)])).to.equal('short');
  });

  it('is not known live, of streams, and of what cannot be read', () => {
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    for (const captures of [[], ['-'], [pipe], [join(folder, 'missing')], [folder], [SMALL, '-']]) {
      expect(extentOf(captures), captures.join()).to.equal(undefined);
    }
  });
});
