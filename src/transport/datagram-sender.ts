/** What hands the datagrams of one collector to the kernel, and what it reports about them. */
import type { Block } from './message-queue.js';

export interface UdpAddress {
  readonly family: 4 | 6;
  readonly address: string;
  readonly port: number;
  /** The address to send from. */
  readonly source: string | undefined;
}

export interface DatagramSender {
  /**
   * Sends a run: `count` datagrams of the block from number `first` on. Reports what became of each and then
   * the end of the run, until which there is no other. Nothing is reported before this call has returned.
   */
  send(block: Block, first: number, count: number): void;
  /** Reports a refusal that has come since the last run. */
  poll(): void;
  close(): void;
}

/** Numbers are those of datagrams in the run's block; codes are names of errors, as in `ECONNREFUSED`. */
export interface SendReport {
  /** The kernel took these together. */
  taken(first: number, count: number): void;
  /** The kernel did not take these. */
  failed(first: number, count: number, code: string): void;
  /** Something that the kernel took before was refused. */
  refused(code: string): void;
  ended(): void;
}

/**
 * Resolves to undefined where senders of this kind cannot serve. Rejects where the kernel cannot send to the
 * address.
 */
export type OpenSender = (to: UdpAddress, report: SendReport) => Promise<DatagramSender | undefined>;

/** Octets of the socket's buffer. */
export const SEND_BUFFER = 4 << 20;

/**
 * A datagram sent earlier was refused. The kernel reports it in place of sending the datagram of the call
 * (udp(7)).
 */
export const REFUSED = 'ECONNREFUSED';
