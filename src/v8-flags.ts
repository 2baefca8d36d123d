/** What is asked of V8, by how long a run is. */
import type { Extent } from './capture-size.js';
import { loadKoffi } from './koffi.js';

/**
 * The start leaves so much garbage that the room for new objects grows. Where it grows eightfold at once, and not twice,
 * what little comes later hardly ever fills it.
 */
const GROWTH = ['--semi-space-growth-factor=8'];
const NO_GROWTH = ['--semi-space-growth-factor=1'];

/**
 * A short run is over before better code for it has paid, and waits at its end for what is being made: a capture of 10,000
 * states took 49 ms beyond the start of Node.js in place of 63.
 */
const NO_BETTER_CODE = ['--no-opt', '--no-maglev', '--wasm-tiering-budget=2000000000'];

/** To be called before the core is loaded. `needsKoffi` tells whether the run will load koffi anyway. */
export function prepareFor(extent: Extent | undefined, needsKoffi: boolean): void {
  if (extent === 'short') setFlags(NO_BETTER_CODE, needsKoffi ? v8ByKoffi() : undefined);
  else prepareForMuch();
}

export function prepareForMuch(): void {
  setFlags(GROWTH);
}

/** Another thread has memory of its own, and makes the garbage: of this one's room 10 MiB are saved. */
export function leaveMemoryToThread(): void {
  setFlags(NO_GROWTH);
}

type SetFlag = (flag: string, length: number) => void;

function setFlags(flags: readonly string[], setFlag: SetFlag | undefined = nodeV8()): void {
  for (const flag of flags) setFlag(flag, flag.length);
}

function nodeV8(): SetFlag {
  return process.getBuiltinModule('node:v8').setFlagsFromString;
}

/**
 * V8 itself, without node:v8: that one brings node:stream, for heap snapshots, and 3 of 40 ms of a start. Undefined where it
 * cannot be done.
 */
function v8ByKoffi(): SetFlag | undefined {
  try {
    // As C++ calls v8::V8::SetFlagsFromString(const char *, size_t), of v8-initialization.h.
    return loadKoffi()?.load(null).func('void _ZN2v82V818SetFlagsFromStringEPKcm(const char *, size_t)');
  } catch {
    return undefined;
  }
}
