import { expect } from 'chai';
import fc from 'fast-check';
import { swapOctets } from '../../protocol/flow/byte-order.js';
import {
  addCounters,
  addOctets,
  areCounted,
  COUNTERS_OCTETS,
  copyCounters,
  raiseCounters,
  subtractCounters,
} from '../../src/state/counters.js';

const LARGEST = 2n ** 64n - 1n;
/** Octets in front of the counters: they lie somewhere in a row. */
const AT = 12;

/** Octets, packets, and those of the replies. */
type Counters = readonly [bigint, bigint, bigint, bigint];

function viewOf(counters: Counters): DataView {
  const view = new DataView(new ArrayBuffer(AT + COUNTERS_OCTETS));
  counters.forEach((counter, n) => {
    view.setBigUint64(AT + 8 * n, counter);
  });
  return view;
}

function countersOf(view: DataView): bigint[] {
  return [0, 1, 2, 3].map((n) => view.getBigUint64(AT + 8 * n));
}

const counter = fc.oneof(
  fc.bigInt({ min: 0n, max: LARGEST }),
  fc.bigInt({ min: 0n, max: 2n ** 33n }),
  fc.bigInt({ min: 0n, max: 3n }),
  fc.constantFrom(0n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 53n, LARGEST),
);
const counters = fc.tuple(counter, counter, counter, counter);

describe('counters of both directions', () => {
  it('gain what they have more than before, and nothing where a counter went back', () => {
    fc.assert(
      fc.property(counters, counters, (now, before) => {
        const view = viewOf(now);
        subtractCounters(view, AT, viewOf(before), AT);
        const gains = now.map((counter, n) => (counter > before[n]! ? counter - before[n]! : 0n));
        expect(countersOf(view)).to.deep.equal(gains);
      }),
      { numRuns: 1000 },
    );
  });

  it('add up, as far as 64 bits go', () => {
    fc.assert(
      fc.property(counters, counters, (one, other) => {
        const view = viewOf(one);
        addCounters(view, AT, viewOf(other), AT);
        const sums = one.map((counter, n) => counter + other[n]!);
        expect(countersOf(view)).to.deep.equal(sums.map((sum) => (sum > LARGEST ? LARGEST : sum)));
      }),
      { numRuns: 1000 },
    );
  });

  it('are raised, each direction by itself, and never lowered', () => {
    fc.assert(
      fc.property(counters, counters, (from, to) => {
        const view = viewOf(to);
        const result = raiseCounters(viewOf(from), AT, view, AT);
        const outcomes = [0, 2].map((n) => {
          const [octets, packets, hadOctets, hadPackets] = [from[n]!, from[n + 1]!, to[n]!, to[n + 1]!];
          if (octets < hadOctets || packets < hadPackets) return 'old';
          return octets === hadOctets && packets === hadPackets ? 'same' : 'raised';
        });
        const expected = outcomes.flatMap((outcome, direction) =>
          [0, 1].map((n) => (outcome === 'raised' ? from : to)[2 * direction + n]!),
        );
        expect(countersOf(view)).to.deep.equal(expected);
        const isOld = outcomes.every((outcome) => outcome === 'old');
        expect(Math.sign(result)).to.equal(isOld ? -1 : outcomes.includes('raised') ? 1 : 0);
      }),
      { numRuns: 2000 },
    );
  });

  it('get octets of one direction, as far as 64 bits go, and a packet where there was none', () => {
    const added = fc.oneof(fc.nat({ max: 2 ** 53 - 1 }), fc.nat({ max: 2000 }));
    fc.assert(
      fc.property(counters, added, (before, octets) => {
        for (const reply of [0, 1] as const) {
          const view = viewOf(before);
          addOctets(view, AT, reply, octets);
          const expected = [...before];
          const sum = expected[2 * reply]! + BigInt(octets);
          expected[2 * reply] = sum > LARGEST ? LARGEST : sum;
          if (expected[2 * reply + 1] === 0n) expected[2 * reply + 1] = 1n;
          expect(countersOf(view)).to.deep.equal(expected);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('are counted where any is above 0, and are copied whole', () => {
    fc.assert(
      fc.property(counters, (some) => {
        expect(areCounted(viewOf(some), AT)).to.equal(some.some((counter) => counter > 0n));
        const copy = viewOf([1n, 2n, 3n, 4n]);
        copyCounters(viewOf(some), AT, copy, AT);
        expect(countersOf(copy)).to.deep.equal([...some]);
      }),
    );
    expect(areCounted(viewOf([0n, 0n, 0n, 0n]), AT)).to.equal(false);
    for (let bit = 0n; bit < 64n; bit++) {
      expect(areCounted(viewOf([0n, 0n, 0n, 1n << bit]), AT)).to.equal(true);
    }
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
