/** An Exporting Process for one Collector: its encoder, its transport, and what became of the flows. */
import { type FlowRecord, type FlowRows, forEachFlow } from '../../protocol/flow/flow-record.js';
import { FORWARD, NONE, PARTIAL, REPLY, TCPSEQ } from '../../protocol/flow/terms.js';
import type { FlowEncoder } from '../../protocol/export/message.js';
import { clear, DIRECTION, newVolume, OCTETS_HIGH, OCTETS_LOW } from '../../protocol/flow/volume.js';
import type { Outlet } from './distribution.js';
import { directionNumber } from '../flow/filter.js';
import type { Log } from '../service/log.js';
import type { Direction } from '../cli/option-values.js';
import type { ExporterResult } from '../observe/summary.js';
import type { Transport } from './transport.js';

export interface ExporterOptions {
  /** The collector as the operator named it. */
  readonly name: string;
  readonly version: number;
  /** Tell TCP payload as the octets of two records, where the format has no elements of its own for it. */
  readonly estimate: boolean;
  /** Leave out flows whose volume the format has no place for. */
  readonly noUncounted: boolean;
  /** The profile of pflow(4): counters, and nothing else for volume. */
  readonly isPflow: boolean;
  /** States of another direction are not for this collector. */
  readonly direction: Direction;
  readonly log: Log;
}

const WORD = 2 ** 32;

export class Exporter implements Outlet {
  readonly #options: ExporterOptions;
  readonly #encoder: FlowEncoder;
  readonly #transport: Transport;
  readonly #splitsEstimates: boolean;
  /** 0 is any. */
  readonly #direction: number;
  readonly #leavesOutEstimates: boolean;
  /** No flow needs a look of its own. */
  readonly #takesAll: boolean;
  readonly #volume = newVolume();
  #filtered = 0;
  #uncounted = 0;
  #encoded = 0;
  #clipped = 0;
  #clamped = 0;

  constructor(encoder: FlowEncoder, transport: Transport, options: ExporterOptions) {
    this.#encoder = encoder;
    transport.onTrouble = () => encoder.refresh?.();
    this.#transport = transport;
    this.#options = options;
    this.#splitsEstimates = options.estimate && options.version !== 10;
    const showsEstimates = this.#splitsEstimates || (options.version === 10 && !options.isPflow);
    this.#leavesOutEstimates = options.noUncounted && !showsEstimates;
    this.#direction = directionNumber(options.direction);
    this.#takesAll = this.#direction === 0 && !this.#splitsEstimates && !this.#leavesOutEstimates;
  }

  get isDown(): boolean {
    return this.#transport.isDown;
  }

  get isCongested(): boolean {
    return this.#transport.isCongested;
  }

  add(flows: FlowRows): void {
    if (this.#takesAll) this.#encode(flows);
    else forEachFlow(flows, this.#addFlow);
  }

  addNatEvent(event: FlowRecord): void {
    if (this.#isWanted(event)) this.#encoder.addNatEvent?.(event);
  }

  flush(now: number): void {
    this.#encoder.flush(now);
  }

  drained(): Promise<void> {
    return this.#transport.drained();
  }

  async close(now: number): Promise<void> {
    this.#encoder.end(now);
    await this.#transport.close();
    this.#tellLosses();
  }

  get result(): ExporterResult {
    const { name, version } = this.#options;
    const { sent, lost, errors } = this.#transport;
    const { clippedTimes, clampedCounters, unsupported } = this.#encoder.losses;
    return {
      collector: name,
      version,
      records: sent.records,
      datagrams: sent.messages,
      octets: sent.octets,
      filtered: this.#filtered,
      uncounted: this.#uncounted,
      unsupported,
      clamped: clampedCounters,
      clippedTimes,
      lostRecords: lost.records,
      lostDatagrams: lost.messages,
      errors,
    };
  }

  readonly #addFlow = (flow: FlowRecord): void => {
    if (!this.#isWanted(flow)) this.#filtered += flow.records;
    else if (flow.counters !== TCPSEQ) this.#encode(flow);
    else if (this.#leavesOutEstimates) this.#uncounted++;
    else if (this.#splitsEstimates) this.#addEstimate(flow);
    else this.#encode(flow);
  };

  #isWanted(flow: FlowRecord): boolean {
    return this.#direction === 0 || flow.state.direction === this.#direction;
  }

  #encode(flows: FlowRows): void {
    this.#encoder.add(flows);
    // What the format could not hold is looked after now and then, and at the end.
    if ((++this.#encoded & 1023) === 0) this.#tellLosses();
  }

  /** One record for each direction that sent payload, and the forward one in any case. */
  #addEstimate(flow: FlowRecord): void {
    const { initiatorOctets, responderOctets, state } = flow;
    this.#addPayload(flow, FORWARD, 0, initiatorOctets);
    if (responderOctets > 0) this.#addPayload(flow, REPLY, DIRECTION, responderOctets);
    flow.directions = FORWARD;
    flow.counters = TCPSEQ;
    clear(this.#volume);
    state.writeVolume(this.#volume);
  }

  #addPayload(flow: FlowRecord, direction: number, at: number, octets: number): void {
    flow.directions = direction;
    flow.counters = octets === 0 ? NONE : PARTIAL;
    const volume = this.#volume;
    clear(volume);
    volume[at + OCTETS_HIGH] = octets / WORD;
    volume[at + OCTETS_LOW] = octets;
    flow.state.writeVolume(volume);
    this.#encode(flow);
  }

  #tellLosses(): void {
    const { name, log, version } = this.#options;
    const { clippedTimes, clampedCounters } = this.#encoder.losses;
    if (clippedTimes !== this.#clipped) {
      log.limited(
        `clip ${name}`,
        `${name}: a start further back than NetFlow v${version} can tell was clipped`,
      );
    }
    if (clampedCounters !== this.#clamped) {
      log.limited(`clamp ${name}`, `${name}: a counter too large to be split was clamped`);
    }
    this.#clipped = clippedTimes;
    this.#clamped = clampedCounters;
  }
}
