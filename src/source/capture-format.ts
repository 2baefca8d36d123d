/**
 * What a capture file is, from its first octets: gzip (RFC 1952), pcap or pcapng, and the file header of pcap.
 * The layout of that header is read once per file, so it stands here as a declaration.
 */
import type { PcapHeader } from '../../protocol/capture/pcap.js';

export type CaptureFormat = 'gzip' | 'pcap' | 'pcapng';

/** Octets of pcap's file header. No format needs more to be told apart. */
export const PCAP_FILE_HEADER = 24;

/** The magic number, first octet first, says how the rest is written. */
const PCAP_MAGIC = new Map<number, Pick<PcapHeader, 'byteOrder' | 'nanoseconds' | 'recordHeader'>>([
  [0xa1b2c3d4, { byteOrder: 'big', nanoseconds: false, recordHeader: 16 }],
  [0xd4c3b2a1, { byteOrder: 'little', nanoseconds: false, recordHeader: 16 }],
  [0xa1b23c4d, { byteOrder: 'big', nanoseconds: true, recordHeader: 16 }],
  [0x4d3cb2a1, { byteOrder: 'little', nanoseconds: true, recordHeader: 16 }],
  [0xa1b2cd34, { byteOrder: 'big', nanoseconds: false, recordHeader: 24 }],
  [0x34cdb2a1, { byteOrder: 'little', nanoseconds: false, recordHeader: 24 }],
]);

const GZIP_MAGIC = 0x1f8b;
const PCAPNG_SECTION_HEADER = 0x0a0d0d0a;
const PCAPNG_BYTE_ORDER = 8;
const PCAPNG_BYTE_ORDER_MAGICS = [0x1a2b3c4d, 0x4d3c2b1a];

/** The upper six bits of the link type's field tell about frame check sequences. */
const LINK_TYPE = 0x03ffffff;

/** The format of a file that begins with these octets; undefined when it is no capture. */
export function identifyFormat(octets: Uint8Array): CaptureFormat | undefined {
  const view = viewOf(octets);
  if (octets.length >= 2 && view.getUint16(0) === GZIP_MAGIC) return 'gzip';
  if (octets.length < 4) return undefined;
  const magic = view.getUint32(0);
  if (PCAP_MAGIC.has(magic)) return 'pcap';
  if (magic !== PCAPNG_SECTION_HEADER) return undefined;
  const isCut = octets.length < PCAPNG_BYTE_ORDER + 4;
  return isCut || PCAPNG_BYTE_ORDER_MAGICS.includes(view.getUint32(PCAPNG_BYTE_ORDER)) ? 'pcapng' : undefined;
}

/** Reads the file header of what has been identified as pcap; undefined when it is not whole. */
export async function readPcapHeader(octets: Uint8Array): Promise<PcapHeader | undefined> {
  if (octets.length < PCAP_FILE_HEADER) return undefined;
  const variant = PCAP_MAGIC.get(viewOf(octets).getUint32(0));
  if (variant === undefined) return undefined;
  // Loaded here: programs that read no pcap file need not wait for it.
  const { Parser } = await import('binary-parser/dist/binary_parser.js');
  const { snaplen, linkType } = new Parser()
    .endianness(variant.byteOrder)
    .uint32('magic')
    .uint16('majorVersion')
    .uint16('minorVersion')
    .int32('zoneOffset')
    .uint32('significantFigures')
    .uint32('snaplen')
    .uint32('linkType')
    .parse(octets) as { snaplen: number; linkType: number };
  return { ...variant, snaplen, linkType: linkType & LINK_TYPE };
}

function viewOf(octets: Uint8Array): DataView {
  return new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
}
