/** The exporter's statistics about itself, which it sends to its collector: read where the program counts them. */
import type { ExportCounts } from '../../protocol/export/statistics.js';
import type { Statistics } from './statistics.js';

/** Messages that were not sent. */
export interface NotSent {
  readonly messages: number;
  readonly octets: number;
  readonly records: number;
}

/** The counts at the time when they are read. Without `notSent` nothing can get lost, as in a file. */
export function exportCounts(statistics: Statistics, notSent?: NotSent): ExportCounts {
  return {
    get ignoredPackets() {
      return statistics.notRead.packets;
    },
    get ignoredOctets() {
      return statistics.notRead.octets;
    },
    get notSentMessages() {
      return notSent?.messages ?? 0;
    },
    get notSentOctets() {
      return notSent?.octets ?? 0;
    },
    get notSentRecords() {
      return notSent?.records ?? 0;
    },
  };
}
