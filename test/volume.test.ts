import { expect } from 'chai';
import fc from 'fast-check';
import { networkWord, swapOctets } from '../protocol/byte-order.js';
import { hasCounts, hasPackets, isZero, newVolume, subtract, type Volume } from '../protocol/volume.js';

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

  it('knows its directions', () => {
    const only = (at: number) => volumeFrom([0, 1, 2, 3].map((i) => (i === at ? 1n << 63n : 0n)) as never);
    const tells = (volume: Volume) => [0, 1].flatMap((i) => [hasCounts(volume, i), hasPackets(volume, i)]);
    expect(tells(only(0))).to.deep.equal([true, false, false, false]);
    expect(tells(only(1))).to.deep.equal([true, true, false, false]);
    expect(tells(only(2))).to.deep.equal([false, false, true, false]);
    expect(tells(only(3))).to.deep.equal([false, false, true, true]);
    expect([newVolume(), only(0), only(3)].map(isZero)).to.deep.equal([true, false, false]);
  });
});

describe('byte order', () => {
  it('puts a word into memory as it is on the wire', () => {
    fc.assert(
      fc.property(fc.integer(), (word) => {
        const memory = Int32Array.of(networkWord(word));
        expect(new DataView(memory.buffer).getInt32(0)).to.equal(word);
        expect(swapOctets(swapOctets(word))).to.equal(word);
      }),
    );
  });
});
