/** What NetFlow v9 (RFC 3954) and IPFIX (RFC 7011) have in common: flow records described by templates, and what goes with them. */
import { allocate, core, memory, viewOf, writeWords } from '../core.js';
import { ExportOptions, type OptionsChoice, type OptionsDialect } from './options.js';
import { type ExportCounts, ExportStatistics } from './statistics.js';
import type { NatView } from '../flow/terms.js';
import { type FlowRecord, type FlowRows, sourceEnds } from '../flow/flow-record.js';
import { IF_INDEX, INTERFACE_NAME, OBSERVED, ROW } from '../flow/row.js';
import type { EncoderLosses, FlowEncoder, MessageRoom } from './message.js';
import { type Dialect, MessageWriter } from './message-writer.js';
import { ADD_TEMPLATE, MAKE_ROOM, NOTHING, SEND_RUN } from './owner-task.js';
import { ORIGINAL_SOURCE } from '../flow/pf-terms.js';
import { nameAt } from '../flow/interface.js';
import type { Profile } from './profile.js';
import { KINDS } from './record-kind.js';
import { RecordRuns } from './record-runs.js';
import type { FlowTemplate } from './template.js';

export interface TemplateOptions {
  readonly nat: NatView;
  /** Observation Domain or Source ID. */
  readonly domain: number;
  /** Templates are sent again after this many milliseconds, and after this many messages (0: only by time). */
  readonly refreshTime: number;
  readonly refreshMessages: number;
  /** The first message's sequence number; 0 unless told otherwise. */
  readonly sequence?: number;
}

/** What is told beside the flows. */
export interface Extras {
  readonly options?: { readonly dialect: OptionsDialect; readonly choice: OptionsChoice };
  /** Statistics are sent in Observation Domain 0, with the templates and at the end. */
  readonly counts?: ExportCounts;
}

/** What stands where in the encoder that the core knows (`assembly/template-record`). */
const TEMPLATES = 40;
const LATEST = 56;
const RECORDS = 64;
const TASK = 72;
const KIND = 76;
const MESSAGE = 80;
const ENCODER_LENGTH = 84;
const PARTS_LENGTH = 32;

export class TemplateMessageEncoder implements FlowEncoder, EncoderLosses {
  readonly clampedCounters = 0;
  readonly unsupported = 0;
  readonly #writer: MessageWriter;
  readonly #profile: Profile;
  readonly #templates: FlowTemplate[] = [];
  readonly #options: ExportOptions | undefined;
  readonly #statistics: ExportStatistics | undefined;
  readonly #runs: RecordRuns | undefined;
  readonly #at: number;
  readonly #encoder: DataView;
  #wasRefreshed = false;
  #areStatisticsDue = false;

