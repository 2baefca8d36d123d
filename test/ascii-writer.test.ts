import { expect } from 'chai';
import fc from 'fast-check';
import { decimal, hexWord, milliseconds, writeAddress } from '../protocol/address.js';
import { AsciiWriter, piece } from '../src/ascii-writer.js';

function written(write: (out: AsciiWriter) => void): string {
  const out = new AsciiWriter(1000);
  // What the writer leaves unwritten must show.
  out.octets.fill(0xa5);
  out.text('<');
  write(out);
  out.text('>');
  expect(out.length).to.be.at.most(1000);
  return String.fromCharCode(...out.octets.subarray(1, out.length - 1));
}

describe('the writer of ASCII', () => {
  it('writes pieces of any length, one behind the other', () => {
    const ascii = fc.string({
      unit: fc.integer({ min: 1, max: 127 }).map((code) => String.fromCharCode(code)),
    });
    fc.assert(
      fc.property(fc.array(ascii, { maxLength: 20 }), (texts) => {
        expect(written((out) => texts.forEach((text) => void out.piece(piece(text))))).to.equal(
          texts.join(''),
        );
      }),
    );
  });

  it('writes numbers as their strings are', () => {
    const word = fc.oneof(fc.nat(2000), fc.integer(), fc.integer({ min: 0, max: 0xffff_ffff }));
    const time = fc.oneof(fc.integer({ min: -5000, max: 5000 }), fc.double({ min: 0, max: 2 ** 43 }));
    fc.assert(
      fc.property(word, word, time, (high, low, when) => {
        expect(written((out) => out.integer(low | 0))).to.equal(`${low | 0}`);
        expect(written((out) => out.decimal(0, low))).to.equal(decimal(0, low));
        expect(written((out) => out.decimal(high, low))).to.equal(decimal(high, low));
        expect(written((out) => out.hexWord(low))).to.equal(hexWord(low));
        expect(written((out) => out.milliseconds(when))).to.equal(milliseconds(when));
      }),
      { numRuns: 2000 },
    );
  });

  it('writes addresses as their strings are', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
        fc.constantFrom(4, 6),
        (octets, family) => {
          const view = new DataView(octets.buffer);
          expect(written((out) => out.address(view, 0, family))).to.equal(writeAddress(view, 0, family));
        },
      ),
      { numRuns: 1000 },
    );
  });
});
