/** Captures written octet by octet, and readers' packets as plain values. Shares no table with the program. */
import { type CaptureReader, CaptureWindow, Packet } from '../../protocol/capture/packet.js';

export interface SeenPacket {
  number: number;
  time: number;
  linkType: number;
  wireLength: number;
  octets: string;
}

export function hex(octets: Uint8Array): string {
  return Buffer.from(octets).toString('hex');
}

export function seen(packet: Packet): SeenPacket {
  const { view, start, end, wireEnd, number, clock, linkType } = packet;
  const octets = hex(new Uint8Array(view.buffer, view.byteOffset + start, end - start));
  return { number, time: timeOf(clock), linkType, wireLength: wireEnd - start, octets };
}

/** Milliseconds since the epoch. */
export function timeOf(clock: Float64Array): number {
  return 1000 * clock[0]! + clock[1]!;
}

/** All packets of a whole capture; `from` is where its records begin. */
export function readAll(reader: CaptureReader, capture: Uint8Array, from = 0): SeenPacket[] {
  const window = windowOn(capture, from);
  const packet = new Packet();
  const packets: SeenPacket[] = [];
  while (reader.next(window, packet)) packets.push(seen(packet));
  return packets;
}

/** A window of exactly the capture's length: a read beyond it throws. */
export function windowOn(capture: Uint8Array, from = 0): CaptureWindow {
  const window = new CaptureWindow(capture.length);
  window.octets.set(capture);
  window.at = from;
  window.end = capture.length;
  return window;
}

export class Writer {
  readonly #littleEndian: boolean;
  readonly #octets: number[] = [];

  constructor(littleEndian: boolean) {
    this.#littleEndian = littleEndian;
  }

  uint16(...values: number[]): this {
    for (const value of values) this.#number(BigInt(value), 2);
    return this;
  }

  uint32(...values: number[]): this {
    for (const value of values) this.#number(BigInt(value), 4);
    return this;
  }

  uint64(value: bigint): this {
    return this.#number(BigInt.asUintN(64, value), 8);
  }

  raw(octets: Iterable<number>): this {
    for (const octet of octets) this.#octets.push(octet);
    return this;
  }

  pad(): this {
    while (this.#octets.length % 4 !== 0) this.#octets.push(0);
    return this;
  }

  get bytes(): Uint8Array {
    return Uint8Array.from(this.#octets);
  }

  #number(value: bigint, size: number): this {
    const octets = [];
    for (let shift = 0n; shift < 8n * BigInt(size); shift += 8n)
      octets.push(Number((value >> shift) & 0xffn));
    return this.raw(this.#littleEndian ? octets : octets.reverse());
  }
}

export interface PcapOptions {
  littleEndian?: boolean;
  magic?: number;
  linkType?: number;
  snaplen?: number;
}

export function pcapFileHeader(options: PcapOptions = {}): Uint8Array {
  const { littleEndian = true, magic = 0xa1b2c3d4, linkType = 246, snaplen = 65535 } = options;
  return new Writer(littleEndian).uint32(magic).uint16(2, 4).uint32(0, 0, snaplen, linkType).bytes;
}

export interface PcapRecord {
  seconds?: number;
  fraction?: number;
  octets: Iterable<number>;
  length?: number;
  captured?: number;
}

export function pcapRecord(record: PcapRecord, littleEndian = true, modified = false): Uint8Array {
  const { seconds = 1, fraction = 0 } = record;
  const octets = [...record.octets];
  const { captured = octets.length, length = octets.length } = record;
  const writer = new Writer(littleEndian).uint32(seconds, fraction, captured, length);
  return (modified ? writer.uint32(7).uint16(0x800).raw([4, 0]) : writer).raw(octets).bytes;
}

/** A pcap file of packets of one octet each: 1, 2, 3 ... */
export function smallPcap(packets: number): Uint8Array {
  const records = Array.from({ length: packets }, (_, index) => pcapRecord({ octets: [index + 1] }));
  return Buffer.concat([pcapFileHeader(), ...records]);
}

export function block(type: number, body: Uint8Array, littleEndian = true): Uint8Array {
  const length = 12 + body.length;
  return new Writer(littleEndian).uint32(type, length).raw(body).uint32(length).bytes;
}

export function sectionHeader(littleEndian = true): Uint8Array {
  const body = new Writer(littleEndian).uint32(0x1a2b3c4d).uint16(1, 0).uint64(-1n).bytes;
  return block(0x0a0d0d0a, body, littleEndian);
}

export interface InterfaceOptions {
  linkType?: number;
  snaplen?: number;
  resolution?: number;
  offset?: bigint;
}

export function interfaceBlock(options: InterfaceOptions = {}, littleEndian = true): Uint8Array {
  const { linkType = 246, snaplen = 0, resolution, offset } = options;
  const writer = new Writer(littleEndian).uint16(linkType, 0).uint32(snaplen);
  // if_name first, so that the others have to be looked for.
  writer.uint16(2, 5).raw(Buffer.from('xenX0')).pad();
  if (resolution !== undefined) writer.uint16(9, 1).raw([resolution]).pad();
  if (offset !== undefined) writer.uint16(14, 8).uint64(offset);
  return block(1, writer.uint16(0, 0).bytes, littleEndian);
}

export interface PacketBlockOptions {
  interfaceId?: number;
  time?: bigint;
  octets: Iterable<number>;
  length?: number;
  captured?: number;
}

export function enhancedPacket(options: PacketBlockOptions, littleEndian = true): Uint8Array {
  const { interfaceId = 0 } = options;
  return block(6, packetBody(new Writer(littleEndian).uint32(interfaceId), options), littleEndian);
}

export function obsoletePacket(options: PacketBlockOptions, littleEndian = true): Uint8Array {
  const { interfaceId = 0 } = options;
  return block(2, packetBody(new Writer(littleEndian).uint16(interfaceId, 3), options), littleEndian);
}

export function simplePacket(octets: Iterable<number>, length?: number, littleEndian = true): Uint8Array {
  const held = [...octets];
  const body = new Writer(littleEndian)
    .uint32(length ?? held.length)
    .raw(held)
    .pad().bytes;
  return block(3, body, littleEndian);
}

function packetBody(writer: Writer, options: PacketBlockOptions): Uint8Array {
  const octets = [...options.octets];
  const { time = 0n, captured = octets.length, length = octets.length } = options;
  writer.uint32(Number(time >> 32n), Number(time & 0xffffffffn), captured, length);
  return writer.raw(octets).pad().bytes;
}
