/**
 * Text in ASCII, written where it will leave from: no string is made of it on the way. Each function writes at `at` and
 * answers where its text ends; up to EXCESS octets behind that are of no meaning.
 */
import { decimal, milliseconds, writeIpv6 } from '../protocol/address.js';
import { writeDigits, writeIpv4, writeNine, writeThree } from './digits.js';

export const EXCESS = 16;

/** Octets that are kept of a text: two numbers of eight. */
const KEPT = 16;

/** Writes a text that is written again and again. */
export type Piece = (view: DataView, at: number) => number;

/**
 * A function of one assignment for each eight octets, as numbers: ASCII is never a NaN. In place of a loop over them it
 * takes a third of the instructions. For what the program knows: each piece is compiled.
 */
export function piece(text: string): Piece {
  const stores = Array.from(
    portionsOf(text),
    (portion, i) => `view.setFloat64(at + ${8 * i}, ${portion}, true);`,
  );
  return new Function('view', 'at', `${stores.join('\n')}\nreturn at + ${text.length};`) as Piece;
}

/** The same for texts that others can make up without end. */
export function loosePiece(text: string): Piece {
  const portions = portionsOf(text);
  return (view, at) => {
    for (let i = 0; i < portions.length; i++) view.setFloat64(at + 8 * i, portions[i]!, true);
    return at + text.length;
  };
}

function portionsOf(text: string): Float64Array {
  const octets = new Uint8Array((text.length + 7) & ~7);
  for (let i = 0; i < text.length; i++) octets[i] = text.charCodeAt(i);
  const view = new DataView(octets.buffer);
  return Float64Array.from({ length: octets.length / 8 }, (_, i) => view.getFloat64(8 * i, true));
}

export function writeText(view: DataView, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) view.setInt8(at + i, text.charCodeAt(i));
  return at + text.length;
}

/** A signed word. */
export function writeInteger(view: DataView, at: number, word: number): number {
  return word < 0 ? writeText(view, at, `${word}`) : writeDigits(view, at, word);
}

/** An unsigned 64-bit integer in two words, each signed or unsigned. */
export function writeDecimal(view: DataView, at: number, high: number, low: number): number {
  if (high === 0 && low >= 0 && low <= 0x7fff_ffff) return writeDigits(view, at, low);
  return writeLarge(view, at, high, low);
}

/** More than a signed word holds. */
function writeLarge(view: DataView, at: number, high: number, low: number): number {
  const number = (high >>> 0) * 2 ** 32 + (low >>> 0);
  if (number > Number.MAX_SAFE_INTEGER) return writeText(view, at, decimal(high, low));
  const billions = Math.floor(number / 1e9);
  return writeNine(view, writeDigits(view, at, billions), number - billions * 1e9);
}

/** Milliseconds as an integer, rounded down. */
export function writeMilliseconds(view: DataView, at: number, time: number): number {
  const seconds = Math.floor(time / 1000);
  if (!(seconds > 0 && seconds <= 0x7fff_ffff)) return writeText(view, at, milliseconds(time));
  return writeThree(view, writeDigits(view, at, seconds | 0), (time - 1000 * seconds) | 0);
}

/**
 * The same, for times that come again and again, as a packet's does with each of its flows and a flow's with both of its
 * records: the last text is kept.
 */
export function millisecondsWriter(): typeof writeMilliseconds {
  const kept = new Float64Array([Number.NaN, 0, 0]);
  let length = 0;
  return (view, at, time) => {
    if (kept[0] === time) {
      view.setFloat64(at, kept[1]!, true);
      view.setFloat64(at + 8, kept[2]!, true);
      return at + length;
    }
    const end = writeMilliseconds(view, at, time);
    length = end - at;
    kept[0] = length <= KEPT ? time : Number.NaN;
    kept[1] = view.getFloat64(at, true);
    kept[2] = view.getFloat64(at + 8, true);
    return end;
  };
}

/** The address at `addressAt` of `from`; `family` is 4 or 6. */
export function writeAddress(
  view: DataView,
  at: number,
  from: DataView,
  addressAt: number,
  family: number,
): number {
  if (family === 4) return writeIpv4(view, at, from.getInt32(addressAt));
  return writeText(view, at, writeIpv6(from, addressAt));
}
