import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { StartError } from '../../src/cli/errors.js';
import type { Transport } from '../../src/sink/transport.js';
import type { OpenSender, SendReport } from '../../src/transport/datagram-sender.js';
import { Block } from '../../src/transport/message-queue.js';
import { paceOf, UNPACED } from '../../src/transport/pace.js';
import { openUdp, type UdpOptions } from '../../src/transport/udp.js';
import { openBatch } from '../../src/transport/udp-batch.js';
import { openDgram } from '../../src/transport/udp-dgram.js';
import { closedPort } from '../peer/closed-port.js';
import { LineLog } from '../peer/line-log.js';
import { until } from '../peer/stream-collector.js';
import { LOOPBACKS, UdpCollector } from '../peer/udp-collector.js';
import { describeSenders } from './senders.js';

const QUIET = new LineLog().log;

function optionsFor(port: number, more: Partial<UdpOptions> = {}): UdpOptions {
  return {
    endpoint: { host: '127.0.0.1', family: 4, port },
    source: undefined,
    maxMessage: undefined,
    pace: UNPACED,
    log: QUIET,
    name: 'collector',
    ...more,
  };
}

async function listen(host: string, port = 0): Promise<Socket> {
  const socket = createSocket({ type: host.includes(':') ? 'udp6' : 'udp4', recvBufferSize: 4 << 20 });
  socket.bind(port, host);
  await once(socket, 'listening');
  return socket;
}

/** A datagram of `length` octets that holds 3 records and differs from its neighbours. */
function fill(transport: Transport, number: number, length: number): void {
  transport.send(
    Uint8Array.from({ length }, (_, at) => number + at),
    length,
    3,
  );
}

/** What the collector receives of datagrams of these lengths. */
async function receive(host: string, lengths: readonly number[], senders: readonly OpenSender[]) {
  const collector = await listen(host);
  const { port } = collector.address();
  const received: Buffer[] = [];
  collector.on('message', (octets) => received.push(octets));
  const endpoint = { host, family: host.includes(':') ? 6 : 4, port } as const;
  const transport = await openUdp(optionsFor(port, { endpoint, source: host, senders }));
  for (const [i, length] of lengths.entries()) fill(transport, i, length);
  await transport.close();
  await until(() => received.length === lengths.length, 'the datagrams', 20_000);
  collector.close();
  expect(transport.sent).to.include({ messages: lengths.length, records: 3 * lengths.length });
  return received;
}

describe('UDP transport', () => {
  it('gives room for what fits an Ethernet frame, or what was asked for', async () => {
    for (const [host, maxMessage, length] of [
      ['127.0.0.1', undefined, 1472],
      ['::1', undefined, 1452],
      ['127.0.0.1', 600, 600],
    ] as const) {
      const endpoint = { host, family: host === '::1' ? 6 : 4, port: 9 } as const;
      const transport = await openUdp(optionsFor(9, { endpoint, maxMessage }));
      expect(transport.longest).to.equal(length);
      await transport.close();
    }
  });

  it('goes through node:dgram where no other sender can serve', async () => {
    const udp = await UdpCollector.listen('127.0.0.1');
    const transport = await openUdp(optionsFor(udp.port, { senders: [async () => undefined, openDgram] }));
    fill(transport, 1, 100);
    await transport.close();
    await udp.received(1);
    expect(udp.datagrams.length).to.equal(1);
    await udp.close();
  });

  it('does not start with a source address that this machine does not have', async () => {
    const failure = await openUdp(optionsFor(9, { source: '192.0.2.77' })).catch((error: Error) => error);
    expect(failure).to.be.instanceOf(StartError);
    expect((failure as Error).message).to.match(/^-s 192\.0\.2\.77: /);
  });

  it('does not start with a name that there is not', async () => {
    const endpoint = { host: 'pfflowd.invalid', family: 0, port: 9 } as const;
    const resolve = () => Promise.reject(new Error('getaddrinfo ENOTFOUND'));
    const failure = await openUdp(optionsFor(9, { endpoint, resolve })).catch((error: Error) => error);
    expect(failure).to.be.instanceOf(StartError);
    expect((failure as Error).message).to.equal('-n collector: getaddrinfo ENOTFOUND');
  });
});

