/** What is asked of V8 where much is to be read. */
import { setFlagsFromString } from 'node:v8';

/**
 * The start leaves so much garbage that the room for new objects grows. Where it grows eightfold at once, and not twice,
 * what little comes later hardly ever fills it.
 */
const GROWTH = '--semi-space-growth-factor=8';
const NO_GROWTH = '--semi-space-growth-factor=1';

/** A short run has nothing of it. */
export function prepareForMuch(): void {
  setFlagsFromString(GROWTH);
}

/** Another thread has memory of its own, and makes the garbage: of this one's room 10 MiB are saved. */
export function leaveMemoryToThread(): void {
  setFlagsFromString(NO_GROWTH);
}
