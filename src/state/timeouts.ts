/** pf's default timeouts in seconds, by their number in a record (PFTM_* of pfvar.h, the same in every pf since OpenBSD 3.5). */
const TIMEOUTS = [
  120, // tcp.first
  30, // tcp.opening
  86_400, // tcp.established
  900, // tcp.closing
  45, // tcp.finwait
  90, // tcp.closed
  60, // udp.first
  30, // udp.single
  60, // udp.multiple
  20, // icmp.first
  10, // icmp.error
  60, // other.first
  30, // other.single
  60, // other.multiple
];

/** NaN for a number that is no timeout of a state. */
export function timeoutSeconds(timeout: number): number {
  return TIMEOUTS[timeout] ?? Number.NaN;
}
