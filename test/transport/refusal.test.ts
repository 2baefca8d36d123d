import { expect } from 'chai';
import { ipfixEncoder } from '../../protocol/export/ipfix.js';
import type { MessageRoom } from '../../protocol/export/message.js';
import { netflow1Encoder } from '../../protocol/export/netflow1.js';
import { netflow5Encoder } from '../../protocol/export/netflow5.js';
import { netflow9Encoder } from '../../protocol/export/netflow9.js';
import { NO_COUNTS } from '../../protocol/export/statistics.js';
import { Exporter } from '../../src/sink/exporter.js';
import { paceOf, UNPACED } from '../../src/transport/pace.js';
import { openUdp } from '../../src/transport/udp.js';
import { closedPort } from '../peer/closed-port.js';
import { type Open, SampleRows } from '../peer/flow-sample.js';
import { NOW, numbered } from '../peer/flow-samples.js';
import { LineLog } from '../peer/line-log.js';
import { describeSenders } from './senders.js';

const TEMPLATES = { nat: 'original', domain: 42, refreshTime: 30_000, refreshMessages: 0 } as const;
const ANNOUNCE = { names: true, sampling: true };

const FORMATS: readonly { name: string; version: number; open: Open }[] = [
  { name: 'v1', version: 1, open: (rows, room) => netflow1Encoder(rows, room, 'inside') },
  { name: 'v5', version: 5, open: (rows, room) => netflow5Encoder(rows, room, 'inside', 42) },
  { name: 'v9', version: 9, open: (rows, room) => netflow9Encoder(rows, room, TEMPLATES) },
  {
    name: 'IPFIX',
    version: 10,
    open: (rows, room) =>
      ipfixEncoder(rows, room, 'full', { ...TEMPLATES, announce: ANNOUNCE, counts: NO_COUNTS }),
  },
  {
    name: "IPFIX in pflow's profile",
    version: 10,
    open: (rows, room) => ipfixEncoder(rows, room, 'pflow', TEMPLATES),
  },
];

describeSenders('a conversion to a closed port', (sender) => {
  for (const { name, version, open } of FORMATS) {
    for (const flows of [1, 40, 500]) {
      for (const pace of ['default', 'none'] as const) {
        it(`${flows} flows in ${name}, pace ${pace}: what is refused is counted as lost`, async () => {
          const transport = await openUdp({
            endpoint: { host: '127.0.0.1', family: 4, port: (await closedPort()).port },
            source: undefined,
            maxMessage: undefined,
            pace: pace === 'none' ? UNPACED : paceOf(undefined),
            log: new LineLog().log,
            name: 'collector',
            senders: [sender],
          });
          const samples = new SampleRows(1);
          const encoder = open(samples, transport as MessageRoom);
          const options = { name: 'collector', version, direction: 'any', log: new LineLog().log } as const;
          const exporter = new Exporter(samples, encoder, transport, options);
          for (let number = 0; number < flows; number++) {
            samples.count = 0;
            exporter.add(samples.add(numbered({ number, counters: number % 3 === 0 ? 'none' : 'exact' })), 1);
          }
          await exporter.close(NOW);
          const { records, datagrams, lostRecords, lostDatagrams, errors } = exporter.result;
          // This machine may be too slow to refuse each of them before the next is sent.
          expect(lostRecords).to.be.above(0);
          expect(records + lostRecords).to.equal(flows);
          expect(lostDatagrams).to.be.above(0).and.at.least(datagrams);
          expect(errors).to.be.above(0);
        });
      }
    }
  }
});
