/** What is asked of V8, by how long a run is. */
import { setFlagsFromString } from 'node:v8';
import type { Extent } from './capture-size.js';

/**
 * The start leaves so much garbage that the room for new objects grows. Where it grows eightfold at once, and not twice,
 * what little comes later hardly ever fills it.
 */
const GROWTH = '--semi-space-growth-factor=8';
const NO_GROWTH = '--semi-space-growth-factor=1';

/**
 * A short run is over before better code for it has paid, and waits at its end for what is being made: a capture of 10,000
 * states took 49 ms beyond the start of Node.js in place of 63.
 */
const NO_BETTER_CODE = ['--no-opt', '--no-maglev', '--wasm-tiering-budget=2000000000'];

/** To be called before the core is loaded. */
export function prepareFor(extent: Extent | undefined): void {
  if (extent === 'short') for (const flag of NO_BETTER_CODE) setFlagsFromString(flag);
  else prepareForMuch();
}

export function prepareForMuch(): void {
  setFlagsFromString(GROWTH);
}

/** Another thread has memory of its own, and makes the garbage: of this one's room 10 MiB are saved. */
export function leaveMemoryToThread(): void {
  setFlagsFromString(NO_GROWTH);
}
