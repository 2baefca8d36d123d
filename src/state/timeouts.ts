/**
 * pf's timeouts, by their number in a record (PFTM_* of pfvar.h, the same in every pf since OpenBSD 3.5; those of SCTP are
 * FreeBSD's): the default, and the longest of pf.conf's `set optimization`. Seconds.
 */
const TIMEOUTS: Readonly<Record<number, readonly [usual: number, longest: number]>> = {
  0: [120, 3600], // tcp.first
  1: [30, 900], // tcp.opening
  2: [86_400, 432_000], // tcp.established
  3: [900, 3600], // tcp.closing
  4: [45, 600], // tcp.finwait
  5: [90, 180], // tcp.closed
  6: [60, 60], // udp.first
  7: [30, 30], // udp.single
  8: [60, 60], // udp.multiple
  9: [20, 20], // icmp.first
  10: [10, 10], // icmp.error
  11: [60, 60], // other.first
  12: [30, 30], // other.single
  13: [60, 60], // other.multiple
  20: [120, 120], // sctp.first
  21: [30, 30], // sctp.opening
  22: [86_400, 86_400], // sctp.established
  23: [900, 900], // sctp.closing
  24: [90, 90], // sctp.closed
};

/** NaN for a number that is no timeout of a state. */
export function timeoutSeconds(timeout: number): number {
  return TIMEOUTS[timeout]?.[0] ?? Number.NaN;
}

/** Infinity for a number that is no timeout of a state. */
export function longestTimeout(timeout: number): number {
  return TIMEOUTS[timeout]?.[1] ?? Number.POSITIVE_INFINITY;
}
