/** IP addresses as text and octets, for the other ends of the tests. */
import { SocketAddress } from 'node:net';

/** 4 or 16 octets. Throws on text that is no address: the tests write only addresses they mean. */
export function addressOctets(text: string): Buffer {
  if (!text.includes(':')) {
    const parts = text.split('.').map(Number);
    if (parts.length !== 4 || parts.some((part) => !(part >= 0 && part <= 255)))
      throw new Error(`not an address: ${text}`);
    return Buffer.from(parts);
  }
  const [left, right] = text.split('::');
  const groups = (side: string | undefined) =>
    side ? side.split(':').map((group) => Number.parseInt(group, 16)) : [];
  const first = groups(left);
  const last = groups(right);
  const gap = 8 - first.length - last.length;
  if (gap < 0 || (right === undefined && gap !== 0)) throw new Error(`not an address: ${text}`);
  const octets = Buffer.alloc(16);
  [...first, ...new Array<number>(gap).fill(0), ...last].forEach((group, n) => {
    octets.writeUInt16BE(group, 2 * n);
  });
  return octets;
}

/** The text of 4 or 16 octets; of IPv6 as RFC 5952 has it. */
export function addressText(octets: Uint8Array): string {
  if (octets.length === 4) return octets.join('.');
  const view = new DataView(octets.buffer, octets.byteOffset, octets.length);
  const groups = Array.from({ length: 8 }, (_, n) => view.getUint16(2 * n).toString(16));
  return new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address;
}
