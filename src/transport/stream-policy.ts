/**
 * How long a connection and its queue are waited for: a capture can wait, a firewall cannot. Times are
 * milliseconds.
 */

export interface StreamPolicy {
  /** What a full queue does: the producer waits, or records are dropped. */
  readonly whenFull: 'wait' | 'drop';
  readonly queueOctets: number;
  /** The pause after a session or an attempt that failed; it doubles up to `longestPause`. */
  readonly firstPause: number;
  readonly longestPause: number;
  /** After a session of this length the pauses start again from the first. */
  readonly steadyAfter: number;
  /** How long a connection may take to be established. */
  readonly connectLimit: number;
  /** Failed attempts in a row before the transport gives up. */
  readonly mostAttempts: number;
  /** How long a connected collector may read nothing before the transport gives up. */
  readonly patience: number;
  /** How long the end may take: of the session, and when live of sending what is left in the queue. */
  readonly closeLimit: number;
}

const BOTH = {
  firstPause: 1000,
  longestPause: 60_000,
  steadyAfter: 10_000,
  connectLimit: 10_000,
  closeLimit: 10_000,
};

export const CONVERSION: StreamPolicy = {
  ...BOTH,
  whenFull: 'wait',
  queueOctets: 1 << 20,
  mostAttempts: 10,
  patience: 120_000,
};

/** That a peer is gone is for the kernel to find out: keep-alive, retransmissions. */
export const LIVE: StreamPolicy = {
  ...BOTH,
  whenFull: 'drop',
  queueOctets: 16 << 20,
  mostAttempts: Number.POSITIVE_INFINITY,
  patience: Number.POSITIVE_INFINITY,
};

/** `reconnectSeconds` is the longest pause between two attempts to connect. */
export function policyOf(run: 'conversion' | 'live', reconnectSeconds: number): StreamPolicy {
  const longestPause = reconnectSeconds * 1000;
  const policy = run === 'conversion' ? CONVERSION : LIVE;
  return { ...policy, longestPause, firstPause: Math.min(policy.firstPause, longestPause) };
}
