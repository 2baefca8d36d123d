/** Flow samples for tests of what comes after the encoders. Each can be found again by its number, the state's id. */
import { EXACT, FROM_NOBODY, NONE } from '../../protocol/flow/terms.js';
import type { CollectedFlow } from './collector.js';
import { NOW, type Sample } from './flow-sample.js';

export { NOW } from './flow-sample.js';

export interface NumberedSample {
  /** The state's id. */
  readonly number: number;
  readonly family?: 4 | 6;
  readonly isTranslated?: boolean;
  readonly counters?: 'exact' | 'none';
  readonly direction?: 'in' | 'out';
  readonly reply?: 0 | 1;
  readonly interface?: string;
  readonly observed?: number;
}

const ADDRESSES = {
  4: ['192.168.1.50', '203.0.113.5', '198.51.100.1'],
  6: ['2001:db8::50', '2001:db8:1::5', '2001:db8:2::1'],
} as const;

export function numbered(sample: NumberedSample): Sample {
  const { number, observed = NOW, counters = 'exact', family = 4, isTranslated = false } = sample;
  const [inside, outside, translated] = ADDRESSES[family];
  const source = { address: inside, port: 40000 };
  const destination = { address: outside, port: 80 };
  const isCounted = counters === 'exact';
  return {
    state: {
      id: BigInt(number),
      direction: sample.direction ?? 'out',
      af: family,
      afAfter: family,
      originalSource: source,
      originalDestination: destination,
      translatedSource: isTranslated ? { address: translated, port: 61234 } : source,
      translatedDestination: destination,
    },
    reply: sample.reply ?? 0,
    octets: isCounted ? BigInt(1000 + number) : 0n,
    packets: isCounted ? 10n : 0n,
    counters: isCounted ? EXACT : NONE,
    origin: isCounted ? 0 : FROM_NOBODY,
    start: observed - 61_000,
    end: observed,
    observed,
    interfaceName: sample.interface ?? 'em1',
  };
}

/** The number of the sample, from the flowId (148) that it became. */
export function numberOf(flow: CollectedFlow): number {
  return Number(flow.fields.get('148') ?? -1);
}
