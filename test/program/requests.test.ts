import { expect } from 'chai';
import { Packet } from '../../protocol/capture/packet.js';
import { FlowView } from '../../protocol/flow/flow-view.js';
import { EXACT } from '../../protocol/flow/terms.js';
import { Statistics } from '../../src/observe/statistics.js';
import { openMemory, Pipeline } from '../../src/pipeline.js';
import { Requester } from '../../src/requester.js';
import type { FlowSink } from '../../src/sink/flow-sink.js';
import {
  AnsweringFirewalls,
  type AnsweringOptions,
  ipPacket,
  type TrueLife,
} from '../peer/answering-firewall.js';
import { LineLog } from '../peer/line-log.js';

const RAW = 101;
const NO_LIMITS = {
  direction: 'any',
  noUncounted: false,
  maxStates: 1_000_000,
  stateTimeout: 0,
  activeTimeout: 0,
} as const;

interface Flow {
  readonly isExact: boolean;
  readonly packets: readonly [bigint, bigint];
  readonly octets: readonly [bigint, bigint];
  readonly endReason: number;
}

interface Settings {
  /** Requests are sent; otherwise the converter only listens. */
  readonly asks?: boolean;
  /** Milliseconds from the start of the firewalls to that of the converter. */
  readonly seesFrom?: number;
}

interface Outcome {
  readonly lives: readonly TrueLife[];
  readonly flows: ReadonlyMap<bigint, readonly Flow[]>;
  readonly statistics: Statistics;
}

/** The life of the firewalls, with the pipeline and the requester beside them. */
function runWith(
  seed: number,
  options: AnsweringOptions,
  { asks = true, seesFrom = 0 }: Settings = {},
): Outcome {
  const { log } = new LineLog();
  const statistics = new Statistics();
  const memory = openMemory(new Map(), log);
  const view = new FlowView(memory.rows);
  const flows = new Map<bigint, Flow[]>();
  const sink: FlowSink = {
    isCongested: false,
    flush() {},
    drained: () => Promise.resolve(),
    close: () => Promise.resolve(),
    add(first, count) {
      for (let row = first; row < first + count; row++) {
        const flow = view.at(row);
        if (flow.directions === 0) continue;
        const known = flows.get(flow.id) ?? [];
        known.push({
          isExact: flow.counters === EXACT,
          packets: [flow.packets(0), flow.packets(1)],
          octets: [flow.octets(0), flow.octets(1)],
          endReason: flow.endReason,
        });
        flows.set(flow.id, known);
      }
    },
  };
  const requests = { interval: 20_000, rate: 2000 };
  const pipeline = new Pipeline(
    { ...NO_LIMITS, ...(asks ? { requests } : {}) },
    memory,
    [sink],
    log,
    statistics,
  );
  const packet = new Packet();
  let now = 0;
  const world = new AnsweringFirewalls(seed, options, (message, source, timeMs) => {
    if (timeMs < world.startMs + seesFrom) return;
    const octets = ipPacket(source, message);
    packet.view = new DataView(octets.buffer, octets.byteOffset, octets.length);
    packet.end = octets.length;
    packet.wireEnd = octets.length;
    packet.linkType = RAW;
    packet.clock[1] = timeMs;
    pipeline.packet(packet);
  });
  if (asks) {
    const socket = {
      send({ octets }: { octets: Uint8Array }, message: Uint8Array) {
        const request = message.slice();
        world.agenda.at(now, (then) => world.request(octets.join('.'), request, then));
        return undefined;
      },
      close() {},
    };
    const requester = new Requester(pipeline, statistics, socket, log, () => now);
    const tick = (then: number) => {
      now = then;
      requester.send();
      if (then < world.endMs) world.agenda.at(then + 100, tick);
    };
    world.agenda.at(world.startMs + seesFrom, tick);
  }
  world.agenda.run();
  pipeline.settle();
  const lives = world.lives.filter(({ endedMs }) => endedMs > world.startMs + seesFrom + 2000);
  return { lives, flows, statistics };
}

const same = (flow: Flow, life: TrueLife) =>
  [0, 1].every((i) => flow.packets[i] === life.packets[i] && flow.octets[i] === life.octets[i]);
const isAbove = (flow: Flow, life: TrueLife) =>
  [0, 1].some((i) => flow.packets[i]! > life.packets[i]! || flow.octets[i]! > life.octets[i]!);

