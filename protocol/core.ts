/**
 * The core: the WebAssembly module that is made from `assembly/`, and the memory that it shares with its callers. It keeps
 * nothing of its own between two calls, and calls nobody: where it needs an answer, it comes back and is called again. That
 * spares a start 1.5 ms, which Node.js 20 takes to compile what leads from WebAssembly to JavaScript. Addresses are offsets in
 * that memory, which never moves.
 */
import { MODULE } from './core-module.js';

/** What `assembly/index` exports. */
interface Core {
  readonly memory: { readonly buffer: SharedArrayBuffer };
  allocate(octets: number): number;
  release(at: number): void;
  copy(to: number, from: number, octets: number): void;
  readStates(layout: number, stride: number, pieces: number, count: number, row: number): number;
  recentNamesLength(): number;
  nameInterfaces(recent: number, row: number, count: number): number;
  isOwn(ownEnds: number, row: number): number;
  reasonToSkip(filter: number, row: number, provenance: number): number;
  halfDetectorLength(): number;
  noteHalves(detector: number, row: number, count: number): void;
  describeDeleted(row: number, count: number): void;
  endDeleted(filter: number, counts: number, halves: number, row: number, count: number): number;
  endStates(filter: number, counts: number, halves: number, row: number, count: number): number;
  tellLiving(filter: number, counts: number, row: number): number;
  countFlows(counts: number, row: number, count: number): void;
  addFixed(encoder: number, row: number, count: number): number;
  closeFixed(encoder: number, now: number): void;
  openClock(clock: number, now: number): void;
  headerTime(clock: number, now: number): number;
  addTemplated(encoder: number, row: number, count: number): number;
  textFormatLength(): number;
  interfaceTextsLength(): number;
  writeJson(format: number, lines: number, row: number, count: number): number;
  writeJsonRecord(format: number, lines: number, row: number, isReply: 0 | 1): void;
  writeCsv(format: number, lines: number, row: number, count: number): number;
  writeCsvRecord(format: number, lines: number, row: number, isReply: 0 | 1): void;
  writeTable(format: number, lines: number, row: number, count: number): number;
  writeTableRecord(format: number, lines: number, row: number, isReply: 0 | 1): void;
  writeEvent(encoder: number, row: number, source: number, to: number): void;
  findInterfaceText(format: number, row: number): number;
}

declare const WebAssembly: {
  readonly Module: new (octets: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: object };
};

export const core = new WebAssembly.Instance(new WebAssembly.Module(MODULE)).exports as Core;

/**
 * The whole memory. It is shared memory, of which a view stays right when there is more of it; what was added is seen by new
 * views alone. So these two are others then.
 */
export let memory = new DataView(core.memory.buffer);
export let memoryOctets = new Uint8Array(core.memory.buffer);

/** Views of the core's memory may have any of these. */
const buffers = new WeakSet<ArrayBufferLike>([core.memory.buffer]);

function seeAll(): void {
  const { buffer } = core.memory;
  if (buffer.byteLength === memory.byteLength) return;
  memory = new DataView(buffer);
  memoryOctets = new Uint8Array(buffer);
  buffers.add(buffer);
}

/** Memory is given back when nobody knows its owner any more. */
const owners = new FinalizationRegistry<number>((at) => core.release(at));

/** Octets at a multiple of 16, until they are released; what is in them is not known. */
export function takeMemory(octets: number): number {
  try {
    return core.allocate(octets);
  } catch {
    throw new Error(`the memory of the core has no ${octets} octets left`);
  } finally {
    seeAll();
  }
}

/** Zeroed octets at a multiple of 16, as long as `holder` lives. */
export function allocate(octets: number, holder: object): number {
  const at = takeMemory(octets);
  memoryOctets.fill(0, at, at + octets);
  owners.register(holder, at);
  return at;
}

export function viewOf(at: number, octets: number): DataView {
  return new DataView(memory.buffer, at, octets);
}

export function wordsAt(at: number, words: number): Int32Array {
  return new Int32Array(memory.buffer, at, words);
}

export function doublesAt(at: number, doubles: number): Float64Array {
  return new Float64Array(memory.buffer, at, doubles);
}

export function octetsAt(at: number, octets: number): Uint8Array {
  return new Uint8Array(memory.buffer, at, octets);
}

/** Whether the view shows a part of the core's memory. */
export function isInCore(view: DataView): boolean {
  return view.buffer === memory.buffer || buffers.has(view.buffer);
}

/** Writes words, as the core has them, one behind the other from `at` on. */
export function writeWords(at: number, words: readonly number[]): void {
  for (let i = 0; i < words.length; i++) memory.setInt32(at + 4 * i, words[i]!, true);
}
