/** What the ways of writing flows as text have in common: lines, interface names, times and ports. */
import { INTERFACE_NAME, PORTS } from '../protocol/flow-row';
import { copyText, writeDecimal, writeShort } from './ascii';
import { writeInterface, writeTime } from './imports';
import { placeOf, RECENT } from './interface';

/** In the order in which `src/core-format` lays it down. */
@unmanaged
export class TextFormat {
  /** The end that a forward record shows as its source, of inbound and of outbound states. */
  inboundSource: u32;
  outboundSource: u32;
  /** 1: translated flows show the translated ends too. */
  tellsTranslation: u32;
  /** Interfaces met lately: RECENT of them. */
  names: usize;
}

/** In the order in which `src/text-output` lays it down. */
@unmanaged
export class LineBuffer {
  length: u32;
  /** Lines are gathered up to this length. */
  full: u32;
  text: usize;
}

/** What is written for an interface's name: nothing for no name. */
@unmanaged
class InterfaceText {
  first: u64;
  second: u64;
  length: u32;
}

const TEXT_OF_NAME: usize = 24;
const LONGEST_TEXT: usize = 128;

/** Octets of the memory that the owner of a format keeps for the names. */
export function interfaceTextsLength(): usize {
  return <usize>RECENT * (TEXT_OF_NAME + LONGEST_TEXT);
}

export function writePort(at: usize, row: usize, end: usize): usize {
  return writeShort(at, bswap<u16>(load<u16>(row + 2 * end, PORTS)));
}

/** What the owner wrote for the row's interface. */
export function writeInterfaceName(format: TextFormat, at: usize, row: usize): usize {
  const first = load<u64>(row, INTERFACE_NAME);
  const second = load<u64>(row, INTERFACE_NAME + 8);
  const entry = format.names + <usize>placeOf(first, second) * (TEXT_OF_NAME + LONGEST_TEXT);
  const known = changetype<InterfaceText>(entry);
  if (known.first !== first || known.second !== second) {
    known.length = writeInterface(row, entry + TEXT_OF_NAME);
    known.first = first;
    known.second = second;
  }
  const end = at + known.length;
  copyText(at, entry + TEXT_OF_NAME, end);
  return end;
}

/** Milliseconds as an integer, rounded down. Times that no clock shows are left to the owner. */
export function writeMilliseconds(at: usize, row: usize, field: usize): usize {
  const time = floor(load<f64>(row + field));
  if (time >= 0 && time <= 9_007_199_254_740_991) return writeDecimal(at, <u64>time);
  return at + writeTime(row + field, at);
}
