import { expect } from 'chai';
import fc from 'fast-check';
import { BLOCK_MESSAGES, MessageQueue } from '../../src/transport/message-queue.js';

const BLOCK = 100;

interface Message {
  readonly length: number;
  readonly records: number;
  /** Blocks taken after it was added. */
  readonly taken: number;
}

const messages: fc.Arbitrary<Message[]> = fc.array(
  fc.record({
    length: fc.oneof(
      { weight: 9, arbitrary: fc.integer({ min: 1, max: BLOCK }) },
      fc.integer({ min: 101, max: 300 }),
    ),
    records: fc.nat(50),
    taken: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.nat(80)),
  }),
  { maxLength: 400 },
);

describe('message queue', () => {
  it('gives the messages back in order, in blocks that are full or the last', () => {
    fc.assert(
      fc.property(messages, (all) => {
        const queue = new MessageQueue(BLOCK);
        const room = new Uint8Array(300);
        const seen: number[] = [];
        const records: number[] = [];
        const lengths: number[] = [];
        let pushed = 0;
        let octets = 0;
        const take = () => {
          const block = queue.take();
          if (block === undefined) return expect(queue.isEmpty).to.equal(true);
          expect(block.length <= BLOCK || block.count === 1).to.equal(true);
          seen.push(...block.octets.subarray(0, block.length));
          records.push(...block.records.subarray(0, block.count));
          lengths.push(...Array.from({ length: block.count }, (_, n) => block.lengthOf(n)));
          expect(block.octetsOf(0, block.count)).to.equal(block.length);
          expect(block.startOf(0)).to.equal(0);
          octets -= block.length;
          // What is reused must show.
          block.octets.fill(0xff);
          return queue.release(block);
        };
        for (const [i, { length, records: count, taken }] of all.entries()) {
          room.fill(i % 251, 0, length);
          queue.push(room, length, count);
          pushed += length;
          octets += length;
          for (let n = 0; n < taken && !queue.isEmpty; n++) take();
          expect(queue.octets).to.equal(octets);
        }
        while (!queue.isEmpty) take();
        expect(queue.take()).to.equal(undefined);
        expect(seen.length).to.equal(pushed);
        expect(seen).to.deep.equal(all.flatMap(({ length }, i) => new Array<number>(length).fill(i % 251)));
        expect(lengths).to.deep.equal(all.map(({ length }) => length));
        expect(records).to.deep.equal(all.map(({ records: count }) => count));
      }),
      { numRuns: 60 },
    );
  });

  it('holds no more messages in a block than one system call takes', () => {
    const queue = new MessageQueue(1 << 20);
    for (let n = 0; n < 2500; n++) queue.push(Uint8Array.of(n & 255), 1, 1);
    const blocks = [queue.take()!, queue.take()!, queue.take()!];
    expect(blocks.map(({ count }) => count)).to.deep.equal([BLOCK_MESSAGES, BLOCK_MESSAGES, 2500 - 2048]);
    expect(queue.isEmpty).to.equal(true);
  });

  it('copies what it is given: the caller may use its memory again at once', () => {
    const queue = new MessageQueue(BLOCK);
    const message = new Uint8Array(60);
    // The second has room for its octets, and none for those behind them.
    for (const length of [60, 40]) {
      message.fill(length, 0, length).fill(0xff, length);
      queue.push(message, length, 1);
    }
    const block = queue.take()!;
    expect([...block.octets.subarray(0, block.length)]).to.deep.equal([
      ...Array<number>(60).fill(60),
      ...Array<number>(40).fill(40),
    ]);
  });

  it('knows when a block is full', () => {
    const queue = new MessageQueue(BLOCK);
    queue.push(new Uint8Array(60), 60, 1);
    expect(queue.hasFullBlock).to.equal(false);
    queue.push(new Uint8Array(60), 60, 1);
    expect(queue.hasFullBlock).to.equal(true);
    queue.take();
    expect([queue.hasFullBlock, queue.isEmpty]).to.deep.equal([false, false]);
  });
});
