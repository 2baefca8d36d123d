/** Which states become flows. A state stays or goes with both of its records. */

import {
  ADDRESS,
  ADDRESSES,
  DIRECTION,
  FAMILY,
  PORTS,
  PROTOCOL,
  TRANSLATED_FAMILY,
  TRANSLATED_PROTOCOL,
} from '../protocol/flow-row';
import { NONE } from '../protocol/flow-terms';
import { ORIGINAL_SOURCE, TCP, TRANSLATED_SOURCE } from '../protocol/pf-terms';

/** In the order in which `src/filter` lays it down. */
@unmanaged
export class FlowFilter {
  /** pf's number of the direction that is wanted; 0 is any. */
  direction: i32;
  /** 1: states of unknown volume are left out. */
  noUncounted: i32;
  /** Where our own exports go to; may be nobody. */
  ownEnds: OwnEnds | null;
}

/** In the order in which `src/self` lays it down. */
@unmanaged
export class OwnEnds {
  count: i32;
  first: usize;
}

/** In the order in which `src/self` lays it down: the port and the address in wire order. */
@unmanaged
class OwnEnd {
  family: i32;
  port: i32;
  first: u64;
  second: u64;
}

/** Why a state gave no flow: numbers of the names in `src/filter`. */
export const SKIP_DIRECTION = 1;
export const SKIP_SELF = 2;
export const SKIP_UNCOUNTED = 3;

const UDP: u32 = 17;

/** Whether there is no state that it skips. */
export function takesAll(filter: FlowFilter): bool {
  return filter.direction === 0 && filter.noUncounted === 0 && !filter.ownEnds;
}

/** 0: for none. */
export function reasonToSkip(filter: FlowFilter, row: usize, provenance: i32): i32 {
  if (filter.direction !== 0 && load<u8>(row, DIRECTION) !== filter.direction) return SKIP_DIRECTION;
  const ownEnds = filter.ownEnds;
  if (ownEnds && isOwn(ownEnds, row)) return SKIP_SELF;
  return provenance === NONE && filter.noUncounted !== 0 ? SKIP_UNCOUNTED : 0;
}

/** Whether it is a state of our own exports: to or from one of these ends. */
export function isOwn(ownEnds: OwnEnds, row: usize): bool {
  const isOriginal = carriesExports(load<u8>(row, PROTOCOL));
  const isTranslated = carriesExports(load<u8>(row, TRANSLATED_PROTOCOL));
  if (!isOriginal && !isTranslated) return false;
  for (let i = 0; i < ownEnds.count; i++) {
    const own = changetype<OwnEnd>(ownEnds.first + <usize>i * offsetof<OwnEnd>());
    if (isOriginal && hasEnd(own, row, ORIGINAL_SOURCE, load<u8>(row, FAMILY))) return true;
    if (isTranslated && hasEnd(own, row, TRANSLATED_SOURCE, load<u8>(row, TRANSLATED_FAMILY))) return true;
  }
  return false;
}

function carriesExports(protocol: u32): bool {
  return protocol === UDP || protocol === TCP;
}

/** Whether it is the source or the destination of a pair. Asked of every state: nearly all have other ports. */
function hasEnd(own: OwnEnd, row: usize, source: usize, family: i32): bool {
  return isEnd(own, row, source ^ 1, family) || isEnd(own, row, source, family);
}

function isEnd(own: OwnEnd, row: usize, end: usize, family: i32): bool {
  if (<i32>load<u16>(row + 2 * end, PORTS) !== own.port || family !== own.family) return false;
  const address = row + <usize>ADDRESS * end;
  if (family === 4) return load<u32>(address, ADDRESSES) === <u32>own.first;
  return load<u64>(address, ADDRESSES) === own.first && load<u64>(address, ADDRESSES + 8) === own.second;
}
