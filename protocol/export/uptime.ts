/**
 * The clock of a message, and times as milliseconds since a virtual boot (NetFlow v1, v5 and v9). Each message chooses its
 * boot anew, as far back as 32 bits reach: a state's start is never clipped to the start of the program, and nothing wraps
 * at 49.7 days of running. No time is before 1970.
 */
import { swapOctets } from '../flow/byte-order.js';
import { END, LAST_ROW, OBSERVED, ROW, ROW_DOUBLES, START, UPTIMES } from '../flow/row.js';
import type { FlowRows } from '../flow/rows.js';
import {
  BOOT,
  HEADER,
  HOLDS_UNTIL,
  LATEST,
  NOW,
  OPENED,
  REACH,
  ROUNDING,
  SPAN,
  TIMES,
} from './message-time.js';

export class MessageClock {
  /** By the indexes of message-time. */
  readonly times = new Float64Array(TIMES);

  /** A message is opened at NOW: what happens in the hour after it has a place in the message. */
  open(): void {
    const { times } = this;
    const now = Math.max(times[NOW]!, 0);
    times[OPENED] = now;
    times[HOLDS_UNTIL] = now + SPAN;
    times[BOOT] = Math.max(now + SPAN + ROUNDING - REACH, 0);
    times[LATEST] = now;
  }

  /** The message is complete: its header has NOW, or the latest end in the message where the clock was set back. */
  close(): void {
    const { times } = this;
    const now = times[NOW]!;
    const latest = Math.min(times[LATEST]!, times[HOLDS_UNTIL]!);
    times[HEADER] = now > latest && now <= times[HOLDS_UNTIL]! ? now : latest;
  }
}

/** Uptimes of rows, as the message counts them that the clock is of. */
export interface RowUptimes {
  /** Whether the row has a place in the message. Otherwise a message that is opened for it reaches further. */
  hold(n: number): boolean;
  /** Fills in the row's UPTIMES. Returns 1 if its start lies before the boot and was clipped, else 0. */
  fill(n: number): number;
}

export function rowUptimes({ words, doubles }: FlowRows, { times }: MessageClock): RowUptimes {
  const reach = REACH;
  return {
    hold(n) {
      const double = (n & LAST_ROW) * ROW_DOUBLES;
      const observed = doubles[double + OBSERVED]!;
      if (observed > times[HOLDS_UNTIL]!) return false;
      // The data's clock was set back.
      const isClipped = doubles[double + START]! < times[BOOT]!;
      return !isClipped || observed >= times[OPENED]! || times[BOOT] === 0;
    },
    fill(n) {
      const row = (n & LAST_ROW) * ROW;
      const double = (n & LAST_ROW) * ROW_DOUBLES;
      const boot = times[BOOT]!;
      const end = doubles[double + END]!;
      const startUptime = doubles[double + START]! - boot;
      const endUptime = end - boot;
      if (end > times[LATEST]!) times[LATEST] = end;
      words[row + UPTIMES] = startUptime < 0 ? 0 : swapOctets(startUptime | 0);
      words[row + UPTIMES + 1] = endUptime < 0 ? 0 : swapOctets(endUptime < reach ? endUptime | 0 : -1);
      return startUptime < 0 ? 1 : 0;
    },
  };
}
