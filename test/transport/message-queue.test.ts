import { expect } from 'chai';
import fc from 'fast-check';
import { MessageQueue } from '../../src/transport/message-queue.js';

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
        let pushed = 0;
        let octets = 0;
        const take = () => {
          const block = queue.take();
          if (block === undefined) return expect(queue.isEmpty).to.equal(true);
          expect(block.length <= BLOCK || block.records.length === 1).to.equal(true);
          seen.push(...block.octets.subarray(0, block.length));
          records.push(...block.records);
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
        expect(records).to.deep.equal(all.map(({ records: count }) => count));
      }),
      { numRuns: 60 },
    );
  });
});
