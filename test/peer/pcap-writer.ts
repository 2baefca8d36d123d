/**
 * Capture files for tests: pcap in both byte orders and resolutions, and a minimal pcapng. Written from the formats' drafts
 * (draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng), with nothing shared with the readers under test.
 */
import { addressOctets } from './address.js';

export interface CapturedPacket {
  /** Milliseconds since the epoch; fractions are kept as far as the file's resolution allows. */
  readonly timeMs: number;
  /** A pfsync message; a whole packet when the envelope is `none`. */
  readonly bytes: Uint8Array;
}

export interface CaptureOptions {
  /** 246 and 18 are PFSYNC, 121 is FreeBSD's own number for it, 1 Ethernet, 101 raw IP. */
  readonly linkType: 1 | 18 | 101 | 121 | 246;
  readonly byteOrder?: 'little' | 'big';
  readonly resolution?: 'micro' | 'nano';
  /** The IP header in front of the message: by default `none` for the PFSYNC types, `ipv4` for Ethernet and raw IP. */
  readonly envelope?: 'none' | 'ipv4' | 'ipv6';
  /** Packets are cut to so many octets; 65535 by default. */
  readonly snaplen?: number;
}

/** A pcap file, version 2.4. */
export function writePcap(packets: readonly CapturedPacket[], options: CaptureOptions): Buffer {
  const { u16, u32 } = writers(options.byteOrder ?? 'little');
  const nano = options.resolution === 'nano';
  const snaplen = options.snaplen ?? 65535;
  const head = Buffer.alloc(24);
  u32(head, 0, nano ? 0xa1b23c4d : 0xa1b2c3d4);
  u16(head, 4, 2);
  u16(head, 6, 4);
  u32(head, 16, snaplen);
  u32(head, 20, options.linkType);
  const parts: Buffer[] = [head];
  for (const packet of packets) {
    const bytes = frame(packet.bytes, options);
    const kept = bytes.subarray(0, snaplen);
    const units = ticks(packet.timeMs, nano ? 1_000_000n : 1000n);
    const perSecond = nano ? 1_000_000_000n : 1_000_000n;
    const record = Buffer.alloc(16);
    u32(record, 0, Number(units / perSecond));
    u32(record, 4, Number(units % perSecond));
    u32(record, 8, kept.length);
    u32(record, 12, bytes.length);
    parts.push(record, kept);
  }
  return Buffer.concat(parts);
}

/** A pcapng file: one section, one interface (if_tsresol 6 or 9), an enhanced packet block for each packet. */
export function writePcapng(packets: readonly CapturedPacket[], options: CaptureOptions): Buffer {
  const { u16, u32 } = writers(options.byteOrder ?? 'little');
  const nano = options.resolution === 'nano';
  const snaplen = options.snaplen ?? 65535;
  const block = (type: number, body: Buffer): Buffer => {
    const total = 12 + Math.ceil(body.length / 4) * 4;
    const out = Buffer.alloc(total);
    u32(out, 0, type);
    u32(out, 4, total);
    body.copy(out, 8);
    u32(out, total - 4, total);
    return out;
  };
  const section = Buffer.alloc(16, 0xff);
  u32(section, 0, 0x1a2b3c4d);
  u16(section, 4, 1);
  u16(section, 6, 0);
  const description = Buffer.alloc(20);
  u16(description, 0, options.linkType);
  u32(description, 4, snaplen);
  u16(description, 8, 9);
  u16(description, 10, 1);
  description[12] = nano ? 9 : 6;
  const parts: Buffer[] = [block(0x0a0d0d0a, section), block(1, description)];
  for (const packet of packets) {
    const bytes = frame(packet.bytes, options);
    const kept = bytes.subarray(0, snaplen);
    const units = ticks(packet.timeMs, nano ? 1_000_000n : 1000n);
    const body = Buffer.alloc(20 + kept.length);
    u32(body, 4, Number(units >> 32n));
    u32(body, 8, Number(units & 0xffffffffn));
    u32(body, 12, kept.length);
    u32(body, 16, bytes.length);
    kept.copy(body, 20);
    parts.push(block(6, body));
  }
  return Buffer.concat(parts);
}

/** The packet as the link shows it. Ethernet frames are padded to 60 octets, as a card pads them. */
export function frame(message: Uint8Array, options: CaptureOptions): Buffer {
  const isPfsyncLink = options.linkType !== 1 && options.linkType !== 101;
  const envelope = options.envelope ?? (isPfsyncLink ? 'none' : 'ipv4');
  const packet =
    envelope === 'ipv4'
      ? ipv4Packet(message)
      : envelope === 'ipv6'
        ? ipv6Packet(message)
        : Buffer.from(message);
  if (options.linkType !== 1) return packet;
  const ipv6 = packet[0]! >> 4 === 6;
  const head = Buffer.from(ipv6 ? '3333000000f0020000000001' : '01005e0000f0020000000001', 'hex');
  const type = Buffer.from(ipv6 ? '86dd' : '0800', 'hex');
  const whole = Buffer.concat([head, type, packet]);
  return whole.length >= 60 ? whole : Buffer.concat([whole, Buffer.alloc(60 - whole.length)]);
}

/** IPv4 protocol 240, TTL 255, DF, TOS 0x10, to 224.0.0.240. */
export function ipv4Packet(message: Uint8Array): Buffer {
  const head = Buffer.alloc(20);
  head[0] = 0x45;
  head[1] = 0x10;
  head.writeUInt16BE(20 + message.length, 2);
  head.writeUInt16BE(0x4000, 6);
  head[8] = 255;
  head[9] = 240;
  addressOctets('192.0.2.1').copy(head, 12);
  addressOctets('224.0.0.240').copy(head, 16);
  let sum = 0;
  for (let at = 0; at < 20; at += 2) sum += head.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  head.writeUInt16BE(~sum & 0xffff, 10);
  return Buffer.concat([head, message]);
}

/** IPv6 next header 240, hop limit 255, to ff12::f0. */
export function ipv6Packet(message: Uint8Array): Buffer {
  const head = Buffer.alloc(40);
  head[0] = 0x60;
  head.writeUInt16BE(message.length, 4);
  head[6] = 240;
  head[7] = 255;
  addressOctets('fe80::1').copy(head, 8);
  addressOctets('ff12::f0').copy(head, 24);
  return Buffer.concat([head, message]);
}

function ticks(timeMs: number, perMs: bigint): bigint {
  const whole = Math.floor(timeMs);
  return BigInt(whole) * perMs + BigInt(Math.round((timeMs - whole) * Number(perMs)));
}

function writers(order: 'little' | 'big') {
  return order === 'big'
    ? {
        u16: (to: Buffer, at: number, value: number) => to.writeUInt16BE(value, at),
        u32: (to: Buffer, at: number, value: number) => to.writeUInt32BE(value, at),
      }
    : {
        u16: (to: Buffer, at: number, value: number) => to.writeUInt16LE(value, at),
        u32: (to: Buffer, at: number, value: number) => to.writeUInt32LE(value, at),
      };
}
