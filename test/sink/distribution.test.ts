import { expect } from 'chai';
import fc from 'fast-check';
import { StartError } from '../../src/cli/errors.js';
import { parseOptions } from '../../src/cli/options.js';
import { openSinks } from '../../src/collectors.js';
import { Statistics } from '../../src/observe/statistics.js';
import { Distribution, type DistributionOptions, type Outlet } from '../../src/sink/distribution.js';
import type { FlowSink } from '../../src/sink/flow-sink.js';
import { SampleRows } from '../peer/flow-sample.js';
import { NOW, type NumberedSample, numbered, numberOf } from '../peer/flow-samples.js';
import { LineLog } from '../peer/line-log.js';
import { StreamCollector, until } from '../peer/stream-collector.js';
import { UdpCollector } from '../peer/udp-collector.js';

class Sink implements Outlet {
  isDown = false;
  isCongested = false;
  readonly numbers: number[] = [];
  readonly events: number[] = [];
  flushes = 0;
  isClosed = false;
  drain = () => {};
  readonly #memory: SampleRows;

  constructor(memory: SampleRows) {
    this.#memory = memory;
  }

  add(first: number, count: number): void {
    for (let row = first; row < first + count; row++) this.numbers.push(this.#number(row));
  }

  addNatEvent(row: number): void {
    this.events.push(this.#number(row));
  }

  flush(): void {
    this.flushes++;
  }

  drained(): Promise<void> {
    if (!this.isCongested) return Promise.resolve();
    return new Promise((resolve) => {
      this.drain = resolve;
    });
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }

  #number(row: number): number {
    return Number(this.#memory.view(row).id & 0xffff_ffffn);
  }
}

/** Puts the sample into the memory's first row. */
function rowOf(memory: SampleRows, sample: NumberedSample): number {
  memory.count = 0;
  return memory.add(numbered(sample));
}

function distribute(count: number, options: DistributionOptions) {
  const memory = new SampleRows();
  const first = new Sink(memory);
  const others = Array.from({ length: count - 1 }, () => new Sink(memory));
  const distribution = new Distribution(memory, [first, ...others], options);
  return {
    memory,
    sinks: [first, ...others],
    distribution,
    add: (number: number) => distribution.add(rowOf(memory, { number }), 1),
    addNatEvent: (number: number) => distribution.addNatEvent(rowOf(memory, { number })),
  };
}

/** Numbers of the states of each of four collectors. */
const SHARES = [[3, 6], [1, 5, 7, 8, 10], [0, 2, 9, 11], [4]];

const BALANCES = ['hash', 'round-robin'] as const;

describe('distribution', () => {
  for (const balance of BALANCES) {
    it(`${balance}: a flow goes to one collector, whoever is down when`, () => {
      const steps = fc.array(
        fc.record({
          number: fc.integer({ min: 1, max: 50 }),
          down: fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }),
        }),
        { maxLength: 60 },
      );
      fc.assert(
        fc.property(steps, fc.boolean(), (states, failover) => {
          const { sinks, add } = distribute(3, { balance, failover });
          const added = () => sinks.map(({ numbers }) => numbers.length);
          for (const { number, down } of states) {
            const before = added();
            add(number);
            for (const [i, sink] of sinks.entries()) sink.isDown = down[i]!;
            const taken = added().map((count, i) => count - before[i]!);
            expect(taken.filter((count) => count > 0)).to.deep.equal([1]);
          }
        }),
      );
    });

    it(`${balance}: the shares are about equal`, () => {
      const { sinks, add } = distribute(3, { balance, failover: false });
      for (let number = 0; number < 3000; number++) add(number);
      for (const { numbers } of sinks) expect(numbers.length).to.be.within(900, 1100);
    });

    it(`${balance}: a translation begins and ends at the same collector`, () => {
      const { sinks, add, addNatEvent } = distribute(3, { balance, failover: false });
      for (const number of [1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6]) {
        addNatEvent(number);
        add(number);
      }
      const times = sinks.flatMap(({ events }) =>
        [...new Set(events)].map((one) => events.filter((x) => x === one)),
      );
      expect(times.map((same) => same.length)).to.deep.equal([2, 2, 2, 2, 2, 2]);
    });
  }

  it('hash: later reports of a state follow the first, in another run too', () => {
    const runs = [0, 1].map(() => {
      const { sinks, add } = distribute(4, { balance: 'hash', failover: false });
      for (let number = 0; number < 100; number++) add(number);
      for (let number = 99; number >= 0; number--) add(number);
      return sinks.map(({ numbers }) => numbers);
    });
    for (const numbers of runs[0]!) expect(numbers.length).to.equal(2 * new Set(numbers).size);
    expect(runs[0]).to.deep.equal(runs[1]);
  });

  it('hash: a state has the share that it had in earlier versions', () => {
    const { sinks, memory, distribution } = distribute(4, { balance: 'hash', failover: false });
    for (let n = 0; n < 12; n++) {
      memory.count = 0;
      const state = { id: 0x5f00_0000_0000_0100n + BigInt(n), creatorId: 0xa1b2_c3d4 };
      distribution.add(memory.add({ state }), 1);
    }
    expect(sinks.map(({ numbers }) => numbers.map((number) => number - 0x100))).to.deep.equal(SHARES);
  });

  it('takes the rows of a range one by one, and leaves out those that are no flows', () => {
    const { sinks, memory, distribution } = distribute(2, { balance: 'round-robin', failover: false });
    for (let number = 0; number < 6; number++) memory.add(numbered({ number }));
    for (const row of [1, 2]) memory.view(row).directions = 0;
    distribution.add(0, 6);
    expect(sinks.map(({ numbers }) => numbers)).to.deep.equal([
      [0, 4],
      [3, 5],
    ]);
  });

  it('round-robin: states go to the collectors in turn', () => {
    const { sinks, add } = distribute(2, { balance: 'round-robin', failover: false });
    for (const number of [1, 2, 3, 4]) add(number);
    // Two reports of one state are two turns.
    add(5);
    add(5);
    expect(sinks.map(({ numbers }) => numbers)).to.deep.equal([
      [1, 3, 5],
      [2, 4, 5],
    ]);
  });

  it('failover: the first that is up takes all, and the first takes it when none is', () => {
    const { sinks, add } = distribute(3, { balance: undefined, failover: true });
    const [first, second, third] = sinks as [Sink, Sink, Sink];
    const steps: [down: readonly Sink[], expected: Sink][] = [
      [[], first],
      [[second], first],
      [[first], second],
      [[first, second], third],
      [[first, second, third], first],
      [[], first],
    ];
    for (const [number, [down, expected]] of steps.entries()) {
      for (const sink of sinks) sink.isDown = down.includes(sink);
      add(number);
      expect(expected.numbers.at(-1), `step ${number}`).to.equal(number);
    }
  });

  it('without failover: a share stays where it belongs', () => {
    const { sinks, add } = distribute(2, { balance: 'round-robin', failover: false });
    sinks[0]!.isDown = true;
    for (const number of [1, 2, 3, 4]) add(number);
    expect(sinks.map(({ numbers }) => numbers)).to.deep.equal([
      [1, 3],
      [2, 4],
    ]);
  });

  const congestion: [failover: boolean, down: boolean[], congested: boolean[], expected: boolean][] = [
    [false, [false, false], [false, true], true],
    [false, [true, false], [true, false], true],
    [true, [true, false], [true, false], false],
    [true, [true, false], [false, true], true],
    [true, [true, true], [true, false], true],
    [true, [true, true], [false, false], false],
  ];
  for (const [failover, down, congested, expected] of congestion) {
    it(`failover ${failover}, down ${down}, congested ${congested}: is ${expected ? '' : 'not '}congested`, async () => {
      const { sinks, distribution } = distribute(2, { balance: 'hash', failover });
      for (const [i, sink] of sinks.entries())
        Object.assign(sink, { isDown: down[i], isCongested: congested[i] });
      expect(distribution.isCongested).to.equal(expected);
      let hasDrained = false;
      const drained = distribution.drained().then(() => {
        hasDrained = true;
      });
      await new Promise((resolve) => setImmediate(resolve));
      expect(hasDrained).to.equal(!expected);
      for (const sink of sinks) sink.drain();
      await drained;
    });
  }

  it('flushes and closes every collector', async () => {
    const { sinks, distribution } = distribute(2, { balance: undefined, failover: true });
    distribution.flush(NOW);
    await distribution.close(NOW);
    for (const sink of sinks) expect(sink).to.include({ flushes: 1, isClosed: true });
  });
});

