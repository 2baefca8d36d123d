/**
 * What a capture file is, by its first octets: pcap, pcapng, or compressed. The file header of pcap is read once per file,
 * so its layout is a declaration.
 */
import type { PcapHeader } from '../../protocol/capture/pcap.js';

export type CaptureFormat = 'gzip' | 'pcap' | 'pcapng' | UnsupportedCompression;

/** Compressed formats that have to be decompressed by another program. */
export type UnsupportedCompression = 'zstd' | 'xz' | 'bzip2' | 'lz4';

/** Octets of pcap's file header. No other format needs more to be identified. */
export const PCAP_FILE_HEADER = 24;

type PcapVariant = Pick<PcapHeader, 'byteOrder' | 'nanoseconds' | 'recordHeader'>;

/** By the magic number, read as big-endian. */
const PCAP_VARIANTS = new Map<number, PcapVariant>([
  [0xa1b2c3d4, { byteOrder: 'big', nanoseconds: false, recordHeader: 16 }],
  [0xd4c3b2a1, { byteOrder: 'little', nanoseconds: false, recordHeader: 16 }],
  [0xa1b23c4d, { byteOrder: 'big', nanoseconds: true, recordHeader: 16 }],
  [0x4d3cb2a1, { byteOrder: 'little', nanoseconds: true, recordHeader: 16 }],
  [0xa1b2cd34, { byteOrder: 'big', nanoseconds: false, recordHeader: 24 }],
  [0x34cdb2a1, { byteOrder: 'little', nanoseconds: false, recordHeader: 24 }],
]);

/** RFC 1952. */
const GZIP_MAGIC = [0x1f, 0x8b];

const UNSUPPORTED: readonly { format: UnsupportedCompression; magic: readonly number[] }[] = [
  { format: 'zstd', magic: [0x28, 0xb5, 0x2f, 0xfd] },
  { format: 'xz', magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00] },
  { format: 'bzip2', magic: [0x42, 0x5a, 0x68] },
  { format: 'lz4', magic: [0x04, 0x22, 0x4d, 0x18] },
];

const PCAPNG_SECTION_HEADER = 0x0a0d0d0a;
const PCAPNG_BYTE_ORDER = 8;
const PCAPNG_BYTE_ORDER_MAGICS = [0x1a2b3c4d, 0x4d3c2b1a];

/** The link type's field has bits about frame check sequences above these. */
const LINK_TYPE = 0x03ffffff;

/** The format of a file that begins with these octets; undefined when it is no capture. */
export function identifyFormat(octets: Uint8Array): CaptureFormat | undefined {
  if (startsWith(octets, GZIP_MAGIC)) return 'gzip';
  const compression = UNSUPPORTED.find(({ magic }) => startsWith(octets, magic));
  if (compression !== undefined) return compression.format;
  if (octets.length < 4) return undefined;
  const view = viewOf(octets);
  const magic = view.getUint32(0);
  if (PCAP_VARIANTS.has(magic)) return 'pcap';
  if (magic !== PCAPNG_SECTION_HEADER) return undefined;
  const isCut = octets.length < PCAPNG_BYTE_ORDER + 4;
  return isCut || PCAPNG_BYTE_ORDER_MAGICS.includes(view.getUint32(PCAPNG_BYTE_ORDER)) ? 'pcapng' : undefined;
}

/** Reads the file header of what was identified as pcap; undefined when it is not whole. */
export async function readPcapHeader(octets: Uint8Array): Promise<PcapHeader | undefined> {
  if (octets.length < PCAP_FILE_HEADER) return undefined;
  const variant = PCAP_VARIANTS.get(viewOf(octets).getUint32(0));
  if (variant === undefined) return undefined;
  // By its file: the package has no types for its ES module.
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

function startsWith(octets: Uint8Array, magic: readonly number[]): boolean {
  return magic.every((octet, index) => octets[index] === octet);
}

function viewOf(octets: Uint8Array): DataView {
  return new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
}
