import { createSocket } from 'node:dgram';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { paceOf, UNPACED } from '../../src/transport/pace.js';
import { openUdp } from '../../src/transport/udp.js';
import type { UdpOptions } from '../../src/transport/udp-collector.js';
import { LineLog } from '../peer/line-log.js';
import { UdpCollector } from '../peer/udp-collector.js';

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

async function closedPort(): Promise<number> {
  const udp = await UdpCollector.listen('127.0.0.1');
  const { port } = udp;
  await udp.close();
  return port;
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

  it('sends every message before it closes, and counts it', async () => {
    const udp = await UdpCollector.listen('127.0.0.1');
    const transport = await openUdp(optionsFor(udp.port));
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
    expect(transport.sent.messages).to.equal(500);
    expect(transport.sent.records).to.equal(1500);
    expect(transport.lost.messages).to.equal(0);
  });

  it('counts what a collector refuses, says that it is down, and reaches it when it is back', async () => {
    const port = await closedPort();
    const transport = await openUdp(optionsFor(port));
    let troubles = 0;
    transport.onTrouble = () => {
      troubles++;
    };
    for (let n = 0; n < 20; n++) {
      transport.send(new Uint8Array(100), 100, 1);
      await sleep(5);
    }
    expect(transport.lost.messages).to.be.greaterThan(3);
    expect(troubles).to.be.greaterThan(3);
    expect(transport.isDown).to.equal(true);
    const back = createSocket('udp4');
    let received = 0;
    back.on('message', () => received++);
    await new Promise<void>((resolve) => back.bind(port, '127.0.0.1', resolve));
    for (let n = 0; n < 5; n++) {
      transport.send(new Uint8Array(100), 100, 1);
      await sleep(5);
    }
    await transport.close();
    back.close();
    // The first of them meets the refusal of the last one before.
    expect(received).to.be.at.least(4);
    expect(transport.sent.messages + transport.lost.messages).to.equal(25);
  });

  it('counts a single message that is refused', async () => {
    const transport = await openUdp(optionsFor(await closedPort()));
    transport.send(new Uint8Array(100), 100, 7);
    await transport.close();
    expect(transport.lost.records).to.equal(7);
    expect(transport.sent.records).to.equal(0);
  });

  it('counts what is for an address that the system does not connect to', async () => {
    // Without SO_BROADCAST.
    const endpoint = { host: '255.255.255.255', family: 4, port: 2055 } as const;
    const transport = await openUdp(optionsFor(2055, { endpoint }));
    expect(transport.isDown).to.equal(true);
    transport.send(new Uint8Array(100), 100, 7);
    await transport.close();
    expect(transport.lost.records).to.equal(7);
    expect(transport.sent.records).to.equal(0);
  });

  it('goes where the name leads when it leads elsewhere', async () => {
    const here = await UdpCollector.listen('127.0.0.1');
    let looked = 0;
    const resolve = async () => ({ address: looked++ === 0 ? '127.0.0.2' : '127.0.0.1', family: 4 });
    // Nobody listens on 127.0.0.2: the first refusal makes it look the name up again.
    const endpoint = { host: 'collector.example', family: 0, port: here.port } as const;
    const transport = await openUdp(
      optionsFor(here.port, { endpoint, resolve, follows: 'name', lookUpAfterError: 0 }),
    );
    for (let n = 0; n < 50 && here.datagrams.length === 0; n++) {
      transport.send(new Uint8Array(100), 100, 1);
      await sleep(5);
    }
    await transport.close();
    expect(looked).to.be.greaterThan(1);
    expect(here.datagrams.length).to.be.greaterThan(0);
    await here.close();
  });
});

describe('pace', () => {
  it('spreads flow records evenly', () => {
    const pace = paceOf(1000);
    const sent: number[] = [];
    for (let now = 0; now < 1000; now++) {
      while (pace.allows(now)) {
        pace.spent(5);
        sent.push(now);
      }
    }
    expect(sent.length * 5).to.be.within(990, 1020);
    const inEachTenth = Array.from(
      { length: 10 },
      (_, n) => sent.filter((now) => Math.floor(now / 100) === n).length,
    );
    for (const count of inEachTenth.slice(1)) expect(count).to.be.within(18, 22);
  });

  it('is 8,000 datagrams a second when nothing is asked for', () => {
    const pace = paceOf(undefined);
    let sent = 0;
    for (let now = 0; now <= 1000; now++) {
      while (pace.allows(now)) {
        pace.spent(30);
        sent++;
      }
    }
    expect(sent).to.be.within(8000, 8100);
  });

  it('saves up nothing while there is nothing to send', () => {
    const pace = paceOf(1000);
    pace.allows(0);
    let burst = 0;
    while (pace.allows(60_000)) {
      pace.spent(1);
      burst++;
    }
    expect(burst).to.be.at.most(10);
  });

  it('has no limit when the rate is 0', () => {
    const pace = paceOf(0);
    for (let n = 0; n < 1e5; n++) pace.spent(1000);
    expect(pace.allows(0)).to.equal(true);
  });
});
