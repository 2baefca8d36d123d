import { SocketAddress } from 'node:net';
import { expect } from 'chai';
import fc from 'fast-check';
import { jsonFormat } from '../../src/sink/json.js';
import { TextLines } from './text-lines.js';

const LINES = new TextLines(jsonFormat);

/** The text of the address in the line of a flow from it. */
function sourceOf(address: string, family: 4 | 6): string {
  const end = { address, port: 1 };
  const ends = {
    originalSource: end,
    originalDestination: end,
    translatedSource: end,
    translatedDestination: end,
  };
  const line = LINES.of({ state: { af: family, afAfter: family, ...ends } });
  return JSON.parse(line)[`sourceIPv${family}Address`];
}

describe('an IPv4 address as text', () => {
  for (const address of ['0.0.0.0', '255.255.255.255', '192.0.2.10', '1.2.3.4', '10.200.30.4']) {
    it(`is ${address}`, () => {
      expect(sourceOf(address, 4)).to.equal(address);
    });
  }
});

/** Eight groups, none of them left out. */
function longText(groups: readonly number[]): string {
  return groups.map((group) => group.toString(16)).join(':');
}

describe('an IPv6 address as text', () => {
  // RFC 5952, sections 2.2, 4 and 5.
  const cases: [readonly number[], string][] = [
    [[0, 0, 0, 0, 0, 0, 0, 0], '::'],
    [[0, 0, 0, 0, 0, 0, 0, 1], '::1'],
    [[1, 0, 0, 0, 0, 0, 0, 0], '1::'],
    [[0x2001, 0xdb8, 0, 0, 0, 0, 2, 1], '2001:db8::2:1'],
    [[0x2001, 0xdb8, 0, 1, 1, 1, 1, 1], '2001:db8:0:1:1:1:1:1'],
    [[0x2001, 0, 0, 1, 0, 0, 0, 1], '2001:0:0:1::1'],
    [[0x2001, 0xdb8, 0, 0, 1, 0, 0, 1], '2001:db8::1:0:0:1'],
    [[0x2001, 0xdb8, 0xaaaa, 0xbbbb, 0xcccc, 0xdddd, 0xeeee, 0x00ab], '2001:db8:aaaa:bbbb:cccc:dddd:eeee:ab'],
    [[0, 1, 1, 1, 1, 1, 1, 0], '0:1:1:1:1:1:1:0'],
    [[0x0100, 1, 1, 1, 1, 1, 0, 0], '100:1:1:1:1:1::'],
    [[0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0221], '::ffff:192.0.2.33'],
    [[0, 0, 0, 0, 0, 0xffff, 0, 0], '::ffff:0.0.0.0'],
    [[0, 0, 0, 0, 0xffff, 0, 0xc000, 0x0221], '::ffff:0:c000:221'],
    [[0x64, 0xff9b, 0, 0, 0, 0, 0xc000, 0x0221], '64:ff9b::c000:221'],
  ];
  for (const [groups, text] of cases) {
    it(`is ${text}`, () => {
      expect(sourceOf(longText(groups), 6)).to.equal(text);
    });
  }

  it('is what inet_ntop writes, but for addresses of the deprecated ::a.b.c.d', () => {
    const group = fc.oneof(
      fc.constant(0),
      fc.constant(0xffff),
      fc.integer({ min: 1, max: 255 }),
      fc.integer({ max: 65535, min: 256 }),
    );
    const groups = fc
      .array(group, { minLength: 8, maxLength: 8 })
      .filter((all) => all.slice(0, 6).some((one) => one !== 0));
    fc.assert(
      fc.property(groups, (all) => {
        const address = longText(all);
        expect(sourceOf(address, 6)).to.equal(new SocketAddress({ address, family: 'ipv6' }).address);
      }),
      { numRuns: 2000, seed: 5952 },
    );
  });
});
