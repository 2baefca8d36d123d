import { expect } from 'chai';
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

  it('gives the payload that the rule of DESIGN.md finds in the sequence numbers', () => {
    const seen = { wraps: 0, fins: 0, slack: 0, long: 0 };
    for (const { name, options } of WORLDS.filter(({ options }) => options.firstSeqlo !== 'isn')) {
      for (const life of lives(options)) {
        const found = advances(life);
        for (const flow of life.truth) {
          if (!flow.tcp) continue;
          const peers = found.get(`${flow.creatorId}/${flow.stateId}`)!;
          for (const index of [0, 1] as const) {
            const { octets, wrapped, fin } = peers[index]!;
            const slack = flow.tcp.slack[index];
            const truly = flow.tcp.octets[index];
            seen.wraps += wrapped;
            seen.fins += fin;
            seen.slack += slack;
            if ((truly ?? 0) > 2 ** 31) seen.long++;
            if (octets === null) expect(truly, name).to.equal(null);
            else expect(truly! - octets, `${name} ${flow.stateId} peer ${index}`).to.be.within(0, slack);
          }
        }
      }
    }
    for (const [what, count] of Object.entries(seen)) expect(count, what).to.be.above(0);
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
          if (flow.ended === 'delete') expect(flow.told).to.deep.include(flow.final);
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
        else if (live) expect(inserted.has(live), `${name}: ${action}`).to.equal(true);
      }
      expect(life.untold.map(({ why }) => why)).not.to.include('unseen');
    }
  });

  it('takes inserts, compressed updates and updates outside bulk transfers for signs of traffic', () => {
    let bulk = 0;
    for (const { name, options } of WORLDS.filter(({ options }) => !options.reboots)) {
      for (const { packets, truth } of lives(options)) {
        const signs = new Map<string, number[]>();
        let transfers = 0;
        for (const { timeMs, told } of packets) {
          for (const { action, key, status } of told) {
            if (action === 'bus') transfers += status === 'start' ? 1 : -1;
            if (action === 'update' && transfers > 0) bulk++;
            const isSign =
              action === 'insert' || action === 'compressedUpdate' || (action === 'update' && !transfers);
            const name = `${key.creatorId}/${key.id}`;
            if (isSign) signs.set(name, [...(signs.get(name) ?? []), timeMs]);
          }
        }
        for (const flow of truth) {
          const key = `${Number.parseInt(flow.creatorId, 16)}/${BigInt(`0x${flow.stateId}`)}`;
          const before = (signs.get(key) ?? []).filter((at) => at <= (flow.endedMs ?? at));
          // Those of a state that no full record has told of yet are not its own.
          if (flow.insertSeen || flow.lastSignMs !== null)
            expect(flow.lastSignMs, name).to.equal(before.at(-1));
        }
      }
    }
    expect(bulk).to.be.above(0);
  });

  it('meets every ending, kind of counters, translation and loss', () => {
    const seen = new Set<string>();
    for (const { options } of WORLDS) {
      for (const life of lives(options)) {
        if (life.expected.unknownUpdates) seen.add('unknown update');
        if (life.expected.unknownDeletes) seen.add('unknown delete');
        for (const { why } of life.untold) seen.add(why);
        for (const flow of life.truth) {
          seen.add(flow.ended).add(counterKind(flow));
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
      ...['unknown update', 'unknown delete', 'silent', 'unseen', 'neverSent'],
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
        const isEmpty = flow.ended === 'delete' && packets[0] === 0n && packets[1] === 0n;
        expect(records.length === 0).to.equal(isEmpty);
        for (const { json } of records) {
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
        const reader = new PfsyncReader({
          insert: (states) => count('insert', states.count),
          update: (states) => count('update', states.count),
          delete: (states) => count('delete', states.count),
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
          expect(reader.read(view, 0, message.length, message.length), name).to.equal('whole');
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
  }
  expect(flow.endedMs === null).to.equal(flow.ended === 'open');
  const end = flow.flowEndMs ?? flow.endedMs;
  if (end !== null) expect(flow.startMs).to.be.at.most(end);
  if (flow.endedMs !== null && flow.lastSignMs !== null) expect(flow.lastSignMs).to.be.at.most(flow.endedMs);
}

interface Advance {
  octets: number | null;
  wrapped: number;
  fin: 0 | 1;
}

/** The rule, applied to what the messages say: advances modulo 2^32, less one when the peer's state reached 7. */
function advances({ packets }: Simulation): Map<string, Advance[]> {
  const states = new Map<
    string,
    { last: number; state: number; octets: number; wrapped: number; fin: 0 | 1 }[]
  >();
  for (const { action, key, state } of packets.flatMap(({ told }) => told)) {
    if (state?.proto !== 6 || action === 'compressedDelete') continue;
    const name = `${key.creatorId.toString(16).padStart(8, '0')}/${key.id.toString(16).padStart(16, '0')}`;
    // A compressed update of a state that nobody has told of teaches nothing.
    if (action === 'compressedUpdate' && !states.has(name)) continue;
    const peers =
      states.get(name) ?? [0, 1].map(() => ({ last: 0, state: -1, octets: 0, wrapped: 0, fin: 0 as 0 | 1 }));
    // A key that is used again is a new state.
    if (action === 'insert')
      for (const peer of peers) Object.assign(peer, { last: 0, state: -1, octets: 0, fin: 0 });
    states.set(name, peers);
    state.peers.forEach(({ seqlo, state: now }, index) => {
      const peer = peers[index]!;
      if (peer.last !== 0 && seqlo < peer.last) peer.wrapped = 1;
      if (peer.last !== 0) peer.octets += (seqlo - peer.last + 2 ** 32) % 2 ** 32;
      if (peer.last !== 0 && peer.state < 7 && now >= 7) peer.fin = 1;
      peer.last = seqlo;
      peer.state = now;
    });
  }
  return new Map(
    [...states].map(([name, peers]) => [
      name,
      peers.map(({ last, octets, wrapped, fin }) => ({
        octets: last === 0 ? null : octets - fin,
        wrapped,
        fin,
      })),
    ]),
  );
}