describeSenders('UDP', (open) => {
  const senders = [open];

  it('sends every message before it closes, in order, and counts it', async () => {
    const udp = await UdpCollector.listen('127.0.0.1');
    const transport = await openUdp(optionsFor(udp.port, { senders }));
    for (let n = 0; n < 500; n++) {
      const octets = new Uint8Array(100 + n);
      new DataView(octets.buffer).setUint32(0, n);
      transport.send(octets, octets.length, 3);
    }
    await transport.close();
    await udp.received(500);
    await udp.close();
    expect(udp.datagrams.map((datagram) => datagram.readUInt32BE(0))).to.deep.equal(
      Array.from({ length: 500 }, (_, n) => n),
    );
    expect(udp.datagrams.map((datagram) => datagram.length)).to.deep.equal(
      Array.from({ length: 500 }, (_, n) => n + 100),
    );
    expect(transport.sent).to.include({ messages: 500, records: 1500 });
    expect(transport.lost.messages).to.equal(0);
  });

  for (const host of LOOPBACKS) {
    it(`carries on ${host}, from a source address, what single datagrams would carry`, async () => {
      const runs = [1, 1452, 1452, 1452, 900, 1452, 1452, 1451, 1452, 7, 7, 7, 8];
      const lengths = [...runs, ...Array<number>(150).fill(1000)];
      const wanted = lengths.map((length, i) => Buffer.from(Uint8Array.from({ length }, (_, at) => i + at)));
      expect(await receive(host, lengths, senders)).to.deep.equal(wanted);
    });
  }

  it('loses nothing to its own queue, however much one call brings', async () => {
    const collector = await listen('127.0.0.1');
    const seen: number[] = [];
    collector.on('message', (octets) => seen.push(octets.readUInt32BE(0)));
    const transport = await openUdp(optionsFor(collector.address().port, { senders }));
    const octets = new Uint8Array(1472);
    for (let n = 0; n < 8000; n++) {
      new DataView(octets.buffer).setUint32(0, n);
      transport.send(octets, 1464, 30);
    }
    expect(transport.isCongested).to.equal(true);
    await transport.drained();
    expect(transport.isCongested).to.equal(false);
    await transport.close();
    expect(transport.sent).to.include({ messages: 8000, records: 240_000, octets: 8000 * 1464 });
    expect([transport.lost.messages, transport.errors]).to.deep.equal([0, 0]);
    // The kernel may have dropped what the collector had no room for; never the first of them.
    await until(() => seen.length > 100, 'datagrams');
    collector.close();
    expect(seen).to.deep.equal(seen.toSorted((one, other) => one - other));
  });

  it('accounts for each datagram and record once, when the collector listens and when it refuses', async () => {
    for (const isListening of [true, false]) {
      const collector = await listen('127.0.0.1');
      const { port } = collector.address();
      if (!isListening) {
        collector.close();
        await once(collector, 'close');
      }
      const transport = await openUdp(optionsFor(port, { senders }));
      for (let i = 0; i < 5000; i++) {
        fill(transport, i, 1000);
        if (transport.isCongested) await transport.drained();
        expect(transport.isCongested).to.equal(false);
      }
      await transport.close();
      if (isListening) collector.close();
      const { sent, lost, errors } = transport;
      expect(sent.messages + lost.messages).to.equal(5000);
      expect(sent.records + lost.records).to.equal(15_000);
      expect(sent.octets + lost.octets).to.equal(5_000_000);
      expect(errors > 0).to.equal(!isListening);
      expect(lost.messages > 0).to.equal(!isListening);
    }
  });

  it('counts what a collector refuses, says that it is down, and loses nothing once it is back', async () => {
    const closed = await closedPort();
    const { port } = closed;
    const transport = await openUdp(optionsFor(port, { senders }));
    let troubles = 0;
    transport.onTrouble = () => {
      troubles++;
    };
    for (let n = 0; n < 20; n++) {
      fill(transport, n, 100);
      await sleep(2);
    }
    // The refusal of the last one is known with the next.
    await until(() => transport.isDown && transport.lost.messages >= 19, 'refusals');
    expect(troubles).to.be.greaterThan(3);
    await closed.open();
    const back = await listen('127.0.0.1', port);
    let received = 0;
    back.on('message', () => received++);
    for (let n = 0; n < 5; n++) {
      fill(transport, n, 100);
      await sleep(2);
    }
    await transport.close();
    // The first of them meets the refusal of the last one before, and is sent again.
    await until(() => received === 5, 'the datagrams');
    back.close();
    expect(transport.sent.messages + transport.lost.messages).to.equal(25);
    expect(transport.sent.messages).to.equal(5);
  });

  it('counts a single message that is refused', async () => {
    const transport = await openUdp(optionsFor((await closedPort()).port, { senders }));
    transport.send(new Uint8Array(100), 100, 7);
    await transport.close();
    expect(transport.lost.records).to.equal(7);
    expect(transport.sent.records).to.equal(0);
  });

  it('counts what is longer than the protocol allows as lost, and sends the rest', async () => {
    const collector = await listen('127.0.0.1');
    const received: Buffer[] = [];
    collector.on('message', (octets) => received.push(octets));
    const { port } = collector.address();
    const transport = await openUdp(optionsFor(port, { senders, maxMessage: 65_535 }));
    fill(transport, 1, 100);
    fill(transport, 2, 65_535);
    fill(transport, 3, 100);
    await transport.close();
    expect(transport.sent.messages).to.equal(2);
    expect(transport.lost).to.include({ messages: 1, octets: 65_535 });
    await until(() => received.length === 2, 'the others');
    collector.close();
    expect(received.map((octets) => octets[0])).to.deep.equal([1, 3]);
  });

  it('sends what does not fill a block without being asked', async () => {
    const collector = await listen('127.0.0.1');
    const transport = await openUdp(optionsFor(collector.address().port, { senders }));
    const arrival = once(collector, 'message');
    fill(transport, 9, 50);
    const [octets] = await arrival;
    expect(octets).to.have.length(50);
    await transport.close();
    collector.close();
  });

  it('keeps to the pace, also when more waits than the queue should hold', async () => {
    const collector = await listen('127.0.0.1');
    const pace = paceOf(30_000);
    const transport = await openUdp(optionsFor(collector.address().port, { senders, pace }));
    const began = performance.now();
    for (let i = 0; i < 1500; i++) fill(transport, i, 100);
    await transport.close();
    collector.close();
    // 4500 records at 30,000 a second, less the burst of 10 milliseconds.
    expect(performance.now() - began).to.be.above(130);
    expect(transport.sent.messages).to.equal(1500);
  });

  it('goes where the name leads when it leads elsewhere', async () => {
    const here = await UdpCollector.listen('127.0.0.1');
    let looked = 0;
    const resolve = async () => ({ address: looked++ === 0 ? '127.0.0.2' : '127.0.0.1', family: 4 });
    // Nobody listens on 127.0.0.2: the first refusal makes it look the name up again.
    const endpoint = { host: 'collector.example', family: 0, port: here.port } as const;
    const transport = await openUdp(
      optionsFor(here.port, { endpoint, resolve, follows: 'name', lookUpAfterError: 0, senders }),
    );
    for (let n = 0; n < 2000 && here.datagrams.length === 0; n++) {
      fill(transport, n, 100);
      await sleep(2);
    }
    await transport.close();
    expect(looked).to.be.greaterThan(1);
    expect(here.datagrams.length).to.be.greaterThan(0);
    await here.close();
  });
});

