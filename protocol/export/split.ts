/** Splitting 64-bit counters over several records (NetFlow v1 and v5). A file without imports, as `flow-row` is one. */

/** A hostile counter of 2^64-1 would make four thousand million records: this many are written, and no more. */
export const MOST_PARTS = 4096;
