/** Text in ASCII, written where it will leave from: no string is made of it on the way. */
import { decimal, milliseconds, writeIpv6 } from '../protocol/address.js';
import { writeDigits, writeHexWord, writeIpv4, writeNine, writeThree } from './digits.js';

/** What a piece may write beyond its end. */
const EXCESS = 8;

/** A piece of text that is written again and again. */
export interface Piece {
  readonly length: number;
  write(view: DataView, at: number): void;
}

/**
 * A function of one assignment for each eight octets, as numbers: ASCII is never a NaN. In place of a loop over them it
 * takes a third of the instructions. For what the program knows: each piece is compiled.
 */
export function piece(text: string): Piece {
  const portions = portionsOf(text);
  const stores = Array.from(portions, (portion, i) => `view.setFloat64(at + ${8 * i}, ${portion}, true);`);
  return { length: text.length, write: new Function('view', 'at', stores.join('\n')) as Piece['write'] };
}

/** The same for texts that others can make up without end. */
export function loosePiece(text: string): Piece {
  const portions = portionsOf(text);
  const write = (view: DataView, at: number) => {
    for (let i = 0; i < portions.length; i++) view.setFloat64(at + 8 * i, portions[i]!, true);
  };
  return { length: text.length, write };
}

function portionsOf(text: string): Float64Array {
  const octets = new Uint8Array((text.length + 7) & ~7);
  for (let i = 0; i < text.length; i++) octets[i] = text.charCodeAt(i);
  const view = new DataView(octets.buffer);
  return Float64Array.from({ length: octets.length / 8 }, (_, i) => view.getFloat64(8 * i, true));
}

export class AsciiWriter {
  /** Those before `length` are written. */
  readonly octets: Uint8Array;
  length = 0;
  readonly #view: DataView;

  constructor(size: number) {
    this.#view = new DataView(new ArrayBuffer(size + EXCESS));
    this.octets = new Uint8Array(this.#view.buffer);
  }

  clear(): void {
    this.length = 0;
  }

  piece(piece: Piece): void {
    const at = this.length;
    piece.write(this.#view, at);
    this.length = at + piece.length;
  }

  text(text: string): void {
    for (let i = 0; i < text.length; i++) this.octets[this.length++] = text.charCodeAt(i);
  }

  /** A signed word. */
  integer(word: number): void {
    if (word < 0) this.text(`${word}`);
    else this.length = writeDigits(this.octets, this.length, word);
  }

  /** An unsigned 64-bit integer in two words, each signed or unsigned. */
  decimal(high: number, low: number): void {
    if (high === 0 && low >= 0 && low <= 0x7fff_ffff)
      this.length = writeDigits(this.octets, this.length, low);
    else this.#large(high, low);
  }

  /** Milliseconds as an integer, rounded down. */
  milliseconds(time: number): void {
    const seconds = Math.floor(time / 1000);
    if (seconds > 0 && seconds <= 0x7fff_ffff) {
      const at = writeDigits(this.octets, this.length, seconds | 0);
      this.length = writeThree(this.octets, at, (time - 1000 * seconds) | 0);
    } else {
      this.text(milliseconds(time));
    }
  }

  /** The eight hexadecimal digits of a word. */
  hexWord(word: number): void {
    writeHexWord(this.octets, this.length, word);
    this.length += 8;
  }

  /** The address at `at`; `family` is 4 or 6. */
  address(from: DataView, at: number, family: number): void {
    if (family === 4) this.length = writeIpv4(this.octets, this.length, from.getInt32(at));
    else this.text(writeIpv6(from, at));
  }

  /** More than a signed word holds. */
  #large(high: number, low: number): void {
    const number = (high >>> 0) * 2 ** 32 + (low >>> 0);
    if (number > Number.MAX_SAFE_INTEGER) {
      this.text(decimal(high, low));
      return;
    }
    const billions = Math.floor(number / 1e9);
    const at = writeDigits(this.octets, this.length, billions);
    this.length = writeNine(this.octets, at, number - billions * 1e9);
  }
}
