import { expect } from 'chai';
import { encodeMessage, encodeUpdateRequest, type SimState } from '../peer/pfsync-writer.js';
import { StateConverter } from '../peer/state-converter.js';
import {
  compressedUpdateOf,
  deleteOf,
  insertOf,
  simState,
  tcpState,
  updateOf,
} from '../peer/state-messages.js';

const T0 = 1_700_000_000_000;
const OWNER = 11;
const BACKUP = 22;
const LARGEST = 2n ** 64n - 1n;

function state(octets: number | bigint, expire = 60, more: Partial<SimState> = {}): SimState {
  const packets = BigInt(octets) / 100n;
  return simState(1, {
    packets: [packets, packets],
    bytes: [BigInt(octets), BigInt(octets)],
    expire,
    ...more,
  });
}

function opened(octets = 300): StateConverter {
  return new StateConverter().message(insertOf(state(octets)), T0, OWNER);
}

/** Provenance and octets of the flow that the owner's delete at `time` ends. */
function ended(converter: StateConverter, time: number) {
  converter.message(deleteOf(state(0)), time, OWNER);
  converter.expectSums();
  const [flow] = converter.records;
  return [flow?.pf.counters, flow?.octetDeltaCount];
}

describe('two firewalls that speak of one state', () => {
  it('each count what went through themselves: the flow has the sum', () => {
    const converter = opened().message(updateOf(state(1000, 50)), T0 + 10_000, BACKUP);
    converter.message(updateOf(state(500, 45)), T0 + 15_000, OWNER);
    expect(ended(converter, T0 + 20_000)).to.deep.equal(['partial', 1500n]);
    expect(converter.records[0]?.packetDeltaCount).to.equal(15n);
  });

  it('a lower counter of the one is no lower counter of the other', () => {
    const converter = opened(1000).message(updateOf(state(200)), T0 + 10_000, BACKUP);
    converter
      .message(updateOf(state(100)), T0 + 11_000, BACKUP)
      .message(updateOf(state(900)), T0 + 12_000, OWNER);
    expect(ended(converter, T0 + 20_000)).to.deep.equal(['partial', 1200n]);
  });

  it('the zeros of a backup change nothing, whatever it has left to live', () => {
    for (const expire of [0, 55, 3600]) {
      const converter = opened().message(updateOf(state(0, expire)), T0 + 5000, BACKUP);
      expect(ended(converter, T0 + 61_000)).to.deep.equal(['exact', 300n]);
    }
  });

  it('nor do they when the backup was the first to tell of the state', () => {
    const converter = new StateConverter().message(updateOf(state(0, 58)), T0, BACKUP);
    converter.message(compressedUpdateOf(state(0)), T0 + 2000, OWNER);
    expect(ended(converter, T0 + 62_000)[0]).to.equal('none');
    const answered = new StateConverter().message(updateOf(state(0, 58)), T0, BACKUP);
    answered.message(compressedUpdateOf(state(0)), T0 + 2000, OWNER);
    answered.message(updateOf(state(700, 55)), T0 + 7000, OWNER);
    expect(ended(answered, T0 + 62_000)).to.deep.equal(['exact', 700n]);
  });

  it('are both final where both are proven, after a failover', () => {
    const converter = opened().message(compressedUpdateOf(state(0)), T0 + 10_000, BACKUP);
    converter.message(updateOf(state(400, 40)), T0 + 30_000, BACKUP);
    converter.message(updateOf(state(300, 40)), T0 + 30_000, OWNER);
    expect(ended(converter, T0 + 71_000)).to.deep.equal(['exact', 700n]);
  });

  it('are both final where the first one was told before the failover, and had nothing to say since', () => {
    const converter = opened().message(compressedUpdateOf(state(0)), T0 + 10_000, BACKUP);
    converter.message(updateOf(state(400, 50)), T0 + 12_000, BACKUP);
    expect(ended(converter, T0 + 63_000)).to.deep.equal(['exact', 700n]);
  });

  it('are both final long after the failover, when the first one had died of age without it', () => {
    const converter = opened();
    for (let at = 20_000; at <= 200_000; at += 20_000) {
      converter.message(compressedUpdateOf(state(0)), T0 + at, BACKUP);
    }
    converter.message(updateOf(state(400, 40)), T0 + 220_000, BACKUP);
    expect(ended(converter, T0 + 263_000)).to.deep.equal(['exact', 700n]);
  });

  it('are not final where the state was killed before the time that the last one told', () => {
    const converter = opened().message(compressedUpdateOf(state(0)), T0 + 20_000, BACKUP);
    converter.message(updateOf(state(400, 60)), T0 + 30_000, BACKUP);
    expect(ended(converter, T0 + 61_000)).to.deep.equal(['partial', 700n]);
  });

  it('are not final where one that showed traffic was not asked after it', () => {
    const unasked = opened().message(compressedUpdateOf(state(0)), T0 + 500, BACKUP);
    expect(ended(unasked, T0 + 61_000), 'never').to.deep.equal(['partial', 300n]);
    const early = opened().message(updateOf(state(400, 60)), T0 + 300, BACKUP);
    early.message(compressedUpdateOf(state(0)), T0 + 500, BACKUP);
    expect(ended(early, T0 + 61_000), 'before').to.deep.equal(['partial', 700n]);
    const late = opened().message(updateOf(state(400, 60)), T0 + 600, BACKUP);
    late.message(compressedUpdateOf(state(0)), T0 + 700, OWNER);
    expect(ended(late, T0 + 61_000), 'the other one').to.deep.equal(['partial', 700n]);
  });

  it('are not final of a third firewall', () => {
    const converter = opened().message(updateOf(state(400, 59)), T0 + 1000, BACKUP);
    converter.message(updateOf(state(100, 59)), T0 + 1000, 33);
    expect(ended(converter, T0 + 61_000)[0]).to.equal('partial');
  });

  it('are not final where the counters of one are of a kernel that loses records', () => {
    const ruleset = Buffer.alloc(16, 1);
    const converter = opened().message(updateOf(state(400, 59), 'v6', { ruleset }), T0 + 1000, BACKUP);
    expect(ended(converter, T0 + 61_000)[0]).to.equal('partial');
  });

  it('are not final where their beginning was not seen, unless both have told counters', () => {
    const other = simState(2);
    const known = () =>
      new StateConverter().message(insertOf(other), T0, OWNER).message(updateOf(other), T0, BACKUP);
    // The backup has forwarded nothing; what the owner has forwarded nobody has told.
    const zeros = known().message(updateOf(state(0, 50)), T0 + 10_000, BACKUP);
    expect(ended(zeros, T0 + 61_000)).to.deep.equal(['none', undefined]);
    const half = known().message(updateOf(state(500, 50)), T0 + 10_000, OWNER);
    expect(ended(half, T0 + 61_000)).to.deep.equal(['partial', 500n]);
    const both = known().message(updateOf(state(500, 50)), T0 + 10_000, OWNER);
    both.message(updateOf(state(200, 50)), T0 + 10_000, BACKUP);
    expect(ended(both, T0 + 61_000)).to.deep.equal(['exact', 700n]);
    const bothAsked = known().message(updateOf(state(500, 50)), T0 + 10_000, OWNER);
    bothAsked.message(updateOf(state(0, 50)), T0 + 10_000, BACKUP);
    expect(ended(bothAsked, T0 + 61_000)).to.deep.equal(['exact', 500n]);
    // One firewall alone has forwarded everything; who asks for updates is none.
    const alone = new StateConverter().message(updateOf(state(500, 50)), T0 + 10_000, OWNER);
    const request = encodeMessage('v6', [
      { action: 'updateRequest', records: [encodeUpdateRequest('v6', other)] },
    ]);
    expect(ended(alone.message(request, T0 + 20_000, 33), T0 + 61_000)).to.deep.equal(['exact', 500n]);
  });

  it('have a sum that ends at the largest counter', () => {
    const large = state(LARGEST - 1000n, 60, { packets: [LARGEST, 5n] });
    const converter = new StateConverter().message(insertOf(large), T0, OWNER);
    converter.message(updateOf(state(5000, 59)), T0 + 1000, BACKUP);
    converter.message(deleteOf(large), T0 + 61_000, OWNER);
    const [forward, reply] = converter.records;
    expect([forward?.octetDeltaCount, forward?.packetDeltaCount]).to.deep.equal([LARGEST, LARGEST]);
    expect([reply?.octetDeltaCount, reply?.packetDeltaCount]).to.deep.equal([LARGEST, 55n]);
  });

  it('move the sequence numbers of one connection', () => {
    const tcp = (seqlo: number) =>
      tcpState(1, [seqlo, 2000], [4, 4], { packets: [3n, 3n], bytes: [300n, 300n] });
    const converter = new StateConverter().message(insertOf(tcp(1000)), T0, OWNER);
    converter.message(compressedUpdateOf(tcp(5000)), T0 + 1000, BACKUP);
    converter.message(compressedUpdateOf(tcp(6000)), T0 + 2000, OWNER);
    converter.message(deleteOf(tcp(0)), T0 + 3000, OWNER);
    expect(converter.records[0]?.octetDeltaCount).to.equal(5300n);
  });

  it('count nothing twice when the second one tells of what sequence numbers had told', () => {
    const tcp = (seqlo: number, octets: bigint) =>
      tcpState(1, [seqlo, 2000], [4, 4], { packets: [3n, 3n], bytes: [octets, 0n] });
    const converter = new StateConverter().message(insertOf(tcp(1000, 300n)), T0, OWNER);
    converter.message(compressedUpdateOf(tcp(5000, 0n)), T0 + 1000, BACKUP);
    converter.message(updateOf(tcp(5000, 4200n)), T0 + 2000, BACKUP);
    converter.message(deleteOf(tcp(0, 0n)), T0 + 3000, OWNER);
    expect(converter.records[0]?.octetDeltaCount).to.equal(4500n);
  });

  it('are reported at intervals with their sum', () => {
    const converter = new StateConverter({ activeTimeout: 10_000 }).message(insertOf(state(300)), T0, OWNER);
    converter
      .message(updateOf(state(400)), T0 + 15_000, BACKUP)
      .message(updateOf(state(900)), T0 + 40_000, OWNER);
    converter.message(deleteOf(state(0)), T0 + 50_000, OWNER);
    const forward = converter.records.filter(({ pf }) => !pf.reply);
    expect(
      forward.map(({ flowEndReason, octetDeltaCount }) => [flowEndReason, octetDeltaCount]),
    ).to.deep.equal([
      [2, 700n],
      [2, 600n],
      [1, 0n],
    ]);
  });
});
