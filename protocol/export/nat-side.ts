/** Which side of a state's translation its records show. */
import { INBOUND, OUTBOUND } from '../flow/pf-terms.js';
import type { NatView } from '../flow/terms.js';

/** The sides as numbers. What belongs to the translated side stands behind what belongs to the original side. */
export const ORIGINAL = 0;
export const TRANSLATED = 1;

/** By pf's direction, an octet. A lookup, because no processor can predict a state's direction. */
export function sidesShown(view: NatView): Int32Array {
  const sides = new Int32Array(256);
  sides[INBOUND] = view === 'original' ? ORIGINAL : TRANSLATED;
  sides[OUTBOUND] = view === 'translated' ? TRANSLATED : ORIGINAL;
  return sides;
}
