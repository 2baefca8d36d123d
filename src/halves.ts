/**
 * Notices forwarded connections: each has two states, in on one interface and out on another, and so gives two flows.
 * Both states show the same addresses and ports on the inside of the firewall (the stack key). A sample of the states
 * that end is enough to tell whether most of them are such halves.
 */
import { INBOUND, ORIGINAL_SOURCE, TRANSLATED_SOURCE } from '../protocol/pf-terms.js';
import type { StateView } from '../protocol/pfsync-state.js';

const SAMPLE = 65_536;
const BUCKETS = 16_384;
/** Fewer states than this prove nothing. */
const LEAST = 20;

export class HalfDetector {
  /** States looked at, and how many of them found their other half among those before. */
  states = 0;
  pairs = 0;
  /** The stack key of a state that waits for its other half, and 1 or 2 for its direction; 0 is nobody. */
  readonly #keys = new Int32Array(BUCKETS);
  readonly #directions = new Uint8Array(BUCKETS);

  note(state: StateView): void {
    if (this.states === SAMPLE) return;
    this.states++;
    const key = stackKey(state);
    const bucket = (key >>> 8) & (BUCKETS - 1);
    const isWaitedFor = this.#directions[bucket] === 3 - state.direction && this.#keys[bucket] === key;
    if (isWaitedFor) this.pairs++;
    this.#keys[bucket] = key;
    this.#directions[bucket] = isWaitedFor ? 0 : state.direction;
  }

  get areMost(): boolean {
    return this.states >= LEAST && 2 * this.pairs > this.states / 2;
  }
}

/** A hash of protocol, addresses and ports behind the translation of an inbound state, before that of an outbound one. */
function stackKey(state: StateView): number {
  const isInbound = state.direction === INBOUND;
  const source = isInbound ? TRANSLATED_SOURCE : ORIGINAL_SOURCE;
  const words = (isInbound ? state.translatedFamily : state.family) === 4 ? 1 : 4;
  let key = isInbound ? state.translatedProtocol : state.protocol;
  for (const end of [source, source ^ 1]) {
    for (let word = 0; word < words; word++) {
      key = Math.imul(key ^ state.view.getInt32(state.addressAt(end) + 4 * word), 0x85ebca6b);
      key ^= key >>> 13;
    }
    key = Math.imul(key ^ state.port(end), 0xc2b2ae35);
  }
  return key ^ (key >>> 16);
}
