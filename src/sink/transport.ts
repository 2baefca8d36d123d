/** What carries messages to a collector, with the accounts of what became of them. */
import type { MessageRoom } from '../../protocol/export/message.js';

export interface Transport extends MessageRoom {
  /** Set by the exporter: called when a collector may have missed templates and should get them again. */
  onTrouble?: () => void;
  /** Messages and records handed to the network, and those that were not. */
  readonly sent: Delivered;
  readonly lost: Delivered;
  readonly errors: number;
  /** True while the collector cannot be reached, as far as that is known. */
  readonly isDown: boolean;
  /** True while the collector can be reached and its queue is nearly full: the producer should pause until `drained` resolves. */
  readonly isCongested: boolean;
  drained(): Promise<void>;
  /** Resolves when everything has been sent or is counted as lost. */
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

/** Moves the account of a message that did not arrive after all. */
export function takeBack(from: Delivered, to: Delivered, records: number, octets: number): void {
  from.messages--;
  from.records -= records;
  from.octets -= octets;
  to.add(records, octets);
}
