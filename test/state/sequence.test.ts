import { expect } from 'chai';
import { encodeMessage, encodeState, type SimState, type WireVersion } from '../peer/pfsync-writer.js';
import { StateConverter } from '../peer/state-converter.js';
import {
  compressedUpdateOf,
  counted,
  deleteOf,
  insertOf,
  simState,
  tcpState,
  updateOf,
} from '../peer/state-messages.js';

const T0 = 1_700_000_000_000;
const NEW_VERSIONS = ['v5-openbsd', 'v5-1301', 'v5-1400', 'v5-1500', 'v6'] as const;

/** Octets and packets of each direction, and their provenance, of a state that ends by a delete without counters. */
function ended(converter: StateConverter, version: WireVersion = 'v6', state = simState(1)) {
  const before = converter.records.length;
  converter.message(deleteOf(state, version), T0 + 100_000);
  return converter.records
    .slice(before)
    .map(({ octetDeltaCount, packetDeltaCount, pf }) => [pf.counters, octetDeltaCount, packetDeltaCount]);
}

describe('the lower bound from sequence numbers', () => {
  for (const version of NEW_VERSIONS) {
    it(`is the last full record and what both sides have advanced by since (${version})`, () => {
      const converter = new StateConverter();
      converter.message(insertOf(tcpState(1, [1000, 2000], [4, 4], counted(3, 300)), version), T0);
      converter.message(compressedUpdateOf(tcpState(1, [1500, 2000]), version), T0 + 1000);
      converter.message(compressedUpdateOf(tcpState(1, [1500, 9000]), version), T0 + 2000);
      const [forward, reply] = ended(converter, version);
      expect([forward, reply]).to.deep.equal([
        ['tcpseq', 800n, 3n],
        ['tcpseq', 7300n, 3n],
      ]);
      const { pf } = converter.records[0]!;
      expect([pf.countersFrom, pf.countersAge]).to.deep.equal(['sequence', 100]);
    });

    it(`does not count twice what a full record tells with its counters (${version})`, () => {
      const converter = new StateConverter();
      converter.message(insertOf(tcpState(1, [1000, 2000], [4, 4], counted(3, 300)), version), T0);
      // The answer comes in place of the compressed update.
      converter.message(
        updateOf(tcpState(1, [51_000, 2000], [4, 4], counted(60, 60_000)), version),
        T0 + 1000,
      );
      expect(ended(converter, version)).to.deep.equal([
        ['partial', 60_000n, 60n],
        ['partial', 60_000n, 60n],
      ]);
    });

    it(`has at least a packet where octets passed (${version})`, () => {
      const converter = new StateConverter();
      converter.message(insertOf(tcpState(1, [1000, 2000]), version), T0);
      converter.message(compressedUpdateOf(tcpState(1, [1001, 2000]), version), T0 + 1000);
      expect(ended(converter, version)).to.deep.equal([['tcpseq', 1n, 1n]]);
    });
  }

  it('begins with the first number seen where a side was unknown', () => {
    const converter = new StateConverter();
    converter.message(insertOf(tcpState(1, [1000, 0], [2, 0], counted(1, 60))), T0);
    converter.message(compressedUpdateOf(tcpState(1, [1000, 700_000])), T0 + 1000);
    converter.message(compressedUpdateOf(tcpState(1, [1000, 700_050])), T0 + 2000);
    expect(ended(converter)).to.deep.equal([
      ['tcpseq', 60n, 1n],
      ['tcpseq', 110n, 1n],
    ]);
  });

  it('passes the end of the number space, and 2^32 octets in all', () => {
    const converter = new StateConverter();
    let seqlo = 2 ** 32 - 100;
    converter.message(insertOf(tcpState(1, [seqlo, 5])), T0);
    for (let n = 1; n <= 5; n++) {
      seqlo = (seqlo + 2 ** 30) % 2 ** 32;
      converter.message(compressedUpdateOf(tcpState(1, [seqlo, 5])), T0 + 1000 * n);
    }
    expect(ended(converter)).to.deep.equal([['tcpseq', 5n * 2n ** 30n, 1n]]);
  });

  it('leaves out an advance of 2^31 or more: an old message', () => {
    const converter = new StateConverter();
    converter.message(insertOf(tcpState(1, [100_000, 5], [4, 4], counted(1, 40))), T0);
    for (const seqlo of [99_000, 100_000 + 2 ** 31, 100_200]) {
      converter.message(compressedUpdateOf(tcpState(1, [seqlo, 5])), T0 + 1000);
    }
    expect(ended(converter)[0]).to.deep.equal(['tcpseq', 240n, 1n]);
  });

  it('does not take the new numbers of ports that are used again for payload', () => {
    const converter = new StateConverter();
    converter.message(insertOf(tcpState(1, [1000, 2000], [9, 9], counted(9, 900))), T0);
    converter.message(compressedUpdateOf(tcpState(1, [500_000_000, 0], [2, 0])), T0 + 1000);
    converter.message(compressedUpdateOf(tcpState(1, [500_000_010, 90_000_000], [4, 4])), T0 + 2000);
    converter.message(compressedUpdateOf(tcpState(1, [500_000_010, 90_000_100], [4, 4])), T0 + 3000);
    expect(ended(converter)).to.deep.equal([
      ['tcpseq', 910n, 9n],
      ['tcpseq', 1000n, 9n],
    ]);
  });

  it("does not take the numbers of pf's own handshake (synproxy) for the ends'", () => {
    const converter = new StateConverter();
    converter.message(insertOf(tcpState(1, [1000, 2000], [11, 0], counted(1, 60))), T0);
    converter.message(compressedUpdateOf(tcpState(1, [900_000, 800_000], [12, 2])), T0 + 1000);
    converter.message(compressedUpdateOf(tcpState(1, [50_000, 70_000])), T0 + 2000);
    converter.message(compressedUpdateOf(tcpState(1, [50_005, 70_007])), T0 + 3000);
    expect(ended(converter)).to.deep.equal([
      ['tcpseq', 65n, 1n],
      ['tcpseq', 67n, 1n],
    ]);
  });

  it('is of the initiator alone in an af-to state, where pf counts both directions at one place', () => {
    const more = {
      af: 6,
      afAfter: 4,
      originalSource: { address: '2001:db8::1', port: 40_000 },
      originalDestination: { address: '64:ff9b::c000:201', port: 80 },
      translatedSource: { address: '198.51.100.1', port: 50_000 },
      translatedDestination: { address: '192.0.2.1', port: 80 },
      packets: [2n, 0n],
      bytes: [120n, 0n],
    } as const;
    const state = (seqlo: readonly [number, number], rest: Partial<SimState> = {}) =>
      tcpState(1, seqlo, [4, 4], { ...more, ...rest });
    for (const version of ['v6', 'v5-1500'] as const) {
      const converter = new StateConverter().message(insertOf(state([1000, 2000]), version), T0);
      converter.message(compressedUpdateOf(state([1100, 32_000]), version), T0 + 1000);
      expect(ended(converter, version)).to.deep.equal([['tcpseq', 30_220n, 2n]]);
    }
  });

  it('is none of states that are not TCP', () => {
    const udp = (seqlo: number) =>
      simState(1, {
        peers: [
          { seqlo, state: 2 },
          { seqlo, state: 2 },
        ],
      });
    const converter = new StateConverter().message(insertOf(udp(1)), T0);
    converter.message(compressedUpdateOf(udp(5000)), T0 + 30_000);
    expect(ended(converter)).to.deep.equal([['none', undefined, undefined]]);
  });

  it('keeps what is known of the other firewall of a pair when its own counters stand still', () => {
    const own = tcpState(1, [1000, 2000], [4, 4], counted(3, 300));
    const converter = new StateConverter().message(insertOf(own), T0, 1);
    // The other one carries on, and this one is asked.
    converter.message(compressedUpdateOf(tcpState(1, [8000, 2000])), T0 + 1000, 2);
    converter.message(updateOf({ ...own, peers: tcpState(1, [8000, 2000]).peers }), T0 + 2000, 1);
    expect(ended(converter)[0]).to.deep.equal(['tcpseq', 7300n, 3n]);
  });

  it('of many records in one message is that of each', () => {
    const states = [1, 2, 3].map((n) => tcpState(n, [1000, 2000], [4, 4], counted(n, 100 * n)));
    const records = states.map((state) => encodeState('v6', state));
    const converter = new StateConverter().message(encodeMessage('v6', [{ action: 'insert', records }]), T0);
    for (const n of [1, 2, 3]) {
      converter.message(compressedUpdateOf(tcpState(n, [1000 + n, 2000])), T0 + 1000);
      expect(ended(converter, 'v6', simState(n))[0]).to.deep.equal(['tcpseq', BigInt(101 * n), BigInt(n)]);
    }
  });
});
