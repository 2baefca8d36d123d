import { expect } from 'chai';
import { InterfaceTable } from '../../protocol/flow/interface.js';
import { FlowRows, RowRange } from '../../protocol/flow/rows.js';
import { TagTable } from '../../protocol/flow/tags.js';
import type { RecordKind } from '../../protocol/pfsync/action.js';
import { PfsyncReader } from '../../protocol/pfsync/message.js';
import { counterKind, expectedRecords } from '../peer/expected-json.js';
import { type Simulation, type SimulationOptions, simulate } from '../peer/firewall.js';
import { SIZES, WIRE_VERSIONS } from '../peer/pfsync-writer.js';
import type { TrueFlow } from '../peer/truth.js';

const EVERYTHING = {
  states: 60,
  bulkTransfers: 2,
  requests: 4,
  clears: 2,
  noise: 6,
  older: 0.2,
  untold: 0.1,
};

const WORLDS: { name: string; options: SimulationOptions }[] = WIRE_VERSIONS.flatMap((version) => {
  const world = (name: string, more: Omit<SimulationOptions, 'version'>) => ({
    name: `${version} ${name}`,
    options: { version, ...EVERYTHING, ...more },
  });
  return [
    world('tap', { role: 'tap' }),
    world('net', { role: 'net', firewalls: 'pair', buckets: 4 }),
    world('net with losses', { role: 'net', firewalls: 'pair', loss: 0.1 }),
    world('tap with losses', { role: 'tap', loss: 0.1, strayOctets: 20 }),
    world('tap of one of a pair', { role: 'tap', firewalls: 'pair' }),
    world('reboot', { role: 'tap', reboots: 1, clears: 0, firstSeqlo: 'isn' }),
  ];
});

const lived = new Map<SimulationOptions, Simulation[]>();

/** Each world a few times over. */
function lives(options: SimulationOptions): Simulation[] {
  const before = lived.get(options);
  if (before) return before;
  const now = [1, 2, 3].map((seed) => simulate(seed, options));
  lived.set(options, now);
  return now;
}

/** All that a reader can see of a simulation, as text. */
function printed({ packets, truth, untold, expected }: Simulation): string {
  const wire = packets.map(({ timeMs, message, sender }) => `${timeMs} ${sender} ${message.toString('hex')}`);
  return JSON.stringify([wire, truth, untold, expected], (_name, value) =>
    typeof value === 'bigint' ? value.toString() : value,
  );
}

