/**
 * Reads the packets of whole capture files into memory, for tests of what comes behind the reader of captures: pcap in both
 * byte orders and resolutions, and of pcapng the enhanced packets of one interface. Shares nothing with the reader under test.
 */
import { readFileSync } from 'node:fs';
import { Packet } from '../../protocol/capture/packet.js';

export interface FilePacket {
  readonly timeMs: number;
  readonly linkType: number;
  readonly bytes: Buffer;
  /** Octets that it had on the wire. */
  readonly length: number;
}

const PCAPNG = 0x0a0d0d0a;
const SECTION = 0x1a2b3c4d;

export function readFilePackets(path: string): FilePacket[] {
  const file = readFileSync(path);
  return file.readUInt32BE(0) === PCAPNG ? readPcapng(file) : readPcap(file);
}

/** The same as the reader of captures hands them on. */
export function capturedPackets(path: string): Packet[] {
  return readFilePackets(path).map(toPacket);
}

/** `n` counts from 0. */
export function toPacket({ timeMs, linkType, bytes, length }: FilePacket, n: number): Packet {
  const packet = new Packet();
  const copy = Uint8Array.from(bytes);
  packet.view = new DataView(copy.buffer);
  packet.end = copy.length;
  packet.wireEnd = Math.max(length, copy.length);
  packet.linkType = linkType;
  packet.clock[0] = Math.floor(timeMs / 1000);
  packet.clock[1] = timeMs - 1000 * packet.clock[0];
  packet.number = n + 1;
  return packet;
}

function readPcap(file: Buffer): FilePacket[] {
  const magic = file.readUInt32BE(0);
  const isBig = magic === 0xa1b2c3d4 || magic === 0xa1b23c4d;
  const word = (at: number) => (isBig ? file.readUInt32BE(at) : file.readUInt32LE(at));
  const perMs = (word(0) & 0xffff) === 0x3c4d ? 1_000_000 : 1000;
  const packets: FilePacket[] = [];
  for (let at = 24; at < file.length; at += 16 + word(at + 8)) {
    packets.push({
      timeMs: word(at) * 1000 + Math.floor(word(at + 4) / perMs),
      linkType: word(20),
      bytes: file.subarray(at + 16, at + 16 + word(at + 8)),
      length: word(at + 12),
    });
  }
  return packets;
}

function readPcapng(file: Buffer): FilePacket[] {
  const isBig = file.readUInt32BE(8) === SECTION;
  const word = (at: number) => (isBig ? file.readUInt32BE(at) : file.readUInt32LE(at));
  const half = (at: number) => (isBig ? file.readUInt16BE(at) : file.readUInt16LE(at));
  const packets: FilePacket[] = [];
  let linkType = 0;
  let perMs = 1000n;
  for (let at = 0; at < file.length; at += word(at + 4)) {
    if (word(at) === 1) {
      linkType = half(at + 8);
      for (let option = at + 16; half(option) !== 0 && option < at + word(at + 4) - 4; ) {
        if (half(option) === 9) perMs = 10n ** BigInt(file[option + 4]! - 3);
        option += 4 + 4 * Math.ceil(half(option + 2) / 4);
      }
    } else if (word(at) === 6) {
      const ticks = (BigInt(word(at + 12)) << 32n) | BigInt(word(at + 16));
      const bytes = file.subarray(at + 28, at + 28 + word(at + 20));
      packets.push({ timeMs: Number(ticks / perMs), linkType, bytes, length: word(at + 24) });
    }
  }
  return packets;
}
