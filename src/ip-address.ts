/**
 * What is an IP address. The usual one, of IPv4, is told without node:net, which would be loaded for nothing else in most runs:
 * it takes a millisecond and a half, with all that it loads.
 */
const OCTET = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const IPV4 = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`);

/** Four decimal numbers without leading zeros. */
export function isIPv4(text: string): boolean {
  return IPV4.test(text);
}

/** May name a zone, as in `fe80::1%em0`. */
export function isIPv6(text: string): boolean {
  return text.includes(':') && process.getBuiltinModule('node:net').isIPv6(text);
}

/** The family, 0 for what is no address. */
export function isIP(text: string): 0 | 4 | 6 {
  if (isIPv4(text)) return 4;
  return isIPv6(text) ? 6 : 0;
}