describe('the simulated firewall', () => {
  it('lives the same life again with the same seed, and another with another', () => {
    for (const { name, options } of WORLDS.filter((_, n) => n % 7 === 0)) {
      const life = printed(simulate(5, { ...options, states: 20 }));
      expect(printed(simulate(5, { ...options, states: 20 })), name).to.equal(life);
      expect(printed(simulate(6, { ...options, states: 20 })), name).not.to.equal(life);
    }
  });

  for (const { name, options } of WORLDS) {
    it(`tells nothing untrue: ${name}`, () => {
      for (const { packets, lostPackets, truth, untold, expected } of lives(options)) {
        expect(truth.length + untold.length).to.equal(options.states);
        expect(Object.values(expected.ended).reduce((sum, count) => sum + count)).to.equal(truth.length);
        expect(lostPackets.length > 0).to.equal((options.loss ?? 0) > 0);
        packets.reduce((before, { timeMs }) => {
          expect(timeMs).to.be.at.least(before);
          return timeMs;
        }, 0);
        for (const { message } of packets)
          expect(message.length).to.be.at.most(1480 + (options.strayOctets ?? 0));
        for (const flow of truth) expectPossible(flow);
      }
    });
  }

  it('advances by what its sequence numbers show, whatever they wrap around', () => {
    const seen = { wraps: 0, long: 0, compared: 0 };
    for (const { name, options } of WORLDS) {
      for (const { packets } of lives(options)) {
        const last = new Map<object, { seqlo: number; advanced: number }[]>();
        for (const { live, state, advanced, action } of packets.flatMap(({ told }) => told)) {
          if (live === undefined || state?.proto !== 6 || action === 'compressedDelete') continue;
          state.peers.forEach(({ seqlo }, index) => {
            const now = advanced![index]!;
            if (seqlo === 0 || now === null) return;
            const before = last.get(live)?.[index];
            last.set(live, Object.assign(last.get(live) ?? [], { [index]: { seqlo, advanced: now } }));
            if (before === undefined) return;
            if (seqlo < before.seqlo) seen.wraps++;
            if (now > 2 ** 31) seen.long++;
            seen.compared++;
            expect((seqlo - before.seqlo + 2 ** 32) % 2 ** 32, name).to.equal(now - before.advanced);
          });
        }
      }
    }
    for (const [what, count] of Object.entries(seen)) expect(count, what).to.be.above(0);
  });

  it('sends no more sequence numbers than octets: a packet weighs more than what it carries', () => {
    for (const { options } of WORLDS) {
      for (const { truth } of lives(options)) {
        for (const { proto, total, advance, af, afAfter } of truth) {
          if (proto !== 6) continue;
          const octets = af === afAfter ? total.bytes : [total.bytes[0], total.bytes[0]];
          for (const index of [0, 1] as const)
            expect(BigInt(advance[index]) <= octets[index]!).to.equal(true);
        }
      }
    }
  });

  it('follows every packet with a message about its state within about a second, unless it was killed', () => {
    for (const { name, options } of WORLDS.filter(({ options }) => options.version.startsWith('v5'))) {
      if (options.loss || (options.role === 'tap' && options.firewalls === 'pair')) continue;
      for (const { truth } of lives(options)) {
        for (const flow of truth) {
          if (flow.isHiding || flow.lastSignMs === null) continue;
          const told = Math.max(flow.lastSignMs, flow.lastAnswerMs ?? 0);
          expect(told, `${name} ${flow.stateId}`).to.be.at.least(flow.lastPacketMs);
        }
      }
    }
  });

  it('shows the initiator its own number first when asked to, as pf_create_state does', () => {
    const firsts = (firstSeqlo: 'isn' | 'afterSyn') =>
      simulate(1, { version: 'v3', role: 'net', states: 40, firstSeqlo })
        .packets.flatMap(({ told }) => told)
        .filter(({ action, state }) => action === 'insert' && state!.proto === 6)
        .map(({ state }) => (state!.peers[0].seqhi! - state!.peers[0].seqlo + 2 ** 32) % 2 ** 32);
    expect(new Set(firsts('isn'))).to.deep.equal(new Set([2]));
    expect(new Set(firsts('afterSyn'))).to.deep.equal(new Set([1]));
  });

  it('tells final counters only in full deletes, and none when it inserts, before version 5', () => {
    for (const { options } of WORLDS) {
      for (const { packets, truth } of lives(options)) {
        const isOld = SIZES[options.version].version < 5;
        for (const { action, state } of packets.flatMap(({ told }) => told)) {
          if (isOld && action === 'insert') expect(state!.packets).to.deep.equal([0n, 0n]);
          expect(action === 'delete' && (!isOld || options.role === 'net')).to.equal(false);
        }
        for (const flow of truth) {
          if (flow.ended === 'delete' || flow.ended === 'dead') expect(flow.told).to.deep.include(flow.final);
        }
      }
    }
  });

  it('inserts a state before it says anything else of it, and is silent about those it had no time to tell', () => {
    for (const { name, options } of WORLDS) {
      const inserted = new Set<unknown>();
      // An update sent by the other one of a pair may come first, and older states were inserted before the capture.
      const life = simulate(1, { ...options, older: 0, firewalls: 'single', loss: 0, untold: 0.5 });
      for (const { action, live } of life.packets.flatMap(({ told }) => told)) {
        if (action === 'insert') inserted.add(live);
        else if (live && !live.isSilent) expect(inserted.has(live), `${name}: ${action}`).to.equal(true);
      }
      expect(life.untold.map(({ why }) => why)).not.to.include('unseen');
    }
  });

  it('takes inserts and compressed updates for signs of traffic, and before version 5 updates outside bulk transfers', () => {
    let bulk = 0;
    let answers = 0;
    for (const { name, options } of WORLDS.filter(({ options }) => !options.reboots)) {
      const isOld = SIZES[options.version].version < 5;
      for (const { packets, truth } of lives(options)) {
        const signs = new Map<string, number[]>();
        let transfers = 0;
        for (const { timeMs, told } of packets) {
          for (const { action, key, status } of told) {
            if (action === 'bus') transfers += status === 'start' ? 1 : -1;
            if (action === 'update' && transfers > 0) bulk++;
            if (action === 'update' && !isOld) answers++;
            const isPacket = action === 'update' && isOld && !transfers;
            const isSign = action === 'insert' || action === 'compressedUpdate' || isPacket;
            const name = `${key.creatorId}/${key.id}`;
            if (isSign) signs.set(name, [...(signs.get(name) ?? []), timeMs]);
          }
        }
        for (const flow of truth) {
          const key = `${Number.parseInt(flow.creatorId, 16)}/${BigInt(`0x${flow.stateId}`)}`;
          const before = (signs.get(key) ?? []).filter((at) => at <= (flow.endedMs ?? at));
          // Those of a state that no full record has told of yet are not its own; the record of a dead one is no traffic.
          if (flow.ended !== 'dead' && (flow.insertSeen || flow.lastSignMs !== null))
            expect(flow.lastSignMs, name).to.equal(before.at(-1));
        }
      }
    }
    expect(bulk).to.be.above(0);
    expect(answers).to.be.above(0);
  });

  it('meets every ending, kind of counters, translation and loss', () => {
    const seen = new Set<string>();
    for (const { options } of WORLDS) {
      for (const life of lives(options)) {
        if (life.expected.unknownUpdates) seen.add('unknown update');
        if (life.expected.unknownDeletes) seen.add('unknown delete');
        if (life.expected.lateRecords) seen.add('late');
        if (life.expected.neverSynced) seen.add('never synchronised');
        for (const { why } of life.untold) seen.add(why);
        for (const flow of life.truth) {
          seen.add(flow.ended).add(counterKind(flow));
          if (flow.isProven) seen.add('proven');
          if (flow.af !== flow.afAfter) seen.add(`family ${flow.af} to ${flow.afAfter}`);
          if (flow.originalSource.address !== flow.translatedSource.address)
            seen.add(`source ${flow.direction}`);
          if (flow.originalDestination.address !== flow.translatedDestination.address)
            seen.add('destination');
          if (!flow.insertSeen) seen.add('insert not seen');
          if (flow.final.packets[0] + flow.final.packets[1] === 0n) seen.add('no packet');
          if (flow.final.packets[0] === 0n && flow.final.packets[1] > 0n) seen.add('replies only');
          if (flow.final.bytes[0] > 2n ** 53n) seen.add('more than a double holds');
          for (const action of Object.keys(flow.lost)) seen.add(`lost ${action}`);
        }
      }
    }
    expect([...seen]).to.include.members([
      ...['delete', 'compressedDelete', 'clear', 'reboot', 'open', 'exact', 'partial', 'tcpseq', 'none'],
      ...[
        'unknown update',
        'unknown delete',
        'silent',
        'unseen',
        'neverSent',
        'late',
        'never synchronised',
        'proven',
      ],
      ...['family 6 to 4', 'family 4 to 6', 'source in', 'source out', 'destination'],
      ...['insert not seen', 'no packet', 'replies only', 'more than a double holds'],
      ...['lost insert', 'lost update', 'lost delete', 'lost compressedUpdate', 'lost compressedDelete'],
    ]);
  });

  it('gives each state the records that DESIGN.md promises', () => {
    for (const { options } of WORLDS) {
      for (const flow of lives(options).flatMap(({ truth }) => truth)) {
        const records = expectedRecords(flow);
        const { packets } = flow.told;
        const isEmpty = counterKind(flow) === 'exact' && packets[0] === 0n && packets[1] === 0n;
        expect(records.length === 0).to.equal(isEmpty);
        for (const json of records) {
          const [source, destination] = json.pf.reply
            ? [flow.originalDestination, flow.originalSource]
            : [flow.originalSource, flow.originalDestination];
          expect(json[`sourceIPv${flow.af}Address`]).to.equal(source.address);
          expect(json[`destinationIPv${flow.af}Address`]).to.equal(destination.address);
          expect('sourceTransportPort' in json).to.equal([6, 17, 132].includes(flow.proto));
          expect(json.flowDirection).to.equal((flow.direction === 'in') === json.pf.reply ? 1 : 0);
        }
      }
    }
  });

  it('is read whole, record for record', () => {
    for (const { name, options } of WORLDS) {
      for (const { packets, expected } of lives(options)) {
        const counts: Partial<Record<RecordKind, number>> = {};
        const count = (kind: RecordKind, records = 1) => {
          counts[kind] = (counts[kind] ?? 0) + records;
        };
        const memory = { rows: new FlowRows(64), interfaces: new InterfaceTable(), tags: new TagTable() };
        const reader = new PfsyncReader(memory, new RowRange(memory.rows, 0, 64), {
          source: () => {},
          insert: (_first, records) => count('insert', records),
          update: (_first, records) => count('update', records),
          delete: (_first, records) => count('delete', records),
          compressedUpdate: (updates) => count('compressedUpdate', updates.count),
          compressedDelete: (keys) => count('compressedDelete', keys.count),
          clear: () => count('clear'),
          bulkUpdate: () => count('bulkUpdate'),
          unreadableStates: (action) => expect.fail(`unreadable ${action}`),
          otherRecord: (kind) => count(kind),
          unknownRecords: (_version, action) => expect.fail(`unknown action ${action}`),
        });
        for (const { message } of packets) {
          const view = new DataView(message.buffer, message.byteOffset, message.length);
          expect(reader.read(view, 0, message.length, message.length, 0), name).to.equal('whole');
        }
        reader.handOn();
        const { bus, ...others } = expected.records;
        expect(counts, name).to.deep.equal({ ...others, ...(bus ? { bulkUpdate: bus } : {}) });
      }
    }
  });
});

function expectPossible(flow: TrueFlow): void {
  for (const index of [0, 1] as const) {
    expect(flow.told.packets[index] <= flow.final.packets[index]).to.equal(true);
    expect(flow.told.bytes[index] <= flow.final.bytes[index]).to.equal(true);
    expect(flow.final.bytes[index] <= flow.total.bytes[index]).to.equal(true);
  }
  // What is proven is true, but for packets that passed less than a second before a kill.
  if (flow.isProven && !flow.isHiding) expect(flow.told).to.deep.include(flow.final);
  expect(flow.endedMs === null).to.equal(flow.ended === 'open');
  const end = flow.lastSignMs ?? flow.endedMs;
  if (end !== null) expect(flow.startMs).to.be.at.most(end);
  if (flow.endedMs !== null && flow.lastSignMs !== null) expect(flow.lastSignMs).to.be.at.most(flow.endedMs);
}
