/** What carries messages to a collector: a room that encoders write into, with the accounts of what became of them. */
import type { MessageRoom } from '../protocol/message.js';

export interface Transport extends MessageRoom {
  /** Messages and records handed to the network, and those that were not. */
  readonly sent: Delivered;
  readonly lost: Delivered;
  readonly errors: number;
  /** True while the collector cannot be reached, as far as that is known. */
  readonly isDown: boolean;
  /** True when the reader should pause until `drained` resolves. */
  readonly isCongested: boolean;
  drained(): Promise<void>;
  /** Resolves when everything has left or is counted as lost. */
  close(): Promise<void>;
}

export class Delivered {
  messages = 0;
  records = 0;
  octets = 0;

  add(records: number, octets: number): void {
    this.messages++;
    this.records += records;
    this.octets += octets;
  }
}

/** The program cannot start as it was told to. The message is one line. */
export class StartError extends Error {}
