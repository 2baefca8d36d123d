/** The totals that an exporter tells its collector about itself, out of where they are counted. */
import type { ExportCounts } from '../../protocol/export/statistics.js';
import type { Stats } from './statistics.js';
import type { Delivered } from '../sink/transport.js';

/** Looked at when they are told. Without `lost` nothing can get lost, as in a file. */
export function exportCounts(stats: Stats, lost?: Delivered): ExportCounts {
  return {
    get ignoredPackets() {
      return stats.notRead.packets;
    },
    get ignoredOctets() {
      return stats.notRead.octets;
    },
    get notSentMessages() {
      return lost?.messages ?? 0;
    },
    get notSentOctets() {
      return lost?.octets ?? 0;
    },
    get notSentRecords() {
      return lost?.records ?? 0;
    },
  };
}
