import { expect } from 'chai';
import * as parts from '../protocol/template-part.js';

type Part = parts.Part;

function wordsOf({ fields }: Part): number {
  return Math.ceil(fields.reduce((octets, { length }) => octets + length, 0) / 4);
}

describe('the parts of a record', () => {
  const fixed = Object.entries(parts).filter(
    (entry): entry is [string, Part] => typeof entry[1] === 'object',
  );
  const made: [string, Part][] = [];
  for (const fourth of ['tcpControlBits', 'icmpTypeIPv4', 'biflowDirection', 'padding', 'nothing'] as const) {
    made.push([`description with ${fourth}`, parts.description(fourth)]);
  }
  for (const flags of ['tcpControlBits', 'icmpTypeIPv6', undefined] as const) {
    for (const hasReverse of [true, false]) {
      made.push([`biflow flags ${flags}, ${hasReverse}`, parts.biflowFlags(flags, hasReverse)]);
    }
  }

  for (const [name, part] of [...fixed, ...made]) {
    it(`${name}: as many words as the fields need, in both directions`, () => {
      expect(part.words).to.have.length(wordsOf(part));
      expect(part.replyWords).to.have.length(wordsOf(part));
    });
  }
});
