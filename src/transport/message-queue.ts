/**
 * A queue of messages that lie back to back in blocks of memory: a block is what one write, or one system
 * call, takes.
 */

/** Messages of a block at most: as many as sendmmsg(2) takes (UIO_MAXIOV). */
export const BLOCK_MESSAGES = 1024;

/** Octets of empty blocks that are kept for reuse. */
const SPARE_OCTETS = 2 << 20;

/** The list of blocks is moved up after so many have left it. */
const MOVE_AFTER = 64;

export class Block {
  readonly octets: Uint8Array<ArrayBuffer>;
  readonly view: DataView;
  /** Octets in use. */
  length = 0;
  /** Messages in the block. */
  count = 0;
  /** Where each message ends, and its flow records. */
  readonly ends = new Int32Array(BLOCK_MESSAGES);
  readonly records = new Int32Array(BLOCK_MESSAGES);

  constructor(size: number) {
    this.octets = new Uint8Array(new ArrayBuffer(size));
    this.view = new DataView(this.octets.buffer);
  }

  /** Where message number `message` starts. */
  startOf(message: number): number {
    return message === 0 ? 0 : this.ends[message - 1]!;
  }

  lengthOf(message: number): number {
    return this.ends[message]! - this.startOf(message);
  }

  /** Octets of `count` messages from number `first` on. */
  octetsOf(first: number, count: number): number {
    return this.ends[first + count - 1]! - this.startOf(first);
  }

  recordsOf(first: number, count: number): number {
    let sum = 0;
    for (let message = first; message < first + count; message++) sum += this.records[message]!;
    return sum;
  }
}

export class MessageQueue {
  /** Octets that wait. */
  octets = 0;
  readonly #blockSize: number;
  readonly #blocks: Block[] = [];
  /** The first block that waits; those before it have been taken. */
  #head = 0;
  readonly #spare: Block[] = [];

  /** `blockSize` is the octets of a block; a longer message gets a block to itself. */
  constructor(blockSize: number) {
    this.#blockSize = blockSize;
  }

  get isEmpty(): boolean {
    return this.#head === this.#blocks.length;
  }

  /** True when a block is full: more messages would not join it. */
  get hasFullBlock(): boolean {
    return this.#blocks.length - this.#head > 1;
  }

  /** Copies the first `length` octets of `message`. */
  push(message: Uint8Array, length: number, records: number): void {
    let block = this.isEmpty ? undefined : this.#blocks[this.#blocks.length - 1];
    if (block === undefined || block.length + length > this.#blockSize || block.count === BLOCK_MESSAGES) {
      block = this.#emptyBlock(length);
      this.#blocks.push(block);
    }
    const { octets } = block;
    const at = block.length;
    // Where there is room for the octets behind the message, copying them too is cheaper than a view without
    // them.
    octets.set(at + message.length > octets.length ? message.subarray(0, length) : message, at);
    block.length = at + length;
    block.ends[block.count] = block.length;
    block.records[block.count++] = records;
    this.octets += length;
  }

  /** Takes the first block out of the queue. It belongs to the caller until `release`. */
  take(): Block | undefined {
    if (this.isEmpty) return undefined;
    const block = this.#blocks[this.#head++]!;
    this.octets -= block.length;
    if (this.isEmpty || this.#head >= MOVE_AFTER) {
      this.#blocks.splice(0, this.#head);
      this.#head = 0;
    }
    return block;
  }

  /** Gives a block back that is no longer read. */
  release(block: Block): void {
    block.length = 0;
    block.count = 0;
    const isUsual = block.octets.length === this.#blockSize;
    if (isUsual && this.#spare.length * this.#blockSize < SPARE_OCTETS) this.#spare.push(block);
  }

  #emptyBlock(length: number): Block {
    if (length > this.#blockSize) return new Block(length);
    return this.#spare.pop() ?? new Block(this.#blockSize);
  }
}
