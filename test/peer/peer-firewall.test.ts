import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { type CaptureOptions, frame, writePcap, writePcapng } from './pcap-writer.js';
import {
  type Action,
  encodeAcknowledge,
  encodeBus,
  encodeClear,
  encodeCompressedDelete,
  encodeCompressedUpdate,
  encodeMessage,
  encodeState,
  encodeTdb,
  encodeUpdateRequest,
  SIZES,
  type SimEnd,
  type SimPeer,
  type SimState,
  type WireVersion,
} from './pfsync-writer.js';

const CAPTURES = new URL('../../../captures/', import.meta.url);

const VERSION_OF: Record<string, WireVersion> = {
  'v2-openbsd35-38': 'v2',
  v3: 'v3',
  'v4-openbsd44': 'v4',
  'v5-openbsd46': 'v5-openbsd',
  'v5-freebsd-1301': 'v5-1301',
  'v5-freebsd-1400': 'v5-1400',
  'v5-freebsd-1500': 'v5-1500',
  'v6-openbsd47-49': 'v6-openbsd47',
  'v6-openbsd': 'v6',
};

const ACTION_OF: Record<string, Action> = {
  CLR: 'clear',
  INS: 'insert',
  INS_ACK: 'acknowledge',
  UPD: 'update',
  UPD_C: 'compressedUpdate',
  UPD_REQ: 'updateRequest',
  DEL: 'delete',
  DEL_C: 'compressedDelete',
  BUS: 'bus',
  TDB: 'tdb',
};

interface JsonEnd {
  ip: string;
  port: number;
}
interface JsonRecord {
  id: string;
  creatorid: string;
  ifname: string;
  direction: 'in' | 'out';
  af: 4 | 6;
  afAfter: 4 | 6;
  proto: number;
  protoAfter: number;
  srcBefore: JsonEnd;
  dstBefore: JsonEnd;
  srcAfter: JsonEnd;
  dstAfter: JsonEnd;
  packets: [string, string];
  bytes: [string, string];
  creation: number;
  expire: number;
  timeout: number;
  rule: number;
  anchor: number;
  natRule: number;
  log: number;
  rtAddr?: string;
  tag?: string;
  srcState: number;
  dstState: number;
  srcSeqlo: number;
  endtime: number;
  status: 'start' | 'end';
  spi: string;
  dst: string;
  rpl: number;
  curBytes: string;
  sproto: number;
}
interface JsonPacket {
  time: string;
  caplen: number;
  pfsyncLen: number;
  fault?: string;
  regions: { kind: string; action: number; count: number; records: JsonRecord[] }[];
}
interface JsonCapture {
  file: string;
  format: string;
  linktype: CaptureOptions['linkType'];
  nanosecond: boolean;
  bigEndianFile: boolean;
  packets: JsonPacket[];
}

const end = (from: JsonEnd): SimEnd => ({ address: from.ip, port: from.port });

function simState(from: JsonRecord): SimState {
  return {
    id: BigInt(`0x${from.id}`),
    creatorId: Number.parseInt(from.creatorid, 16),
    ifname: from.ifname,
    direction: from.direction,
    af: from.af,
    afAfter: from.afAfter,
    proto: from.proto,
    protoAfter: from.protoAfter,
    originalSource: end(from.srcBefore),
    originalDestination: end(from.dstBefore),
    translatedSource: end(from.srcAfter),
    translatedDestination: end(from.dstAfter),
    packets: [BigInt(from.packets[0]), BigInt(from.packets[1])],
    bytes: [BigInt(from.bytes[0]), BigInt(from.bytes[1])],
    creation: from.creation,
    expire: from.expire,
    timeout: from.timeout,
    rule: from.rule,
    anchor: from.anchor,
    natRule: from.natRule,
    log: from.log,
    ...(from.tag ? { tag: from.tag } : {}),
    ...(from.rtAddr ? { rtAddress: from.rtAddr } : {}),
    peers: simPeers(from, from.proto, from.srcSeqlo),
  };
}

/** The descriptions leave out what the captures give every TCP state: the other three sequence numbers. */
function simPeers(from: JsonRecord, proto: number, seqlo: number): [SimPeer, SimPeer] {
  if (proto !== 6)
    return [
      { seqlo: 0, state: from.srcState },
      { seqlo: 0, state: from.dstState },
    ];
  return [
    { seqlo, seqhi: 0x22222222, state: from.srcState },
    { seqlo: 0x33333333, seqhi: 0x44444444, state: from.dstState },
  ];
}

