import { expect } from 'chai';
import fc from 'fast-check';
import { type LinkVerdict, locateInIp, locatePfsync, Payload } from '../../protocol/capture/link.js';
import { Packet } from '../../protocol/capture/packet.js';

/** A whole pfsync message in hexadecimal, with nothing in it that looks like something else. */
const MESSAGE = '0303ee01aabbccdd';
const SIZE = MESSAGE.length / 2;

interface Found {
  verdict: LinkVerdict;
  /** The octets at hand, in hexadecimal, and the length on the wire. */
  message?: string;
  wireLength?: number;
}

/** `frame` fills its view to the last octet, so that reading behind it throws. */
function locate(linkType: number, frame: string, wireLength = frame.length / 2): Found {
  const octets = Uint8Array.from(Buffer.from(frame, 'hex'));
  const packet = new Packet();
  packet.view = new DataView(octets.buffer);
  packet.end = octets.length;
  packet.wireEnd = wireLength;
  packet.linkType = linkType;
  const payload = new Payload();
  return found(octets, locatePfsync(packet, payload), payload);
}

function found(octets: Uint8Array, verdict: LinkVerdict, payload: Payload): Found {
  if (verdict !== 'pfsync') return { verdict };
  const message = Buffer.from(octets.subarray(payload.start, payload.end)).toString('hex');
  return { verdict, message, wireLength: payload.wireEnd - payload.start };
}

function word(value: number): string {
  return value.toString(16).padStart(4, '0');
}

function octet(value: number): string {
  return value.toString(16).padStart(2, '0');
}

interface Ipv4Options {
  options?: string;
  protocol?: number;
  fragment?: number;
  total?: number;
  body?: string;
}

function ipv4({
  options = '',
  protocol = 240,
  fragment = 0x4000,
  total,
  body = MESSAGE,
}: Ipv4Options = {}): string {
  const header = 20 + options.length / 2;
  const length = total ?? header + body.length / 2;
  return `4${(header / 4).toString(16)}10${word(length)}1234${word(fragment)}ff${octet(protocol)}0000c0000201e00000f0${options}${body}`;
}

interface Ipv6Options {
  next?: number;
  extensions?: string;
  length?: number;
  body?: string;
}

function ipv6({ next = 240, extensions = '', length, body = MESSAGE }: Ipv6Options = {}): string {
  const size = length ?? (extensions.length + body.length) / 2;
  const addresses = `fe80${'00'.repeat(13)}01ff12${'00'.repeat(13)}f0`;
  return `60000000${word(size)}${octet(next)}ff${addresses}${extensions}${body}`;
}

const MACS = '01005e0000f0020000000001';
const IP4 = `${MACS}0800`;
const IP6 = `${MACS}86dd`;
const SLL = '0004000100060200000000010000';
const SLL2 = '000000000002000100040602000000000100';

const WHOLE: Found = { verdict: 'pfsync', message: MESSAGE, wireLength: SIZE };

