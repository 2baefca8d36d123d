import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { run } from '../peer/pfflowd.js';
import { itWith, startNfcapd } from '../peer/programs.js';

/** A generator of pfsync version 3 captures that stands beside a checkout where the project is worked on. */
const GENERATOR = fileURLToPath(new URL('../../../../shared/tools/genv3.c', import.meta.url));

const VERSIONS = ['5', '9', '10'];

/** A million states of both families and directions, with NAT, one-sided ones and counters over 2^32. */
const MIXTURE = '-n 1000000 -r 100000 -6 30 -i 50 -1 10 -b 5 -N 30 -s 7'.split(' ');

interface Manifest {
  readonly states: number;
  readonly flows: number;
  readonly v5_records_after_split: number;
  readonly sum_bytes: number;
  readonly sum_packets: number;
  readonly sum_bytes4: number;
  readonly sum_packets4: number;
  readonly flows6: number;
}

async function generate(folder: string): Promise<Manifest> {
  const call = promisify(execFile);
  const program = join(folder, 'genv3');
  await call('gcc', ['-O2', '-w', '-o', program, GENERATOR]);
  const { stderr } = await call(program, [...MIXTURE, '-w', join(folder, 'million.pcap')]);
  return JSON.parse(stderr) as Manifest;
}

const isThere = existsSync(GENERATOR);

describe(`a million states${isThere ? '' : ' (left out: there is no generator beside this checkout)'}`, function () {
  this.timeout(240_000);
  if (!isThere) {
    it('are not generated here');
    return;
  }
  let folder = '';
  let manifest: Manifest;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'million-'));
    manifest = await generate(folder);
  });
  after(() => rmSync(folder, { recursive: true }));

  for (const version of VERSIONS) {
    itWith(['nfcapd', 'nfdump'], `nfcapd's totals of version ${version} are the generator's`, async () => {
      const { status, summary, totals } = await sent(version);
      expect(status).to.equal(0);
      const isOld = version === '5';
      expect(totals.octets).to.equal(BigInt(isOld ? manifest.sum_bytes4 : manifest.sum_bytes));
      expect(totals.packets).to.equal(BigInt(isOld ? manifest.sum_packets4 : manifest.sum_packets));
      expect(totals.flowCount).to.equal(isOld ? manifest.v5_records_after_split : manifest.flows);
      expect(totals.sequenceFailures).to.equal(0);
      expect(totals.badPackets).to.equal(0);
      expect(summary?.flows).to.equal(manifest.flows);
      expect(summary?.states.ended).to.equal(manifest.states);
      expect(summary?.octets).to.equal(BigInt(manifest.sum_bytes));
    });
  }

  /** Sends the capture to an nfcapd. All versions are on their way at the same time: the pace leaves the processors idle. */
  const results = new Map<string, ReturnType<typeof send>>();
  function sent(version: string): ReturnType<typeof send> {
    for (const each of VERSIONS) if (!results.has(each)) results.set(each, send(each));
    return results.get(version)!;
  }

  async function send(version: string) {
    const nfcapd = await startNfcapd('127.0.0.1', 'totals');
    const capture = join(folder, 'million.pcap');
    const { status, summary } = await run([
      '-r',
      capture,
      '-n',
      nfcapd.endpoint,
      '-v',
      version,
      '--no-export-stats',
    ]);
    return { status, summary, totals: await nfcapd.stop() };
  }
});
