import { expect } from 'chai';
import { Packet } from '../../protocol/capture/packet.js';
import { CheckedPackets } from '../../src/source/checked-packets.js';
import { frame } from '../peer/pcap-writer.js';
import { Collected } from './reading.js';

const MESSAGE = Buffer.from('0303ee01aabbccdd', 'hex');

const PFLOG = 'link type 117 (PFLOG): a capture of pflog0 holds packets, not states: capture pfsync0';
const SNAPLEN = /^packet (\d+) is cut to (\d+) octets by the snaplen: capture with tcpdump -s 65535$/;

function packetOf(linkType: number, octets: Uint8Array, captured = octets.length): Packet {
  const packet = new Packet();
  packet.view = new DataView(Uint8Array.from(octets.subarray(0, captured)).buffer);
  packet.end = captured;
  packet.wireEnd = octets.length;
  packet.linkType = linkType;
  return packet;
}

function check(packets: readonly Packet[]): { warnings: string[]; allUnreadable: boolean } {
  const warnings: string[] = [];
  const collected = new Collected();
  const checked = new CheckedPackets(collected, (message) => warnings.push(message));
  for (const [index, packet] of packets.entries()) {
    packet.number = index + 1;
    checked.packet(packet);
  }
  // Whatever is wrong with them, all packets are passed on.
  expect(collected.packets.map(({ number }) => number)).to.deep.equal(packets.map((_, index) => index + 1));
  return { warnings, allUnreadable: checked.allUnreadable };
}

describe('the check of packets', () => {
  const readable = packetOf(246, MESSAGE);
  const ethernet = packetOf(1, frame(MESSAGE, { linkType: 1 }));
  const unreadable = (linkType: number) => packetOf(linkType, MESSAGE);

  it('finds nothing wrong with pfsync messages and other traffic', () => {
    const arp = packetOf(1, Buffer.alloc(60, 1));
    expect(check([readable, ethernet, arp])).to.deep.equal({ warnings: [], allUnreadable: false });
    expect(check([arp])).to.deep.equal({ warnings: [], allUnreadable: false });
    expect(check([])).to.deep.equal({ warnings: [], allUnreadable: false });
  });

  it('says once that a capture of pflog0 holds no states', () => {
    const pflog = unreadable(117);
    expect(check([pflog, pflog, pflog])).to.deep.equal({ warnings: [PFLOG], allUnreadable: true });
  });

  const LINK_TYPES: [linkType: number, text: string][] = [
    [9, '9 (PPP)'],
    [105, '105 (IEEE 802.11)'],
    [239, '239 (NFLOG)'],
    [65535, '65535'],
  ];
  for (const [linkType, text] of LINK_TYPES) {
    it(`says that nothing can be found in link type ${text}`, () => {
      expect(check([unreadable(linkType), unreadable(linkType)])).to.deep.equal({
        warnings: [
          `link type ${text}: no pfsync messages can be found in it: capture pfsync0, or the interface that syncs the firewalls`,
        ],
        allUnreadable: true,
      });
    });
  }

  it('warns of one link type only, and knows that others could be read', () => {
    const mixed = [unreadable(117), readable, unreadable(9), unreadable(117)];
    expect(check(mixed)).to.deep.equal({ warnings: [PFLOG], allUnreadable: false });
    expect(check([readable, unreadable(117)])).to.deep.equal({ warnings: [PFLOG], allUnreadable: false });
    expect(check([unreadable(117), unreadable(9)])).to.deep.equal({ warnings: [PFLOG], allUnreadable: true });
  });

  it('leaves an interface that no block describes to the reader of the file', () => {
    expect(check([unreadable(-1)])).to.deep.equal({ warnings: [], allUnreadable: true });
    expect(check([unreadable(-1), unreadable(117)]).warnings).to.deep.equal([PFLOG]);
  });

  const CUTS: [name: string, packet: (captured: number) => Packet, captured: number][] = [
    ['a bare message', (captured) => packetOf(246, MESSAGE, captured), 4],
    [
      'a message behind IPv4',
      (captured) => packetOf(1, frame(Buffer.alloc(300, 3), { linkType: 1 }), captured),
      96,
    ],
    [
      'the headers in front of a message',
      (captured) => packetOf(1, frame(MESSAGE, { linkType: 1 }), captured),
      30,
    ],
  ];
  for (const [name, packet, captured] of CUTS) {
    it(`names the remedy once when the snaplen cuts ${name}`, () => {
      const { warnings, allUnreadable } = check([readable, packet(captured), packet(captured)]);
      expect(warnings).to.have.length(1);
      expect(SNAPLEN.exec(warnings[0]!)?.slice(1)).to.deep.equal(['2', `${captured}`]);
      expect(allUnreadable).to.equal(false);
    });
  }

  it('does not mind that other traffic is cut, nor the padding of a frame', () => {
    const arp = packetOf(1, Buffer.alloc(1500, 1), 96);
    const padded = frame(MESSAGE, { linkType: 1 });
    const paddingCut = packetOf(1, padded, padded.length - 10);
    expect(check([arp, paddingCut]).warnings).to.deep.equal([]);
  });

  it('passes back-pressure on', async () => {
    let drains = 0;
    const consumer = { packet() {}, isCongested: true, drained: async () => void drains++ };
    const checked = new CheckedPackets(consumer, () => {});
    expect(checked.isCongested).to.equal(true);
    await checked.drained();
    consumer.isCongested = false;
    expect(checked.isCongested).to.equal(false);
    expect(drains).to.equal(1);
  });
});
