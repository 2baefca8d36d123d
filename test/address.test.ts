import { SocketAddress } from 'node:net';
import { expect } from 'chai';
import fc from 'fast-check';
import { decimal, milliseconds, writeAddress, writeIpv4, writeIpv6 } from '../protocol/address.js';

/** Eight groups as 16 octets, three octets into a longer view. */
function viewOf(groups: readonly number[]): DataView {
  const view = new DataView(new ArrayBuffer(32));
  groups.forEach((group, index) => {
    view.setUint16(3 + 2 * index, group);
  });
  return view;
}

describe('an IPv4 address as text', () => {
  const cases: [number, string][] = [
    [0, '0.0.0.0'],
    [0xffffffff, '255.255.255.255'],
    [0xc000020a, '192.0.2.10'],
    [0x01020304, '1.2.3.4'],
  ];
  for (const [word, text] of cases) {
    it(`is ${text} for ${word.toString(16)}`, () => {
      const view = new DataView(new ArrayBuffer(8));
      view.setUint32(1, word);
      expect(writeIpv4(view, 1)).to.equal(text);
      expect(writeAddress(view, 1, 4)).to.equal(text);
    });
  }
});

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
      expect(writeIpv6(viewOf(groups), 3)).to.equal(text);
      expect(writeAddress(viewOf(groups), 3, 6)).to.equal(text);
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
        const address = all.map((one) => one.toString(16)).join(':');
        expect(writeIpv6(viewOf(all), 3)).to.equal(new SocketAddress({ address, family: 'ipv6' }).address);
      }),
      { numRuns: 2000, seed: 5952 },
    );
  });
});

describe('decimal', () => {
  const cases: [number, number, string][] = [
    [0, 0, '0'],
    [0, 0xffffffff, '4294967295'],
    [0, -1, '4294967295'],
    [1, 0, '4294967296'],
    [0x1fffff, 0xffffffff, '9007199254740991'],
    [0x200000, 0, '9007199254740992'],
    [0x200000, 1, '9007199254740993'],
    [0xffffffff, 0xffffffff, '18446744073709551615'],
    [-1, -1, '18446744073709551615'],
  ];
  for (const [high, low, text] of cases) {
    it(`writes ${high}, ${low} as ${text}`, () => {
      expect(decimal(high, low)).to.equal(text);
    });
  }

  it('keeps every bit', () => {
    const word = fc.integer({ min: 0, max: 0xffffffff });
    fc.assert(
      fc.property(word, fc.nat(31), word, (high, shift, low) => {
        const small = high >>> shift;
        expect(decimal(small, low)).to.equal(((BigInt(small) << 32n) | BigInt(low)).toString());
      }),
      { seed: 64 },
    );
  });
});

describe('milliseconds', () => {
  const cases: [number, string][] = [
    [0, '0'],
    [7, '7'],
    [999.9, '999'],
    [1000, '1000'],
    [1700000000373.457, '1700000000373'],
    [1700000000007, '1700000000007'],
    [2147483647999, '2147483647999'],
    [2147483648000, '2147483648000'],
    [4294967295123, '4294967295123'],
    [-1500.5, '-1501'],
    [2 ** 74, '18889465931478580854784'],
  ];
  for (const [time, text] of cases) {
    it(`writes ${time} as ${text}`, () => {
      expect(milliseconds(time)).to.equal(text);
    });
  }
});
