import { expect } from 'chai';
import fc from 'fast-check';
import { type StateCounters, StateListParser } from '../../src/source/pfctl-text.js';
import { hex } from './printed.js';

/** A state as tests compare it: exact digits, ids as pfctl prints them. */
interface Told {
  readonly id: string;
  readonly creator: string;
  readonly age: number;
  readonly expire: number;
  readonly packets: readonly [string, string];
  readonly octets: readonly [string, string];
}

function decimal(words: Uint32Array, index: number): string {
  return ((BigInt(words[index]) << 32n) | BigInt(words[index + 1])).toString();
}

function told({ idHigh, idLow, creatorId, age, expire, packets, octets }: StateCounters): Told {
  return {
    id: hex(idHigh) + hex(idLow),
    creator: hex(creatorId),
    age,
    expire,
    packets: [decimal(packets, 0), decimal(packets, 2)],
    octets: [decimal(octets, 0), decimal(octets, 2)],
  };
}

function parse(...chunks: (string | Uint8Array)[]): { list: Told[]; states: number; unparsed: number } {
  const list: Told[] = [];
  const parser = new StateListParser((counters) => list.push(told(counters)));
  for (const chunk of chunks) parser.feed(chunk);
  return { list, ...parser.end() };
}

const OPENBSD_TCP: Told = {
  id: '5f00000000000101',
  creator: 'a1b2c3d4',
  age: 62,
  expire: 86398,
  packets: ['12', '10'],
  octets: ['1423', '9120'],
};

const OPENBSD = `all tcp 192.0.2.1:49152 -> 198.51.100.7:443       ESTABLISHED:ESTABLISHED
   [2318745611 + 65535] wscale 6  [877129001 + 131072](+12) wscale 7
   age 00:01:02, expires in 23:59:58, 12:10 pkts, 1423:9120 bytes, rule 7
   id: 5f00000000000101 creatorid: a1b2c3d4
all udp 203.0.113.9:61001 (10.0.0.5:5353) -> 198.51.100.53:53       MULTIPLE:SINGLE
   age 123:59:59, expires in 00:00:30, 18446744073709551615:4294967296 pkts, 9007199254740993:4294967295 bytes, anchor 3, rule 12, sloppy, pflow, source-track, sticky-address
   id: 5f00000000000102 creatorid: 00000001
all ipv6-icmp 2001:db8::1[8] <- 2001:db8:0:1::2[128]       0:0
   age 00:00:00, expires in 00:00:10, 1:0 pkts, 64:0 bytes
   id: ffffffffffffffff creatorid: ffffffff
all tcp (1) 192.0.2.80:80 ((2) 203.0.113.80:8080) <- (2) 198.51.100.3:1025       PROXY:DST
   [0 + 0]  [0 + 0]
   age 00:00:07, expires in 00:01:53, 0:0 pkts, 0:0 bytes, rule 2
   id: 0000000000000001 creatorid: 80000000
`;