describe('link types', () => {
  const whole: [name: string, linkType: number, frame: string][] = [
    ['PFSYNC', 246, MESSAGE],
    ['PFSYNC as OpenBSD writes it', 18, MESSAGE],
    ['PFSYNC as FreeBSD wrote it', 121, MESSAGE],
    ['PFSYNC with an IPv4 header in front', 246, ipv4()],
    ['PFSYNC 18 with an IPv4 header in front', 18, ipv4()],
    ['PFSYNC 121 with an IPv4 header and options in front', 121, ipv4({ options: '94040000' })],
    ['PFSYNC with an IPv6 header in front', 246, ipv6()],
    ['Ethernet, IPv4', 1, IP4 + ipv4()],
    ['Ethernet, IPv6', 1, IP6 + ipv6()],
    ['Ethernet, one tag', 1, `${MACS}810000640800${ipv4()}`],
    ['Ethernet, one tag, IPv6', 1, `${MACS}8100006486dd${ipv6()}`],
    ['Ethernet, two tags', 1, `${MACS}88a80064810000650800${ipv4()}`],
    ['Ethernet, three tags', 1, `${MACS}91000064910000658100e0660800${ipv4()}`],
    ['Ethernet, sixteen tags', 1, `${MACS}${'81000001'.repeat(16)}0800${ipv4()}`],
    ['Linux cooked', 113, `${SLL}0800${ipv4()}`],
    ['Linux cooked, IPv6', 113, `${SLL}86dd${ipv6()}`],
    ['Linux cooked, tagged', 113, `${SLL}810000640800${ipv4()}`],
    ['Linux cooked 2', 276, `0800${SLL2}${ipv4()}`],
    ['Linux cooked 2, IPv6', 276, `86dd${SLL2}${ipv6()}`],
    ['NULL, little endian', 0, `02000000${ipv4()}`],
    ['NULL, big endian', 0, `00000002${ipv4()}`],
    ['NULL, IPv6 of OpenBSD', 0, `18000000${ipv6()}`],
    ['NULL, IPv6 of FreeBSD', 0, `0000001c${ipv6()}`],
    ['NULL, IPv6 of macOS', 0, `1e000000${ipv6()}`],
    ['NULL, IPv6 of Linux', 0, `0a000000${ipv6()}`],
    ['LOOP', 108, `00000002${ipv4()}`],
    ['LOOP, IPv6', 108, `00000018${ipv6()}`],
    ['LOOP as OpenBSD numbers it', 12, `00000002${ipv4()}`],
    ['RAW, IPv4', 101, ipv4()],
    ['RAW, IPv6', 101, ipv6()],
    ['RAW 12', 12, ipv4()],
    ['RAW 14', 14, ipv6()],
    ['RAW with a bare message', 101, MESSAGE],
    ['RAW 12 with a bare message', 12, MESSAGE],
    ['IPV4', 228, ipv4()],
    ['IPV6', 229, ipv6()],
    ['IPv4 with the longest header', 228, ipv4({ options: '01'.repeat(40) })],
    ['IPv4 with a length still to be filled in', 228, ipv4({ total: 0 })],
    ['IPv6 with a length still to be filled in', 229, ipv6({ length: 0 })],
    ['IPv6, hop-by-hop', 229, ipv6({ next: 0, extensions: 'f000050200000100' })],
    ['IPv6, routing', 229, ipv6({ next: 43, extensions: `f001${'00'.repeat(14)}` })],
    ['IPv6, authentication', 229, ipv6({ next: 51, extensions: `f004${'00'.repeat(22)}` })],
    [
      'IPv6, hop-by-hop and destination',
      229,
      ipv6({ next: 0, extensions: `3c00${'00'.repeat(6)}f001${'00'.repeat(14)}` }),
    ],
  ];
  for (const [name, linkType, frame] of whole) {
    it(`finds the message in ${name}`, () => {
      expect(locate(linkType, frame)).to.deep.equal(WHOLE);
    });
  }

  for (const [name, linkType, frame] of whole.filter(([, type]) => type === 1)) {
    it(`leaves the padding out in ${name}`, () => {
      expect(locate(linkType, `${frame}${'00'.repeat(18)}`)).to.deep.equal(WHOLE);
    });
  }

  it('cut anywhere, gives the octets at hand and the length on the wire, or is truncated', () => {
    for (const [name, linkType, frame] of whole) {
      const header = (frame.length - MESSAGE.length) / 2;
      for (let kept = 0; kept < frame.length / 2; kept++) {
        const cut = locate(linkType, frame.slice(0, 2 * kept), frame.length / 2);
        if (kept >= header) {
          const message = MESSAGE.slice(0, 2 * (kept - header));
          // Of a raw packet nothing is left to say what it was.
          const expected = kept === 0 && linkType !== 246 && linkType !== 18 && linkType !== 121;
          if (expected) expect(cut.verdict, name).to.equal('truncated');
          else
            expect(cut, `${name} cut at ${kept}`).to.deep.equal({
              verdict: 'pfsync',
              message,
              wireLength: SIZE,
            });
        } else if (![246, 18, 121].includes(linkType)) {
          expect(cut.verdict, `${name} cut at ${kept}`).to.equal('truncated');
        }
      }
    }
  });

  const FRAGMENTED = `f000${'0001'}00000001`;
  const refused: [verdict: LinkVerdict, name: string, linkType: number, frame: string][] = [
    ['fragment', 'IPv4 with more to follow', 1, IP4 + ipv4({ fragment: 0x2000 })],
    ['fragment', 'a later piece in IPv4', 101, ipv4({ fragment: 0x00b9 })],
    ['fragment', 'the last piece in IPv4', 246, ipv4({ fragment: 0x1fff })],
    ['fragment', 'IPv6', 1, IP6 + ipv6({ next: 44, extensions: FRAGMENTED })],
    [
      'fragment',
      'IPv6 behind hop-by-hop',
      229,
      ipv6({ next: 0, extensions: `2c00${'00'.repeat(6)}${FRAGMENTED}` }),
    ],
    [
      'fragment',
      'IPv6 with extensions in the pieces',
      229,
      ipv6({ next: 44, extensions: `3c00${FRAGMENTED.slice(4)}` }),
    ],
    ['other', 'a fragment of UDP in IPv6', 229, ipv6({ next: 44, extensions: `1100${FRAGMENTED.slice(4)}` })],
    ['other', 'a fragment of UDP in IPv4', 228, ipv4({ protocol: 17, fragment: 0x2000 })],
    ['other', 'TCP', 1, IP4 + ipv4({ protocol: 6 })],
    ['other', 'ICMPv6', 1, IP6 + ipv6({ next: 58 })],
    ['other', 'no next header', 229, ipv6({ next: 59 })],
    ['other', 'ARP', 1, `${MACS}0806${'00'.repeat(28)}`],
    ['other', 'an IEEE 802.3 length', 1, `${MACS}0026424203${'00'.repeat(35)}`],
    ['other', 'IPv6 under the ethertype of IPv4', 1, IP4 + ipv6()],
    ['other', 'IPv4 under the ethertype of IPv6', 1, `${IP6}${ipv4()}${'00'.repeat(20)}`],
    ['other', 'more tags than there are', 1, `${MACS}${'81000001'.repeat(17)}0800${ipv4()}`],
    [
      'other',
      'more extension headers than there are',
      229,
      ipv6({ next: 0, extensions: `0000${'00'.repeat(6)}`.repeat(17) }),
    ],
    ['other', 'another family', 0, `07000000${ipv4()}`],
    ['other', 'a family in the wrong byte order', 108, `02000000${ipv4()}`],
    ['other', 'neither IP nor pfsync in RAW', 101, `00${MESSAGE}`],
    ['other', 'a version of pfsync to come in RAW', 101, `09${MESSAGE}`],
    ['truncated', 'an IPv4 header shorter than it can be', 228, `44${ipv4().slice(2)}`],
    ['truncated', 'an IPv4 header longer than the packet', 228, `4f${ipv4().slice(2)}`],
    ['truncated', 'an IPv4 length shorter than the header', 228, ipv4({ total: 19 })],
    [
      'truncated',
      'an extension header longer than the packet',
      229,
      ipv6({ next: 0, extensions: 'f0ff050200000100' }),
    ],
    [
      'truncated',
      'a chain of extension headers behind the end',
      229,
      ipv6({ next: 0, extensions: `0000${'00'.repeat(6)}`, length: 8 }),
    ],
    ['unknownLinkType', 'PPP', 9, ipv4()],
    ['unknownLinkType', 'PFLOG', 117, MESSAGE],
    ['unknownLinkType', 'no interface', -1, MESSAGE],
  ];
  for (const [verdict, name, linkType, frame] of refused) {
    it(`calls ${name} ${verdict}`, () => {
      expect(locate(linkType, frame)).to.deep.equal({ verdict });
    });
  }

  const bare: [name: string, frame: string][] = [
    ['nothing at all', ''],
    ['version 0', `00${MESSAGE}`],
    ['version 9', `09${MESSAGE}`],
    ['IPv4 of another protocol', ipv4({ protocol: 6 })],
    ['IPv6 of another protocol', ipv6({ next: 6 })],
    ['the first octet of IPv4', '45'],
    ['the first octets of IPv6', '600000'],
  ];
  for (const [name, frame] of bare) {
    it(`leaves it to the pfsync reader to judge ${name}`, () => {
      const all = { verdict: 'pfsync', message: frame, wireLength: frame.length / 2 };
      expect(locate(246, frame)).to.deep.equal(all);
      expect(locate(18, frame)).to.deep.equal(all);
      expect(locate(121, frame)).to.deep.equal(all);
    });
  }

  it('says that a message is longer than the packet when the IP header does', () => {
    expect(locate(228, ipv4({ total: 1000 }))).to.deep.equal({ ...WHOLE, wireLength: 980 });
    expect(locate(229, ipv6({ length: 1000 }))).to.deep.equal({ ...WHOLE, wireLength: 1000 });
  });

  it('finds an empty message', () => {
    const empty = { verdict: 'pfsync', message: '', wireLength: 0 };
    expect(locate(1, `${IP4}${ipv4({ body: '' })}${'00'.repeat(26)}`)).to.deep.equal(empty);
    expect(locate(229, ipv6({ body: '' }))).to.deep.equal({ ...empty });
  });

  it('reads a packet in the middle of a view', () => {
    const frame = Buffer.from(`ffffff${IP4}${ipv4()}ffffff`, 'hex');
    const octets = Uint8Array.from(frame);
    const packet = new Packet();
    packet.view = new DataView(octets.buffer);
    packet.start = 3;
    packet.end = packet.wireEnd = octets.length - 3;
    packet.linkType = 1;
    const payload = new Payload();
    expect(found(octets, locatePfsync(packet, payload), payload)).to.deep.equal(WHOLE);
  });

  it('finds the message of a datagram, bare or behind IP', () => {
    for (const datagram of [MESSAGE, ipv4(), ipv6()]) {
      const octets = Uint8Array.from(Buffer.from(datagram, 'hex'));
      const payload = new Payload();
      const verdict = locateInIp(new DataView(octets.buffer), 0, octets.length, octets.length, payload);
      expect(found(octets, verdict, payload)).to.deep.equal(WHOLE);
    }
  });

  it('reads any octets without harm', () => {
    const linkTypes = [0, 1, 9, 12, 14, 18, 101, 108, 113, 121, 228, 229, 246, 276];
    const heads = ['', IP4, IP6, '4510', '60', `${MACS}8100`, SLL, '02000000', ipv6({ next: 0, body: '' })];
    fc.assert(
      fc.property(
        fc.constantFrom(...linkTypes),
        fc.constantFrom(...heads),
        fc.uint8Array({ maxLength: 80 }),
        fc.nat(70000),
        (linkType, head, tail, more) => {
          const frame = head + Buffer.from(tail).toString('hex');
          const { verdict, message, wireLength } = locate(linkType, frame, frame.length / 2 + more);
          if (verdict !== 'pfsync') return;
          expect(message!.length / 2).to.be.at.most(wireLength!);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('the sender of a message', () => {
  function senderOf(linkType: number, frame: string): Record<string, number | string> {
    const octets = Uint8Array.from(Buffer.from(frame, 'hex'));
    const packet = new Packet();
    packet.view = new DataView(octets.buffer);
    packet.end = octets.length;
    packet.wireEnd = octets.length;
    packet.linkType = linkType;
    const payload = new Payload();
    // What was found before must not shine through.
    Object.assign(payload, { sender: 7, senderAt: 7, senderFamily: 4, hopLimit: 7 });
    expect(locatePfsync(packet, payload)).to.equal('pfsync');
    const { senderAt, senderFamily, hopLimit } = payload;
    const length = { 0: 0, 4: 4, 6: 16 }[senderFamily];
    const address = Buffer.from(octets.subarray(senderAt, senderAt + length)).toString('hex');
    return { address, senderFamily, hopLimit };
  }

  const senders: [name: string, linkType: number, frame: string, expected: object][] = [
    ['IPv4', 1, IP4 + ipv4(), { address: 'c0000201', senderFamily: 4, hopLimit: 255 }],
    [
      'IPv4 with options',
      101,
      ipv4({ options: '94040000' }),
      { address: 'c0000201', senderFamily: 4, hopLimit: 255 },
    ],
    ['IPv6', 1, IP6 + ipv6(), { address: `fe80${'00'.repeat(13)}01`, senderFamily: 6, hopLimit: 255 }],
    ['a tap without an IP header', 246, MESSAGE, { address: '', senderFamily: 0, hopLimit: 0 }],
  ];
  for (const [name, linkType, frame, expected] of senders) {
    it(`${name}: its address and how far it came`, () => {
      expect(senderOf(linkType, frame)).to.deep.equal(expected);
    });
  }
});
