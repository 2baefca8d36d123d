import { expect } from 'chai';
import { memoryOctets } from '../protocol/core.js';
import { NONE, TCPSEQ } from '../protocol/flow-terms.js';
import { ipfixEncoder } from '../protocol/ipfix.js';
import type { MessagePlace, MessagePlaces } from '../protocol/message-place.js';
import { netflow1Encoder } from '../protocol/netflow1.js';
import { netflow5Encoder } from '../protocol/netflow5.js';
import { netflow9Encoder } from '../protocol/netflow9.js';
import { DatagramPlaces } from '../src/datagram-places.js';
import { flowOf, ipfix, NOW, OPTIONS, type Open, Room, type Sample } from './flow-sample.js';

const PLACES = 5;
const SPOILT = 0xa5;

/** Messages are made in a ring of places; what is in a place that is left is gone. */
class PlacesRoom extends Room implements MessagePlaces {
  readonly places = this;
  /** Octets behind messages that somebody wrote. */
  strays = 0;
  readonly #ring = new DatagramPlaces(PLACES, this.longest);
  #slot = 0;

  constructor() {
    super();
    for (let slot = 0; slot < PLACES; slot++) this.#spoil(slot);
  }

  get place(): MessagePlace {
    return this.#ring.at(this.#slot);
  }

  override send(octets: Uint8Array, length: number): void {
    memoryOctets.set(octets.subarray(0, length), this.place.at);
    this.sendPlaced(length);
  }

  sendPlaced(length: number): void {
    const { at } = this.place;
    this.messages.push(memoryOctets.slice(at, at + length));
    this.strays += memoryOctets
      .subarray(at + length, at + this.longest)
      .filter((octet) => octet !== SPOILT).length;
    this.#spoil(this.#slot);
    this.#slot = (this.#slot + 1) % PLACES;
  }

  #spoil(slot: number): void {
    const { at } = this.#ring.at(slot);
    memoryOctets.fill(SPOILT, at, at + this.longest);
  }
}

class RunPlacesRoom extends PlacesRoom {
  readonly likesRuns = true;
}

class RunRoom extends Room {
  readonly likesRuns = true;
}

const KINDS: readonly Sample[] = [
  { replyOctets: 77n },
  { state: { proto: 17, protoAfter: 17 } },
  { replyOctets: 7n, state: { translatedSource: { address: '192.168.1.50', port: 40000 } } },
  {
    state: {
      peers: [
        { seqlo: 1, state: 0 },
        { seqlo: 2, state: 2 },
      ],
    },
    replyOctets: 1n,
  },
  { state: { proto: 1, protoAfter: 1 }, icmpType: 8 },
  { counters: NONE },
  { counters: TCPSEQ, initiatorOctets: 5, responderOctets: 6 },
  { octets: 2n ** 40n },
];

function encoded(open: Open, room: Room): readonly Uint8Array[] {
  const encoder = open(room);
  for (let i = 0; i < 1000; i++) {
    const at = { start: NOW + 500 * i - 100, end: NOW + 500 * i, observed: NOW + 500 * i };
    encoder.add(flowOf({ ...KINDS[(i * i) % KINDS.length], ...at, interfaceName: `em${i % 7}` }));
    if (i % 101 === 0) encoder.flush(at.observed);
  }
  encoder.end(NOW + 500_000);
  return room.messages;
}

const COUNTS = {
  ignoredPackets: 1,
  ignoredOctets: 2,
  notSentMessages: 0,
  notSentOctets: 0,
  notSentRecords: 0,
};

const TOLD = { refreshMessages: 20, counts: COUNTS, announce: { names: true, sampling: true } };

const FORMATS: [name: string, Open][] = [
  ['IPFIX as pflow(4) sends it', (room) => ipfixEncoder(room, 'pflow', OPTIONS)],
  ['IPFIX with both directions in a record', ipfix({ biflow: true })],
  ['NetFlow v1', (room) => netflow1Encoder(room, 'inside')],
  ['NetFlow v5', (room) => netflow5Encoder(room, 'inside', 42)],
  ['NetFlow v9', (room) => netflow9Encoder(room, { ...OPTIONS, refreshMessages: 20 })],
  ['IPFIX with all that it can tell', ipfix(TOLD)],
];

describe('messages made where they leave from', () => {
  for (const [name, open] of FORMATS) {
    it(`are those that would be copied: ${name}`, () => {
      const wanted = encoded(open, new Room());
      expect(wanted.length).to.be.above(2 * PLACES);
      expect(encoded(open, new PlacesRoom())).to.deep.equal(wanted);
      expect(encoded(open, new RunPlacesRoom())).to.deep.equal(encoded(open, new RunRoom()));
    });

    it(`have nothing behind them: ${name}`, () => {
      for (const room of [new PlacesRoom(), new RunPlacesRoom()]) {
        encoded(open, room);
        expect(room.strays).to.equal(0);
      }
    });
  }
});
