/**
 * States that compressed updates name and the table does not have, because their insert was lost or came before the start:
 * their keys wait to be requested, so that the answer opens them.
 */
import { RecentKeys } from './recent-keys.js';

/** Keys that can wait; a power of two. */
const ROOM = 16_384;
const WORDS = 4;

export class UnknownStates {
  /** Sender and key, in the order in which they came; made with the first. */
  #waiting: Int32Array | undefined;
  #first = 0;
  size = 0;
  readonly #named: RecentKeys;

  /** A key waits once in so many seconds: each packet of such a state brings another update. */
  constructor(seconds: number) {
    this.#named = new RecentKeys(seconds);
  }

  /** Adds a key that `sender` named at `now`, in milliseconds since the epoch. Returns false where there is no room for it. */
  add(sender: number, idFirst: number, idSecond: number, creatorId: number, now: number): boolean {
    if (this.#named.has(idFirst, idSecond, creatorId, now)) return true;
    if (this.size === ROOM) return false;
    this.#waiting ??= new Int32Array(ROOM * WORDS);
    const at = WORDS * ((this.#first + this.size++) & (ROOM - 1));
    this.#waiting[at] = sender;
    this.#waiting[at + 1] = idFirst;
    this.#waiting[at + 2] = idSecond;
    this.#waiting[at + 3] = creatorId;
    this.#named.add(idFirst, idSecond, creatorId, now);
    return true;
  }

  /** Takes out the oldest; there must be one. */
  take(use: (sender: number, idFirst: number, idSecond: number, creatorId: number) => void): void {
    const waiting = this.#waiting!;
    const at = WORDS * this.#first;
    this.#first = (this.#first + 1) & (ROOM - 1);
    this.size--;
    use(waiting[at]!, waiting[at + 1]!, waiting[at + 2]!, waiting[at + 3]!);
  }
}
