import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { availableParallelism } from 'node:os';
import { Writable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { expect } from 'chai';
import type { MessagePlace } from '../../protocol/export/message-place.js';
import { type DatagramBatch, openBatch } from '../../src/transport/datagram-batch.js';
import { DatagramPlaces } from '../../src/transport/datagram-places.js';
import { Log } from '../../src/service/log.js';
import { paceOf, UNPACED } from '../../src/transport/pace.js';
import type { Transport } from '../../src/sink/transport.js';
import { openUdp, UdpTransport } from '../../src/transport/udp.js';
import { openUdpBatch } from '../../src/transport/udp-batch.js';
import type { UdpOptions } from '../../src/transport/udp-collector.js';

const canBatch = process.platform === 'linux' && process.arch === 'x64' && hasKoffi();
const title = canBatch ? 'UDP in batches' : 'UDP in batches (left out: needs koffi on Linux)';

(canBatch ? describe : describe.skip)(title, () => {
  itSendsBatches(openUdpBatch, 8000);

  it('cuts messages where the kernel can: a run of equal datagrams is one message', async () => {
    const collector = await listen(4, '127.0.0.1');
    const { port } = collector.address() as AddressInfo;
    const batch = openBatch(
      { family: 4, address: '127.0.0.1', port, source: undefined, sendBuffer: 1 << 20 },
      64,
      1000,
    )!;
    for (let slot = 0; slot < 64; slot++) batch.made(slot, 1000);
    expect(batch.send(0, 64)).to.equal(64);
    expect(batch.pendingError()).to.equal(0);
    batch.close();
    collector.close();
  });

  it('likes messages of one length where nothing holds them back and nobody waits for them', async () => {
    const collector = await listen(4, '127.0.0.1');
    const likesRuns = async (options: Partial<UdpOptions>) => {
      const transport = await openUdpBatch({ ...optionsFor(collector), ...options });
      await transport.close();
      return transport.likesRuns;
    };
    expect(await likesRuns({ extent: 'long', pace: UNPACED })).to.equal(true);
    expect(await likesRuns({ extent: 'long', pace: paceOf(1000) })).to.equal(false);
    expect(await likesRuns({ extent: 'short', pace: UNPACED })).to.equal(false);
    expect(await likesRuns({ pace: UNPACED })).to.equal(false);
    collector.close();
  });

  it('keeps to the pace, also when the ring is full', async () => {
    const collector = await listen(4, '127.0.0.1');
    const transport = await openUdpBatch({ ...optionsFor(collector), pace: paceOf(30_000) });
    const began = performance.now();
    for (let i = 0; i < 1500; i++) fill(transport, i, 100);
    await transport.close();
    collector.close();
    // 4500 records at 30,000 a second, less the burst of 10 milliseconds.
    expect(performance.now() - began).to.be.above(130);
    expect(transport.sent.messages).to.equal(1500);
  });
});

(canBatch ? describe : describe.skip)(`${title}: a short run`, () => {
  itSendsBatches((options) => openUdpBatch({ ...options, extent: 'short' }), 8000);
});

describe('UDP on a thread beside', () => {
  const open = (options: UdpOptions) => openUdpBatch({ ...options, extent: 'long' }, () => undefined);

  itSendsBatches(open, 8300);

  it('is for conversions that nothing holds back', async () => {
    const collector = await listen(4, '127.0.0.1');
    const openWithout = async (options: Partial<UdpOptions>) => {
      const transport = await openUdpBatch({ ...optionsFor(collector), ...options }, () => undefined);
      await transport.close();
      return transport instanceof UdpTransport;
    };
    expect(await openWithout({ extent: 'long' })).to.equal(availableParallelism() < 2);
    expect(await openWithout({ extent: 'long', pace: paceOf(1000) })).to.equal(true);
    expect(await openWithout({ extent: 'short' })).to.equal(true);
    expect(await openWithout({})).to.equal(true);
    collector.close();
  });

  it('cuts no messages, and so has no liking for those of one length', async () => {
    const collector = await listen(4, '127.0.0.1');
    const transport = await open(optionsFor(collector));
    expect(transport.likesRuns ?? false).to.equal(false);
    await transport.close();
    collector.close();
  });
});

describe('UDP in runs beside the program', () => {
  it('gives the next run as soon as one is over, before the event loop has turned', async () => {
    const batch = new PretendedBatch(true);
    const transport = await openPretended(batch);
    for (let i = 0; i < 64; i++) fill(transport, i, 100);
    expect(batch.runs.length).to.be.above(1);
    expect(transport.sent.messages).to.be.above(0);
    await transport.close();
    expect(transport.sent.messages).to.equal(64);
    expect(batch.slots).to.deep.equal(Array.from({ length: 64 }, (_, i) => i));
  });

  it('is nothing for a short run, which sends a message as soon as it is full', async () => {
    const batch = new PretendedBatch(true);
    const transport = await openPretended(batch, 'short');
    for (let i = 0; i < 60; i++) fill(transport, i, 100);
    expect(transport.sent.messages).to.equal(44);
    await transport.close();
    expect(batch.runs).to.deep.equal([]);
    expect(batch.slots).to.deep.equal(Array.from({ length: 60 }, (_, i) => i));
  });

  it('waits for a run where nothing else makes room', async () => {
    const batch = new PretendedBatch(false);
    const transport = await openPretended(batch);
    let i = 0;
    while (!transport.isCongested) fill(transport, i++, 100);
    expect(batch.runs.length).to.equal(1);
    for (; i < 200; i++) fill(transport, i, 100);
    await transport.close();
    expect(transport.sent).to.deep.include({ messages: 200, records: 600, octets: 20_000 });
    expect(batch.slots).to.deep.equal(Array.from({ length: 200 }, (_, i) => i % 64));
  });

  it('sends again what is left of a run that was refused in part', async () => {
    const batch = new PretendedBatch(true, 3);
    const transport = await openPretended(batch);
    for (let i = 0; i < 64; i++) fill(transport, i, 100);
    await transport.close();
    expect(batch.runs.length).to.be.above(1);
    expect(transport.sent.messages).to.equal(64);
    expect(batch.slots).to.deep.equal(Array.from({ length: 64 }, (_, i) => i));
  });
});

/** A ring of 64 datagrams that notes what it is asked to send. Runs aside are over at once, or when somebody waits for them. */
class PretendedBatch implements DatagramBatch {
  readonly cutsRuns = false;
  readonly count = 64;
  readonly error = 0;
  /** What was sent, in its order; and how long the runs were that were to be sent aside. */
  readonly slots: number[] = [];
  readonly runs: number[] = [];
  readonly isAsideOver: boolean;
  readonly #most: number;
  readonly #waiting = new Set<number>();
  readonly #places = new DatagramPlaces(64, 1472);
  #endAside = (): number => 0;

  /** Of a run aside, `most` datagrams are taken. */
  constructor(isAsideOver: boolean, most = Number.POSITIVE_INFINITY) {
    this.isAsideOver = isAsideOver;
    this.#most = most;
  }

  place(slot: number): MessagePlace {
    return this.#places.at(slot);
  }

  made(slot: number): void {
    expect(this.#waiting).not.to.include(slot);
    this.#waiting.add(slot);
  }

  lengthOf(): number {
    return 100;
  }

  send(first: number, count: number): number {
    for (let slot = first; slot < first + count; slot++) {
      this.slots.push(slot);
      this.#waiting.delete(slot);
    }
    return count;
  }

  sendAside(first: number, count: number, done: (datagrams: number) => void): void {
    this.runs.push(count);
    let taken: number | undefined;
    const end = () => {
      taken ??= this.send(first, Math.min(count, this.#most));
      return taken;
    };
    this.#endAside = end;
    setImmediate(() => done(end()));
  }

  awaitAside(): number {
    return this.#endAside();
  }

  pendingError(): number {
    return 0;
  }

  close(): void {
    this.#places.release();
  }
}

async function openPretended(batch: DatagramBatch, extent?: UdpOptions['extent']): Promise<Transport> {
  const collector = await listen(4, '127.0.0.1');
  const transport = await openUdpBatch({ ...optionsFor(collector), extent }, () => batch);
  collector.close();
  return transport;
}

/** What batches promise, whoever sends them. `many` datagrams are more than the ring holds. */
function itSendsBatches(open: (options: UdpOptions) => Promise<Transport>, many: number): void {
  const hosts = [
    { family: 4, host: '127.0.0.1' },
    { family: 6, host: '::1' },
  ] as const;

  for (const { family, host } of hosts) {
    it(`sends over IPv${family}, from a source address, what single datagrams would carry`, async () => {
      const collector = await listen(family, host);
      const lengths = [
        1,
        1452,
        1452,
        1452,
        900,
        1452,
        1452,
        1451,
        1452,
        7,
        7,
        7,
        8,
        ...Array(150).fill(1000),
      ];
      const wanted = await receive(collector, lengths, openUdp({ ...optionsFor(collector), source: host }));
      const got = await receive(collector, lengths, open({ ...optionsFor(collector), source: host }));
      collector.close();
      expect(wanted.map(({ length }) => length)).to.deep.equal(lengths);
      expect(got).to.deep.equal(wanted);
    });
  }

  it('accounts for each datagram and record once when the collector refuses', async () => {
    const collector = await listen(4, '127.0.0.1');
    const options = optionsFor(collector);
    collector.close();
    await once(collector, 'close');
    const transport = await open(options);
    for (let i = 0; i < 200; i++) fill(transport, i, 100);
    await transport.close();
    const { sent, lost, errors } = transport;
    expect(lost.messages).to.be.above(0).and.equal(errors);
    expect(sent.messages + lost.messages).to.equal(200);
    expect(sent.records + lost.records).to.equal(200 * 3);
    expect(sent.octets + lost.octets).to.equal(200 * 100);
  });

  it('sends in order what is more than the ring holds, before the event loop has turned', async () => {
    const collector = await listen(4, '127.0.0.1');
    const received = collect(collector);
    const transport = await open(optionsFor(collector));
    for (let i = 0; i < many; i++) fill(transport, i >> 6, 100);
    await transport.close();
    await untilQuiet(received);
    collector.close();
    expect(transport.sent).to.deep.include({ messages: many, records: 3 * many, octets: 100 * many });
    expect(transport.lost.messages).to.equal(0);
    // The collector had no chance to read in between: it may have missed the later ones.
    const order = received.map((octets) => octets[0]!);
    expect(order.length).to.be.above(100);
    expect(order).to.deep.equal(order.toSorted((one, other) => one - other));
  });

  for (const isListening of [true, false]) {
    it(`accounts for what leaves on a thread beside, ${isListening ? 'taken' : 'refused'}`, async () => {
      const collector = await listen(4, '127.0.0.1');
      const options = optionsFor(collector);
      if (!isListening) {
        collector.close();
        await once(collector, 'close');
      }
      const transport = await open(options);
      for (let i = 0; i < 5000; i++) {
        fill(transport, i, 100);
        if (transport.isCongested) await transport.drained();
        expect(transport.isCongested).to.equal(false);
      }
      await transport.close();
      if (isListening) collector.close();
      const { sent, lost, errors } = transport;
      expect(sent.messages + lost.messages).to.equal(5000);
      expect(sent.records + lost.records).to.equal(15_000);
      expect(lost.messages).to.equal(errors);
      expect(errors > 0).to.equal(!isListening);
    });
  }

  it('gives way to a transport that goes on trying, where the address cannot be reached at the start', async () => {
    const collector = await listen(4, '127.0.0.1');
    const received = collect(collector);
    const options = optionsFor(collector);
    // Without SO_BROADCAST the system refuses to connect to it.
    const endpoint = { ...options.endpoint, host: '255.255.255.255' };
    const resolve = async () => ({ address: '127.0.0.1', family: 4 });
    const transport = await open({
      ...options,
      endpoint,
      resolve,
      follows: 'name',
      lookUpAfterError: 0,
    });
    for (let n = 0; n < 50 && received.length === 0; n++) {
      fill(transport, n, 100);
      await setTimeout(5);
    }
    await transport.close();
    collector.close();
    expect(received.length).to.be.above(0);
    expect(transport.lost.messages).to.be.above(0);
  });

  it('counts what is longer than the protocol allows as lost, and sends the rest', async () => {
    const collector = await listen(4, '127.0.0.1');
    const received = collect(collector);
    const transport = await open({ ...optionsFor(collector), maxMessage: 65_535 });
    fill(transport, 1, 100);
    fill(transport, 2, 65_535);
    fill(transport, 3, 100);
    await transport.close();
    expect(transport.sent.messages).to.equal(2);
    expect(transport.lost).to.include({ messages: 1, octets: 65_535 });
    await setTimeout(20);
    collector.close();
    expect(received.map((octets) => octets[0])).to.deep.equal([1, 3]);
  });

  it('sends what does not fill a batch without being asked', async () => {
    const collector = await listen(4, '127.0.0.1');
    const transport = await open(optionsFor(collector));
    const arrival = once(collector, 'message');
    fill(transport, 9, 50);
    const [octets] = await arrival;
    expect(octets).to.have.length(50);
    await transport.close();
    collector.close();
  });
}

function hasKoffi(): boolean {
  try {
    createRequire(import.meta.url)('koffi');
    return true;
  } catch {
    return false;
  }
}

async function listen(family: 4 | 6, host: string): Promise<Socket> {
  const socket = createSocket({ type: family === 6 ? 'udp6' : 'udp4', recvBufferSize: 4 << 20 });
  socket.bind(0, host);
  await once(socket, 'listening');
  return socket;
}

function optionsFor(collector: Socket): UdpOptions {
  const { address, port, family } = collector.address();
  const stream = new Writable({ write: (_chunk, _encoding, done) => done() });
  return {
    endpoint: { host: address, port, family: family === 'IPv6' ? 6 : 4 },
    source: undefined,
    maxMessage: undefined,
    pace: UNPACED,
    log: new Log({
      level: 'error',
      format: 'text',
      timestamps: false,
      priorities: false,
      stream,
      now: Date.now,
    }),
    name: 'test',
  } as UdpOptions;
}

function collect(collector: Socket): Buffer[] {
  const received: Buffer[] = [];
  collector.on('message', (octets) => received.push(octets));
  return received;
}

/** The collector is given as much time as it needs to read what waits for it. */
async function untilQuiet(received: readonly Buffer[]): Promise<void> {
  for (let before = -1; received.length > before; ) {
    before = received.length;
    await setTimeout(20);
  }
}

async function receive(
  collector: Socket,
  lengths: readonly number[],
  opening: Promise<Transport>,
): Promise<Buffer[]> {
  const received = collect(collector);
  const transport = await opening;
  for (const [i, length] of lengths.entries()) fill(transport, i, length);
  await transport.close();
  while (received.length < lengths.length) await once(collector, 'message');
  collector.removeAllListeners('message');
  expect(transport.sent).to.include({ messages: lengths.length, records: 3 * lengths.length });
  return received;
}

/** A datagram of `length` octets that holds 3 records and differs from its neighbours. */
function fill(transport: Transport, number: number, length: number): void {
  transport.send(
    Uint8Array.from({ length }, (_, at) => number + at),
    length,
    3,
  );
}