function encode(version: WireVersion, kind: string, from: JsonRecord): Buffer {
  const key = { id: BigInt(`0x${from.id ?? '0'}`), creatorId: Number.parseInt(from.creatorid, 16) };
  switch (kind) {
    case 'INS':
    case 'UPD':
    case 'DEL':
      return encodeState(version, simState(from));
    case 'UPD_C': {
      // All are TCP, and described by key, timeout and peer states; the initiator's number follows from the id.
      const seqlo = Math.imul(0x11111111, Number(key.id & 0xffn)) >>> 0;
      const peers = simPeers(from, 6, seqlo);
      return encodeCompressedUpdate(version, { ...BLANK, ...key, timeout: from.timeout, peers });
    }
    case 'DEL_C':
      return encodeCompressedDelete(version, key);
    case 'UPD_REQ':
      return encodeUpdateRequest(version, key);
    case 'INS_ACK':
      return encodeAcknowledge(key);
    case 'CLR':
      return encodeClear(version, { creatorId: key.creatorId, ifname: from.ifname });
    case 'BUS':
      return encodeBus(version, { ...from, creatorId: key.creatorId });
    case 'TDB':
      return encodeTdb(version, {
        spi: Number.parseInt(from.spi, 16),
        destination: from.dst,
        rpl: from.rpl,
        bytes: BigInt(from.curBytes),
        protocol: from.sproto,
      });
  }
  throw new Error(`no such record: ${kind}`);
}

const NOWHERE = { address: '0.0.0.0', port: 0 };
const BLANK: SimState = {
  id: 0n,
  creatorId: 0,
  ifname: '',
  direction: 'in',
  af: 4,
  afAfter: 4,
  proto: 0,
  protoAfter: 0,
  originalSource: NOWHERE,
  originalDestination: NOWHERE,
  translatedSource: NOWHERE,
  translatedDestination: NOWHERE,
  packets: [0n, 0n],
  bytes: [0n, 0n],
  creation: 0,
  expire: 0,
  timeout: 0,
  rule: -1,
  peers: [
    { seqlo: 0, state: 0 },
    { seqlo: 0, state: 0 },
  ],
};

/** Octet ranges of a record, from and to, that neither a capture's description nor a SimState has. */
function undescribed(version: WireVersion, kind: string): readonly (readonly [number, number])[] {
  const peer = (at: number) =>
    [
      [at, at + 8],
      [at + 16, at + 24],
      [at + 25, at + 32],
    ] as const;
  if (kind === 'UPD_C') return [...peer(8), ...peer(40)];
  if (kind !== 'INS' && kind !== 'UPD' && kind !== 'DEL') return [];
  if (version === 'v6' || version === 'v6-openbsd47')
    return [...peer(104), ...peer(136), [254, 255], [262, 264]];
  return [...peer(96), ...peer(128), ...(UNDESCRIBED_TAIL[version] ?? [])];
}

const UNDESCRIBED_TAIL: Partial<Record<WireVersion, readonly (readonly [number, number])[]>> = {
  // Queues to routing interface; then those, original interface, route family and the octets after the direction.
  'v5-1400': [
    [235, 237],
    [242, 277],
  ],
  'v5-1500': [
    [296, 344],
    [346, 347],
    [352, 360],
  ],
};

/** The messages of a capture, as they stand at the ends of its packets. */
function messages(capture: JsonCapture): Buffer[] {
  const file = readFileSync(new URL(capture.file, CAPTURES));
  const u32 = (at: number) => (capture.bigEndianFile ? file.readUInt32BE(at) : file.readUInt32LE(at));
  const found: Buffer[] = [];
  const take = (at: number, packet: JsonPacket) =>
    found.push(file.subarray(at + packet.caplen - packet.pfsyncLen, at + packet.caplen));
  if (capture.file.endsWith('.pcap')) {
    let at = 24;
    for (const packet of capture.packets) {
      expect(u32(at + 8)).to.equal(packet.caplen);
      take(at + 16, packet);
      at += 16 + packet.caplen;
    }
    return found;
  }
  for (let at = 0; at < file.length; at += u32(at + 4)) {
    if (u32(at) === 6) take(at + 28, capture.packets[found.length]!);
  }
  return found;
}

describe('the pfsync writer of the tests', () => {
  const names = readdirSync(CAPTURES).filter((name) => name.endsWith('.json') && !name.includes('_bad'));
  for (const name of names) {
    it(`writes what stands in ${name.replace('.json', '')}`, () => {
      const capture = JSON.parse(readFileSync(new URL(name, CAPTURES), 'utf8')) as JsonCapture;
      const version = VERSION_OF[capture.format]!;
      const found = messages(capture);
      capture.packets.forEach((packet, n) => {
        const regions = packet.regions.map((region) => ({
          action: ACTION_OF[region.kind]!,
          records: region.records.map((record) => encode(version, region.kind, record)),
        }));
        const written = encodeMessage(version, regions);
        const actual = Buffer.from(found[n]!);
        if (SIZES[version].header === 20) actual.fill(0, 4, 20);
        let at = SIZES[version].header;
        for (const region of packet.regions) {
          if (SIZES[version].version >= 5) at += 4;
          for (const record of region.records) {
            const length = encode(version, region.kind, record).length;
            for (const [from, to] of undescribed(version, region.kind)) actual.fill(0, at + from, at + to);
            for (const [from, to] of undescribed(version, region.kind)) written.fill(0, at + from, at + to);
            at += length;
          }
        }
        expect(written.toString('hex'), `packet ${n}`).to.equal(actual.toString('hex'));
      });
    });
  }
});

