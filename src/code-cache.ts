/**
 * The program as one file, with what V8 made of it when it was built: to parse and compile it anew takes some 15 ms.
 * V8 itself refuses code of another version, of other flags or of another source; then it compiles as ever.
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { Script } from 'node:vm';
import type { LikelyRun } from './likely-run.js';

/** What stands around a CommonJS module where it is compiled. The build writes it into the file: V8 would copy what is put together here. */
export const WRAPPER = {
  before: '(function (exports, require, module, __filename, __dirname) {',
  after: '})',
};

/** Compiles the file of a CommonJS module in its wrapper. What `run` needs is taken from the code that was kept. */
export function compile(file: string, run: LikelyRun): Script {
  const cache = cacheOf(file, run);
  // Both are read into it, one after the other: new memory took a virtual machine a millisecond more.
  const room = Buffer.allocUnsafeSlow(Math.max(lengthOf(file), lengthOf(cache)));
  const source = read(file, room).toString('latin1');
  const cachedData = readIfThere(cache, room);
  return new Script(source, { filename: file, ...(cachedData === undefined ? {} : { cachedData }) });
}

/** Runs what was compiled of the file; the answer is what it exports. `require` is that of the file, or of one beside it. */
export function evaluate(script: Script, file: string, require: NodeJS.Require): unknown {
  const module = { exports: {} };
  script.runInThisContext()(module.exports, require, module, file, dirname(file));
  return module.exports;
}

/** Where the code is kept that a run needs of a file. */
export function cacheOf(file: string, run: LikelyRun): string {
  return `${file}.${run}.cache`;
}

/** Octets of the file; 0 where there is none. */
function lengthOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

function readIfThere(file: string, room: Buffer): Buffer | undefined {
  try {
    return read(file, room);
  } catch {
    return undefined;
  }
}

/** Reads the file into `room`, which holds it. */
function read(file: string, room: Buffer): Buffer {
  const descriptor = openSync(file, 'r');
  try {
    let length = 0;
    let taken: number;
    do {
      taken = readSync(descriptor, room, { offset: length });
      length += taken;
    } while (taken > 0);
    return room.subarray(0, length);
  } finally {
    closeSync(descriptor);
  }
}
