/**
 * The blocks of a pcapng file, draft-ietf-opsawg-pcapng: sections in either byte order, each with its interfaces, and
 * packets that name theirs. Blocks of other types are skipped by their length.
 */
import { type CaptureReader, type CaptureWindow, LONGEST_RECORD, type Packet } from './packet.js';

const SECTION_HEADER = 0x0a0d0d0a;
const INTERFACE_DESCRIPTION = 1;
const OBSOLETE_PACKET = 2;
const SIMPLE_PACKET = 3;
const ENHANCED_PACKET = 6;

const BYTE_ORDER_MAGIC = 0x1a2b3c4d;

/** Octets of each block without its variable part; the length stands once more at its end. */
const SHORTEST_BLOCK = 12;
const SHORTEST_SECTION_HEADER = 28;
const SHORTEST_INTERFACE = 20;
const SHORTEST_PACKET = 32;
const SHORTEST_SIMPLE_PACKET = 16;

const OPTION_END = 0;
const OPTION_TSRESOL = 9;
const OPTION_TSOFFSET = 14;

/** Bounds the memory that a section's interfaces take. */
const MOST_INTERFACES = 65536;

/** The last millisecond that a Date can hold. Times are clamped to it, and to 0, so that later stages never see others. */
const LATEST = 8.64e15;

const WORD = 2 ** 32;

interface Interface {
  readonly linkType: number;
  readonly snaplen: number;
  readonly resolution: Resolution;
  /** Milliseconds to add to each time. */
  readonly offset: number;
}

/**
 * How the units of a time become milliseconds: floor(floor(units / divisor) / further) * factor, or for powers of two
 * floor(units * 1000 / 2 ** exponent). The divisor stays below 2 ** 21, so that each step is exact in a double.
 */
interface Resolution {
  /** -1 when the units are decimal. */
  readonly exponent: number;
  readonly divisor: number;
  readonly further: number;
  readonly factor: number;
}

const MICROSECONDS = resolutionOf(6);

/** Used where no block describes the interface of a packet: no known link type. */
const UNDESCRIBED: Interface = { linkType: -1, snaplen: 0, resolution: MICROSECONDS, offset: 0 };

export class PcapngReader implements CaptureReader {
  packets = 0;
  damage: string | undefined;
  isOver = false;
  #littleEndian = false;
  #interfaces: Interface[] = [];
  /** Of the packet before: a simple packet has no time of its own. */
  #time = 0;

