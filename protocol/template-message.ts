/** What NetFlow v9 (RFC 3954) and IPFIX (RFC 7011) have in common: flow records described by templates, and what goes with them. */
import { ExportOptions, type OptionsChoice, type OptionsDialect } from './export-options.js';
import { type ExportCounts, ExportStatistics } from './export-statistics.js';
import { type FlowRecord, type NatView, sourceEnds } from './flow-record.js';
import { FORWARD, REPLY } from './flow-terms.js';
import { GatheredFlow } from './gathered-flow.js';
import type { EncoderLosses, FlowEncoder, MessageRoom } from './message.js';
import { type Dialect, MessageWriter } from './message-writer.js';
import { ORIGINAL_SOURCE } from './pf-terms.js';
import type { Profile } from './profile.js';
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

export class TemplateMessageEncoder implements FlowEncoder, EncoderLosses {
  readonly clampedCounters = 0;
  readonly #room: MessageRoom;
  readonly #writer: MessageWriter;
  readonly #gathered = new GatheredFlow();
  readonly #profile: Profile;
  readonly #sources: Int32Array;
  readonly #options: ExportOptions | undefined;
  readonly #statistics: ExportStatistics | undefined;
  readonly #runs: RecordRuns | undefined;
  #wasRefreshed = false;
  #areStatisticsDue = false;

  constructor(
    room: MessageRoom,
    dialect: Dialect,
    profile: Profile,
    options: TemplateOptions,
    { options: own, counts }: Extras = {},
  ) {
    const { fixed, oneSetPerMessage } = profile;
    const writer = new MessageWriter(room, dialect, { ...options, fixed, oneSetPerMessage });
    this.#room = room;
    this.#writer = writer;
    this.#profile = profile;
    this.#sources = sourceEnds(options.nat);
    if (own !== undefined) this.#options = new ExportOptions(writer, own.dialect, own.choice, options.domain);
    if (counts !== undefined && options.domain !== 0) {
      this.#statistics = new ExportStatistics(room, dialect, options.domain, writer, counts);
    }
    // An uptime is counted from a moment that its message chooses: such records cannot wait for theirs.
    if (room.likesRuns && !profile.hasUptimes) this.#runs = new RecordRuns(writer, room);
    writer.onRefresh = (now) => this.#refresh(now);
    writer.onSent = (now) => this.#sent(now);
  }

  get losses(): EncoderLosses {
    return this;
  }

  get clippedTimes(): number {
    return this.#writer.clock.clipped;
  }

  add(flow: FlowRecord): number {
    this.#options?.use(flow.interface, flow.observed);
    const { directions, records, state } = flow;
    const profile = this.#profile;
    const gathered = this.#gathered;
    const source = this.#sources[state.direction]!;
    const kind = profile.kindOf(flow, source);
    const isBiflow = profile.isBiflow(kind);
    gathered.gather(flow, source, profile.tellsTranslation(kind));
    if (isBiflow) {
      gathered.describeBoth();
      this.#write(profile.select(kind, gathered, 0), flow, 0);
      return 1;
    }
    if ((directions & FORWARD) !== 0) this.#write(profile.select(kind, gathered, 0), flow, 0);
    if ((directions & REPLY) !== 0) this.#write(profile.select(kind, gathered, 1), flow, 1);
    return records;
  }

  addNatEvent(flow: FlowRecord): void {
    const template = this.#profile.selectEvent?.(flow, ORIGINAL_SOURCE);
    if (template === undefined) return;
    this.#gathered.gatherEvent(flow, ORIGINAL_SOURCE);
    this.#write(template, flow, 0);
  }

  flush(now: number): void {
    this.#writer.flush(this.#runs?.flush(now) ?? now);
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

  #write(template: FlowTemplate, flow: FlowRecord, reply: 0 | 1): void {
    const gathered = this.#gathered;
    const runs = this.#runs;
    if (runs !== undefined && template.recordLength % 4 === 0) {
      runs.add(template, gathered, reply, flow);
      return;
    }
    const writer = this.#writer;
    const at = writer.place(template, template.recordLength, flow.observed);
    if (this.#profile.hasUptimes) gathered.setUptimes(flow, writer.clock);
    template.write(this.#room, at, gathered, reply);
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