describe('the capture writer of the tests', () => {
  const read = (name: string) =>
    JSON.parse(readFileSync(new URL(`${name}.json`, CAPTURES), 'utf8')) as JsonCapture;

  for (const name of ['v2_dlt246', 'v3_dlt18_be', 'v4_dlt18', 'v5_freebsd_dlt121', 'v6_openbsd_dlt246']) {
    it(`writes ${name}.pcap octet for octet`, () => {
      const capture = read(name);
      const found = messages(capture);
      const packets = capture.packets.map(({ time }, n) => ({
        timeMs: Number(time) * 1000,
        bytes: found[n]!,
      }));
      const options = {
        linkType: capture.linktype,
        byteOrder: capture.bigEndianFile ? 'big' : 'little',
        // The captures say 65535 as well.
        snaplen: 65535,
      } as const;
      expect(writePcap(packets, options).equals(readFileSync(new URL(capture.file, CAPTURES)))).to.equal(
        true,
      );
    });
  }

  it('says nanoseconds by the magic number and cuts packets at the snaplen', () => {
    const packets = [{ timeMs: 1_700_000_000_123.5, bytes: Buffer.alloc(50, 7) }];
    const file = writePcap(packets, { linkType: 246, byteOrder: 'big', resolution: 'nano', snaplen: 20 });
    expect(file.subarray(0, 4).toString('hex')).to.equal('a1b23c4d');
    expect([24, 28, 32, 36].map((at) => file.readUInt32BE(at))).to.deep.equal([
      1_700_000_000, 123_500_000, 20, 50,
    ]);
    expect(file.length).to.equal(24 + 16 + 20);
  });

  it('puts a message in IPv4 on Ethernet, padded to 60 octets, with its true length and a good checksum', () => {
    const bytes = frame(Buffer.alloc(16, 1), { linkType: 1 });
    expect(bytes.length).to.equal(60);
    expect(bytes.subarray(0, 6).toString('hex')).to.equal('01005e0000f0');
    expect(bytes.readUInt16BE(12)).to.equal(0x0800);
    expect(bytes.readUInt16BE(14 + 2)).to.equal(36);
    expect([bytes[14 + 8], bytes[14 + 9]]).to.deep.equal([255, 240]);
    let sum = 0;
    for (let at = 14; at < 34; at += 2) sum += bytes.readUInt16BE(at);
    expect((sum & 0xffff) + (sum >>> 16)).to.equal(0xffff);
    expect(bytes.subarray(34).toString('hex')).to.equal('01'.repeat(16) + '00'.repeat(10));
  });

  it('puts a message in IPv6, and in raw IP without a link header', () => {
    const bytes = frame(Buffer.alloc(100, 1), { linkType: 1, envelope: 'ipv6' });
    expect(bytes.subarray(0, 6).toString('hex')).to.equal('3333000000f0');
    expect(bytes.readUInt16BE(12)).to.equal(0x86dd);
    expect(bytes.readUInt16BE(14 + 4)).to.equal(100);
    expect([bytes[14 + 6], bytes[14 + 7]]).to.deep.equal([240, 255]);
    expect(bytes.subarray(38, 54).toString('hex')).to.equal('ff1200000000000000000000000000f0');
    expect(frame(Buffer.alloc(100, 1), { linkType: 101 }).subarray(0, 4).toString('hex')).to.equal(
      '45100078',
    );
  });

  for (const byteOrder of ['little', 'big'] as const) {
    it(`writes pcapng blocks that close with their own length, ${byteOrder} endian`, () => {
      const packets = [5, 8].map((length, n) => ({
        timeMs: 1_700_000_000_000 + n,
        bytes: Buffer.alloc(length, 9),
      }));
      const file = writePcapng(packets, { linkType: 18, byteOrder, resolution: 'nano' });
      const u32 = (at: number) => (byteOrder === 'big' ? file.readUInt32BE(at) : file.readUInt32LE(at));
      const types: number[] = [];
      const times: bigint[] = [];
      for (let at = 0; at < file.length; at += u32(at + 4)) {
        types.push(u32(at));
        expect(u32(at + 4) % 4).to.equal(0);
        expect(u32(at + u32(at + 4) - 4)).to.equal(u32(at + 4));
        if (u32(at) === 6) times.push((BigInt(u32(at + 12)) << 32n) | BigInt(u32(at + 16)));
      }
      expect(types).to.deep.equal([0x0a0d0d0a, 1, 6, 6]);
      expect(times).to.deep.equal([1_700_000_000_000_000_000n, 1_700_000_000_001_000_000n]);
    });
  }
});
