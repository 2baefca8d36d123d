import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { parseCidr } from '../../src/cli/cidr.js';
import { StartError } from '../../src/cli/errors.js';
import type { DatagramConsumer } from '../../src/source/consumer.js';
import { Listener, type ListenerOptions, QUEUED_DATAGRAM } from '../../src/source/listener.js';
import { LineLog } from '../peer/line-log.js';

/** Remembers what it was given. */
class Messages implements DatagramConsumer {
  source = '';
  isCongested = false;
  readonly texts: string[] = [];
  readonly times: number[] = [];
  #release: () => void = () => {};
  #drained = Promise.resolve();

  datagram(view: DataView, length: number, time: number): void {
    this.texts.push(Buffer.from(view.buffer, view.byteOffset, length).toString());
    this.times.push(time);
  }

  drained(): Promise<void> {
    return this.#drained;
  }

  block(): void {
    this.isCongested = true;
    this.#drained = new Promise((resolve) => {
      this.#release = resolve;
    });
  }

  unblock(): void {
    this.isCongested = false;
    this.#release();
  }
}

const NETWORK = parseCidr('192.0.2.0/24')!;
const LOOPBACK = parseCidr('127.0.0.0/8')!;

describe('the listener', () => {
  const opened: Socket[] = [];
  const started: Listener[] = [];
  let messages: Messages;
  let log: LineLog;

  beforeEach(() => {
    messages = new Messages();
    log = new LineLog();
  });

  afterEach(async () => {
    for (const socket of opened.splice(0)) socket.close();
    for (const listener of started.splice(0)) await listener.stop();
  });

  async function listen(options: Partial<ListenerOptions> & { host?: string } = {}): Promise<Listener> {
    const { host = '127.0.0.1', ...rest } = options;
    const listener = new Listener({
      endpoint: { host, family: host.includes(':') ? 6 : 4, port: 0 },
      allow: [],
      consumer: messages,
      log: log.log,
      clock: () => 1234,
      ...rest,
    });
    await listener.start();
    started.push(listener);
    return listener;
  }

  async function send(texts: readonly string[], port: number, from = '127.0.0.1', to = from): Promise<void> {
    const socket = createSocket(from.includes(':') ? 'udp6' : 'udp4');
    opened.push(socket);
    socket.bind(0, from);
    await once(socket, 'listening');
    for (const text of texts) await new Promise((resolve) => socket.send(text, port, to, resolve));
  }

  async function stopped(listener: Listener): Promise<void> {
    started.splice(started.indexOf(listener), 1);
    await listener.stop();
  }

  for (const host of ['127.0.0.1', '::1', '::']) {
    it(`hands on each datagram to ${host} with its length and time of arrival`, async () => {
      const listener = await listen({ host });
      const texts = ['one', '', 'x'.repeat(9000), 'four'];
      await send(texts, listener.port, host === '127.0.0.1' ? host : '::1');
      await stopped(listener);
      expect(messages.texts).to.deep.equal(texts);
      expect(messages.times).to.deep.equal([1234, 1234, 1234, 1234]);
      expect(messages.source).to.match(/^--listen /);
      expect(listener.counters).to.deep.equal({ received: 4, refused: 0, overflows: 0 });
    });
  }

  it('hears a sender in a network of --allow, over an IPv6 socket too', async () => {
    const listener = await listen({ host: '::', allow: [NETWORK, LOOPBACK] });
    await send(['heard'], listener.port, '127.0.0.1');
    await stopped(listener);
    expect(messages.texts).to.deep.equal(['heard']);
  });

  it('refuses and counts senders that --allow does not name, without an account for each', async () => {
    const listener = await listen({ allow: [NETWORK] });
    await send(['a', 'b'], listener.port);
    await stopped(listener);
    expect(messages.texts).to.deep.equal([]);
    expect(listener.counters).to.deep.equal({ received: 0, refused: 2, overflows: 0 });
    expect(listener.senders.size).to.equal(0);
    expect(
      log.lines.filter((line) => /datagram of 127\.0\.0\.1, which --allow does not name/.test(line)),
    ).to.have.length(2);
  });

  it('counts each sender on its own up to a bound, and the rest together', async function () {
    // Elsewhere than on Linux 127.0.0.1 is the only address of its network.
    if (process.platform !== 'linux') this.skip();
    const listener = await listen({ mostSenders: 2 });
    for (const last of [1, 2, 3, 4, 1]) await send(['12345'], listener.port, `127.0.0.${last}`, '127.0.0.1');
    await stopped(listener);
    expect([...listener.senders]).to.deep.equal([
      ['127.0.0.1', { datagrams: 2, octets: 10 }],
      ['127.0.0.2', { datagrams: 1, octets: 5 }],
    ]);
    expect(listener.otherSenders).to.deep.equal({ datagrams: 2, octets: 10 });
    expect(listener.counters.received).to.equal(5);
  });

  it('takes in what has arrived before it is stopped', async () => {
    const listener = await listen();
    const texts = Array.from({ length: 200 }, (_, n) => `message ${n}`);
    const socket = createSocket('udp4');
    opened.push(socket);
    for (const text of texts) socket.send(text, listener.port, '127.0.0.1');
    await new Promise((resolve) => socket.send('last', listener.port, '127.0.0.1', resolve));
    await stopped(listener);
    expect(messages.texts).to.deep.equal([...texts, 'last']);
  });

  it('keeps datagrams in their order while the collectors take no more, up to a bound', async () => {
    const listener = await listen({ longestQueue: 3 * QUEUED_DATAGRAM + 10 });
    messages.block();
    await send(['1234', '5678', '90', 'lost'], listener.port);
    while (listener.counters.overflows === 0) await sleep(5);
    expect(messages.texts).to.deep.equal([]);
    messages.unblock();
    await send(['more'], listener.port);
    await stopped(listener);
    expect(messages.texts).to.deep.equal(['1234', '5678', '90', 'more']);
    expect(listener.counters).to.deep.equal({ received: 4, refused: 0, overflows: 1 });
  });

  it('bounds the queue of empty datagrams, too', async () => {
    const listener = await listen({ longestQueue: 2 * QUEUED_DATAGRAM });
    messages.block();
    await send(['', '', '', ''], listener.port);
    while (listener.counters.overflows < 2) await sleep(5);
    messages.unblock();
    await stopped(listener);
    expect(messages.texts).to.deep.equal(['', '']);
  });

  it('tells when the kernel gives less of a buffer than it wants, and what to raise', async () => {
    const listener = await listen();
    await stopped(listener);
    const warning = log.lines.find((line) => line.includes('receive buffer'));
    const probe = createSocket('udp4');
    probe.bind(0, '127.0.0.1');
    await once(probe, 'listening');
    probe.setRecvBufferSize(8 << 20);
    const isCut = probe.getRecvBufferSize() < 16 << 20;
    probe.close();
    if (isCut)
      expect(warning).to.match(
        /gives a receive buffer of \d+ KiB only: raise net\.core\.rmem_max to 8388608/,
      );
    else expect(warning).to.equal(undefined);
  });

  const REFUSALS: { name: string; host: string; reason: RegExp }[] = [
    { name: 'an address in use', host: '127.0.0.1', reason: /another program listens there already/ },
    { name: 'an address of another machine', host: '192.0.2.77', reason: /no interface of this machine has/ },
  ];
  for (const { name, host, reason } of REFUSALS) {
    it(`does not start on ${name}, and says so in a line`, async () => {
      const { port } = await listen();
      const second = new Listener({
        endpoint: { host, family: 4, port },
        allow: [],
        consumer: messages,
        log: log.log,
        clock: () => 0,
      });
      const failure = await second.start().then(
        () => undefined,
        (error: Error) => error,
      );
      expect(failure).to.be.instanceOf(StartError);
      expect(failure?.message)
        .to.match(reason)
        .and.match(new RegExp(`^--listen ${host}:${port}: `));
    });
  }
});
