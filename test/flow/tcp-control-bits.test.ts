import { expect } from 'chai';
import { DESCRIPTION, ROW_OCTETS } from '../../protocol/flow/row.js';
import { type Sample, SampleRows, type STATE } from '../peer/flow-sample.js';

const FIN = 0x01;
const SYN = 0x02;
const ACK = 0x10;

/** tcpControlBits of the forward and of the reply record, by the states of the initiator's peer and of the responder's. */
function bitsOf(states: readonly [number, number], sample: Sample = {}): [number, number] {
  const samples = new SampleRows();
  const [initiator, responder] = states;
  const state = {
    ...sample.state,
    peers: [
      { seqlo: 1, state: initiator },
      { seqlo: 2, state: responder },
    ] as typeof STATE.peers,
  };
  const row = samples.add({ ...sample, state, replyOctets: 5n });
  const octet = (word: number) => samples.rows.view.getUint8(row * ROW_OCTETS + 4 * word + 3);
  // The translated view shows the same.
  expect([octet(DESCRIPTION + 2), octet(DESCRIPTION + 3)]).to.deep.equal([
    octet(DESCRIPTION),
    octet(DESCRIPTION + 1),
  ]);
  return [octet(DESCRIPTION), octet(DESCRIPTION + 1)];
}

describe('the TCP flags that peers are known to have sent', () => {
  // pf's peer states: 2 SYN sent, 4 established, 7 closing, 9 FIN wait 2, 10 time wait, 11 and 12 synproxy.
  const CASES: readonly [string, readonly [number, number], number, number][] = [
    ['a SYN without an answer', [2, 0], SYN, 0],
    ['a SYN and an answer to it', [4, 2], SYN, SYN | ACK],
    ['a handshake', [4, 4], SYN | ACK, SYN | ACK],
    ['a FIN of the initiator', [7, 4], SYN | ACK | FIN, SYN],
    ['a FIN of the initiator that was acknowledged', [9, 4], SYN | ACK | FIN, SYN | ACK],
    ['a FIN of the responder', [4, 7], SYN, SYN | ACK | FIN],
    ['both FINs', [9, 9], SYN | ACK | FIN, SYN | ACK | FIN],
    ['a reset, of whichever end', [10, 10], SYN, 0],
    ["pf's own handshake", [11, 12], 0, 0],
    ['nothing yet', [0, 0], 0, 0],
  ];

  for (const [name, states, forward, reply] of CASES) {
    it(`${name}: ${states.join(':')}`, () => {
      expect(bitsOf(states)).to.deep.equal([forward, reply]);
    });
  }

  it('are none of the responder where pf has seen no number of it, but what the initiator itself sent', () => {
    expect(bitsOf([9, 9], { hasResponderSequence: false })).to.deep.equal([SYN | FIN, 0]);
    expect(bitsOf([4, 4], { hasResponderSequence: false })).to.deep.equal([SYN, 0]);
  });

  it('are none of a flow of which earlier records told a part, and none of other protocols', () => {
    expect(bitsOf([9, 9], { isContinued: true })).to.deep.equal([0, 0]);
    for (const proto of [1, 17, 132]) {
      expect(bitsOf([4, 4], { state: { proto, protoAfter: proto } })).to.deep.equal([0, 0]);
    }
  });

  it('say of no state what a state before it would not: every bit once proven stays, but with a reset', () => {
    const life: [number, number][] = [
      [2, 0],
      [4, 2],
      [4, 4],
      [7, 4],
      [9, 4],
      [9, 7],
      [9, 9],
    ];
    for (const [n, states] of life.entries()) {
      const later = life.slice(n + 1);
      const [forward] = bitsOf(states);
      // The initiator's SYN is behind all of them.
      expect(forward & SYN).to.equal(SYN);
      for (const other of later) expect(bitsOf(other)[0] & SYN).to.equal(SYN);
    }
  });
});
