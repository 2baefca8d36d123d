import { expect } from 'chai';
import { convertPolled } from './polled.js';
import { kernelCaptures } from './truth.js';

describe('--pfctl on captures of real kernels', function () {
  this.timeout(60_000);

  for (const capture of kernelCaptures()) {
    const { name, view, kernel } = capture;
    // A pair needs pfctl of both; a packet less than a second before a kill cannot be known of.
    if (kernel === 'netbsd7' || /ha|defer|min-exact/.test(name)) continue;

    it(`is exact only where it is true: ${name}, ${view}`, async () => {
      const flows = await convertPolled(capture, 10_000);
      const wrong = flows.filter(({ counters, octets, packets, state }) => {
        const isTrue = [0, 1].every(
          (i) => Number(octets[i]) === state.octets[i] && Number(packets[i]) === state.packets[i],
        );
        return counters === 'exact' && !isTrue;
      });
      expect(wrong.map(({ state }) => state.id)).to.deep.equal([]);
    });
  }

  for (const [name, least] of [
    ['freebsd13/taponly', 1],
    ['freebsd14/taponly', 1],
    ['openbsd80/basic', 0.98],
  ] as const) {
    it(`makes at least ${100 * least} % of the flows of ${name} exact`, async () => {
      const capture = kernelCaptures().find((candidate) => candidate.name === name)!;
      const flows = await convertPolled(capture, 10_000);
      const exact = flows.filter(({ counters }) => counters === 'exact');
      expect(exact.length / flows.length).to.be.at.least(least);
    });
  }
});
