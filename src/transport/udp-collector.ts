/** A collector of datagrams, however they are sent: its options, its address, and whether anybody listens there. */

import { StartError } from '../cli/errors.js';
import type { Endpoint } from '../cli/option-values.js';
import type { Log } from '../service/log.js';
import type { Extent } from '../source/capture-size.js';
import type { Pace } from './pace.js';

/** What fits an Ethernet frame of 1500 octets behind the IP and UDP headers. */
export const LARGEST = { 4: 1472, 6: 1452 } as const;

export const SEND_BUFFER = 4 << 20;

/** So many datagrams refused (ICMP port unreachable) mean that nobody listens, for so many milliseconds after the last. */
const MANY_REFUSALS = 3;
const DOWN_TIME = 30_000;
/** Refusals further apart do not belong together. */
const REFUSALS_APART = 60_000;

export interface UdpOptions {
  readonly endpoint: Endpoint;
  readonly source: string | undefined;
  /** Octets of a datagram's payload; undefined: what fits an Ethernet frame. */
  readonly maxMessage: number | undefined;
  readonly pace: Pace;
  readonly log: Log;
  /** For messages: the collector as the operator named it. */
  readonly name: string;
  /** Look the name up again, now and then and after errors: for a program that runs for months. */
  readonly follows?: 'name' | 'address';
  /**
   * How much there is to send: a `short` run is over before a thread beside it pays. In a `long` one nobody waits for a
   * datagram: it may leave when others of its length do. Undefined: nobody knows, as live.
   */
  readonly extent?: Extent | undefined;
  /** Milliseconds between two look-ups that errors cause. */
  readonly lookUpAfterError?: number;
  /** In place of the system's resolver. */
  readonly resolve?: (host: string, family: number) => Promise<{ address: string; family: number }>;
}

export async function resolveName(host: string, family: number) {
  const { lookup } = await import('node:dns/promises');
  return lookup(host, { family });
}

/** Resolves the name. Throws a StartError. */
export async function collectorAddress(options: UdpOptions): Promise<{ family: 4 | 6; address: string }> {
  const { endpoint, source, name, resolve = resolveName } = options;
  if (endpoint.family !== 0) return { family: endpoint.family, address: endpoint.host };
  const wanted = source === undefined ? 0 : source.includes(':') ? 6 : 4;
  const { family, address } = await resolve(endpoint.host, wanted).catch((error: Error) => {
    throw new StartError(`-n ${name}: ${error.message}`);
  });
  return { family: family === 6 ? 6 : 4, address };
}

/** Datagrams that were refused, ECONNREFUSED. Times are milliseconds of any clock. */
export class Refusals {
  #refusals = 0;
  #latest = Number.NEGATIVE_INFINITY;

  count(now: number): void {
    this.#refusals = now - this.#latest < REFUSALS_APART ? this.#refusals + 1 : 1;
    this.#latest = now;
  }

  /** Whether nobody listens, as far as can be told. */
  areMany(now: number): boolean {
    return this.#refusals >= MANY_REFUSALS && now - this.#latest < DOWN_TIME;
  }
}
