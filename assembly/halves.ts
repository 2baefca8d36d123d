/**
 * Notices forwarded connections: each has two states, in on one interface and out on another, and so gives two flows.
 * Both states show the same addresses and ports on the inside of the firewall (the stack key). A sample of the states
 * that end is enough to tell whether most of them are such halves.
 */
import { ADDRESS, ADDRESSES, DIRECTION, FAMILY, PORTS, PROTOCOL, ROW } from '../protocol/flow-row';
import { INBOUND, ORIGINAL_SOURCE, TRANSLATED_SOURCE } from '../protocol/pf-terms';

const SAMPLE = 65_536;
const BUCKETS = 16_384;

/** In the order in which `src/halves` looks at it. */
@unmanaged
export class HalfDetector {
  /** States looked at, and how many of them found their other half among those before. */
  states: i32;
  pairs: i32;
}

/** Octets of the memory that a detector takes. */
export function halfDetectorLength(): usize {
  return offsetof<HalfDetector>() + BUCKETS * 4;
}

/** Looks at the states of these rows, as long as the sample is not full. */
export function noteHalves(detector: HalfDetector, row: usize, count: i32): void {
  for (const end = row + <usize>count * ROW; row < end && detector.states < SAMPLE; row += ROW) {
    if (load<u8>(row, FAMILY) !== 0) noteHalf(detector, row);
  }
}

function noteHalf(detector: HalfDetector, row: usize): void {
  detector.states++;
  const key = stackKey(row);
  const bucket = changetype<usize>(detector) + offsetof<HalfDetector>() + 4 * ((key >> 8) & (BUCKETS - 1));
  const direction: u32 = load<u8>(row, DIRECTION);
  const isWaitedFor = load<u32>(bucket) === (key | (3 - direction));
  if (isWaitedFor) detector.pairs++;
  store<u32>(bucket, isWaitedFor ? 0 : key | direction);
}

/**
 * A hash of protocol, addresses and ports behind the translation of an inbound state, before that of an outbound one. Its last
 * two bits are 0: a bucket has the direction of the state that waits for its other half there; 0 is nobody.
 */
function stackKey(row: usize): u32 {
  const isInbound = load<u8>(row, DIRECTION) === INBOUND;
  const side: usize = isInbound ? 1 : 0;
  const source: usize = isInbound ? TRANSLATED_SOURCE : ORIGINAL_SOURCE;
  // What belongs to the translation stands behind what it is of: one octet further in families and protocols.
  const words: usize = load<u8>(row + side, FAMILY) === 4 ? 1 : 4;
  let key: u32 = load<u8>(row + side, PROTOCOL);
  for (let end = source; end < source + 2; end++) {
    for (let word: usize = 0; word < words; word++) {
      key = (key ^ load<u32>(row + <usize>ADDRESS * end + 4 * word, ADDRESSES)) * 0x85ebca6b;
      key ^= key >> 13;
    }
    key = (key ^ load<u16>(row + 2 * end, PORTS)) * 0xc2b2ae35;
  }
  return (key ^ (key >> 16)) & ~3;
}