  next(window: CaptureWindow, packet: Packet): boolean {
    while (!this.isOver) {
      const { view, at, end } = window;
      if (at + SHORTEST_BLOCK > end) return false;
      const type = view.getUint32(at, this.#littleEndian);
      if (type === SECTION_HEADER && !this.#readByteOrder(view, at)) return false;
      const length = view.getUint32(at + 4, this.#littleEndian);
      if (length < SHORTEST_BLOCK || length % 4 !== 0) return this.#end(`of ${length} octets`);
      if (isRead(type)) {
        if (length > LONGEST_RECORD) return this.#end(`of ${length} octets, more than ${LONGEST_RECORD}`);
        if (at + length > end) return false;
        if (view.getUint32(at + length - 4, this.#littleEndian) !== length) {
          return this.#end('whose two lengths differ');
        }
      }
      window.at = at + length;
      if (this.#readBlock(view, at, length, type, packet)) return true;
    }
    return false;
  }

  unfinished({ view, at, end }: CaptureWindow): string {
    const type = at + 4 <= end ? view.getUint32(at, this.#littleEndian) : 0;
    const isPacket = type === ENHANCED_PACKET || type === SIMPLE_PACKET || type === OBSOLETE_PACKET;
    return `${isPacket ? '' : 'a block before '}packet ${this.packets + 1}`;
  }

  /** True when the block is a packet. */
  #readBlock(view: DataView, at: number, length: number, type: number, packet: Packet): boolean {
    switch (type) {
      case ENHANCED_PACKET:
        return this.#readPacket(view, at, length, view.getUint32(at + 8, this.#littleEndian), packet);
      case OBSOLETE_PACKET:
        return this.#readPacket(view, at, length, view.getUint16(at + 8, this.#littleEndian), packet);
      case SIMPLE_PACKET:
        return this.#readSimplePacket(view, at, length, packet);
      case INTERFACE_DESCRIPTION:
        return this.#readInterface(view, at, length);
      case SECTION_HEADER:
        this.#interfaces = [];
        return length < SHORTEST_SECTION_HEADER && this.#damaged('with a section header cut short');
      default:
        return false;
    }
  }

  /** Enhanced and obsolete packets differ in how they name the interface only. */
  #readPacket(view: DataView, at: number, length: number, interfaceId: number, packet: Packet): boolean {
    const littleEndian = this.#littleEndian;
    if (length < SHORTEST_PACKET) return this.#damaged('too short for its packet');
    const captured = view.getUint32(at + 20, littleEndian);
    if (captured > length - SHORTEST_PACKET) return this.#damaged('too short for its packet');
    const from = this.#interfaces[interfaceId] ?? this.#undescribed(interfaceId);
    const high = view.getUint32(at + 12, littleEndian);
    const low = view.getUint32(at + 16, littleEndian);
    const time = milliseconds(high, low, from.resolution) + from.offset;
    this.#time = Math.min(Math.max(time, 0), LATEST);
    return this.#fill(packet, view, at + 28, captured, view.getUint32(at + 24, littleEndian), from);
  }

  #readSimplePacket(view: DataView, at: number, length: number, packet: Packet): boolean {
    if (length < SHORTEST_SIMPLE_PACKET) return this.#damaged('too short for its packet');
    const from = this.#interfaces[0] ?? this.#undescribed(0);
    const original = view.getUint32(at + 8, this.#littleEndian);
    const captured = Math.min(original, from.snaplen || original, length - SHORTEST_SIMPLE_PACKET);
    return this.#fill(packet, view, at + 12, captured, original, from);
  }

  #fill(
    packet: Packet,
    view: DataView,
    start: number,
    captured: number,
    original: number,
    from: Interface,
  ): true {
    packet.view = view;
    packet.start = start;
    packet.end = start + captured;
    packet.wireEnd = start + Math.max(original, captured);
    packet.linkType = from.linkType;
    packet.clock[0] = 0;
    packet.clock[1] = this.#time;
    packet.number = ++this.packets;
    return true;
  }

  #readInterface(view: DataView, at: number, length: number): false {
    if (length < SHORTEST_INTERFACE) return this.#damaged('that is too short to describe an interface');
    if (this.#interfaces.length === MOST_INTERFACES)
      return this.#end(`of one interface more than ${MOST_INTERFACES}`);
    const littleEndian = this.#littleEndian;
    let resolution = MICROSECONDS;
    let offset = 0;
    const end = at + length - 4;
    for (let option = at + 16; option + 4 <= end; ) {
      const code = view.getUint16(option, littleEndian);
      const size = view.getUint16(option + 2, littleEndian);
      const value = option + 4;
      if (code === OPTION_END || value + size > end) break;
      if (code === OPTION_TSRESOL && size >= 1) resolution = resolutionOf(view.getUint8(value));
      if (code === OPTION_TSOFFSET && size >= 8) offset = signed64(view, value, littleEndian) * 1000;
      option = value + size + (-size & 3);
    }
    const linkType = view.getUint16(at + 8, littleEndian);
    const snaplen = view.getUint32(at + 12, littleEndian);
    this.#interfaces.push({ linkType, snaplen, resolution, offset });
    return false;
  }

  /** A section header sets the byte order, also that of its own length. */
  #readByteOrder(view: DataView, at: number): boolean {
    if (view.getUint32(at + 8) === BYTE_ORDER_MAGIC) this.#littleEndian = false;
    else if (view.getUint32(at + 8, true) === BYTE_ORDER_MAGIC) this.#littleEndian = true;
    else return this.#end('that begins a section in no known byte order');
    return true;
  }

  #undescribed(interfaceId: number): Interface {
    this.#damaged(`on interface ${interfaceId}, which no block describes`);
    return UNDESCRIBED;
  }

  /** Damage of one block: reading goes on with the next. */
  #damaged(what: string): false {
    this.damage ??= `has a block after packet ${this.packets} ${what}`;
    return false;
  }

  /** Damage that hides where the next block begins. */
  #end(what: string): false {
    this.isOver = true;
    return this.#damaged(what);
  }
}

/** Whether a block of this type is read, and so has to be buffered whole; others are skipped. */
function isRead(type: number): boolean {
  return (
    type === ENHANCED_PACKET ||
    type === SIMPLE_PACKET ||
    type === OBSOLETE_PACKET ||
    type === INTERFACE_DESCRIPTION ||
    type === SECTION_HEADER
  );
}

/** if_tsresol: the negative power of 10, or of 2 when the highest bit is set, that a unit of time is. */
function resolutionOf(octet: number): Resolution {
  const power = octet & 0x7f;
  if (octet !== power) return { exponent: power, divisor: 1, further: 1, factor: 1 };
  return {
    exponent: -1,
    divisor: 10 ** Math.min(Math.max(power - 3, 0), 6),
    further: 10 ** Math.max(power - 9, 0),
    factor: 10 ** Math.max(3 - power, 0),
  };
}

/** A time in two words as whole milliseconds: long division, since 64 bits of nanoseconds are more than a double holds. */
function milliseconds(high: number, low: number, resolution: Resolution): number {
  const { exponent, divisor, further, factor } = resolution;
  if (exponent >= 0) return thousandfoldShifted(high, low, exponent);
  const quotient = Math.floor(high / divisor) * WORD + Math.floor(((high % divisor) * WORD + low) / divisor);
  return (further === 1 ? quotient : Math.floor(quotient / further)) * factor;
}

function thousandfoldShifted(high: number, low: number, exponent: number): number {
  const product = low * 1000;
  const upper = high * 1000 + Math.floor(product / WORD);
  if (exponent >= 32) return Math.floor(upper / 2 ** (exponent - 32));
  return upper * 2 ** (32 - exponent) + Math.floor((product % WORD) / 2 ** exponent);
}

function signed64(view: DataView, at: number, littleEndian: boolean): number {
  const high = view.getInt32(at + (littleEndian ? 4 : 0), littleEndian);
  const low = view.getUint32(at + (littleEndian ? 0 : 4), littleEndian);
  return high * WORD + low;
}
