/**
 * The records of a pcap file, draft-ietf-opsawg-pcap. The file header is an argument; each record is a header
 * (seconds, fraction, captured length, original length) and the captured octets.
 */
import { type CaptureReader, type CaptureWindow, LONGEST_RECORD, type Packet } from './packet.js';

export interface PcapHeader {
  readonly byteOrder: 'big' | 'little';
  /** The fraction of a second counts nanoseconds, else microseconds. */
  readonly nanoseconds: boolean;
  /** Octets of a record's header: 24 in the modified format of Linux 2.2's libpcap. */
  readonly recordHeader: 16 | 24;
  readonly linkType: number;
  readonly snaplen: number;
}

/** Octets that a packet may have whatever the snaplen says: libpcap's own limit. Many writers leave the snaplen at 0. */
const ANY_SNAPLEN = 262144;

const MICROSECONDS = 1e3;
const NANOSECONDS = 1e6;

export class PcapReader implements CaptureReader {
  packets = 0;
  damage: string | undefined;
  readonly #littleEndian: boolean;
  readonly #perMillisecond: number;
  readonly #recordHeader: number;
  readonly #linkType: number;
  readonly #longest: number;

  constructor(header: PcapHeader) {
    this.#littleEndian = header.byteOrder === 'little';
    this.#perMillisecond = header.nanoseconds ? NANOSECONDS : MICROSECONDS;
    this.#recordHeader = header.recordHeader;
    this.#linkType = header.linkType;
    this.#longest = Math.min(Math.max(header.snaplen, ANY_SNAPLEN), LONGEST_RECORD - header.recordHeader);
  }

  get isOver(): boolean {
    return this.damage !== undefined;
  }

  next(window: CaptureWindow, packet: Packet): boolean {
    const { view, at, end: buffered } = window;
    const start = at + this.#recordHeader;
    if (start > buffered) return false;
    const littleEndian = this.#littleEndian;
    const captured = view.getUint32(at + 8, littleEndian);
    if (captured > this.#longest) return this.#tooLong(captured);
    const end = start + captured;
    if (end > buffered) return false;
    const original = view.getUint32(at + 12, littleEndian);
    const fraction = view.getUint32(at + 4, littleEndian);
    packet.view = view;
    packet.start = start;
    packet.end = end;
    packet.wireEnd = original > captured ? start + original : end;
    packet.linkType = this.#linkType;
    const per = this.#perMillisecond;
    packet.clock[0] = view.getUint32(at, littleEndian);
    packet.clock[1] = (fraction - (fraction % per)) / per;
    packet.number = ++this.packets;
    window.at = end;
    return true;
  }

  unfinished(): string {
    return `packet ${this.packets + 1}`;
  }

  #tooLong(captured: number): false {
    this.damage = `has a packet ${this.packets + 1} of ${captured} octets, more than ${this.#longest}`;
    return false;
  }
}
