/** Where the firewalls are whose messages were captured: the source addresses of their packets, by the numbers that link.ts gives them. */
import type { Payload } from '../../protocol/capture/link.js';

/** More than a sync link has firewalls. */
const MOST = 64;
/** pfsync takes no packet that came through a router, nor do we: nobody further away can make us send anything. */
const FROM_THIS_LINK = 255;

export interface FirewallAddress {
  readonly family: 4 | 6;
  /** Wire: 4 or 16 octets. */
  readonly octets: Uint8Array;
  /** The interface on which it was seen: a link-local address has no meaning without it. */
  readonly interfaceName: string;
  /** Version of pfsync that it spoke last. */
  version: number;
}

export class FirewallAddresses {
  readonly #addresses = new Map<number, FirewallAddress>();

  /** Learns the sender of a message in `view`, which was seen on the interface. */
  learn(payload: Payload, view: DataView, interfaceName: string): void {
    const { sender, senderAt, senderFamily, hopLimit, start, end } = payload;
    if (senderFamily === 0 || hopLimit !== FROM_THIS_LINK || start === end) return;
    const version = view.getUint8(start);
    const known = this.#addresses.get(sender);
    if (known !== undefined) {
      known.version = version;
      return;
    }
    const family = senderFamily;
    const octets = new Uint8Array(view.buffer, view.byteOffset + senderAt, family === 4 ? 4 : 16).slice();
    if (this.#addresses.size === MOST || !isUnicast(octets)) return;
    this.#addresses.set(sender, { family, octets, interfaceName, version });
  }

  find(sender: number): FirewallAddress | undefined {
    return this.#addresses.get(sender);
  }
}

/** Whether an address of 4 or 16 octets is one host's: no group, no broadcast, not "any" and not the loopback. */
export function isUnicast(octets: Uint8Array): boolean {
  const [first] = octets;
  if (octets.length === 4) return first! > 0 && first! < 224 && first !== 127;
  const isAnyOrLoopback = octets.subarray(0, 15).every((octet) => octet === 0) && octets[15]! <= 1;
  return first !== 0xff && !isAnyOrLoopback;
}
