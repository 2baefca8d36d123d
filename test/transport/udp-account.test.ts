import { expect } from 'chai';
import type { DatagramSender, OpenSender, SendReport } from '../../src/transport/datagram-sender.js';
import type { Block } from '../../src/transport/message-queue.js';
import { type Pace, UNPACED } from '../../src/transport/pace.js';
import { openUdp, type UdpOptions, type UdpTransport } from '../../src/transport/udp.js';
import { LineLog } from '../peer/line-log.js';
import { until } from '../peer/stream-collector.js';

/** A sender that does what the test says. */
class PretendedSender implements DatagramSender {
  readonly report: SendReport;
  /** Datagrams of each run. */
  readonly runs: number[] = [];
  /** The first octet of each datagram taken. */
  readonly taken: number[] = [];
  isClosed = false;
  onPoll = (): void => {};
  #block: Block | undefined;
  #next = 0;
  #end = 0;

  constructor(report: SendReport) {
    this.report = report;
  }

  get isBusy(): boolean {
    return this.#next < this.#end;
  }

  send(block: Block, first: number, count: number): void {
    this.runs.push(count);
    this.#block = block;
    this.#next = first;
    this.#end = first + count;
  }

  /** Takes the next datagrams of the run together. */
  take(count = this.#end - this.#next): void {
    const block = this.#block!;
    for (let n = 0; n < count; n++) this.taken.push(block.octets[block.startOf(this.#next + n)]!);
    this.report.taken(this.#next, count);
    this.#next += count;
  }

  fail(code: string): void {
    this.report.failed(this.#next++, 1, code);
  }

  /** Takes what is left and ends the run. */
  finish(): void {
    if (this.#next < this.#end) this.take();
    this.report.ended();
  }

  poll(): void {
    this.onPoll();
  }

  close(): void {
    this.isClosed = true;
  }
}

async function open(more: Partial<UdpOptions> = {}) {
  const log = new LineLog();
  const senders: PretendedSender[] = [];
  const openSender: OpenSender = async (_to, report) => {
    senders.push(new PretendedSender(report));
    return senders.at(-1);
  };
  const transport = await openUdp({
    endpoint: { host: '192.0.2.1', family: 4, port: 2055 },
    source: undefined,
    maxMessage: undefined,
    pace: UNPACED,
    log: log.log,
    name: 'collector',
    senders: [openSender],
    ...more,
  });
  return { transport, log, senders, sender: senders[0]! };
}

/** A datagram of 1000 octets that begins with `number`. */
function add(transport: UdpTransport, number: number, records = 10): void {
  transport.send(new Uint8Array(1000).fill(number), 1000, records);
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('what UDP accounts for', () => {
  it('a refusal is charged to the datagram sent before it, and not to the one that it comes in place of', async () => {
    const { transport, sender } = await open();
    add(transport, 1, 10);
    add(transport, 2, 20);
    add(transport, 3, 40);
    await turn();
    sender.take(1);
    sender.report.refused('ECONNREFUSED');
    sender.take(1);
    sender.finish();
    expect(transport.lost).to.include({ messages: 1, records: 10, octets: 1000 });
    expect(transport.sent).to.include({ messages: 2, records: 60, octets: 2000 });
    await transport.close();
  });

  it('a refusal of datagrams that the kernel took together is charged to all of them', async () => {
    const { transport, sender } = await open();
    for (let n = 0; n < 5; n++) add(transport, n);
    await turn();
    sender.take(1);
    sender.take(4);
    sender.report.refused('ECONNREFUSED');
    sender.finish();
    expect(transport.lost).to.include({ messages: 4, records: 40 });
    expect(transport.sent).to.include({ messages: 1, records: 10 });
    await transport.close();
  });

  it('refusals that come later are charged to the latest datagrams, each to another', async () => {
    const { transport, sender } = await open();
    for (let n = 0; n < 3; n++) add(transport, n, 2 ** n);
    await turn();
    for (let n = 0; n < 3; n++) sender.take(1);
    sender.finish();
    sender.report.refused('ECONNREFUSED');
    sender.report.refused('ECONNREFUSED');
    expect(transport.lost).to.include({ messages: 2, records: 4 + 2 });
    // More refusals than datagrams: there is nothing left to charge.
    for (let n = 0; n < 5; n++) sender.report.refused('ECONNREFUSED');
    expect(transport.lost).to.include({ messages: 3, records: 7 });
    expect(transport.sent).to.include({ messages: 0, records: 0, octets: 0 });
    expect(transport.errors).to.equal(7);
    await transport.close();
  });

  it('a refusal that has come by the end is asked for', async () => {
    const { transport, sender } = await open();
    add(transport, 1);
    await turn();
    sender.finish();
    sender.onPoll = () => sender.report.refused('ECONNREFUSED');
    await transport.close();
    expect(transport.lost).to.include({ messages: 1, records: 10 });
    expect(transport.sent).to.include({ messages: 0, records: 0 });
  });

  it('a datagram of templates alone is charged without records', async () => {
    const { transport, sender } = await open();
    add(transport, 1, 10);
    add(transport, 2, 0);
    await turn();
    sender.take(1);
    sender.take(1);
    sender.report.refused('ECONNREFUSED');
    sender.finish();
    expect(transport.lost).to.include({ messages: 1, records: 0 });
    expect(transport.sent).to.include({ messages: 1, records: 10 });
    await transport.close();
  });

  it('what the kernel does not take is lost, with the reason in the log', async () => {
    const { transport, sender, log } = await open();
    add(transport, 1);
    add(transport, 2);
    await turn();
    sender.fail('EPERM');
    sender.finish();
    expect(transport.lost).to.include({ messages: 1, records: 10 });
    expect(transport.sent.messages).to.equal(1);
    expect(sender.taken).to.deep.equal([2]);
    expect(log.lines).to.deep.equal(['collector: send EPERM']);
    await transport.close();
  });

  it('a block is full: its datagrams are sent before the event loop turns, and the next while it is', async () => {
    const { transport, sender } = await open();
    let count = 0;
    for (; sender.runs.length === 0; count++) add(transport, count);
    expect(count).to.be.above(100);
    const [first] = sender.runs;
    for (let n = 0; n < 1000; n++) add(transport, count++);
    expect(sender.runs).to.deep.equal([first]);
    let isDrained = false;
    transport.drained().then(() => {
      isDrained = true;
    });
    sender.finish();
    // The next run begins with the end of the one before, and not when the producer goes on.
    expect(sender.runs.length).to.equal(2);
    expect(isDrained).to.equal(false);
    while (transport.sent.messages < count) sender.finish();
    expect(sender.taken).to.deep.equal(Array.from({ length: count }, (_, n) => n & 255));
    await transport.close();
  });

  it('asks the producer to pause while much waits, until less does', async () => {
    const { transport, sender } = await open();
    let count = 0;
    for (; !transport.isCongested; count++) add(transport, count);
    let isDrained = false;
    const drained = transport.drained().then(() => {
      isDrained = true;
    });
    sender.finish();
    await turn();
    expect(isDrained).to.equal(false);
    while (transport.sent.messages < count * 0.6) sender.finish();
    await drained;
    expect(transport.isCongested).to.equal(false);
    while (transport.sent.messages < count) sender.finish();
    await transport.close();
  });

  it('drops what comes beyond the bound of a live queue, and counts it', async () => {
    const { transport, sender, log } = await open({ queueOctets: 10_500 });
    for (let n = 0; n < 15; n++) add(transport, n);
    expect(transport.lost).to.include({ messages: 5, records: 50, octets: 5000 });
    expect(log.lines[0]).to.equal('collector: the queue is full: flow records are lost');
    await turn();
    sender.finish();
    add(transport, 100);
    await turn();
    sender.finish();
    expect(transport.sent.messages).to.equal(11);
    await transport.close();
  });

  it('sends as many datagrams as the pace allows, and says when that makes the producer pause', async () => {
    let allowance = 3;
    let records = 0;
    const pace: Pace = {
      allows: () => allowance > 0,
      spend: (count) => {
        allowance--;
        records += count;
      },
    };
    let warnings = 0;
    const { transport, sender } = await open({ pace, onSlow: () => warnings++ });
    for (let n = 0; n < 10; n++) add(transport, n);
    await turn();
    expect(sender.runs).to.deep.equal([3]);
    sender.finish();
    expect([sender.runs.length, records, warnings]).to.deep.equal([1, 30, 0]);
    allowance = 5;
    await until(() => sender.runs.length === 2, 'the next run');
    expect(sender.runs).to.deep.equal([3, 5]);
    let count = 10;
    for (; !transport.isCongested; count++) add(transport, count);
    expect(warnings).to.equal(0);
    const drained = transport.drained();
    expect(warnings).to.equal(1);
    sender.finish();
    allowance = Number.POSITIVE_INFINITY;
    while (transport.sent.messages < count) {
      await until(() => sender.isBusy, 'a run');
      sender.finish();
    }
    await drained;
    expect(warnings).to.equal(1);
    expect(sender.taken).to.deep.equal(Array.from({ length: count }, (_, n) => n & 255));
    await transport.close();
  });

  it('goes to another address between two runs, and takes what waits there', async () => {
    let address = '192.0.2.1';
    const { transport, sender, senders, log } = await open({
      endpoint: { host: 'collector.example', family: 0, port: 2055 },
      resolve: async () => ({ address, family: 4 }),
      follows: 'name',
      lookUpAfterError: -1,
    });
    add(transport, 1);
    add(transport, 2);
    await turn();
    address = '192.0.2.2';
    sender.fail('EPERM');
    await turn();
    expect([senders.length, sender.isClosed]).to.deep.equal([1, false]);
    sender.finish();
    await until(() => senders.length === 2, 'the second sender');
    expect(sender.isClosed).to.equal(true);
    expect(log.lines).to.include('collector: its address is 192.0.2.2 now');
    add(transport, 3);
    await turn();
    senders[1]!.finish();
    expect([sender.taken, senders[1]!.taken]).to.deep.equal([[2], [3]]);
    await transport.close();
    expect(senders[1]!.isClosed).to.equal(true);
  });
});
