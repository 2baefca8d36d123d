/** A queue of messages that lie back to back in blocks: a block is what one write takes. */

/** Blocks that are kept for reuse. */
const MOST_SPARE = 16;

/** So many blocks leave before the list is moved up. */
const FORGET_AFTER = 64;

export class Block {
  readonly octets: Uint8Array;
  readonly view: DataView;
  length = 0;
  /** Flow records of each message, in order. */
  readonly records: number[] = [];

  constructor(size: number) {
    this.octets = new Uint8Array(size);
    this.view = new DataView(this.octets.buffer);
  }
}

export class MessageQueue {
  /** Octets that wait. */
  octets = 0;
  readonly #blockSize: number;
  readonly #blocks: Block[] = [];
  /** The first block that waits stands here; those before it have left. */
  #head = 0;
  readonly #spare: Block[] = [];

  /** Octets of a block; a message that is longer has one of its own. */
  constructor(blockSize: number) {
    this.#blockSize = blockSize;
  }

  get isEmpty(): boolean {
    return this.#head === this.#blocks.length;
  }

  push(message: Uint8Array, length: number, records: number): void {
    let block = this.isEmpty ? undefined : this.#blocks[this.#blocks.length - 1];
    if (block === undefined || block.length + length > this.#blockSize) {
      const spare = length > this.#blockSize ? new Block(length) : this.#spare.pop();
      block = spare ?? new Block(this.#blockSize);
      this.#blocks.push(block);
    }
    block.octets.set(length === message.length ? message : message.subarray(0, length), block.length);
    block.length += length;
    block.records.push(records);
    this.octets += length;
  }

  /** The first block leaves the queue; it belongs to the caller until `release`. */
  take(): Block | undefined {
    if (this.isEmpty) return undefined;
    const block = this.#blocks[this.#head++]!;
    this.octets -= block.length;
    if (this.isEmpty || this.#head >= FORGET_AFTER) {
      this.#blocks.splice(0, this.#head);
      this.#head = 0;
    }
    return block;
  }

  /** Takes back a block that nobody reads any more. */
  release(block: Block): void {
    block.length = 0;
    block.records.length = 0;
    const isUsual = block.octets.length === this.#blockSize;
    if (isUsual && this.#spare.length < MOST_SPARE) this.#spare.push(block);
  }
}
