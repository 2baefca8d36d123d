/** Memory for what lives longer than a call: the owner in JavaScript asks for it, and gives it back. */

/** At a multiple of 16; what is in it is not known. */
export function allocate(octets: usize): usize {
  return heap.alloc(octets);
}

export function release(at: usize): void {
  heap.free(at);
}

/** What JavaScript copies of shared memory it copies word by word, which takes nearly three times as long. */
export function copy(to: usize, from: usize, octets: usize): void {
  memory.copy(to, from, octets);
}
