/** What is asked of V8 where much is to be read. */
import { setFlagsFromString } from 'node:v8';

/**
 * A state passes through many small functions. V8 stops inlining them where a sum of their sizes is reached, 920: with more
 * room it takes a third fewer instructions for each state. A short run has nothing of it but longer compilations.
 */
export function inlineMore(): void {
  setFlagsFromString('--max-inlined-bytecode-size-cumulative=5000');
}
