/** NAT events (RFC 8158): one record when a translated state appears, one when the firewall says that it is gone. */
import { FlowRecord } from '../../protocol/flow/flow-record.js';
import { EXACT } from '../../protocol/flow/terms.js';
import type { StateRow } from '../../protocol/pfsync/state.js';
import type { StateFilter } from './filter.js';
import type { FlowSink } from '../sink/flow-sink.js';
import type { StateObserver } from '../state/tracker.js';

/** IANA's registry of natEvent values: creation and deletion of a session. */
const NAT44 = [4, 5] as const;
const NAT64 = [6, 7] as const;
/** There is no number of its own for IPv6 to IPv6 and IPv4 to IPv6: these, now historic, tell of any translation. */
const OTHER = [1, 2] as const;

export class NatEvents implements StateObserver {
  readonly #filter: StateFilter;
  readonly #sinks: readonly FlowSink[];
  readonly #event = new FlowRecord();

  constructor(filter: StateFilter, sinks: readonly FlowSink[]) {
    this.#filter = filter;
    this.#sinks = sinks;
  }

  appeared(state: StateRow, since: number, now: number): void {
    this.#tell(state, 0, since, since, now);
  }

  ended(state: StateRow, since: number, now: number): void {
    this.#tell(state, 1, since, now, now);
  }

  #tell(state: StateRow, kind: 0 | 1, since: number, time: number, now: number): void {
    if (!state.isTranslated || this.#filter.reasonToSkip(state, EXACT) !== undefined) return;
    const event = this.#event;
    event.state.words.set(state.words);
    event.start = Math.min(since, time);
    event.end = time;
    event.observed = now;
    event.natEvent = numbersOf(state)[kind];
    for (const sink of this.#sinks) sink.addNatEvent?.(event);
  }
}

function numbersOf({ family, translatedFamily }: StateRow): readonly [number, number] {
  if (translatedFamily !== 4) return OTHER;
  return family === 4 ? NAT44 : NAT64;
}