/** No flow claims what is not true. Returns how many natural ends there were, and how many of them are exact. */
function check(
  { lives, flows }: Outcome,
  label: string,
): { natural: number; exact: number; inexact: TrueLife[] } {
  let natural = 0;
  const inexact: TrueLife[] = [];
  for (const life of lives) {
    const found = flows.get(life.id) ?? [];
    for (const flow of found) {
      const told = `${label}: state ${life.id} ${life.ended}, protocol ${life.proto}: ${flow.packets} in place of ${life.packets}`;
      if (flow.isExact && !life.isUnknowable) expect(same(flow, life), told).to.equal(true);
      expect(isAbove(flow, life), told).to.equal(false);
    }
    expect(found.length, `${label}: flows of state ${life.id}`).to.be.at.most(1);
    if (life.ended !== 'natural' || life.isUnknowable) continue;
    natural++;
    if (found.length !== 1 || !found[0]!.isExact) inexact.push(life);
  }
  return { natural, exact: natural - inexact.length, inexact };
}

describe('--request-updates against firewalls that answer', () => {
  const worlds: [claim: string, options: Omit<AnsweringOptions, 'states'>][] = [
    ['FreeBSD 13', { version: 'v5-1301', kills: 0.1 }],
    ['FreeBSD 14', { version: 'v5-1400', kills: 0.1 }],
    ['OpenBSD 8.0', { version: 'v6', kills: 0.1 }],
    ['OpenBSD 8.0, set optimization aggressive', { version: 'v6', kills: 0.1, optimization: 'aggressive' }],
    ['FreeBSD 14, set optimization aggressive', { version: 'v5-1400', optimization: 'aggressive' }],
    ['a pair of OpenBSD 8.0', { version: 'v6', firewalls: 'pair', kills: 0.1 }],
    ['a pair of FreeBSD 14', { version: 'v5-1400', firewalls: 'pair' }],
  ];
  for (const [claim, options] of worlds) {
    it(`${claim}: every natural end is exact, and no claim is wrong`, function () {
      this.timeout(120_000);
      let natural = 0;
      for (let seed = 1; seed <= 12; seed++) {
        const outcome = runWith(seed, { ...options, states: 100 });
        const result = check(outcome, `${claim}, seed ${seed}`);
        natural += result.natural;
        expect(
          result.inexact.map(({ id, proto }) => `seed ${seed}: state ${id}, protocol ${proto}`),
        ).to.deep.equal([]);
        expect(outcome.statistics.requests.unanswered).to.equal(0);
      }
      expect(natural).to.be.above(600);
    });
  }

  /** Shares of the natural ends that are exact, over some seeds. */
  function shareOf(label: string, options: AnsweringOptions, settings: Settings = {}): number {
    let natural = 0;
    let exact = 0;
    for (let seed = 1; seed <= 12; seed++) {
      const result = check(runWith(seed, options, settings), `${label}, seed ${seed}`);
      natural += result.natural;
      exact += result.exact;
    }
    expect(natural).to.be.above(500);
    return exact / natural;
  }

  it('a pair with a failover: no claim is wrong, and nearly every natural end is exact', function () {
    this.timeout(120_000);
    const options = { firewalls: 'pair', failover: true, kills: 0.1, states: 100 } as const;
    for (const version of ['v5-1400', 'v6'] as const) {
      expect(shareOf(version, { version, ...options })).to.be.above(0.95);
    }
  });

  it('requests and answers that get lost are repeated, and no claim is wrong', function () {
    this.timeout(120_000);
    const options = { version: 'v6', kills: 0.1, loss: 0.2, states: 100 } as const;
    expect(shareOf('loss', options)).to.be.above(0.95);
  });

  it('a start in the middle: every natural end of what was open is exact, too', function () {
    this.timeout(120_000);
    for (const version of ['v5-1301', 'v6'] as const) {
      const label = `${version}, seen from the middle`;
      expect(shareOf(label, { version, states: 100 }, { seesFrom: 150_000 })).to.equal(1);
    }
  });

  it('who only listens gets far less, and no wrong claim either', function () {
    this.timeout(120_000);
    expect(shareOf('listening', { version: 'v6', kills: 0.1, states: 100 }, { asks: false })).to.be.below(
      0.5,
    );
  });
});
