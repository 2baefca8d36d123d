import { expect } from 'chai';
import { Payload } from '../../protocol/capture/link.js';
import { FirewallAddresses, isUnicast } from '../../src/transport/firewall-addresses.js';

/** A packet whose source address is `address`, with a message of this version behind it. */
function packetOf(address: string, version: number, more: Partial<Payload> = {}): [Payload, DataView] {
  const octets = Uint8Array.from([0, 0, ...Buffer.from(address, 'hex'), version, 0, 0, 0]);
  const start = octets.length - 4;
  const family = address.length === 8 ? 4 : 6;
  const payload = new Payload();
  Object.assign(
    payload,
    { start, end: octets.length, senderAt: 2, senderFamily: family, sender: 1, hopLimit: 255 },
    more,
  );
  return [payload, new DataView(octets.buffer)];
}

describe('addresses of firewalls', () => {
  it('are the sources of their messages, with the interface and the version spoken last', () => {
    const addresses = new FirewallAddresses();
    const six = `fe80${'00'.repeat(13)}01`;
    addresses.learn(...packetOf('c0000201', 5), 'em1');
    addresses.learn(...packetOf(six, 6, { sender: 2 }), 'em2');
    addresses.learn(...packetOf('c0000201', 6), 'em1');
    expect(addresses.find(1)).to.deep.equal({
      family: 4,
      octets: Uint8Array.from([192, 0, 2, 1]),
      interfaceName: 'em1',
      version: 6,
    });
    expect(Buffer.from(addresses.find(2)!.octets).toString('hex')).to.equal(six);
    expect(addresses.find(3)).to.equal(undefined);
  });

  const ignored: [claim: string, address: string, more: Partial<Payload>][] = [
    ['came through a router', 'c0000201', { hopLimit: 254 }],
    ['have no IP header', 'c0000201', { senderFamily: 0, senderAt: 0, hopLimit: 0 }],
    ['hold no message', 'c0000201', { start: 10, end: 10 }],
    ['claim to come from a group', 'e00000f0', {}],
    ['claim to come from everybody', 'ffffffff', {}],
  ];
  for (const [claim, address, more] of ignored) {
    it(`are not learnt from packets that ${claim}`, () => {
      const addresses = new FirewallAddresses();
      addresses.learn(...packetOf(address, 6, more), 'em1');
      expect(addresses.find(1)).to.equal(undefined);
    });
  }

  it('are as many as a sync link can have, whatever is sent', () => {
    const addresses = new FirewallAddresses();
    for (let sender = 1; sender <= 1000; sender++)
      addresses.learn(...packetOf('c0000201', 6, { sender }), 'em1');
    const known = Array.from({ length: 1000 }, (_, n) => addresses.find(n + 1)).filter(
      (one) => one !== undefined,
    );
    expect(known).to.have.length(64);
  });

  it('are those of one host', () => {
    const cases: [address: string, isHost: boolean][] = [
      ['c0000201', true],
      ['01000001', true],
      ['dfffffff', true],
      ['00000000', false],
      ['7f000001', false],
      ['e00000f0', false],
      ['ffffffff', false],
      [`fe80${'0'.repeat(27)}1`, true],
      [`20010db8${'0'.repeat(23)}1`, true],
      ['0'.repeat(32), false],
      [`${'0'.repeat(31)}1`, false],
      [`ff12${'0'.repeat(26)}f0`, false],
    ];
    for (const [address, isHost] of cases)
      expect(isUnicast(Buffer.from(address, 'hex')), address).to.equal(isHost);
  });
});
