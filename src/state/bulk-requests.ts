/**
 * Firewalls that can be asked, and the one bulk update that each is asked for: of what it had before the program started.
 * Only one runs at a time. OpenBSD ignores a request while one runs, FreeBSD begins anew; and on a pair what one firewall
 * sends the other takes in.
 */
import { hasRequests } from '../../protocol/pfsync/request.js';

/** More senders than a sync link has firewalls: the others are forged. */
const MOST_FIREWALLS = 16;
/** Milliseconds after which a bulk update that did not end hinders no other, and a request without an answer is repeated. */
const LONGEST_WAIT = 60_000;
const MOST_TRIES = 3;

interface Firewall {
  readonly sender: number;
  tries: number;
  /** It has begun or ended a bulk update since it was asked, or ended one that was seen from its start. */
  isAnswered: boolean;
}

export class BulkRequests {
  readonly #firewalls = new Map<number, Firewall>();
  #sender = 0;
  #current: Firewall | undefined;
  #canBeAsked = false;
  /** Number of the firewall whose bulk update runs or was asked for last, and until when, in milliseconds, it hinders others. */
  #running = 0;
  readonly #runsUntil = new Float64Array(1);

  /** What follows comes from this firewall, in messages of this version; 0: from one whose address is not known. */
  source(sender: number, version: number): void {
    this.#sender = sender;
    this.#canBeAsked = sender !== 0 && hasRequests(version);
    this.#current = this.#canBeAsked ? this.#firewalls.get(sender) : undefined;
  }

  /** A record of a firewall through which packets pass. Returns whether it can be asked. */
  heard(): boolean {
    if (this.#current !== undefined) return true;
    if (!this.#canBeAsked || this.#firewalls.size === MOST_FIREWALLS) return false;
    this.#current = { sender: this.#sender, tries: 0, isAnswered: false };
    this.#firewalls.set(this.#sender, this.#current);
    return true;
  }

  /** The firewall at hand begins or ends a bulk update at `now`, in milliseconds since the epoch. */
  seen(status: 'start' | 'end', now: number): void {
    const firewall = this.#current;
    if (firewall === undefined) return;
    const isOwn = this.#running === firewall.sender;
    if (firewall.tries > 0 || (isOwn && status === 'end')) firewall.isAnswered = true;
    if (status === 'start') {
      this.#running = firewall.sender;
      this.#runsUntil[0] = now + LONGEST_WAIT;
    } else if (isOwn) {
      this.#running = 0;
    }
  }

  /** The firewall that is to be asked now; undefined where there is none, or where a bulk update runs. */
  take(now: number): number | undefined {
    const left = this.#runsUntil[0]! - now;
    // More is left than there can be where the clock was set back.
    if (this.#running !== 0 && left > 0 && left <= LONGEST_WAIT) return undefined;
    for (const firewall of this.#firewalls.values()) {
      if (firewall.isAnswered || firewall.tries === MOST_TRIES) continue;
      firewall.tries++;
      this.#running = firewall.sender;
      this.#runsUntil[0] = now + LONGEST_WAIT;
      return firewall.sender;
    }
    return undefined;
  }
}
