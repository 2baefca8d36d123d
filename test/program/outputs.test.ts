import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { StartError } from '../../src/cli/errors.js';
import type { Options, OutputFormat } from '../../src/cli/option-table.js';
import { Statistics } from '../../src/observe/statistics.js';
import { openOutput } from '../../src/outputs.js';
import { NOW, SampleRows } from '../peer/flow-sample.js';

const log = { limited: () => {} };

describe('what --format asks for', () => {
  let folder: string;
  let path: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'outputs-'));
    path = join(folder, 'flows');
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  function open(samples: SampleRows, format: OutputFormat, kind: 'live' | 'conversion') {
    const options: Partial<Options> = {
      format,
      output: path,
      reads: kind === 'live' ? [] : ['capture.pcap'],
      domain: 42,
      template: 'full',
      exportOptions: [],
      exportStats: true,
    };
    return openOutput(options as Options, samples, log, new Statistics(), () => {});
  }

  const begins: [OutputFormat, string][] = [
    ['json', '{"flowStartMilliseconds":'],
    ['csv', 'flowStartMilliseconds,flowEndMilliseconds,'],
    ['table', 'Date first seen'],
    ['ipfix', '\0\x0a'],
  ];
  for (const [format, text] of begins) {
    it(`is ${format}, in place of what was there, once everything is open`, async () => {
      writeFileSync(path, 'old');
      const samples = new SampleRows();
      const output = open(samples, format, 'conversion');
      expect(readFileSync(path, 'utf8')).to.equal('old');
      output.begin();
      output.add(samples.add(), 1);
      await output.close(NOW);
      expect(readFileSync(path, 'latin1').slice(0, text.length)).to.equal(text);
      expect(output.result).to.deep.equal({
        kind: 'output',
        output: path,
        records: 1,
        lostRecords: 0,
        errors: 0,
      });
    });

    it(`is ${format}, at the end of what was there in a live run`, async () => {
      writeFileSync(path, 'old');
      const samples = new SampleRows();
      const output = open(samples, format, 'live');
      output.begin();
      output.add(samples.add(), 1);
      await output.close(NOW);
      expect(readFileSync(path, 'latin1').slice(0, 3)).to.equal('old');
      expect(readFileSync(path).length).to.be.greaterThan(50);
    });
  }

  it('is refused when the file cannot be opened', () => {
    path = join(folder, 'none', 'flows');
    expect(() => open(new SampleRows(), 'json', 'live')).to.throw(
      StartError,
      `${path}: no such file or directory`,
    );
  });
});
