/**
 * What NetFlow v1 and v5 have in common: messages of records of one fixed layout of 48 octets, IPv4 only, with 32-bit counters
 * and uptimes.
 */
import { swapOctets } from '../flow/byte-order.js';
import {
  ADDRESS,
  ADDRESSES,
  DESCRIPTION,
  END,
  FLOW,
  ICMP,
  INTERFACES,
  LAST_ROW,
  OBSERVED,
  OCTETS,
  PACKETS,
  PORTS,
  PROTOCOLS,
  REPLY_COUNTERS,
  ROW,
  ROW_DOUBLES,
  START,
  STATE,
} from '../flow/row.js';
import type { FlowMemory } from '../flow/rows.js';
import type { NatView } from '../flow/terms.js';
import type { EncoderLosses, FlowEncoder, MessageRoom } from './message.js';
import { BOOT, HEADER, LATEST, NOW, REACH } from './message-time.js';
import { sidesShown } from './nat-side.js';
import { MOST_PARTS, partsFor, shareOf } from './split.js';
import { MessageClock, rowUptimes } from './uptime.js';

export interface FixedFormat {
  readonly version: 1 | 5;
  /** Words. */
  readonly headerLength: number;
  readonly mostRecords: number;
  /** The word of a record that has tcpControlBits, and how many bits above its low octet they stand. */
  readonly flags: { readonly word: 9 | 10; readonly shift: 0 | 8 };
}

/** What the header of version 5 has behind the times, in wire order. */
export interface Engine {
  /** Flow records sent before the first message. */
  readonly sequence: number;
  /** Engine type and engine id, sampling mode and interval. */
  readonly word: number;
}

