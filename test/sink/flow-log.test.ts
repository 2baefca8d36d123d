import { expect } from 'chai';
import { FlowLog } from '../../src/sink/flow-log.js';
import { jsonFormat } from '../../src/sink/json.js';
import { SampleRows } from '../peer/flow-sample.js';
import { NATTED, PLAIN } from './flow-sketch.js';
import { TextLines } from './text-lines.js';

describe('the log of flows', () => {
  it('has a line for each record, while it is asked for', async () => {
    const samples = new SampleRows();
    const lines: string[] = [];
    const log = { isDebug: true, debug: (line: string) => lines.push(line) };
    const sink = new FlowLog(samples, log as never);
    samples.add({ ...NATTED, replyOctets: 5n });
    samples.view(samples.add(PLAIN)).directions = 0;
    samples.add(PLAIN);
    sink.add(0, 3);
    log.isDebug = false;
    sink.add(0, 3);
    const json = new TextLines(jsonFormat);
    const expected = [...json.all({ ...NATTED, replyOctets: 5n }), json.of(PLAIN)];
    expect(lines).to.deep.equal(expected.map((line) => `flow ${line}`));
    sink.flush();
    await sink.drained();
    await sink.close();
    expect(sink.isCongested).to.equal(false);
  });
});
