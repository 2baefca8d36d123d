/**
 * Datagrams that nobody listened for. The refusal (ICMP port unreachable, ECONNREFUSED) does not say which
 * datagram it is for: it is charged to the latest one sent that has not been refused yet, and never to the
 * one that the error comes in place of.
 */
import { type Delivered, move } from '../sink/transport.js';

/** So many refusals mean that nobody listens, for so many milliseconds after the last. */
const MANY = 3;
const DOWN_TIME = 30_000;
/** Milliseconds. Refusals further apart do not belong together. */
const APART = 60_000;

/** What is remembered of the latest sends. A power of two. */
const LATEST = 64;

export class Refusals {
  readonly #messages = new Int32Array(LATEST);
  readonly #records = new Int32Array(LATEST);
  readonly #octets = new Int32Array(LATEST);
  /** Sends remembered, and where the latest of them stands. */
  #count = 0;
  #latest = 0;
  #isLatestOpen = false;
  #refusals = 0;
  #refusedAt = Number.NEGATIVE_INFINITY;

  /** One send of `messages` datagrams that the kernel took together. */
  sent(messages: number, records: number, octets: number): void {
    const at = (this.#latest + 1) & (LATEST - 1);
    this.#messages[at] = messages;
    this.#records[at] = records;
    this.#octets[at] = octets;
    this.#latest = at;
    this.#isLatestOpen = true;
    if (this.#count < LATEST) this.#count++;
  }

  /** Whether the latest send may still be refused. */
  get isLatestOpen(): boolean {
    return this.#isLatestOpen;
  }

  /**
   * Moves the latest send that is not refused yet from `sent` to `lost`. `now` is milliseconds of a monotonic
   * clock.
   */
  refuse(sent: Delivered, lost: Delivered, now: number): void {
    this.#refusals = now - this.#refusedAt < APART ? this.#refusals + 1 : 1;
    this.#refusedAt = now;
    this.#isLatestOpen = false;
    if (this.#count === 0) return;
    const at = this.#latest;
    move(sent, lost, this.#messages[at]!, this.#records[at]!, this.#octets[at]!);
    this.#latest = (at - 1) & (LATEST - 1);
    this.#count--;
  }

  /** Whether nobody listens, as far as is known. */
  areMany(now: number): boolean {
    return this.#refusals >= MANY && now - this.#refusedAt < DOWN_TIME;
  }
}