  constructor(
    room: MessageRoom,
    dialect: Dialect,
    profile: Profile,
    options: TemplateOptions,
    { options: own, counts }: Extras = {},
  ) {
    const { fixed, oneSetPerMessage, hasUptimes } = profile;
    const writer = new MessageWriter(room, dialect, { ...options, fixed, oneSetPerMessage });
    this.#writer = writer;
    this.#profile = profile;
    if (own !== undefined) this.#options = new ExportOptions(writer, own.dialect, own.choice, options.domain);
    if (counts !== undefined && options.domain !== 0) {
      this.#statistics = new ExportStatistics(room, dialect, options.domain, writer, counts);
    }
    // An uptime is counted from a moment that its message chooses: such records cannot wait for theirs.
    if (room.likesRuns && !hasUptimes) this.#runs = new RecordRuns(writer);
    writer.onRefresh = (now) => this.#refresh(now);
    writer.onSent = (now) => this.#sent(now);
    this.#at = allocate(ENCODER_LENGTH, this);
    this.#encoder = viewOf(this.#at, ENCODER_LENGTH);
    this.#encoder.setFloat64(LATEST, Number.NEGATIVE_INFINITY, true);
    const { isPflow, pads, tellsId, tellsTranslation, tellsEstimate, isBiflow } = profile;
    writeWords(this.#at, [
      ...sourceEnds(options.nat),
      Number(isPflow),
      Number(pads),
      Number(tellsId),
      Number(tellsTranslation),
      Number(tellsEstimate),
      Number(isBiflow),
      Number(own?.choice.names ?? false),
      0,
      allocate(4 * KINDS, this),
      allocate(PARTS_LENGTH, this),
      hasUptimes ? writer.clock.at : 0,
    ]);
    this.#encoder.setUint32(MESSAGE, writer.lentAt, true);
  }

  get losses(): EncoderLosses {
    return this;
  }

  get clippedTimes(): number {
    return this.#writer.clock.clipped;
  }

  add(flows: FlowRows): number {
    const before = this.#records;
    let { row, count } = flows;
    for (;;) {
      const done = core.addTemplated(this.#at, row, count);
      const task = this.#encoder.getInt32(TASK, true);
      if (task === NOTHING) return (this.#records - before) >>> 0;
      row += done * ROW;
      count -= done;
      this.#do(task, row);
    }
  }

  addNatEvent(flow: FlowRecord): void {
    const template = this.#profile.selectEvent?.(flow, ORIGINAL_SOURCE);
    if (template === undefined) return;
    const offset = this.#writer.place(template, template.recordLength, flow.observed);
    core.writeEvent(this.#at, flow.row, ORIGINAL_SOURCE, this.#writer.start + offset);
  }

  flush(now: number): void {
    // Messages are not sent before a moment that their records are from; the data's clock may have been set back.
    const time = Math.max(now, this.#latest);
    this.#runs?.flush(time);
    this.#latest = Number.NEGATIVE_INFINITY;
    this.#writer.flush(time);
  }

  end(now: number): void {
    this.flush(now);
    this.#statistics?.tell(now);
  }

  refresh(): void {
    this.#writer.refresh();
  }

  restart(): void {
    this.#writer.restart();
    this.#statistics?.restart();
  }

  /** What the core left to do, before it goes on with the row. */
  #do(task: number, row: number): void {
    const kind = this.#encoder.getInt32(KIND, true);
    if (task === ADD_TEMPLATE) this.#addTemplate(kind);
    else if (task === MAKE_ROOM) this.#writer.lend(this.#templates[kind]!, observedAt(row));
    else if (task === SEND_RUN) this.#runs!.send(this.#templates[kind]!, this.#latest);
    else this.#useInterface(row);
  }

  #addTemplate(kind: number): void {
    const template = this.#profile.template(kind);
    this.#templates[kind] = template;
    this.#runs?.begin(template);
    const templates = this.#encoder.getUint32(TEMPLATES, true);
    memory.setUint32(templates + 4 * kind, template.at, true);
  }

  #useInterface(row: number): void {
    const name = nameAt(memory, row + INTERFACE_NAME);
    const index = memory.getUint32(row + IF_INDEX, true);
    this.#options?.use({ name, index }, observedAt(row));
  }

  /** Records that the core wrote so far, up to 2 ** 32. */
  get #records(): number {
    return this.#encoder.getUint32(RECORDS, true);
  }

  /** The latest moment that a record in a run is from, in milliseconds of the data's clock. */
  get #latest(): number {
    return this.#encoder.getFloat64(LATEST, true);
  }

  set #latest(time: number) {
    this.#encoder.setFloat64(LATEST, time, true);
  }

  #refresh(now: number): void {
    this.#options?.tellAll(now);
    // At the very start there is nothing to tell yet.
    this.#areStatisticsDue = this.#wasRefreshed;
    this.#wasRefreshed = true;
  }

  #sent(now: number): void {
    if (!this.#areStatisticsDue) return;
    this.#areStatisticsDue = false;
    this.#statistics?.tell(now);
  }
}

/** When the row's state was last seen: milliseconds of the data's clock. */
function observedAt(row: number): number {
  return memory.getFloat64(row + OBSERVED, true);
}
