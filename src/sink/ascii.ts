/**
 * Text in ASCII, written into a block of octets. Each function writes at `at` and returns where its text ends; up to seven
 * octets behind that are overwritten with anything.
 */

/** Text is written and copied eight octets at a time, as 64-bit floats: no ASCII is a NaN, whose octets might change. */
const STEP = 8;

/** 64-bit words that hold a writer's pieces. */
const PIECE_WORDS = 8192;

const MINUS = 0x2d;
const ZERO = 0x30;
const COLON = 0x3a;

/** 0 to 255. */
const OCTETS = [...Array(256).keys()];

/**
 * Makes the functions that write into a block of `length` octets. They are made together, and once for an output format,
 * so that the block and the tables are constants to the compiler.
 */
export function asciiWriter(length: number) {
  const octets = new Uint8Array(length);
  const view = new DataView(octets.buffer);
  const pieces = new Float64Array(PIECE_WORDS);
  const pieceOctets = new Uint8Array(pieces.buffer);
  const digits = numberWords();
  const dotted = Int32Array.from(OCTETS, (n) => wordOf(`${n}.`));
  const dottedLengths = Uint8Array.from(OCTETS, (n) => `${n}.`.length);
  const hexadecimal = Int32Array.from(OCTETS, (n) => wordOf(n.toString(16).padStart(2, '0')));
  let piecesEnd = 0;
  /** Names from packets, as many as there are: the length of each, and its text. */
  let texts = new Float64Array(512);
  let textsEnd = 0;

  /**
   * Keeps a text of at most 255 characters for `writePiece`. Returns its number: the word that it starts at, and its length
   * in the low octet.
   */
  function addPiece(text: string): number {
    const number = (piecesEnd << 8) | text.length;
    for (let i = 0; i < text.length; i++) pieceOctets[STEP * piecesEnd + i] = text.charCodeAt(i);
    piecesEnd += Math.ceil(text.length / STEP);
    if (text.length > 255 || piecesEnd > PIECE_WORDS) throw new RangeError(`no room for the text ${text}`);
    return number;
  }

  function writePiece(at: number, piece: number): number {
    const end = at + (piece & 255);
    for (let word = piece >>> 8; at < end; at += STEP, word++) view.setFloat64(at, pieces[word]!, true);
    return end;
  }

  /** Keeps a text of any length, for `writeText`. Returns its number. */
  function keepText(text: string): number {
    const number = textsEnd;
    const start = number + 1;
    textsEnd = start + Math.ceil(text.length / STEP);
    if (textsEnd > texts.length) {
      const larger = new Float64Array(2 * textsEnd);
      larger.set(texts);
      texts = larger;
    }
    texts[number] = text.length;
    new TextEncoder().encodeInto(text, new Uint8Array(texts.buffer, STEP * start));
    return number;
  }

  function writeText(at: number, number: number): number {
    const words = texts;
    // A sum with a float would make positions floats.
    const end = at + (words[number]! | 0);
    for (let word = number + 1; at < end; at += STEP, word++) view.setFloat64(at, words[word]!, true);
    return end;
  }

  /** Copies text of the block. What overlaps is copied to the front only. */
  function copy(at: number, from: number, length: number): number {
    const end = at + length;
    for (; at < end; at += STEP, from += STEP) view.setFloat64(at, view.getFloat64(from, true), true);
    return end;
  }

  /** For what is rare. */
  function writeString(at: number, text: string): number {
    for (let i = 0; i < text.length; i++) octets[at + i] = text.charCodeAt(i);
    return at + text.length;
  }

  /** A word of `numberWords`, without leading zeros. */
  function writeSignificant(at: number, word: number): number {
    const length = word >>> 24;
    view.setInt32(at, word >>> (24 - 8 * length), true);
    return at + length;
  }

  /** A number from 0 to 999, without leading zeros. */
  function writeSmall(at: number, number: number): number {
    return writeSignificant(at, digits[number]!);
  }

  /** A number from 0 to 999, as three digits. */
  function writeThree(at: number, number: number): number {
    view.setInt32(at, digits[number]!, true);
    return at + 3;
  }

  /** A number from 0 to 2^32 - 1. */
  function writeNumber(at: number, number: number): number {
    if (number < 1000) return writeSignificant(at, digits[number]!);
    const thousands = (number / 1000) | 0;
    if (thousands < 1000) {
      at = writeSignificant(at, digits[thousands]!);
    } else {
      const millions = (thousands / 1000) | 0;
      if (millions < 1000) {
        at = writeSignificant(at, digits[millions]!);
      } else {
        const billions = (millions / 1000) | 0;
        at = writeSignificant(at, digits[billions]!);
        view.setInt32(at, digits[millions - 1000 * billions]!, true);
        at += 3;
      }
      view.setInt32(at, digits[thousands - 1000 * millions]!, true);
      at += 3;
    }
    view.setInt32(at, digits[number - 1000 * thousands]!, true);
    return at + 3;
  }

  /** A number of 32 bits with a sign. */
  function writeInteger(at: number, number: number): number {
    if (number >= 0) return writeNumber(at, number);
    octets[at] = MINUS;
    return writeNumber(at + 1, -number);
  }

  /** A counter of 64 bits in wire order, at the octet `counter` of `wire`. */
  function writeCounter(at: number, wire: DataView, counter: number): number {
    const low = wire.getInt32(counter + 4);
    if (wire.getInt32(counter) === 0 && low >= 0) return writeNumber(at, low);
    return writeString(at, String(wire.getBigUint64(counter)));
  }

  /** Milliseconds since the epoch, rounded down; a time before 1970 is 0. As an argument it would become an object. */
  function writeTime(at: number, times: Float64Array, index: number): number {
    const time = Math.floor(times[index]!);
    // From 2001 to 2286: thirteen digits.
    if (!(time >= 1e12 && time < 1e13)) return writeString(at, time > 0 ? String(BigInt(time)) : '0');
    const millions = Math.floor(time / 1e6) | 0;
    const rest = (time - 1e6 * millions) | 0;
    const billions = (millions / 1000) | 0;
    const trillions = (billions / 1000) | 0;
    const thousands = (rest / 1000) | 0;
    octets[at] = ZERO + trillions;
    view.setInt32(at + 1, digits[billions - 1000 * trillions]!, true);
    view.setInt32(at + 4, digits[millions - 1000 * billions]!, true);
    view.setInt32(at + 7, digits[thousands]!, true);
    view.setInt32(at + 10, digits[rest - 1000 * thousands]!, true);
    return at + 13;
  }

  /** A word in wire order, as eight hexadecimal digits. */
  function writeHexadecimal(at: number, word: number): number {
    view.setInt32(at, hexadecimal[word & 255]! | (hexadecimal[(word >>> 8) & 255]! << 16), true);
    view.setInt32(at + 4, hexadecimal[(word >>> 16) & 255]! | (hexadecimal[word >>> 24]! << 16), true);
    return at + 8;
  }

  /** An address of IPv4: a word in wire order. */
  function writeIpv4(at: number, address: number): number {
    const second = at + dottedLengths[address & 255]!;
    const third = second + dottedLengths[(address >>> 8) & 255]!;
    const fourth = third + dottedLengths[(address >>> 16) & 255]!;
    view.setInt32(at, dotted[address & 255]!, true);
    view.setInt32(second, dotted[(address >>> 8) & 255]!, true);
    view.setInt32(third, dotted[(address >>> 16) & 255]!, true);
    return writeSignificant(fourth, digits[address >>> 24]!);
  }

  /** An address of IPv6 at the octet `address` of `wire`, as RFC 5952 wants it. */
  function writeIpv6(at: number, wire: DataView, address: number): number {
    let longestAt = -1;
    // Section 4.2.2: one group alone is not shortened.
    let longest = 1;
    let run = 0;
    for (let group = 0; group < 8; group++) {
      run = wire.getUint16(address + 2 * group) === 0 ? run + 1 : 0;
      if (run > longest) {
        longest = run;
        longestAt = group - run + 1;
      }
    }
    if (longestAt < 0) return writeGroups(at, wire, address, 8);
    // Section 5: an address of IPv4 inside one of IPv6.
    if (longestAt === 0 && longest === 5 && wire.getUint16(address + 10) === 0xffff) {
      return writeIpv4(writeString(at, '::ffff:'), wire.getInt32(address + 12, true));
    }
    at = writeGroups(at, wire, address, longestAt);
    view.setUint16(at, (COLON << 8) | COLON);
    const rest = longestAt + longest;
    return writeGroups(at + 2, wire, address + 2 * rest, 8 - rest);
  }

  /** So many groups in hexadecimal, without leading zeros, and colons between them. */
  function writeGroups(at: number, wire: DataView, groups: number, count: number): number {
    for (let group = 0; group < count; group++) {
      if (group > 0) octets[at++] = COLON;
      const value = wire.getUint16(groups + 2 * group);
      let shift = value >= 0x1000 ? 12 : value >= 0x100 ? 8 : value >= 0x10 ? 4 : 0;
      for (; shift >= 0; shift -= 4) octets[at++] = hexadecimal[(value >>> shift) & 15]! >>> 8;
    }
    return at;
  }

  return {
    octets,
    addPiece,
    writePiece,
    keepText,
    writeText,
    copy,
    writeString,
    writeSmall,
    writeThree,
    writeNumber,
    writeInteger,
    writeCounter,
    writeTime,
    writeHexadecimal,
    writeIpv4,
    writeIpv6,
  };
}

/** Up to four characters as a word, the first of them in its low octet. */
function wordOf(text: string): number {
  return [...text].reduce((word, character, i) => word | (character.charCodeAt(0) << (8 * i)), 0);
}

/** By number: its three digits, the first in the low octet, and in the highest octet how many of them are significant. */
function numberWords(): Int32Array {
  return Int32Array.from({ length: 1000 }, (_, n) => wordOf(`${n}`.padStart(3, '0')) | (`${n}`.length << 24));
}
