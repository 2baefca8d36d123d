/** The last stage before the sinks: counts the flows, and brings what their records show into wire order. */
import { preparer } from '../../protocol/flow/prepare.js';
import { FLOW, LAST_ROW, OCTETS, PACKETS, REPLY_COUNTERS, ROW, ROW_OCTETS } from '../../protocol/flow/row.js';
import type { FlowConsumer, FlowMemory } from '../../protocol/flow/rows.js';
import { EXACT, FORWARD, PROVENANCE, REPLY } from '../../protocol/flow/terms.js';
import type { Statistics } from '../observe/statistics.js';

/** Makes the stage; what comes out of it goes to `next`. */
export function outlet(memory: FlowMemory, statistics: Statistics, next: FlowConsumer): FlowConsumer {
  const { words, view } = memory.rows;
  const { counters, octets, packetsCounted } = statistics;
  const prepare = preparer(memory.rows, memory.interfaces);

  /** Counts the flows, and adds up their counters: halves of 32 bits each. */
  function countFlows(first: number, count: number): void {
    let exact = 0;
    let octetsLow = 0;
    let packetsLow = 0;
    for (let n = first; n < first + count; n++) {
      const row = (n & LAST_ROW) * ROW;
      const flow = words[row + FLOW]!;
      const directions = (flow >>> 8) & 255;
      if (directions === 0) continue;
      const records = directions === (FORWARD | REPLY) ? 2 : 1;
      if ((flow & 255) === EXACT) exact += records;
      else counters[PROVENANCE[flow & 255]!] += records;
      const at = (n & LAST_ROW) * ROW_OCTETS;
      octetsLow +=
        view.getUint32(at + 4 * (OCTETS + 1)) + view.getUint32(at + 4 * (OCTETS + REPLY_COUNTERS + 1));
      packetsLow +=
        view.getUint32(at + 4 * (PACKETS + 1)) + view.getUint32(at + 4 * (PACKETS + REPLY_COUNTERS + 1));
      const highs =
        words[row + OCTETS]! |
        words[row + PACKETS]! |
        words[row + OCTETS + REPLY_COUNTERS]! |
        words[row + PACKETS + REPLY_COUNTERS]!;
      if (highs !== 0) addHighs(at);
    }
    counters.exact += exact;
    octets.add(octetsLow, 0);
    packetsCounted.add(packetsLow, 0);
    statistics.flows = counters.exact + counters.partial + counters.tcpseq + counters.none;
  }

  function addHighs(at: number): void {
    octets.add(0, view.getUint32(at + 4 * OCTETS) + view.getUint32(at + 4 * (OCTETS + REPLY_COUNTERS)));
    packetsCounted.add(
      0,
      view.getUint32(at + 4 * PACKETS) + view.getUint32(at + 4 * (PACKETS + REPLY_COUNTERS)),
    );
  }

  return {
    add(first, count) {
      countFlows(first, count);
      prepare(first, count);
      next.add(first, count);
    },
  };
}
