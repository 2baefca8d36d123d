import { isIP as isIPOfNode, isIPv4 as isIPv4OfNode, isIPv6 as isIPv6OfNode } from 'node:net';
import { expect } from 'chai';
import fc from 'fast-check';
import { isIP, isIPv4, isIPv6 } from '../../src/cli/ip-address.js';

const addresses = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 6 }).map((octets) => octets.join('.')),
  fc.stringMatching(/^[0-9a-f:.%]{0,20}$/),
  fc.string(),
);

describe('an IP address', () => {
  it('is what node:net says it is', () => {
    const check = fc.property(addresses, (text) => {
      expect([isIP(text), isIPv4(text), isIPv6(text)]).to.deep.equal([
        isIPOfNode(text),
        isIPv4OfNode(text),
        isIPv6OfNode(text),
      ]);
    });
    fc.assert(check, { numRuns: 2000 });
  });

  it('has no leading zeros, and nothing around it', () => {
    const texts = ['127.0.0.1', '255.255.255.255', '0.0.0.0', '::1', 'fe80::1%em0', '::ffff:192.0.2.1'];
    expect(texts.map(isIP)).to.deep.equal([4, 4, 4, 6, 6, 6]);
    const others = [
      '127.0.0.01',
      '256.0.0.1',
      '1.2.3',
      '1.2.3.4.5',
      ' 1.2.3.4',
      '1.2.3.4\n',
      '',
      '[::1]',
      'localhost',
    ];
    expect(others.map(isIP)).to.deep.equal(others.map(() => 0));
  });
});
