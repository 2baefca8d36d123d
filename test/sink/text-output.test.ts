import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { FORWARD, REPLY } from '../../protocol/flow/terms.js';
import { csvFormat } from '../../src/sink/csv.js';
import { jsonFormat } from '../../src/sink/json.js';
import type { OpenMode } from '../../src/sink/open-output.js';
import { OutputFile, type WriteSync } from '../../src/sink/output-file.js';
import { tableFormat } from '../../src/sink/table.js';
import { BLOCK, BLOCK_OCTETS, linesOf, type OpenFormat } from '../../src/sink/text-format.js';
import { TextOutput } from '../../src/sink/text-output.js';
import { SampleRows } from '../peer/flow-sample.js';
import { NATTED, PLAIN } from './flow-sketch.js';
import { joinedFlow, TextLines, tagged } from './text-lines.js';

const log = { limited: () => {} };
const HEADER = new TextLines(csvFormat).format.header;
const LINE = `${new TextLines(csvFormat).of(PLAIN)}\n`;

function outputOf(samples: SampleRows, open: OpenFormat, path: string, mode: OpenMode, write?: WriteSync) {
  const file = OutputFile.open(path, mode, { framing: 'lines', log, ...(write ? { write } : {}) });
  return new TextOutput(samples, file, open(samples, 'original'));
}

describe('text output', () => {
  let folder: string;
  let path: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'text-output-'));
    path = join(folder, 'flows');
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  it('writes the header and each flow, once flushed', async () => {
    const samples = new SampleRows();
    const output = outputOf(samples, csvFormat, path, 'replace');
    output.begin();
    output.add(samples.add(PLAIN), 1);
    expect(readFileSync(path, 'utf8')).to.equal(HEADER);
    output.flush();
    expect(readFileSync(path, 'utf8')).to.equal(HEADER + LINE);
    output.add(samples.add(NATTED), 1);
    await output.close();
    const natted = new TextLines(csvFormat).of(NATTED);
    expect(readFileSync(path, 'utf8')).to.equal(`${HEADER}${LINE}${natted}\n`);
    expect(output.result).to.deep.equal({
      kind: 'output',
      output: path,
      records: 2,
      lostRecords: 0,
      errors: 0,
    });
  });

  it('begins a rotated file with the header, and an unrotated one goes on', async () => {
    const samples = new SampleRows();
    const row = samples.add(PLAIN);
    const output = outputOf(samples, csvFormat, path, 'append');
    output.begin();
    output.add(row, 1);
    output.reopen();
    output.add(row, 1);
    output.flush();
    renameSync(path, `${path}.0`);
    output.reopen();
    output.add(row, 1);
    await output.close();
    expect(readFileSync(`${path}.0`, 'utf8')).to.equal(HEADER + LINE + LINE);
    expect(readFileSync(path, 'utf8')).to.equal(HEADER + LINE);
  });

  it('goes on below the header of an earlier run', async () => {
    for (let run = 0; run < 2; run++) {
      const samples = new SampleRows();
      const output = outputOf(samples, csvFormat, path, 'append');
      output.begin();
      output.add(samples.add(PLAIN), 1);
      await output.close();
    }
    expect(readFileSync(path, 'utf8')).to.equal(HEADER + LINE + LINE);
  });

  for (const open of [jsonFormat, csvFormat, tableFormat]) {
    it(`writes the records of the rows that are flows, with ${open.name}`, () => {
      const directions = fc.array(fc.constantFrom(0, FORWARD, REPLY, FORWARD | REPLY), { maxLength: 64 });
      fc.assert(
        fc.property(directions, (rows) => {
          const samples = new SampleRows(rows.length + 1);
          const lines = open(samples, 'original');
          let expected = '';
          for (const has of rows) {
            const row = samples.add({ ...NATTED, replyOctets: BigInt(samples.count) });
            samples.view(row).directions = has;
            if (has !== 0)
              expected += linesOf(lines, row)
                .map((line) => `${line}\n`)
                .join('');
          }
          let text = '';
          const output = outputOf(samples, open, '/dev/null', 'append', (_descriptor, octets, at, length) => {
            text += Buffer.from(octets.subarray(at, at + length)).toString('latin1');
            return length;
          });
          output.add(0, rows.length);
          output.flush();
          expect(text).to.equal(expected);
          expect(output.result.records).to.equal(expected.split('\n').length - 1);
        }),
        { numRuns: 50 },
      );
    });
  }

  it('hands on a block when it is full, in whole lines', () => {
    const samples = new SampleRows();
    for (let n = 0; n < 64; n++) samples.add({ replyOctets: 1n });
    const blocks: string[] = [];
    const output = outputOf(samples, jsonFormat, '/dev/null', 'append', (_descriptor, octets, at, length) => {
      blocks.push(Buffer.from(octets.subarray(at, at + length)).toString('latin1'));
      return length;
    });
    for (let n = 0; n < 20; n++) output.add(0, 64);
    output.flush();
    const text = blocks.join('');
    expect(text.trimEnd().split('\n')).to.have.length(20 * 128);
    expect(new Set(text.trimEnd().split('\n')).size).to.equal(2);
    for (const block of blocks.slice(0, -1)) {
      expect(block.endsWith('\n')).to.equal(true);
      expect(block.length).to.be.within(BLOCK, BLOCK_OCTETS);
    }
  });

  for (const open of [jsonFormat, csvFormat, tableFormat]) {
    it(`has room in a block for the longest flow, with ${open.name}`, () => {
      const end = { address: '2001:db8:1111:2222:3333:4444:5555:6666', port: 65535 };
      const other = { address: 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe', port: 65534 };
      const samples = new SampleRows();
      const row = samples.add({
        state: {
          af: 6,
          afAfter: 6,
          originalSource: end,
          originalDestination: other,
          translatedSource: other,
          translatedDestination: end,
          rule: -(2 ** 31),
          anchor: 2 ** 31 - 1,
        },
        interfaceName: '\xff'.repeat(16),
        octets: 2n ** 64n - 1n,
        packets: 2n ** 64n - 1n,
        replyOctets: 2n ** 64n - 1n,
        start: 2 ** 1023,
        end: 2 ** 1023,
        countersAge: -(2 ** 31),
        counters: 1,
      });
      tagged('\xff'.repeat(64))(samples, samples.rows.words);
      joinedFlow(samples, samples.rows.words);
      const format = open(samples, 'original');
      expect(format.write(row, 0)).to.be.below((BLOCK_OCTETS - BLOCK) / 2);
      // At the last place where a flow may begin it is the same.
      const length = format.write(row, BLOCK - 1) - (BLOCK - 1);
      const text = format.octets.slice(BLOCK - 1, BLOCK - 1 + length);
      expect(text).to.deep.equal(format.octets.slice(0, format.write(row, 0)));
    });
  }
});