const SAMPLES: readonly { name: string; text: string; list: readonly Told[] }[] = [
  {
    name: 'OpenBSD: TCP, NAT, IPv6, ICMP, routing domains, hours over 100, 64-bit counters',
    text: OPENBSD,
    list: [
      OPENBSD_TCP,
      {
        id: '5f00000000000102',
        creator: '00000001',
        age: 123 * 3600 + 59 * 60 + 59,
        expire: 30,
        packets: ['18446744073709551615', '4294967296'],
        octets: ['9007199254740993', '4294967295'],
      },
      {
        id: 'ffffffffffffffff',
        creator: 'ffffffff',
        age: 0,
        expire: 10,
        packets: ['1', '0'],
        octets: ['64', '0'],
      },
      {
        id: '0000000000000001',
        creator: '80000000',
        age: 7,
        expire: 113,
        packets: ['0', '0'],
        octets: ['0', '0'],
      },
    ],
  },
  {
    name: 'OpenBSD 3.5 to 4.3: no interface, three hosts in a row',
    text: `self tcp 10.0.0.5:49152 -> 203.0.113.9:61001 -> 198.51.100.7:22       TIME_WAIT:TIME_WAIT
   [1 + 2]  [3 + 4]
   age 00:10:00, expires in 00:01:00, 5:6 pkts, 700:800 bytes, rule 1
   id: 43f1b6a200000007 creatorid: 0badcafe
`,
    list: [
      {
        id: '43f1b6a200000007',
        creator: '0badcafe',
        age: 600,
        expire: 60,
        packets: ['5', '6'],
        octets: ['700', '800'],
      },
    ],
  },
  {
    name: 'FreeBSD 13 and later: more words, a gateway, the interface of origin',
    text: `all tcp 192.0.2.100:22 <- 192.0.2.1:49460       ESTABLISHED:ESTABLISHED
   [1096929984 + 1878983168] wscale 7  [1640271468 + 256] wscale 6
   age 01:32:36, expires in 24:00:00, 755:820 pkts, 52857:205889 bytes, rule 113, source-track
   id: 6694fa6200000003 creatorid: a2e0f312 gateway: 0.0.0.0
   origif: le0
em0 sctp 192.0.2.100:9 -> 198.51.100.1:9       ESTABLISHED:COOKIE_WAIT
   age 00:00:01, expires in 00:00:59, 1:2 pkts, 3:4 bytes, anchor 1, rule 5, rlabel 77, allow-opts, sloppy, no-sync, set-tos 0x10, set-prio (0x01 0x02), dummynet pipe (1 2), source-track global, log (all), min-ttl 3, max-mss 1400
   id: 0100000000000001 creatorid: 12345678 route-to: 192.0.2.254@em1 rtable: 2
`,
    list: [
      {
        id: '6694fa6200000003',
        creator: 'a2e0f312',
        age: 5556,
        expire: 86400,
        packets: ['755', '820'],
        octets: ['52857', '205889'],
      },
      {
        id: '0100000000000001',
        creator: '12345678',
        age: 1,
        expire: 59,
        packets: ['1', '2'],
        octets: ['3', '4'],
      },
    ],
  },
  {
    name: 'pfSense: gateway behind three blanks',
    text: `igb1 udp 198.51.100.53:53 <- 10.0.0.7:5353       NO_TRAFFIC:SINGLE
   age 00:00:09, expires in 00:00:21, 1:1 pkts, 60:90 bytes, rule 70
   id: 000000006122c3d4 creatorid: 5e6f7081   gateway: 192.0.2.254
`,
    list: [
      {
        id: '000000006122c3d4',
        creator: '5e6f7081',
        age: 9,
        expire: 21,
        packets: ['1', '1'],
        octets: ['60', '90'],
      },
    ],
  },
  {
    name: 'macOS: tag, flowhash and (no-sync)',
    text: `ALL udp 10.0.0.2:5353 -> 203.0.113.2:55000 -> 198.51.100.53:53       SINGLE:MULTIPLE
   age 1000:00:05, expires in 00:00:09, 3:2 pkts, 210:480 bytes, anchor 2, rule 0, tag 9, flowhash 0x8a1b2c3d
   id: 61c0a80100000042 creatorid: 0000002a (no-sync)
`,
    list: [
      {
        id: '61c0a80100000042',
        creator: '0000002a',
        age: 3_600_005,
        expire: 9,
        packets: ['3', '2'],
        octets: ['210', '480'],
      },
    ],
  },
  {
    name: 'clauses that no release prints yet',
    text: `all tcp 192.0.2.1:1 -> 192.0.2.2:2       0:0
   age 00:00:05 (idle 3), created 1:2, expires in 00:00:09, 8:9 drops, 3:2 pkts since, 7:7 frags, 210:480 bytes (wire), rule 0
   id: 0000000000000005 creatorid: 00000006\tand more
`,
    list: [
      {
        id: '0000000000000005',
        creator: '00000006',
        age: 5,
        expire: 9,
        packets: ['3', '2'],
        octets: ['210', '480'],
      },
    ],
  },
];

const HEAD = 'all tcp 192.0.2.1:1 -> 192.0.2.2:2       0:0\n';
const AGE = '   age 00:00:05, expires in 00:00:09, 3:2 pkts, 210:480 bytes, rule 0\n';
const ID = '   id: 0000000000000005 creatorid: 00000006\n';
const BLOCK = HEAD + AGE + ID;

