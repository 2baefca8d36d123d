/** Counters as pfctl prints them, in the words that the state table has. */
import { swapOctets } from '../../protocol/flow/byte-order.js';
import { OCTETS, PACKETS, REPLY_COUNTERS } from '../../protocol/flow/row.js';
import { COUNTERS_OCTETS } from './counters.js';
import type { ReportedCounters } from './tracker.js';

/** One state in the output of pfctl: numbers as printed, most significant word first. */
export interface PrintedCounters {
  readonly idHigh: number;
  readonly idLow: number;
  readonly creatorId: number;
  readonly age: number;
  /** Seconds left to live; below 0 where the output does not say. */
  readonly expire: number;
  /** High word and low word of index 0, then of index 1. */
  readonly packets: Uint32Array;
  readonly octets: Uint32Array;
}

/** Makes the conversion, whose result is used again with the next call. */
export function countersReader(): (printed: PrintedCounters) => ReportedCounters {
  const view = new DataView(new ArrayBuffer(COUNTERS_OCTETS));
  return ({ idHigh, idLow, creatorId, age, expire, packets, octets }) => {
    for (let direction = 0; direction < 2; direction++) {
      const at = 4 * REPLY_COUNTERS * direction;
      for (let word = 0; word < 2; word++) {
        view.setUint32(at + 4 * word, octets[2 * direction + word]!);
        view.setUint32(at + 4 * (PACKETS - OCTETS + word), packets[2 * direction + word]!);
      }
    }
    return {
      idFirst: swapOctets(idHigh),
      idSecond: swapOctets(idLow),
      creatorId: swapOctets(creatorId),
      age,
      remaining: expire,
      view,
    };
  };
}
