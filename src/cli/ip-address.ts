/**
 * What is an IP address. The usual one, of IPv4, is told without node:net, which would be loaded for nothing else in most runs:
 * it takes a millisecond and a half, with all that it loads.
 */

/** Four decimal numbers without leading zeros. */
export function isIPv4(text: string): boolean {
  const octets = text.split('.');
  return octets.length === 4 && octets.every(isOctet);
}

function isOctet(text: string): boolean {
  const value = Number(text);
  return Number.isInteger(value) && value >= 0 && value <= 255 && String(value) === text;
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
