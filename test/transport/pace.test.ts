import { expect } from 'chai';
import { paceOf } from '../../src/transport/pace.js';

describe('pace', () => {
  it('spreads flow records evenly', () => {
    const pace = paceOf(1000);
    const sent: number[] = [];
    for (let now = 0; now < 1000; now++) {
      while (pace.allows(now)) {
        pace.spend(5);
        sent.push(now);
      }
    }
    expect(sent.length * 5).to.be.within(990, 1020);
    const inEachTenth = Array.from(
      { length: 10 },
      (_, n) => sent.filter((now) => Math.floor(now / 100) === n).length,
    );
    for (const count of inEachTenth.slice(1)) expect(count).to.be.within(18, 22);
  });

  it('is 2,000 datagrams a second when nothing is asked for, and never more than 20 at once', () => {
    const pace = paceOf(undefined);
    let sent = 0;
    for (let now = 0; now <= 1000; now++) {
      let atOnce = 0;
      for (; pace.allows(now); atOnce++) pace.spend(30);
      expect(atOnce).to.be.at.most(20);
      sent += atOnce;
    }
    expect(sent).to.be.within(2000, 2020);
  });

  it('saves up nothing while there is nothing to send', () => {
    const pace = paceOf(1000);
    pace.allows(0);
    let burst = 0;
    while (pace.allows(60_000)) {
      pace.spend(1);
      burst++;
    }
    expect(burst).to.be.at.most(10);
  });

  it('has no limit when the rate is 0', () => {
    const pace = paceOf(0);
    for (let n = 0; n < 1e5; n++) pace.spend(1000);
    expect(pace.allows(0)).to.equal(true);
  });
});
