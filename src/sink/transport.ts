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

  add(records: number, octets: number, messages = 1): void {
    this.messages += messages;
    this.records += records;
    this.octets += octets;
  }
}

/** Moves messages from one account to another: those that did not arrive after all. */
export function move(
  from: Delivered,
  to: Delivered,
  messages: number,
  records: number,
  octets: number,
): void {
  from.add(-records, -octets, -messages);
  to.add(records, octets, messages);
}
