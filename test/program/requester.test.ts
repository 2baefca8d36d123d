import { expect } from 'chai';
import { Packet } from '../../protocol/capture/packet.js';
import { Statistics } from '../../src/observe/statistics.js';
import { openMemory, Pipeline } from '../../src/pipeline.js';
import { Requester } from '../../src/requester.js';
import type { RawAddress } from '../../src/transport/raw-socket.js';
import { addressOctets } from '../peer/address.js';
import { ipPacket } from '../peer/answering-firewall.js';
import { LineLog } from '../peer/line-log.js';
import {
  encodeBus,
  encodeCompressedUpdate,
  encodeMessage,
  encodeState,
  type Region,
  type WireVersion,
} from '../peer/pfsync-writer.js';
import { busOf, CREATOR, simState } from '../peer/state-messages.js';

const T0 = 1_700_000_000_000;
const RAW = 101;
const IPV4 = '192.0.2.1';
const IPV6 = 'fe80::1';

/** The program's middle with a requester whose packets are kept. */
class Asking {
  readonly statistics = new Statistics();
  readonly log = new LineLog();
  readonly sent: { to: string; interfaceName: string; message: string }[] = [];
  error: string | undefined;
  readonly #pipeline: Pipeline;
  readonly #requester: Requester;
  readonly #packet = new Packet();
  #now = 0;

  constructor() {
    const { log } = this.log;
    const limits = { maxStates: 1_000_000, stateTimeout: 0, activeTimeout: 0 };
    const options = {
      ...limits,
      direction: 'any',
      noUncounted: false,
      requests: { interval: 20_000, rate: 5000 },
    } as const;
    this.#pipeline = new Pipeline(options, openMemory(new Map(), log), [], log, this.statistics);
    this.#pipeline.source = 'em1';
    const send = ({ octets, interfaceName }: RawAddress, message: Uint8Array) => {
      const to = Buffer.from(octets).toString('hex');
      if (this.error === undefined)
        this.sent.push({ to, interfaceName, message: Buffer.from(message).toString('hex') });
      return this.error;
    };
    this.#requester = new Requester(
      this.#pipeline,
      this.statistics,
      { send, close() {} },
      log,
      () => T0 + this.#now,
    );
  }

  message(source: string, message: Buffer): void {
    const octets = source.includes(':') ? ip6Packet(source, message) : ipPacket(source, message);
    const packet = this.#packet;
    packet.view = new DataView(octets.buffer, octets.byteOffset, octets.length);
    packet.end = octets.length;
    packet.wireEnd = octets.length;
    packet.linkType = RAW;
    packet.clock[1] = T0 + this.#now;
    this.#pipeline.packet(packet);
  }

  until(at: number): void {
    for (; this.#now < at; this.#now += 100) this.#requester.send();
  }

  /** States that show traffic, after a bulk update was seen. */
  busy(source: string, version: WireVersion, count: number): void {
    this.message(source, busOf('start', version));
    this.message(source, busOf('end', version));
    for (let first = 1; first <= count; first += 5) {
      const states = Array.from({ length: Math.min(5, count - first + 1) }, (_, n) => simState(first + n));
      const inserts: Region = {
        action: 'insert',
        records: states.map((state) => encodeState(version, state)),
      };
      this.message(source, encodeMessage(version, [inserts]));
    }
    this.until(this.#now + 1000);
    for (let first = 1; first <= count; first += 15) {
      const states = Array.from({ length: Math.min(15, count - first + 1) }, (_, n) => simState(first + n));
      const records = states.map((state) => encodeCompressedUpdate(version, state));
      this.message(source, encodeMessage(version, [{ action: 'compressedUpdate', records }]));
    }
  }
}

function ip6Packet(source: string, message: Buffer): Buffer {
  const header = Buffer.alloc(40);
  header[0] = 0x60;
  header.writeUInt16BE(message.length, 4);
  header[6] = 240;
  header[7] = 255;
  addressOctets(source).copy(header, 8);
  addressOctets('ff12::f0').copy(header, 24);
  return Buffer.concat([header, message]);
}

const countOf = (message: string) => Number.parseInt(message.slice(44, 48), 16);

describe('requester', () => {
  it('sends many requests in a message, to the address and in the version of the firewall', () => {
    for (const [source, version, most] of [
      [IPV4, 'v6', 121],
      [IPV6, 'v5-1400', 119],
    ] as const) {
      const asking = new Asking();
      asking.busy(source, version, 300);
      asking.until(25_000);
      expect(asking.sent.map(({ message }) => countOf(message))).to.include(most);
      const first = asking.sent.findIndex(({ message }) => countOf(message) === most);
      expect(asking.sent.slice(0, 3).map(({ message }) => countOf(message))).to.deep.equal([
        most,
        most,
        300 - 2 * most,
      ]);
      for (const { to, interfaceName, message } of asking.sent.slice(first)) {
        expect(to).to.equal(addressOctets(source).toString('hex'));
        expect(interfaceName).to.equal('em1');
        expect(message.slice(0, 2)).to.equal(version === 'v6' ? '06' : '05');
      }
    }
  });

  it('asks for everything at the start, and counts what it sent', () => {
    const asking = new Asking();
    const records = [encodeState('v6', simState(1))];
    asking.message(IPV4, encodeMessage('v6', [{ action: 'insert', records }]));
    asking.until(1000);
    expect(asking.sent.map(({ message }) => message)).to.deep.equal([
      '060000240000000000000000000000000000000005030001000000000000000000000000',
    ]);
    expect(asking.statistics.requests).to.include({ messages: 1, bulk: 1, states: 0, failures: 0 });
  });

  it('counts and reports what the system does not send', () => {
    const asking = new Asking();
    asking.error = 'EHOSTUNREACH';
    asking.message(
      IPV4,
      encodeMessage('v6', [{ action: 'insert', records: [encodeState('v6', simState(1))] }]),
    );
    asking.until(1000);
    expect(asking.statistics.requests).to.include({ messages: 0, failures: 1 });
    expect(asking.log.lines).to.deep.equal([
      'cannot request updates from a firewall: 192.0.2.1: EHOSTUNREACH',
    ]);
  });

  it('says where to look when no firewall ever answers', () => {
    const asking = new Asking();
    asking.busy(IPV4, 'v6', 3);
    asking.until(30_000);
    expect(asking.statistics.requests).to.include({ states: 9, unanswered: 3 });
    expect(asking.log.lines.filter((line) => line.includes('pfflowd(8)'))).to.have.length(1);
  });

  it('never asks its own address, although it sees what it sends', () => {
    const asking = new Asking();
    const bus = encodeBus('v6', { creatorId: CREATOR, endtime: 0, status: 'end' });
    asking.message(IPV4, encodeMessage('v6', [{ action: 'bus', records: [bus] }]));
    asking.until(200);
    for (const { message } of [...asking.sent]) asking.message('192.0.2.77', Buffer.from(message, 'hex'));
    asking.until(100_000);
    expect(new Set(asking.sent.map(({ to }) => to))).to.deep.equal(new Set(['c0000201']));
  });
});