export function fixedRecordEncoder(
  { rows }: FlowMemory,
  room: MessageRoom,
  format: FixedFormat,
  nat: NatView,
  engine: Engine = { sequence: 0, word: 0 },
): FlowEncoder {
  const { words, doubles } = rows;
  const { version, headerLength, mostRecords } = format;
  const sides = sidesShown(nat);
  const clock = new MessageClock();
  const { times } = clock;
  const uptimes = rowUptimes(rows, clock);
  /** Words. */
  const recordLength = 12;
  const mostFitting = Math.floor((room.longest / 4 - headerLength) / recordLength);
  const full = headerLength + recordLength * Math.min(mostRecords, mostFitting);
  /** Words, and as bits: like a row's number, an index that is cut to them needs no check. */
  const longestMessage = 511;
  const out = new Int32Array(longestMessage + recordLength);
  const octets = new Uint8Array(out.buffer);
  /** All ones in the word that has the flags. */
  const inNinth = format.flags.word === 9 ? -1 : 0;
  const reach = REACH;
  const flagsShift = format.flags.shift;

  let sequence = engine.sequence;
  /** Where the next record goes: words. */
  let next = headerLength;
  let unsupported = 0;
  let clamped = 0;
  let clipped = 0;

  /** One loop over the two directions of the rows: for the compiler loops in a loop have no constants. */
  function add(first: number, count: number): void {
    const stop = 2 * (first + count);
    let part = 0;
    let parts = 1;
    for (let record = 2 * first; record < stop; record += part === 0 ? 1 : 0) {
      const n = record >> 1;
      const reply = record & 1;
      const row = (n & LAST_ROW) * ROW;
      const double = (n & LAST_ROW) * ROW_DOUBLES;
      if (((words[row + FLOW]! >>> (8 + reply)) & 1) === 0) continue;
      const side = sides[words[row + STATE]! & 255]!;
      const protocols = words[row + PROTOCOLS]!;
      if (((protocols >>> (8 * side)) & 255) !== 4) {
        unsupported++;
        continue;
      }
      times[NOW] = doubles[double + OBSERVED]!;
      if (next !== headerLength && !uptimes.hold(n)) close();
      if (next === headerLength) clock.open();
      const end = doubles[double + END]!;
      let startUptime = doubles[double + START]! - times[BOOT]!;
      let endUptime = end - times[BOOT]!;
      if (startUptime < 0) {
        clipped++;
        startUptime = 0;
      }
      if (endUptime < 0) endUptime = 0;
      if (endUptime > reach) endUptime = reach;
      if (end > times[LATEST]!) times[LATEST] = end;
      const counters = row + REPLY_COUNTERS * reply;
      let octetCount = words[counters + OCTETS + 1]!;
      let packetCount = words[counters + PACKETS + 1]!;
      if ((words[counters + OCTETS]! | words[counters + PACKETS]!) !== 0) {
        if (part === 0) parts = partsOf(counters);
        octetCount = share(counters + OCTETS, parts, part);
        packetCount = share(counters + PACKETS, parts, part);
        part = part + 1 < parts ? part + 1 : 0;
      }
      const view = (2 * side + reply) & 3;
      const interfaces = row + INTERFACES + 2 * reply;
      const description = words[row + DESCRIPTION + view]!;
      const flags = (description >>> 24) << flagsShift;
      // A type belongs to the forward record, and to the family that it is of.
      const icmp = (words[row + ICMP]! << 16) & (((protocols >>> 1) & 1) - 1) & (reply - 1);
      const at = next & longestMessage;
      out[at] = words[row + ADDRESSES + ADDRESS * view]!;
      out[at + 1] = words[row + ADDRESSES + ADDRESS * (view ^ 1)]!;
      out[at + 2] = 0;
      out[at + 3] = (words[interfaces]! >>> 16) | (words[interfaces + 1]! & -65536);
      out[at + 4] = packetCount;
      out[at + 5] = octetCount;
      out[at + 6] = swapOctets(startUptime | 0);
      out[at + 7] = swapOctets(endUptime | 0);
      out[at + 8] = words[row + PORTS + view]! | icmp;
      out[at + 9] = ((description & 255) << 16) | (flags & inNinth);
      out[at + 10] = flags & ~inNinth;
      out[at + 11] = 0;
      next = at + recordLength;
      if (next === full) close();
    }
  }

  /** Records that the counters of a direction take. */
  function partsOf(counters: number): number {
    const wanted = Math.max(
      partsFor(words[counters + OCTETS]!, words[counters + OCTETS + 1]!),
      partsFor(words[counters + PACKETS]!, words[counters + PACKETS + 1]!),
    );
    if (wanted > MOST_PARTS) clamped++;
    return Math.min(wanted, MOST_PARTS);
  }

  function share(counter: number, parts: number, part: number): number {
    return shareOf(words[counter]!, words[counter + 1]!, parts, part);
  }

  /** Sends the message that is being filled. NOW is set. */
  function close(): void {
    const records = (next - headerLength) / recordLength;
    clock.close();
    const time = times[HEADER]!;
    const seconds = Math.floor(time / 1000);
    const milliseconds = Math.floor(time) - 1000 * seconds;
    out[0] = swapOctets((version << 16) | records);
    out[1] = swapOctets((time - times[BOOT]!) | 0);
    out[2] = swapOctets(seconds | 0);
    out[3] = swapOctets(1_000_000 * milliseconds);
    if (version === 5) {
      out[4] = swapOctets(sequence);
      out[5] = engine.word;
    }
    sequence = (sequence + records) | 0;
    const length = 4 * next;
    next = headerLength;
    room.send(octets, length, records);
  }

  function flush(now: number): void {
    if (next === headerLength) return;
    times[NOW] = now;
    close();
  }

  const losses: EncoderLosses = {
    get clippedTimes() {
      return clipped;
    },
    get clampedCounters() {
      return clamped;
    },
    get unsupported() {
      return unsupported;
    },
  };

  return {
    add,
    flush,
    end: flush,
    restart() {
      sequence = 0;
    },
    losses,
  };
}
