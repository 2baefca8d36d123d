/**
 * What became of the records, as IPFIX reports it: RFC 7011, sections 4.1 to 4.3. In Observation Domain 0, with a sequence of
 * its own: some collectors leave options data out of a domain's sequence and others do not, and here neither finds a gap.
 */
import { ELEMENTS } from './element.js';
import type { MessageRoom } from './message.js';
import { type Dialect, MessageWriter } from './message-writer.js';
import { Template } from './template.js';
import { IGNORED_STATISTICS, METERING_STATISTICS, NOT_SENT_STATISTICS } from './template-id.js';

/** Totals since the program started, as whole numbers. */
export interface ExportCounts {
  /** Packets that were to be read as pfsync and could not, and their octets. */
  readonly ignoredPackets: number;
  readonly ignoredOctets: number;
  /** Handed to the transport, and not sent by it. */
  readonly notSentMessages: number;
  readonly notSentOctets: number;
  readonly notSentRecords: number;
}

export const NO_COUNTS: ExportCounts = {
  ignoredPackets: 0,
  ignoredOctets: 0,
  notSentMessages: 0,
  notSentOctets: 0,
  notSentRecords: 0,
};

/** What was handed to the transport in the domain of the flows. */
export interface Written {
  readonly messages: number;
  readonly sentOctets: number;
  readonly flowRecords: number;
}

/** There is one Exporting Process for a Collector; its number is never 0. */
const EXPORTING_PROCESS = 1;

const { exportedOctetTotalCount, exportedMessageTotalCount, exportedFlowRecordTotalCount } = ELEMENTS;
const { ignoredPacketTotalCount, ignoredOctetTotalCount, notSentFlowTotalCount } = ELEMENTS;
const { observationDomainId, exportingProcessId } = ELEMENTS;

export class ExportStatistics {
  readonly #writer: MessageWriter;
  readonly #written: Written;
  readonly #counts: ExportCounts;
  readonly #domain: number;
  readonly #metering = new Template(
    METERING_STATISTICS,
    [exportedMessageTotalCount, exportedFlowRecordTotalCount, exportedOctetTotalCount],
    [observationDomainId],
  );
  readonly #ignored = new Template(
    IGNORED_STATISTICS,
    [ignoredPacketTotalCount, ignoredOctetTotalCount],
    [observationDomainId],
  );
  /** How many packets and octets the lost records counted is not known. */
  readonly #notSent = new Template(NOT_SENT_STATISTICS, [notSentFlowTotalCount], [exportingProcessId]);

  /** `domain` is that of the flows: not 0. */
  constructor(room: MessageRoom, dialect: Dialect, domain: number, written: Written, counts: ExportCounts) {
    // Every message has the templates: it is a rare one, and reads by itself.
    const fixed = [this.#metering, this.#ignored, this.#notSent];
    this.#writer = new MessageWriter(room, dialect, { domain: 0, refreshTime: 0, refreshMessages: 1, fixed });
    this.#written = written;
    this.#counts = counts;
    this.#domain = domain;
  }

  /** Sends one message. The room must be free. `now` is the data's clock. */
  send(now: number): void {
    const { messages, sentOctets, flowRecords } = this.#written;
    const { ignoredPackets, ignoredOctets, notSentMessages, notSentOctets, notSentRecords } = this.#counts;
    this.#writer.advance(now);
    this.#record(this.#metering, this.#domain, [
      Math.max(messages - notSentMessages, 0),
      Math.max(flowRecords - notSentRecords, 0),
      Math.max(sentOctets - notSentOctets, 0),
    ]);
    this.#record(this.#ignored, this.#domain, [ignoredPackets, ignoredOctets]);
    this.#record(this.#notSent, EXPORTING_PROCESS, [notSentRecords]);
    this.#writer.flush(now);
  }

  restart(): void {
    this.#writer.restart();
  }

  #record(template: Template, scope: number, totals: readonly number[]): void {
    const at = this.#writer.place(template);
    const { view } = this.#writer;
    view.setUint32(at, scope);
    for (const [i, total] of totals.entries()) view.setBigUint64(at + 4 + 8 * i, BigInt(total));
  }
}
