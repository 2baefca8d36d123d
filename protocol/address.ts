/** Addresses, ids and 64-bit counters as text. IPv6 as RFC 5952 wants it. */

const WORD = 2 ** 32;
/** High words below this make an exact Number. */
const EXACT_HIGH = 2 ** 21;

const OCTETS = Array.from({ length: 256 }, (_, octet) => `${octet}`);
const DOTTED = Array.from({ length: 256 }, (_, octet) => `${octet}.`);
const HEX = Array.from({ length: 256 }, (_, octet) => octet.toString(16));
const HEX_PADDED = Array.from({ length: 256 }, (_, octet) => octet.toString(16).padStart(2, '0'));
const THREE_DIGITS = Array.from({ length: 1000 }, (_, number) => `${number}`.padStart(3, '0'));

/** The text of the address at `at`; `family` is 4 or 6. */
export function writeAddress(view: DataView, at: number, family: number): string {
  return family === 4 ? writeIpv4(view, at) : writeIpv6(view, at);
}

export function writeIpv4(view: DataView, at: number): string {
  const word = view.getInt32(at);
  return (
    DOTTED[word >>> 24]! + DOTTED[(word >>> 16) & 0xff]! + DOTTED[(word >>> 8) & 0xff]! + OCTETS[word & 0xff]!
  );
}

/** RFC 5952: lower case, the first of the longest runs of zero groups as `::`, the mapped form with a dotted end. */
export function writeIpv6(view: DataView, at: number): string {
  let longestAt = -1;
  let longest = 1; // Section 4.2.2: one group alone is not shortened.
  for (let group = 0, run = 0; group < 8; group++) {
    run = view.getUint16(at + 2 * group) === 0 ? run + 1 : 0;
    if (run > longest) {
      longest = run;
      longestAt = group - run + 1;
    }
  }
  if (longestAt < 0) return writeGroups(view, at, 0, 8);
  if (longestAt === 0 && longest === 5 && view.getUint16(at + 10) === 0xffff)
    return `::ffff:${writeIpv4(view, at + 12)}`;
  return `${writeGroups(view, at, 0, longestAt)}::${writeGroups(view, at, longestAt + longest, 8)}`;
}

function writeGroups(view: DataView, at: number, from: number, to: number): string {
  let text = '';
  for (let group = from; group < to; group++) {
    const high = view.getUint8(at + 2 * group);
    const low = view.getUint8(at + 2 * group + 1);
    if (group > from) text += ':';
    text += high === 0 ? HEX[low]! : HEX[high]! + HEX_PADDED[low]!;
  }
  return text;
}

/** The decimal digits of an unsigned 64-bit integer in two words, each signed or unsigned. */
export function decimal(high: number, low: number): string {
  if (high === 0) return `${low >>> 0}`;
  const unsigned = high >>> 0;
  if (unsigned < EXACT_HIGH) return `${unsigned * WORD + (low >>> 0)}`;
  return `${(BigInt(unsigned) << 32n) | BigInt(low >>> 0)}`;
}

/** A time in milliseconds as an integer without exponent, whatever a capture claims; fractions are cut off downwards. */
export function milliseconds(time: number): string {
  const whole = Math.floor(time);
  // In two parts that fit small integers, which print several times faster.
  if (whole >= 1000 && whole < 2 ** 31 * 1000) {
    const seconds = Math.floor(whole / 1000);
    return `${seconds}${THREE_DIGITS[whole - 1000 * seconds]!}`;
  }
  return Number.isSafeInteger(whole) || !Number.isFinite(whole) ? `${whole}` : `${BigInt(whole)}`;
}

/** The three digits of 0 to 999. */
export function threeDigits(number: number): string {
  return THREE_DIGITS[number]!;
}
