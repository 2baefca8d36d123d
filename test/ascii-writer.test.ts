import { expect } from 'chai';
import fc from 'fast-check';
import { writeAddress as addressText, decimal, hexWord, milliseconds } from '../protocol/address.js';
import {
  EXCESS,
  loosePiece,
  millisecondsWriter,
  piece,
  writeAddress,
  writeDecimal,
  writeInteger,
  writeMilliseconds,
  writeText,
} from '../src/ascii-writer.js';
import { writeHexWord } from '../src/digits.js';

function written(write: (view: DataView, at: number) => number): string {
  const octets = new Uint8Array(1000 + EXCESS);
  // What is left unwritten must show.
  octets.fill(0xa5);
  const view = new DataView(octets.buffer);
  const end = writeText(view, write(view, writeText(view, 0, '<')), '>');
  expect(end).to.be.at.most(1000);
  return String.fromCharCode(...octets.subarray(1, end - 1));
}

describe('the writer of ASCII', () => {
  it('writes pieces of any length, one behind the other', () => {
    const ascii = fc.string({
      unit: fc.integer({ min: 1, max: 127 }).map((code) => String.fromCharCode(code)),
    });
    fc.assert(
      fc.property(fc.array(ascii, { maxLength: 20 }), (texts) => {
        for (const kind of [piece, loosePiece]) {
          const write = (view: DataView, at: number) =>
            texts.reduce((end, text) => kind(text)(view, end), at);
          expect(written(write)).to.equal(texts.join(''));
        }
      }),
    );
  });

  it('writes numbers as their strings are', () => {
    const word = fc.oneof(fc.nat(2000), fc.integer(), fc.integer({ min: 0, max: 0xffff_ffff }));
    const time = fc.oneof(fc.integer({ min: -5000, max: 5000 }), fc.double({ min: 0, max: 2 ** 43 }));
    fc.assert(
      fc.property(word, word, time, (high, low, when) => {
        expect(written((view, at) => writeInteger(view, at, low | 0))).to.equal(`${low | 0}`);
        expect(written((view, at) => writeDecimal(view, at, 0, low))).to.equal(decimal(0, low));
        expect(written((view, at) => writeDecimal(view, at, high, low))).to.equal(decimal(high, low));
        expect(written((view, at) => writeHexWord(view, at, low))).to.equal(hexWord(low));
        expect(written((view, at) => writeMilliseconds(view, at, when))).to.equal(milliseconds(when));
      }),
      { numRuns: 2000 },
    );
  });

  it('writes a time that comes again', () => {
    const time = fc.constantFrom(-1, 0, 999.5, 1000, 1.15e12, 1.15e12 + 0.25, 2 ** 80, Number.NaN);
    fc.assert(
      fc.property(fc.array(time), (times) => {
        const write = millisecondsWriter();
        for (const when of times) {
          expect(written((view, at) => write(view, at, when))).to.equal(milliseconds(when));
        }
      }),
    );
  });

  it('writes addresses as their strings are', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
        fc.constantFrom(4, 6),
        (octets, family) => {
          const from = new DataView(octets.buffer);
          const text = written((view, at) => writeAddress(view, at, from, 0, family));
          expect(text).to.equal(addressText(from, 0, family));
        },
      ),
      { numRuns: 1000 },
    );
  });
});