describe('StateListParser', () => {
  for (const { name, text, list } of SAMPLES) {
    it(`reads ${name}`, () => {
      expect(parse(text)).to.deep.equal({ list, states: list.length, unparsed: 0 });
    });
  }

  it('reads lines that end in CR LF', () => {
    for (const { text, list } of SAMPLES) {
      expect(parse(text.replaceAll('\n', '\r\n'))).to.deep.equal({ list, states: list.length, unparsed: 0 });
    }
  });

  it('reads the same wherever the text is cut', () => {
    for (const { text } of SAMPLES) {
      const whole = parse(text);
      const bytes = Buffer.from(text);
      for (let at = 0; at <= bytes.length; at++) {
        expect(parse(bytes.subarray(0, at), bytes.subarray(at))).to.deep.equal(whole);
      }
      expect(parse(...Array.from(bytes, (octet) => Uint8Array.of(octet)))).to.deep.equal(whole);
    }
  });

  it('reads a last line without its end when it is whole', () => {
    expect(parse(BLOCK.trimEnd())).to.include({ states: 1, unparsed: 0 });
    expect(parse(BLOCK.slice(0, -2))).to.include({ states: 0, unparsed: 1 });
  });

  it('counts from nothing after the end', () => {
    const parser = new StateListParser(() => {});
    parser.feed(BLOCK + HEAD + AGE);
    expect(parser.end()).to.deep.equal({ states: 1, unparsed: 1 });
    parser.feed(ID);
    expect(parser.end()).to.deep.equal({ states: 0, unparsed: 1 });
    expect(parser.end()).to.deep.equal({ states: 0, unparsed: 0 });
  });

  const cases: readonly { name: string; text: string; states: number; unparsed: number }[] = [
    { name: 'nothing', text: '', states: 0, unparsed: 0 },
    { name: 'blank lines', text: '\n\r\n  \t\n', states: 0, unparsed: 0 },
    {
      name: 'messages between blocks',
      text: `No ALTQ\n${BLOCK}\npfctl: x\n${BLOCK}`,
      states: 2,
      unparsed: 2,
    },
    {
      name: 'a message within a block',
      text: `${HEAD}warning: x\n${AGE}ssh: y\n${ID}`,
      states: 1,
      unparsed: 2,
    },
    { name: 'a list cut down to two lines', text: (AGE + ID).repeat(3), states: 3, unparsed: 0 },
    { name: 'the list of -v, without ids', text: (HEAD + AGE).repeat(3), states: 0, unparsed: 3 },
    { name: 'the list of no -v', text: HEAD.repeat(3), states: 0, unparsed: 3 },
    { name: 'a block without counters', text: HEAD + ID + BLOCK, states: 1, unparsed: 1 },
    { name: 'a block without id', text: HEAD + AGE + BLOCK, states: 1, unparsed: 1 },
    { name: 'counters without id, cut down', text: AGE + AGE + ID, states: 1, unparsed: 1 },
    { name: 'ids without counters', text: ID + ID + BLOCK, states: 1, unparsed: 2 },
    { name: 'a second id', text: BLOCK + ID, states: 1, unparsed: 1 },
    { name: 'a line too long', text: `${'x'.repeat(5000)}\n${BLOCK}`, states: 1, unparsed: 1 },
    {
      name: 'a line too long within a block, which may hide the next one',
      text: `${HEAD}${AGE}   ${'x'.repeat(5000)}\n${ID}${BLOCK}`,
      states: 1,
      unparsed: 2,
    },
    { name: 'the longest line', text: `${HEAD}${AGE}   ${'x'.repeat(4093)}\n${ID}`, states: 1, unparsed: 0 },
    { name: 'a line that never ends', text: 'x'.repeat(1 << 20), states: 0, unparsed: 1 },
  ];
  for (const { name, text, states, unparsed } of cases) {
    it(`counts ${name}: ${states} states, ${unparsed} unparsed`, () => {
      expect(parse(text)).to.include({ states, unparsed });
      expect(parse(...(text.match(/[\s\S]{1,1000}/g) ?? []))).to.include({ states, unparsed });
    });
  }

  const refused: readonly (readonly [string, string])[] = [
    ['00:00:05', '00:00'],
    ['00:00:05', 'old'],
    ['3:2 pkts', '3 pkts'],
    ['3:2 pkts', '3: pkts'],
    ['3:2 pkts', '-3:2 pkts'],
    ['3:2 pkts', '0x3:2 pkts'],
    ['3:2 pkts', '3.5:2 pkts'],
    ['3:2 pkts', '18446744073709551616:2 pkts'],
    ['210:480 bytes', '210:99999999999999999999 bytes'],
    ['210:480 bytes', '210:480'],
    [', 210:480 bytes', ''],
    ['0000000000000005', '000000000000005'],
    ['0000000000000005', '00000000000000005'],
    ['0000000000000005', '000000000000000g'],
    ['creatorid: 00000006', 'creatorid: 0000006'],
    ['creatorid: 00000006', 'creatorid: 000000067'],
    ['creatorid: 00000006', 'creator: 00000006'],
    [' creatorid: 00000006', ''],
  ];
  for (const [whole, damaged] of refused) {
    it(`takes no counters from a block with '${damaged}' for '${whole}'`, () => {
      const text = BLOCK.replace(whole, damaged);
      expect(text).not.to.equal(BLOCK);
      expect(parse(text + BLOCK)).to.include({ states: 1, unparsed: 1 });
    });
  }

  const expirations: readonly (readonly [clause: string, expire: number])[] = [
    ['expires in 00:00:09', 9],
    ['expires in 00:00:00', 0],
    ['expires in 27:46:40', 100_000],
    ['expires in 9999999:00:00', 2 ** 32 - 1],
    ['expires in 00:00', -1],
    ['expires in -00:00:09', -1],
    ['expires soon', -1],
    ['idle 00:00:09', -1],
    ['expires in 00:00:07, expires in 00:00:09', 7],
    ['idle 3, expires in 00:00:07', 7],
  ];
  for (const [clause, expire] of expirations) {
    it(`takes '${clause}' for ${expire} seconds, wherever it stands`, () => {
      const line = AGE.replace('expires in 00:00:09', clause);
      const last = AGE.replace('expires in 00:00:09, ', '').replace('rule 0', clause);
      for (const text of [line, last]) {
        const [state] = parse(HEAD + text + ID).list;
        expect(state).to.include({ age: 5, expire });
        expect(state!.octets).to.deep.equal(['210', '480']);
      }
    });
  }

  it('does not take the expiration of the block before', () => {
    const without = AGE.replace('expires in 00:00:09, ', '');
    const { list } = parse(BLOCK + HEAD + without + ID + BLOCK);
    expect(list.map(({ expire }) => expire)).to.deep.equal([9, -1, 9]);
  });

  it('keeps every number to 2^64 - 1 exactly', () => {
    const counter = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    fc.assert(
      fc.property(counter, counter, counter, counter, (p0, p1, b0, b1) => {
        const text = BLOCK.replace('3:2 pkts', `${p0}:${p1} pkts`).replace('210:480', `${b0}:00${b1}`);
        const [state] = parse(text).list;
        expect(state.packets).to.deep.equal([`${p0}`, `${p1}`]);
        expect(state.octets).to.deep.equal([`${b0}`, `${b1}`]);
      }),
    );
  });

  it('survives any text, cut anywhere, and reads the block that follows', () => {
    const noise = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.uint8Array(),
      fc
        .array(
          fc.constantFrom(
            ...BLOCK.split(/(?<=[ \n:,])/),
            '\n',
            '\r',
            '\t',
            ' ',
            '9'.repeat(30),
            'x'.repeat(4096),
          ),
          { maxLength: 60 },
        )
        .map((words) => words.join('')),
    );
    fc.assert(
      fc.property(fc.array(noise, { maxLength: 20 }), (chunks) => {
        const { list, states } = parse(...chunks, `\n${BLOCK}`);
        expect(states).to.equal(list.length);
        expect(list.at(-1)).to.include({ id: '0000000000000005', creator: '00000006', age: 5 });
      }),
    );
  });
});
