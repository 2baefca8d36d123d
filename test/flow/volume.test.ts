import { expect } from 'chai';
import fc from 'fast-check';
import { swapOctets } from '../../protocol/flow/byte-order.js';
import { newVolume, subtract, type Volume } from '../../protocol/flow/volume.js';

const LARGEST = 2n ** 64n - 1n;

/** Octets, packets, and those of the replies. */
type Counters = readonly [bigint, bigint, bigint, bigint];

function volumeFrom(counters: Counters): Volume {
  const volume = newVolume();
  counters.forEach((counter, at) => {
    volume[2 * at] = Number(BigInt.asIntN(32, counter >> 32n));
    volume[2 * at + 1] = Number(BigInt.asIntN(32, counter));
  });
  return volume;
}

function countersOf(volume: Volume): bigint[] {
  return [0, 2, 4, 6].map((at) =>
    BigInt.asUintN(64, (BigInt(volume[at]!) << 32n) | BigInt.asUintN(32, BigInt(volume[at + 1]!))),
  );
}

describe('a volume', () => {
  const counter = fc.oneof(fc.bigInt({ min: 0n, max: LARGEST }), fc.bigInt({ min: 0n, max: 2n ** 33n }));
  const counters = fc.tuple(counter, counter, counter, counter);

  it('gains what it has more than before, and nothing where a counter went back', () => {
    fc.assert(
      fc.property(counters, counters, (now, before) => {
        const volume = volumeFrom(now);
        subtract(volume, volumeFrom(before));
        const gains = now.map((counter, at) => (counter > before[at]! ? counter - before[at]! : 0n));
        expect(countersOf(volume)).to.deep.equal(gains);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('byte order', () => {
  it('is turned around, and back', () => {
    fc.assert(
      fc.property(fc.integer(), (word) => {
        const memory = new DataView(new ArrayBuffer(4));
        memory.setInt32(0, word);
        expect(swapOctets(word)).to.equal(memory.getInt32(0, true));
        expect(swapOctets(swapOctets(word))).to.equal(word);
      }),
    );
  });
});
