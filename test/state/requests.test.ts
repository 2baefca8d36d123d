import { expect } from 'chai';
import fc from 'fast-check';
import type { RequestSender } from '../../src/state/requests.js';
import { encodeMessage, encodeUpdateRequest, type SimState } from '../peer/pfsync-writer.js';
import { StateConverter } from '../peer/state-converter.js';
import {
  busOf,
  compressedUpdateOf,
  counted,
  deleteOf,
  insertOf,
  simState,
  tcpState,
  updateOf,
} from '../peer/state-messages.js';

const T0 = 1_700_000_000_000;
const SECOND = 1000;
const SETTINGS = { interval: 20 * SECOND, rate: 2000 };
/** Number of a firewall. */
const A = 1;
const B = 2;

/** A converter that asks, and what it asked for: times are milliseconds since the first message. */
class Asking implements RequestSender {
  readonly converter: StateConverter;
  readonly bulk: (readonly [at: number, sender: number])[] = [];
  asked: { readonly at: number; readonly sender: number; readonly id: number }[] = [];
  #at = 0;

  constructor(settings = SETTINGS, maxStates = 10_000_000) {
    this.converter = new StateConverter({ requests: settings, maxStates });
  }

  requestState(sender: number, idFirst: number, idSecond: number, creatorId: number): void {
    expect([idFirst, creatorId]).to.deep.equal([0, Buffer.from('a1b2c3d4', 'hex').readInt32LE()]);
    const id = Buffer.alloc(4);
    id.writeInt32LE(idSecond);
    this.asked.push({ at: this.#at, sender, id: id.readUInt32BE() });
  }

  requestAll(sender: number): void {
    this.bulk.push([this.#at, sender]);
  }

  /** A message at `at`; what was due before it has been taken. */
  message(message: Buffer, at: number, sender = A): this {
    this.until(at);
    this.converter.message(message, T0 + at, sender);
    return this;
  }

  /** Lets the time go on in steps of `step`. */
  until(at: number, step = 100): this {
    while (this.#at + step <= at) {
      this.#at += step;
      this.converter.tracker.requests!.take(T0 + this.#at, this);
    }
    return this;
  }

  get counts() {
    return this.converter.statistics.requests;
  }

  /** When a state was requested, in seconds. */
  times(id = 1, sender = A): number[] {
    return this.asked.filter((one) => one.id === id && one.sender === sender).map(({ at }) => at / SECOND);
  }
}

const udp = (more: Partial<SimState> = {}) => simState(1, more);
const icmp = (more: Partial<SimState> = {}) =>
  simState(1, { proto: 1, protoAfter: 1, timeout: 9, expire: 20, ...more });

describe('requests for updates', () => {
  it('are not needed where nothing passed since the insert', () => {
    expect(new Asking().message(insertOf(udp()), 0).until(300 * SECOND).asked).to.deep.equal([]);
  });

  describe('come', () => {
    const cases: [
      claim: string,
      insert: SimState,
      updates: [at: number, state: SimState][],
      expected: number,
    ][] = [
      ['an interval after traffic', udp({ expire: 60 }), [[5, udp()]], 25],
      [
        'an interval after the first traffic, not the last',
        udp({ expire: 60 }),
        [
          [5, udp()],
          [14, udp()],
        ],
        25,
      ],
      ['at half of what was left to live', udp({ expire: 10 }), [[5, udp()]], 10],
      ['at once where nothing was left to live', udp({ expire: 0, ...counted(1, 60) }), [[5, udp()]], 5.1],
      [
        'in time where tcp.opening was shortened as tcp.first was',
        tcpState(1, [1, 0], [2, 0], { timeout: 0, expire: 30 }),
        [[1, tcpState(1, [2, 1], [4, 2], { timeout: 1 })]],
        4.7,
      ],
      [
        'an interval after traffic of a connection that lives for a day',
        tcpState(1, [1, 1]),
        [[3, tcpState(1, [2, 2])]],
        23,
      ],
      [
        'two seconds after both ends of a connection closed',
        tcpState(1, [1, 1]),
        [[3, tcpState(1, [2, 2], [9, 9], { timeout: 5 })]],
        5,
      ],
      [
        'two seconds after a reset',
        tcpState(1, [1, 1]),
        [[3, tcpState(1, [2, 2], [10, 10], { timeout: 5 })]],
        5,
      ],
      [
        'two seconds after a closed connection moved again',
        tcpState(1, [1, 1]),
        [
          [3, tcpState(1, [2, 2], [10, 9], { timeout: 5 })],
          [4, tcpState(1, [2, 2], [10, 10], { timeout: 5 })],
        ],
        6,
      ],
      [
        'an interval after traffic where only one end closed',
        tcpState(1, [1, 1]),
        [[3, tcpState(1, [2, 2], [9, 4], { timeout: 3 })]],
        23,
      ],
      [
        'an interval after traffic through a SYN proxy, whose states are no closed ones',
        tcpState(1, [1, 1]),
        [[3, tcpState(1, [2, 2], [11, 12], { timeout: 2 })]],
        23,
      ],
      [
        'two seconds after the last sign of ICMP',
        icmp(),
        [
          [1, icmp()],
          [2, icmp()],
          [3, icmp()],
        ],
        5,
      ],
      ['two seconds after the last sign of ICMPv6', icmp({ proto: 58, protoAfter: 58 }), [[1, icmp()]], 3],
      [
        'at half of its life where ICMP does not pause',
        icmp(),
        Array.from({ length: 12 }, (_, n) => [1 + n, icmp()]),
        11,
      ],
    ];
    for (const [claim, insert, updates, expected] of cases) {
      it(claim, () => {
        const asking = new Asking().message(insertOf(insert), 0);
        for (const [at, state] of updates) asking.message(compressedUpdateOf(state), at * SECOND);
        asking.until((expected + 1) * SECOND);
        expect(asking.times()).to.have.length(1);
        expect(asking.times()[0]).to.be.closeTo(expected, 0.15);
      });
    }

    it("two seconds after FreeBSD's SCTP closed", () => {
      const sctp = (timeout: number) => simState(1, { proto: 132, protoAfter: 132, timeout, expire: 86_400 });
      const asking = new Asking().message(insertOf(sctp(22), 'v5-1400'), 0);
      asking.message(compressedUpdateOf(sctp(22), 'v5-1400'), 1 * SECOND);
      asking.message(compressedUpdateOf(sctp(24), 'v5-1400'), 3 * SECOND).until(6 * SECOND);
      expect(asking.times()).to.deep.equal([5]);
    });

    it('sooner where a connection closes while it waits for its request', () => {
      const asking = new Asking().message(insertOf(tcpState(1, [1, 1])), 0);
      asking.message(compressedUpdateOf(tcpState(1, [2, 2])), 1 * SECOND);
      asking.message(compressedUpdateOf(tcpState(1, [3, 3], [9, 9], { timeout: 5 })), 4 * SECOND);
      asking.message(updateOf(tcpState(1, [3, 3], [9, 9], { timeout: 5, expire: 88 })), 6500);
      expect(asking.until(60 * SECOND).times()).to.deep.equal([6]);
    });
  });

  it('stop with the answer, and begin again with the next traffic', () => {
    const asking = new Asking().message(insertOf(udp()), 0);
    asking.message(compressedUpdateOf(udp()), 1 * SECOND);
    asking.message(updateOf(udp(counted(3, 300))), 21_001);
    asking.until(50 * SECOND);
    expect(asking.times()).to.deep.equal([21]);
    asking.message(compressedUpdateOf(udp()), 50 * SECOND);
    asking.message(updateOf(udp(counted(4, 400))), 70_001).until(200 * SECOND);
    expect(asking.times()).to.deep.equal([21, 70]);
    expect(asking.counts.unanswered).to.equal(0);
  });

  it('come again when traffic follows the answer at once', () => {
    const asking = new Asking().message(insertOf(icmp()), 0).message(compressedUpdateOf(icmp()), 1 * SECOND);
    asking.message(updateOf(icmp(counted(1, 84))), 3050);
    asking.message(compressedUpdateOf(icmp()), 3500).until(5900);
    expect(asking.times()).to.have.length(2);
  });

  it('come for traffic in the same millisecond as the report: a busy firewall fills a message in less', () => {
    const asking = new Asking().message(insertOf(icmp()), 0).message(compressedUpdateOf(icmp()), 1000);
    asking
      .message(updateOf(icmp({ ...counted(1, 84), expire: 18 })), 3010)
      .message(compressedUpdateOf(icmp()), 3010);
    asking.until(5200);
    expect(asking.times()).to.deep.equal([3, 5]);
    // What was reported is not final, although the state dies of age.
    asking.message(deleteOf(icmp()), 22_000);
    expect(asking.converter.records.map(({ pf }) => pf.counters)).to.deep.equal(['partial', 'partial']);
  });

  it('are repeated twice without an answer, and counted', () => {
    const asking = new Asking().message(insertOf(icmp()), 0).message(compressedUpdateOf(icmp()), 1 * SECOND);
    asking.until(100 * SECOND);
    expect(asking.times()).to.deep.equal([3, 5, 7]);
    expect(asking.counts.unanswered).to.equal(1);
  });

  it('end with the state', () => {
    const asking = new Asking().message(insertOf(udp()), 0).message(compressedUpdateOf(udp()), 1 * SECOND);
    asking.message(deleteOf(udp()), 2 * SECOND);
    // Another state, in the same place of the table.
    asking.message(insertOf(simState(2)), 3 * SECOND).until(100 * SECOND);
    expect(asking.asked).to.deep.equal([]);
    asking.message(compressedUpdateOf(simState(2)), 100 * SECOND).until(121 * SECOND);
    expect(asking.times(2)).to.deep.equal([120]);
    expect(asking.counts.notAsked).to.equal(0);
  });

  it('need an address: a tap has none', () => {
    const asking = new Asking().message(insertOf(udp()), 0, 0);
    asking
      .message(compressedUpdateOf(udp()), 1 * SECOND, 0)
      .message(compressedUpdateOf(simState(2)), 1 * SECOND, 0);
    asking.until(100 * SECOND);
    expect([asking.asked, asking.bulk]).to.deep.equal([[], []]);
  });

  it('are of versions 5 and 6 only', () => {
    const asking = new Asking().message(insertOf(udp(), 'v4'), 0);
    asking.message(compressedUpdateOf(udp(), 'v4'), 1 * SECOND).until(100 * SECOND);
    expect([asking.asked, asking.bulk]).to.deep.equal([[], []]);
  });

  it('follow a clock that is set', () => {
    for (const jump of [-3600 * SECOND, 3600 * SECOND, 50 * 365 * 86_400 * SECOND]) {
      const { converter } = new Asking().message(insertOf(udp()), 0).until(10 * SECOND);
      const asked: number[] = [];
      const sender = { requestState: (_: number, __: number, id: number) => asked.push(id), requestAll() {} };
      const { requests } = converter.tracker;
      requests!.take(T0 + 11 * SECOND + jump, sender);
      converter.message(insertOf(simState(2)), T0 + 11.5 * SECOND + jump, A);
      converter.message(compressedUpdateOf(simState(2)), T0 + 12 * SECOND + jump, A);
      for (let at = 12_100; at < 60_000; at += 100) {
        requests!.take(T0 + at + jump, sender);
        if (asked.length > 0) break;
      }
      expect(asked.length, `${jump}`).to.equal(1);
    }
  });
});

describe('the rate of requests', () => {
  function busy(states: number, rate: number): Asking {
    const asking = new Asking({ interval: 10 * SECOND, rate });
    for (let n = 1; n <= states; n++) asking.message(insertOf(simState(n)), 0);
    // The first ones have the longest to live.
    for (let n = 1; n <= states; n++) {
      asking.message(updateOf(simState(n, { ...counted(1, 100), expire: 100 + states - n })), 0);
    }
    for (let n = 1; n <= states; n++) asking.message(compressedUpdateOf(simState(n)), 1 * SECOND);
    return asking;
  }

  it('is never above what was set, however late the timer comes', () => {
    const asking = busy(1000, 200)
      .until(12 * SECOND, 100)
      .until(14 * SECOND, 500)
      .until(16 * SECOND, 10);
    for (let from = 0; from < 15 * SECOND; from += 100) {
      const inSecond = asking.asked.filter(({ at }) => at >= from && at < from + SECOND);
      expect(inSecond.length).to.be.at.most(200 * 1.2);
    }
    expect(asking.asked.length).to.be.within(700, 1100);
  });

  it('is spent on those that have the least left to live', () => {
    const asking = busy(300, 100).until(12_500);
    const first = asking.asked.slice(0, 100).map(({ id }) => id);
    expect(first).to.deep.equal(Array.from({ length: 100 }, (_, n) => 300 - n));
  });

  it('counts the states that ended while others were more pressing', () => {
    const asking = busy(100, 10).until(11_600);
    const waiting = 100 - asking.asked.length;
    expect(waiting).to.be.within(80, 99);
    for (let n = 1; n <= 100; n++) asking.message(deleteOf(simState(n)), 11_600);
    expect(asking.counts.notAsked).to.equal(waiting);
    expect(asking.until(60 * SECOND).asked).to.have.length(100 - waiting);
  });

  it('is shared with states that the table does not have', () => {
    const asking = busy(300, 100).until(10_800);
    for (let n = 1001; n <= 1300; n++) asking.message(compressedUpdateOf(simState(n)), 10_900);
    asking.until(13 * SECOND);
    const unknown = asking.asked.filter(({ id }) => id > 1000).length;
    expect(unknown).to.be.within(60, asking.asked.length - 60);
  });
});

describe('requests for states that the table does not have', () => {
  it('come at once, by their key, and the answer opens the state', () => {
    const asking = new Asking().message(compressedUpdateOf(udp()), 1 * SECOND).until(1100);
    expect(asking.asked).to.deep.equal([{ at: 1100, sender: A, id: 1 }]);
    asking.message(updateOf(udp(counted(5, 500))), 1101);
    expect(asking.converter.tracker.table.size).to.equal(1);
    asking.message(deleteOf(udp()), 62 * SECOND);
    const [record] = asking.converter.records;
    expect([record!.pf.counters, record!.pf.countersFrom, record!.octetDeltaCount]).to.deep.equal([
      'exact',
      'update',
      500n,
    ]);
  });

  it('come once in an interval, whatever number of packets the state has', () => {
    const asking = new Asking();
    for (let at = 1; at < 45; at++) asking.message(compressedUpdateOf(udp()), at * SECOND);
    const times = asking.until(46 * SECOND).times();
    expect(times).to.have.length(3);
    for (const n of [1, 2]) expect(times[n]! - times[n - 1]!).to.be.within(20, 23);
  });

  it('do not come for the dead', () => {
    const asking = new Asking().message(insertOf(udp()), 0).message(deleteOf(udp()), 1 * SECOND);
    asking.message(compressedUpdateOf(udp()), 2 * SECOND);
    // An unknown delete is of a state that the firewall no longer has.
    asking.message(deleteOf(simState(2)), 3 * SECOND).until(100 * SECOND);
    expect(asking.asked).to.deep.equal([]);
  });

  it('do not come where the table is full', () => {
    const asking = new Asking(SETTINGS, 1).message(insertOf(udp()), 0);
    asking.message(compressedUpdateOf(simState(2)), 1 * SECOND).until(10 * SECOND);
    expect(asking.asked).to.deep.equal([]);
  });

  it('take no more memory than a fixed number of them, and what is left out is counted', () => {
    const asking = new Asking({ interval: 20 * SECOND, rate: 1 });
    const records = 20_000;
    for (let n = 1; n <= records; n++) asking.converter.message(compressedUpdateOf(simState(n)), T0, A);
    expect(asking.counts.notAsked).to.be.within(1000, records - 10_000);
    expect(asking.until(10 * SECOND).asked.length).to.be.within(8, 12);
  });
});

describe('requests for bulk updates', () => {
  it('come once, with the first message of a firewall', () => {
    const asking = new Asking().message(insertOf(udp()), 50).until(200);
    expect(asking.bulk).to.deep.equal([[100, A]]);
    asking.message(busOf('start'), 300).message(busOf('end'), 400);
    expect(asking.until(300 * SECOND).bulk).to.have.length(1);
  });

  it('are repeated where no bulk update begins', () => {
    const asking = new Asking().message(insertOf(udp()), 50).until(600 * SECOND);
    expect(asking.bulk.map(([at]) => at)).to.deep.equal([100, 60_100, 120_100]);
  });

  it('do not come while a bulk update runs, and not after one that was seen whole', () => {
    const asking = new Asking().message(busOf('start'), 50).until(40 * SECOND);
    expect(asking.bulk).to.deep.equal([]);
    asking.message(busOf('end'), 40 * SECOND).until(300 * SECOND);
    expect(asking.bulk).to.deep.equal([]);
  });

  it('come a minute after the start of a bulk update that does not end', () => {
    const asking = new Asking().message(busOf('start'), 50).until(100 * SECOND);
    expect(asking.bulk).to.deep.equal([[60_100, A]]);
  });

  it('go to one firewall of a pair after the other', () => {
    const asking = new Asking().message(insertOf(udp()), 50).message(insertOf(simState(2)), 60, B);
    asking.message(busOf('start'), 200).until(10 * SECOND);
    expect(asking.bulk).to.deep.equal([[100, A]]);
    asking.message(busOf('end'), 10 * SECOND).until(20 * SECOND);
    expect(asking.bulk).to.deep.equal([
      [100, A],
      [10_100, B],
    ]);
  });

  it('do not go to whoever asks: our own requests are seen, too', () => {
    const records = [encodeUpdateRequest('v6', { id: 1n, creatorId: 2 })];
    const request = encodeMessage('v6', [{ action: 'updateRequest', records }]);
    expect(new Asking().message(request, 50).until(100 * SECOND).bulk).to.deep.equal([]);
  });

  it('go to no more than a few senders: the others are forged', () => {
    const asking = new Asking();
    for (let sender = 1; sender <= 1000; sender++) asking.message(insertOf(udp()), sender, sender);
    asking.until(3600 * SECOND, 1000);
    expect(new Set(asking.bulk.map(([, sender]) => sender)).size).to.equal(16);
  });
});

describe('requests to a pair of firewalls', () => {
  it('go to the one that showed traffic', () => {
    const asking = new Asking().message(insertOf(udp()), 0, A).message(updateOf(udp()), 1 * SECOND, B);
    asking.message(compressedUpdateOf(udp()), 2 * SECOND, A).until(23 * SECOND);
    expect([asking.times(1, A), asking.times(1, B)]).to.deep.equal([[22], []]);
  });

  it('go to both after a failover, until each has answered', () => {
    const asking = new Asking().message(insertOf(udp()), 0, A);
    asking
      .message(compressedUpdateOf(udp()), 2 * SECOND, A)
      .message(compressedUpdateOf(udp()), 3 * SECOND, B);
    asking.until(22_200);
    expect([asking.times(1, A), asking.times(1, B)]).to.deep.equal([[22], [22]]);
    asking.message(updateOf(udp(counted(3, 300))), 22_300, A).until(24_500);
    expect([asking.times(1, A), asking.times(1, B)]).to.deep.equal([[22], [22, 24]]);
    asking.message(updateOf(udp(counted(5, 500))), 24_600, B).until(100 * SECOND);
    expect([asking.times(1, A), asking.times(1, B)]).to.deep.equal([[22], [22, 24]]);
  });

  it('do not go to one that was silent since it was asked', () => {
    const asking = new Asking().message(insertOf(udp(counted(1, 100))), 0, A);
    asking.message(compressedUpdateOf(udp()), 3 * SECOND, B).until(24 * SECOND);
    expect([asking.times(1, A), asking.times(1, B)]).to.deep.equal([[], [23]]);
  });
});

describe('any order of messages', () => {
  it('leaves no state with traffic without a request, and asks for none without', () => {
    const step = fc.record({
      // Of records of one millisecond nobody knows which came first.
      wait: fc.integer({ min: 1, max: 4000 }),
      id: fc.integer({ min: 1, max: 6 }),
      what: fc.constantFrom('insert', 'traffic', 'traffic', 'traffic', 'delete'),
      proto: fc.constantFrom(1, 17),
      answers: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 120 }), (steps) => {
        const asking = new Asking();
        /** What a reader of the manual would keep for each state: when traffic came that was not reported. */
        const unreported = new Map<number, { since: number; asked: boolean }>();
        const open = new Map<number, number>();
        let at = 0;
        const settle = (to: number) => {
          for (; at < to; at += 100) {
            const before = asking.asked.length;
            asking.until(at + 100);
            for (const { id } of asking.asked.slice(before)) {
              const state = unreported.get(id);
              expect(state, `state ${id} at ${at}`).to.not.equal(undefined);
              state!.asked = true;
            }
            for (const [id, { since, asked }] of unreported)
              expect(asked || at <= since + 20_100, `state ${id} at ${at}`).to.equal(true);
          }
        };
        for (const { wait, id, what, proto, answers } of steps) {
          settle(at + Math.ceil(wait / 100) * 100);
          const state = simState(id, {
            proto: open.get(id) ?? proto,
            protoAfter: open.get(id) ?? proto,
            timeout: 8,
          });
          if (what === 'delete') {
            asking.message(deleteOf(state), at);
            open.delete(id);
            unreported.delete(id);
          } else if (!open.has(id) || what === 'insert') {
            asking.message(insertOf(state), at);
            open.set(id, state.proto);
            unreported.delete(id);
          } else {
            asking.message(compressedUpdateOf(state), at);
            if (!unreported.has(id)) unreported.set(id, { since: at, asked: false });
          }
          for (const [other, { asked }] of unreported) {
            if (!answers || !asked) continue;
            const proto = open.get(other)!;
            asking.message(updateOf(simState(other, { proto, protoAfter: proto, timeout: 8 })), at);
            unreported.delete(other);
          }
        }
        settle(at + 30_000);
      }),
      { numRuns: 100 },
    );
  });
});