describe('collectors', () => {
  let stream: StreamCollector;
  let datagrams: UdpCollector;
  const memory = new SampleRows();
  beforeEach(async () => {
    stream = await StreamCollector.listen();
    datagrams = await UdpCollector.listen('127.0.0.1');
  });
  afterEach(async () => {
    await stream.close();
    await datagrams.close();
  });

  const open = (...argv: string[]) => {
    const options = parseOptions(['-r', 'x.pcap', '-v', '10', '--no-export-stats', ...argv], () => '');
    return openSinks(options, memory, new LineLog().log, new Statistics());
  };
  const add = (sink: FlowSink, sample: NumberedSample) => sink.add(rowOf(memory, sample), 1);
  const tcp = (query = '') => ['-n', `tcp://127.0.0.1:${stream.port}${query}`];
  const udp = (query = '') => ['-n', `udp://127.0.0.1:${datagrams.port}${query}`];

  const send = async ({ sinks }: Awaited<ReturnType<typeof open>>, count: number) => {
    for (let number = 0; number < count; number++) {
      for (const sink of sinks) add(sink, { number, direction: number % 4 === 0 ? 'in' : 'out' });
    }
    await Promise.all(sinks.map((sink) => sink.close(NOW)));
  };

  it('each get every flow over the transport that their URL names, and count by themselves', async () => {
    const opened = await open(...tcp('?domain=7'), ...udp('?domain=8&direction=in'));
    await send(opened, 40);
    await until(() => stream.sessions[0]?.end !== undefined, 'the end of the session');
    await datagrams.received(1);
    expect(stream.flows.map(numberOf)).to.deep.equal(Array.from({ length: 40 }, (_, i) => i));
    expect(datagrams.collector.flows.map(numberOf)).to.deep.equal(
      Array.from({ length: 10 }, (_, i) => 4 * i),
    );
    expect([stream.flows[0]!.domain, datagrams.collector.flows[0]!.domain]).to.deep.equal([7, 8]);
    const [first, second] = opened.exporters.map(({ result }) => result);
    expect(first).to.include({
      collector: `tcp://127.0.0.1:${stream.port}`,
      records: 40,
      filtered: 0,
      lostRecords: 0,
    });
    expect(second).to.include({ collector: `127.0.0.1:${datagrams.port}`, records: 10, filtered: 30 });
  });

  it('share the flows with --balance', async () => {
    const opened = await open(...tcp(), ...udp(), '--balance', 'round-robin');
    expect(opened.sinks.length).to.equal(1);
    await send(opened, 40);
    await until(() => stream.sessions[0]?.end !== undefined, 'the end of the session');
    await datagrams.received(1);
    expect(stream.flows.length).to.equal(20);
    expect(datagrams.collector.flows.length).to.equal(20);
  });

  it('stand in for each other with --failover', async () => {
    const opened = await open(...tcp(), ...udp(), '--failover', '--reconnect', '0.1');
    const [sink] = opened.sinks;
    await until(() => stream.sockets.length === 1, 'the connection');
    add(sink!, { number: 1 });
    sink!.flush(NOW);
    await until(() => stream.flows.length === 1, 'the first flow');
    await stream.close();
    await until(() => opened.exporters[0]!.isDown, 'the break');
    add(sink!, { number: 2 });
    await sink!.close(NOW);
    await datagrams.received(1);
    expect(datagrams.collector.flows.map(numberOf)).to.deep.equal([2]);
    expect(opened.exporters.map(({ result }) => result?.lostRecords)).to.deep.equal([0, 0]);
    stream = await StreamCollector.listen();
  });

  it('over UDP are down when their host refuses datagrams', async () => {
    const { port } = datagrams;
    await datagrams.close();
    const { exporters } = await open('-n', `127.0.0.1:${port}`, '--rate', '0');
    const [exporter] = exporters;
    expect(exporter!.isDown).to.equal(false);
    let number = 0;
    const sendOne = () => {
      add(exporter!, { number: number++ });
      exporter!.flush(NOW);
      return exporter!.isDown;
    };
    await until(sendOne, 'refusals');
    await exporter!.close(NOW);
    datagrams = await UdpCollector.listen('127.0.0.1');
  });

  it('do not start with TLS settings that cannot be read', async () => {
    const failure = await open('-n', 'tls://127.0.0.1:1', '--tls-ca', '/nowhere/ca.pem').catch(
      (error) => error,
    );
    expect(failure).to.be.instanceOf(StartError);
    expect((failure as Error).message).to.match(/^--tls-ca \/nowhere\/ca\.pem: no such file/);
  });
});
