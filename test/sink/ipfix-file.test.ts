import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { IpfixFile } from '../../src/sink/ipfix-file.js';
import type { OpenMode } from '../../src/sink/open-output.js';
import { OutputFile, type WriteSync } from '../../src/sink/output-file.js';
import { collect, NOW, SampleRows } from '../peer/flow-sample.js';

const log = { limited: () => {} };

function fileOf(samples: SampleRows, path: string, mode: OpenMode, write?: WriteSync): IpfixFile {
  const file = OutputFile.open(path, mode, { framing: 'messages', log, ...(write ? { write } : {}) });
  return new IpfixFile(samples, file, { nat: 'original', domain: 42, profile: 'full' });
}

/** The messages of a file, by their length fields. */
function messagesOf(path: string): Uint8Array[] {
  const octets = readFileSync(path);
  const messages: Uint8Array[] = [];
  for (let at = 0; at < octets.length; at += octets.readUInt16BE(at + 2)) {
    messages.push(octets.subarray(at, at + octets.readUInt16BE(at + 2)));
  }
  return messages;
}

describe('an IPFIX file', () => {
  let folder: string;
  let path: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ipfix-file-'));
    path = join(folder, 'flows.ipfix');
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  it('holds messages back to back, with their templates once', async () => {
    const samples = new SampleRows();
    for (let n = 0; n < 64; n++) samples.add({ replyOctets: 7n });
    const file = fileOf(samples, path, 'replace');
    file.begin();
    for (let n = 0; n < 20; n++) file.add(0, 64);
    await file.close(NOW);
    const messages = messagesOf(path);
    expect(messages.length).to.be.greaterThan(2);
    const collector = collect(messages);
    expect(collector.flows).to.have.length(20 * 128);
    expect(file.result).to.include({ kind: 'output', output: path, records: 20 * 128, lostRecords: 0 });
  });

  it('has its templates again in a new file after a rotation, and goes on in one that stayed', async () => {
    const samples = new SampleRows();
    samples.add({ replyOctets: 7n });
    const file = fileOf(samples, path, 'append');
    file.begin();
    file.add(0, 1);
    file.reopen(NOW);
    file.add(0, 1);
    file.flush(NOW);
    renameSync(path, `${path}.0`);
    file.reopen(NOW);
    file.add(0, 1);
    await file.close(NOW);
    expect(collect(messagesOf(`${path}.0`)).flows).to.have.length(4);
    expect(collect(messagesOf(path)).flows).to.have.length(2);
  });

  it('keeps whole messages when the disk is full, and counts the records of the others', async () => {
    const samples = new SampleRows();
    for (let n = 0; n < 64; n++) samples.add({ replyOctets: 7n });
    let room = 100_000;
    const { writeSync } = await import('node:fs');
    const file = fileOf(samples, path, 'append', (descriptor, octets, offset, length) => {
      if (room === 0) throw Object.assign(new Error('write'), { code: 'ENOSPC', errno: -28 });
      const written = writeSync(descriptor, octets, offset, Math.min(length, room));
      room -= written;
      return written;
    });
    file.begin();
    for (let n = 0; n < 40; n++) file.add(0, 64);
    expect(file.isCongested).to.equal(false);
    await file.close(NOW);
    const { records, lostRecords } = file.result;
    expect(collect(messagesOf(path)).flows).to.have.length(records);
    expect(records).to.be.greaterThan(0);
    expect(records + lostRecords).to.equal(40 * 128);
  });
});