describe('UDP to an address that cannot be reached at the start', () => {
  // Without SO_BROADCAST the system refuses to connect to it.
  const endpoint = { host: '255.255.255.255', family: 4, port: 2055 } as const;

  it('counts what is sent there as lost', async () => {
    const transport = await openUdp(optionsFor(2055, { endpoint }));
    expect(transport.isDown).to.equal(true);
    transport.send(new Uint8Array(100), 100, 7);
    await transport.close();
    expect(transport.lost.records).to.equal(7);
    expect(transport.sent.records).to.equal(0);
  });

  it('goes on trying where the name leads', async () => {
    const udp = await UdpCollector.listen('127.0.0.1');
    const resolve = async () => ({ address: '127.0.0.1', family: 4 });
    const named = { ...endpoint, port: udp.port };
    const follow = { endpoint: named, resolve, follows: 'name', lookUpAfterError: 0 } as const;
    const transport = await openUdp(optionsFor(udp.port, follow));
    for (let n = 0; n < 2000 && udp.datagrams.length === 0; n++) {
      fill(transport, n, 100);
      await sleep(2);
    }
    await transport.close();
    expect(udp.datagrams.length).to.be.above(0);
    expect(transport.lost.messages).to.be.above(0);
    await udp.close();
  });
});

describeSenders('a run of datagrams', (open) => {
  it('is reported whole, in order, and then its end', async () => {
    const collector = await listen('127.0.0.1');
    const calls: string[] = [];
    const { promise: end, report } = recorder(calls);
    const { port } = collector.address();
    const sender = await open({ family: 4, address: '127.0.0.1', port, source: undefined }, report);
    const block = blockOf(Array<number>(64).fill(1000));
    sender!.send(block, 3, 61);
    await end;
    sender!.close();
    collector.close();
    const wanted =
      open === openBatch ? ['taken 3+61'] : Array.from({ length: 61 }, (_, n) => `taken ${n + 3}+1`);
    // Where the kernel cuts messages up, datagrams of one length are one message.
    expect(calls).to.deep.equal([...wanted, 'ended']);
  });
});

function blockOf(lengths: readonly number[]): Block {
  const block = new Block(100_000);
  for (const length of lengths) {
    block.length += length;
    block.ends[block.count] = block.length;
    block.records[block.count++] = 1;
  }
  return block;
}

function recorder(calls: string[]): { promise: Promise<void>; report: SendReport } {
  let resolve = () => {};
  const promise = new Promise<void>((wake) => {
    resolve = wake;
  });
  const report: SendReport = {
    taken: (first, count) => calls.push(`taken ${first}+${count}`),
    failed: (first, count, code) => calls.push(`failed ${first}+${count} ${code}`),
    refused: (code) => calls.push(`refused ${code}`),
    ended: () => {
      calls.push('ended');
      resolve();
    },
  };
  return { promise, report };
}
