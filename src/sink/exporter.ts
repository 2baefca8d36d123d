/** An Exporting Process for one Collector: its encoder, its transport, and what became of the flows. */
import type { FlowEncoder } from '../../protocol/export/message.js';
import { INBOUND, OUTBOUND } from '../../protocol/flow/pf-terms.js';
import { FLOW, ROW, STATE } from '../../protocol/flow/row.js';
import type { FlowMemory } from '../../protocol/flow/rows.js';
import { FORWARD } from '../../protocol/flow/terms.js';
import type { Direction } from '../cli/option-values.js';
import type { CollectorResult } from '../observe/summary.js';
import type { Log } from '../service/log.js';
import type { Outlet } from './distribution.js';
import type { Transport } from './transport.js';

export interface ExporterOptions {
  /** The collector as the operator named it. */
  readonly name: string;
  readonly version: number;
  /** States of another direction are not for this collector. */
  readonly direction: Direction;
  readonly log: Log;
}

/** pf's number for a direction; 0 is any. */
const DIRECTIONS = { any: 0, in: INBOUND, out: OUTBOUND } as const;

export class Exporter implements Outlet {
  readonly #words: Int32Array;
  readonly #encoder: FlowEncoder;
  readonly #transport: Transport;
  readonly #options: ExporterOptions;
  readonly #direction: number;
  #filtered = 0;
  /** What was warned about. */
  #clipped = 0;
  #clamped = 0;

  constructor({ rows }: FlowMemory, encoder: FlowEncoder, transport: Transport, options: ExporterOptions) {
    this.#words = rows.words;
    this.#encoder = encoder;
    transport.onTrouble = () => encoder.refresh?.();
    this.#transport = transport;
    this.#options = options;
    this.#direction = DIRECTIONS[options.direction];
  }

  get isDown(): boolean {
    return this.#transport.isDown;
  }

  get isCongested(): boolean {
    return this.#transport.isCongested;
  }

  add(first: number, count: number): void {
    if (this.#direction === 0) this.#encoder.add(first, count);
    else this.#addWanted(first, count);
    this.#warnOfLosses();
  }

  addNatEvent(row: number): void {
    if (this.#direction === 0 || this.#isWanted(row)) this.#encoder.addNatEvent?.(row);
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
    this.#warnOfLosses();
  }

  get result(): CollectorResult {
    const { name, version } = this.#options;
    const { sent, lost, errors } = this.#transport;
    const { clippedTimes, clampedCounters, unsupported } = this.#encoder.losses;
    return {
      kind: 'collector',
      collector: name,
      version,
      records: sent.records,
      datagrams: sent.messages,
      octets: sent.octets,
      filtered: this.#filtered,
      unsupported,
      clamped: clampedCounters,
      clippedTimes,
      lostRecords: lost.records,
      lostDatagrams: lost.messages,
      errors,
    };
  }

  /** Adds the rows of the direction, those that follow each other together. */
  #addWanted(first: number, count: number): void {
    const end = first + count;
    let start = first;
    for (let row = first; row < end; row++) {
      if (this.#isWanted(row)) continue;
      const directions = (this.#words[row * ROW + FLOW]! >>> 8) & 255;
      this.#filtered += (directions & FORWARD) + (directions >>> 1);
      if (row > start) this.#encoder.add(start, row - start);
      start = row + 1;
    }
    if (end > start) this.#encoder.add(start, end - start);
  }

  #isWanted(row: number): boolean {
    return (this.#words[row * ROW + STATE]! & 255) === this.#direction;
  }

  #warnOfLosses(): void {
    const { name, log, version } = this.#options;
    const { clippedTimes, clampedCounters } = this.#encoder.losses;
    if (clippedTimes !== this.#clipped) {
      const warning = `${name}: a start further back than NetFlow v${version} can show was clipped`;
      log.limited(`clip ${name}`, warning);
    }
    if (clampedCounters !== this.#clamped) {
      log.limited(`clamp ${name}`, `${name}: a counter too large to be split was clamped`);
    }
    this.#clipped = clippedTimes;
    this.#clamped = clampedCounters;
  }
}
