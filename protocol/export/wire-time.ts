/** Times as IPFIX has them in wire order: milliseconds since the epoch. */
import { swapOctets } from '../flow/byte-order.js';
import { END, END_WIRE, LAST_ROW, ROW, ROW_DOUBLES, START, START_WIRE } from '../flow/row.js';
import type { FlowRows } from '../flow/rows.js';

/** Makes what fills in START_WIRE and END_WIRE of a row. Times are cut to whole milliseconds; one before 1970 is 0. */
export function wireTimes({ words, doubles }: FlowRows): (n: number) => void {
  const word = 2 ** 32;
  const perWord = 2 ** -32;

  return function fillTimes(n) {
    const row = (n & LAST_ROW) * ROW;
    const double = (n & LAST_ROW) * ROW_DOUBLES;
    const start = Math.max(doubles[double + START]!, 0);
    const end = Math.max(doubles[double + END]!, 0);
    const startHigh = Math.floor(start * perWord);
    const endHigh = Math.floor(end * perWord);
    words[row + START_WIRE] = swapOctets(startHigh | 0);
    words[row + START_WIRE + 1] = swapOctets((start - startHigh * word) | 0);
    words[row + END_WIRE] = swapOctets(endHigh | 0);
    words[row + END_WIRE + 1] = swapOctets((end - endHigh * word) | 0);
  };
}
