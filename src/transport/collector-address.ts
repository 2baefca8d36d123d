/** Where a collector is: its name is looked up, for a program that runs for months again and again. */
import { networkInterfaces } from 'node:os';
import { StartError } from '../cli/errors.js';
import type { Endpoint } from '../cli/option-values.js';
import { monotonic } from '../service/monotonic.js';

export type Resolve = (host: string, family: number) => Promise<{ address: string; family: number }>;

/** Milliseconds from one look-up of the name to the next, and the least of that after errors. */
const INTERVAL = 300_000;
const AFTER_ERROR = 10_000;

export interface CollectorName {
  readonly endpoint: Endpoint;
  readonly source: string | undefined;
  /** For messages: the collector as the operator named it. */
  readonly name: string;
  /** In place of the system's resolver. */
  readonly resolve?: Resolve;
  /** Milliseconds between two look-ups that errors cause. */
  readonly lookUpAfterError?: number;
}

/** Looks the name up. Throws a StartError. */
export async function collectorAddress(of: CollectorName): Promise<{ family: 4 | 6; address: string }> {
  const { endpoint, source, name, resolve = resolveName } = of;
  if (endpoint.family !== 0) return { family: endpoint.family, address: endpoint.host };
  const wanted = source === undefined ? 0 : source.includes(':') ? 6 : 4;
  const { family, address } = await resolve(endpoint.host, wanted).catch((error: Error) => {
    throw new StartError(`-n ${name}: ${error.message}`);
  });
  return { family: family === 6 ? 6 : 4, address };
}

/** Looks a name up again every five minutes, and after errors. */
export class NameWatch {
  readonly #of: CollectorName;
  readonly #family: 4 | 6;
  readonly #found: (address: string) => void;
  readonly #failed: (error: Error) => void;
  readonly #timer: NodeJS.Timeout;
  #lookedUpAt = monotonic();

  /** `found` is called with the address of each look-up, `failed` with the error of one that failed. */
  constructor(
    of: CollectorName,
    family: 4 | 6,
    found: (address: string) => void,
    failed: (error: Error) => void,
  ) {
    this.#of = of;
    this.#family = family;
    this.#found = found;
    this.#failed = failed;
    this.#timer = setInterval(() => this.#lookUp(), INTERVAL).unref();
  }

  /** The collector cannot be reached: it may have moved. */
  afterError(): void {
    const { lookUpAfterError = AFTER_ERROR } = this.#of;
    if (monotonic() - this.#lookedUpAt > lookUpAfterError) this.#lookUp();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #lookUp(): void {
    const { endpoint, resolve = resolveName } = this.#of;
    this.#lookedUpAt = monotonic();
    resolve(endpoint.host, this.#family).then(({ address }) => this.#found(address), this.#failed);
  }
}

async function resolveName(host: string, family: number) {
  const { lookup } = await import('node:dns/promises');
  return lookup(host, { family });
}

export function isOfThisMachine(address: string): boolean {
  if (/^127\.|^0\.0\.0\.0$|^::1?$/.test(address)) return true;
  return Object.values(networkInterfaces()).some((of) => of?.some((own) => own.address === address));
}
