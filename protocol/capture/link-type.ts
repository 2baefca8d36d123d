/** Link types (tcpdump.org/linktypes) that hold no pfsync messages, by the names that messages give them. */

/** What pflog(4) interfaces are captured as. */
export const LINK_PFLOG = 117;

const NAMES = new Map<number, string>([
  [9, 'PPP'],
  [10, 'FDDI'],
  [51, 'PPPoE'],
  [105, 'IEEE 802.11'],
  [109, 'ENC'],
  [LINK_PFLOG, 'PFLOG'],
  [127, 'IEEE 802.11 with radiotap'],
  [189, 'USB'],
  [220, 'USB'],
  [239, 'NFLOG'],
  [253, 'NETLINK'],
]);

/** The link type as messages show it: `117 (PFLOG)`. */
export function linkTypeText(linkType: number): string {
  const name = NAMES.get(linkType);
  return name === undefined ? `${linkType}` : `${linkType} (${name})`;
}
