import { expect } from 'chai';
import { ownAddresses } from '../../src/source/live.js';

describe('the addresses of our own exports', () => {
  it('are those of all collectors and of the relay', async () => {
    const collectors = [
      { host: '192.0.2.1', port: 2055 },
      { host: '2001:db8::1', port: 4739 },
    ];
    const relay = { host: '127.0.0.1', port: 9 };
    expect(await ownAddresses({ collectors, relay, excludeSelf: true })).to.deep.equal([
      { address: '192.0.2.1', port: 2055 },
      { address: '2001:db8::1', port: 4739 },
      { address: '127.0.0.1', port: 9 },
    ]);
  });

  it('are all that a name stands for, and none where nobody knows it', async () => {
    const collectors = [
      { host: 'localhost', port: 2055 },
      { host: 'collector.invalid', port: 2056 },
    ];
    const own = await ownAddresses({ collectors, excludeSelf: true });
    expect(own.map(({ address }) => address)).to.include('127.0.0.1');
    expect(own.every(({ port }) => port === 2055)).to.equal(true);
  });

  it('are none when own states are to be kept, or there is no collector', async () => {
    const collectors = [{ host: '192.0.2.1', port: 2055 }];
    expect(await ownAddresses({ collectors, excludeSelf: false })).to.deep.equal([]);
    expect(await ownAddresses({ collectors: [], excludeSelf: true })).to.deep.equal([]);
  });
});
