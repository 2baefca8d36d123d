/**
 * IPFIX messages on their way through transport sessions (RFC 7011, 10.4). The encoder makes one series of
 * messages; some are dropped before they are queued, and each session begins with sequence number 0 and needs
 * every template again.
 */
import { messageLength, SessionSequence, TemplateStore } from '../../protocol/export/session.js';
import type { Block } from './message-queue.js';

export class SessionMessages {
  readonly #sequence = new SessionSequence();
  /** Templates of messages that have been written. */
  readonly #written = new TemplateStore();
  /** Templates of messages that were dropped. */
  readonly #dropped = new TemplateStore();

  /** A message that will not be queued. */
  drop(message: DataView): void {
    this.#sequence.leaveOut(message, 0);
    this.#dropped.keep(message, 0);
  }

  /**
   * A message that will be queued: its sequence number is set as if nothing had been dropped. Returns a
   * message of the templates that were dropped with earlier messages, to be queued before it.
   */
  queue(message: DataView): Uint8Array | undefined {
    this.#sequence.closeGap(message, 0);
    const templates = this.#dropped.announcement(message, 0);
    if (templates !== undefined) this.#dropped.forget(message, 0);
    return templates;
  }

  /** A new session begins. */
  restart(): void {
    this.#sequence.restart();
  }

  /**
   * Numbers the messages of a block for the session. Returns messages of templates that the session needs
   * before them.
   */
  number({ view, length }: Block): Uint8Array[] {
    const needed: Uint8Array[] = [];
    for (let at = 0; at < length; at += messageLength(view, at)) {
      const isFirstOfDomain = this.#sequence.number(view, at);
      const templates = isFirstOfDomain ? this.#written.announcement(view, at) : undefined;
      if (templates !== undefined) needed.push(templates);
      this.#written.keep(view, at);
    }
    return needed;
  }
}
