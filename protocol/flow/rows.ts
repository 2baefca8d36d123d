/**
 * Memory for flow rows, one behind the other. The stages of a pipeline share one and hand each other ranges of rows: each
 * stage is made once for this memory, so that its arrays are constants to the compiler.
 *
 * Words are written through `words` and `doubles`; numbers in wire order are read through `view`.
 */
import type { InterfaceTable } from './interface.js';
import { ROW_OCTETS, ROWS } from './row.js';
import type { TagTable } from './tags.js';

export class FlowRows {
  readonly capacity: number;
  readonly words: Int32Array;
  readonly doubles: Float64Array;
  readonly view: DataView;

  constructor(capacity = ROWS) {
    const memory = new ArrayBuffer(capacity * ROW_OCTETS);
    this.capacity = capacity;
    this.words = new Int32Array(memory);
    this.doubles = new Float64Array(memory);
    this.view = new DataView(memory);
  }
}

/** What the stages of a pipeline share: ROWS rows, and the interfaces and tags whose numbers stand in them. */
export interface FlowMemory {
  readonly rows: FlowRows;
  readonly interfaces: InterfaceTable;
  readonly tags: TagTable;
}

/** Consecutive rows of the shared memory, of which the first `count` are in use. */
export class RowRange {
  readonly rows: FlowRows;
  /** Number of the first row. */
  readonly first: number;
  readonly capacity: number;
  count = 0;

  constructor(rows: FlowRows, first: number, capacity: number) {
    if (first + capacity > Math.min(rows.capacity, ROWS))
      throw new RangeError(`no row ${first + capacity - 1}`);
    this.rows = rows;
    this.first = first;
    this.capacity = capacity;
  }
}

/** What takes flows: rows of the shared memory, valid during the call. Rows without directions are no flows. */
export interface FlowConsumer {
  add(first: number, count: number): void;
}
