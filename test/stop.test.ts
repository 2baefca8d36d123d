import { expect } from 'chai';
import { Stop, type StopSignal } from '../src/stop.js';

describe('a stop', () => {
  /** What two listeners hear, of whom one stops listening, when `abort` is called twice. */
  function heard(signal: StopSignal, abort: () => void): string[] {
    const told: string[] = [];
    const first = () => told.push(`first ${signal.aborted}`);
    const second = () => told.push('second');
    signal.addEventListener('abort', first);
    signal.addEventListener('abort', first);
    signal.addEventListener('abort', second);
    signal.removeEventListener('abort', second);
    told.push(`before ${signal.aborted}`);
    abort();
    abort();
    signal.removeEventListener('abort', first);
    return told;
  }

  it('is told as an AbortController tells it', () => {
    const stop = new Stop();
    const controller = new AbortController();
    const expected = heard(controller.signal, () => controller.abort());
    expect(expected).to.deep.equal(['before false', 'first true']);
    expect(heard(stop, () => stop.abort())).to.deep.equal(expected);
  });
});
