/** Reads the fields of a line of text, octet by octet: no string is made of it. */

const TAB = 0x09;
const SPACE = 0x20;
const COMMA = 0x2c;
const MINUS = 0x2d;
const COLON = 0x3a;
const LESS = 0x3c;
const GREATER = 0x3e;

/** Decimal digits that a double holds exactly. */
const EXACT_DIGITS = 15;
const WORD = 2 ** 32;

/** A position in a line. What reads a field moves it behind the field, or returns false and leaves it anywhere in it. */
export class LineScanner {
  #octets: Uint8Array = new Uint8Array(0);
  #end = 0;
  at = 0;

  /** Starts on the line from `from` to `end`. */
  start(octets: Uint8Array, from: number, end: number): void {
    this.#octets = octets;
    this.#end = end;
    this.at = from;
  }

  get isAtEnd(): boolean {
    return this.at === this.#end;
  }

  skipBlanks(): void {
    while (this.at < this.#end && isBlank(this.#octets[this.at])) this.at++;
  }

  /** Moves behind the next comma and the blanks after it. False at the end of the line. */
  skipClause(): boolean {
    while (this.at < this.#end && this.#octets[this.at] !== COMMA) this.at++;
    if (this.at === this.#end) return false;
    this.at++;
    this.skipBlanks();
    return true;
  }

  /** Whether `->` or `<-` stands anywhere in the rest of the line. */
  hasArrow(): boolean {
    const octets = this.#octets;
    for (let at = this.at + 1; at < this.#end; at++) {
      if (octets[at] === GREATER && octets[at - 1] === MINUS) return true;
      if (octets[at] === MINUS && octets[at - 1] === LESS) return true;
    }
    return false;
  }

  readText(text: Uint8Array): boolean {
    if (this.#end - this.at < text.length) return false;
    for (let i = 0; i < text.length; i++) if (this.#octets[this.at + i] !== text[i]) return false;
    this.at += text.length;
    return true;
  }

  /** `HH:MM:SS`, hours of any number of digits, as seconds of 32 bits at most; -1 where no such time stands. */
  readTime(): number {
    let seconds = 0;
    for (let part = 0; part < 3; part++) {
      if (part > 0 && !this.#readOctet(COLON)) return -1;
      const first = this.at;
      let value = 0;
      for (let digit = this.#digit(); digit >= 0; digit = this.#digit()) {
        value = value * 10 + digit;
        this.at++;
      }
      if (this.at === first) return -1;
      seconds = seconds * 60 + value;
    }
    return Math.min(seconds, WORD - 1);
  }

  /** `N:N unit` into four words, high before low. Each number has 64 bits at most. */
  readPair(words: Uint32Array, unit: Uint8Array): boolean {
    return (
      this.#readNumber(words, 0) &&
      this.#readOctet(COLON) &&
      this.#readNumber(words, 2) &&
      this.readText(unit)
    );
  }

  /** Whether `count` hexadecimal digits, and not more, stand before a blank or the end of the line. */
  isHex(count: number): boolean {
    const end = this.at + count;
    if (end > this.#end) return false;
    for (let at = this.at; at < end; at++) if (hexValue(this.#octets[at]) < 0) return false;
    return end === this.#end || isBlank(this.#octets[end]);
  }

  /** Eight hexadecimal digits. */
  readHexWord(): number {
    let word = 0;
    for (let i = 0; i < 8; i++) word = (word << 4) | hexValue(this.#octets[this.at++]);
    return word;
  }

  #readNumber(words: Uint32Array, index: number): boolean {
    const first = this.at;
    let value = 0;
    let digit = this.#digit();
    for (; digit >= 0 && this.at - first < EXACT_DIGITS; digit = this.#digit()) {
      value = value * 10 + digit;
      this.at++;
    }
    if (this.at === first) return false;
    let high = Math.floor(value / WORD);
    let low = value % WORD;
    for (; digit >= 0; digit = this.#digit()) {
      low = low * 10 + digit;
      high = high * 10 + Math.floor(low / WORD);
      low %= WORD;
      if (high >= WORD) return false;
      this.at++;
    }
    words[index] = high;
    words[index + 1] = low;
    return true;
  }

  #readOctet(octet: number): boolean {
    if (this.at >= this.#end || this.#octets[this.at] !== octet) return false;
    this.at++;
    return true;
  }

  /** The decimal digit at the position; -1 where none stands. */
  #digit(): number {
    if (this.at >= this.#end) return -1;
    const digit = this.#octets[this.at] - 0x30;
    return digit >= 0 && digit <= 9 ? digit : -1;
  }
}

function isBlank(octet: number): boolean {
  return octet === SPACE || octet === TAB;
}

function hexValue(octet: number): number {
  if (octet >= 0x30 && octet <= 0x39) return octet - 0x30;
  const letter = octet | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
