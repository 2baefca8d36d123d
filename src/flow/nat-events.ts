/** NAT events (RFC 8158): one record when a translated state appears, one when the firewall says that it is gone. */
import { FlowView } from '../../protocol/flow/flow-view.js';
import { type Preparer, preparer } from '../../protocol/flow/prepare.js';
import { KEPT, ROW } from '../../protocol/flow/row.js';
import type { FlowMemory } from '../../protocol/flow/rows.js';
import { EXACT, FORWARD } from '../../protocol/flow/terms.js';
import type { StateFilter } from './filter.js';

/** IANA's registry of natEvent values: creation and deletion of a session. */
const NAT44 = [4, 5] as const;
const NAT64 = [6, 7] as const;
/** There is no number of its own for IPv6 to IPv6 and IPv4 to IPv6: these, now historic, stand for any translation. */
const OTHER = [1, 2] as const;

/** What takes the events; those without a place for them have no `addNatEvent`. */
export interface NatEventConsumer {
  addNatEvent?(row: number): void;
}

export class NatEvents {
  readonly #words: Int32Array;
  readonly #filter: StateFilter;
  readonly #consumers: readonly NatEventConsumer[];
  readonly #prepare: Preparer;
  readonly #row: number;
  readonly #event: FlowView;

  /** Events are made in `row`, which nobody else uses. */
  constructor(memory: FlowMemory, row: number, filter: StateFilter, consumers: readonly NatEventConsumer[]) {
    this.#words = memory.rows.words;
    this.#filter = filter;
    this.#consumers = consumers;
    this.#prepare = preparer(memory.rows, memory.interfaces);
    this.#row = row;
    this.#event = new FlowView(memory.rows, row);
  }

  /** A state that was not known: it may be older than the message. Times are milliseconds since the epoch. */
  appeared(row: number, since: number, now: number): void {
    this.#send(row, 0, since, since, now);
  }

  /** The firewall let go of a state, or has started anew without it. */
  ended(row: number, since: number, now: number): void {
    this.#send(row, 1, since, now, now);
  }

  #send(row: number, kind: 0 | 1, since: number, time: number, now: number): void {
    const words = this.#words;
    words.copyWithin(this.#row * ROW, row * ROW, row * ROW + KEPT);
    const event = this.#event;
    if (!event.isTranslated || this.#filter.reasonToSkip(this.#row, EXACT) !== undefined) return;
    event.directions = FORWARD;
    event.endReason = 0;
    event.start = Math.min(since, time);
    event.end = time;
    event.observed = now;
    this.#prepare(this.#row, 1);
    event.natEvent = numbersOf(event)[kind];
    for (const consumer of this.#consumers) consumer.addNatEvent?.(this.#row);
  }
}

function numbersOf({ family, translatedFamily }: FlowView): readonly [number, number] {
  if (translatedFamily !== 4) return OTHER;
  return family === 4 ? NAT44 : NAT64;
}
