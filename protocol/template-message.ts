/** What NetFlow v9 (RFC 3954) and IPFIX (RFC 7011) have in common: flow records described by templates, and what goes with them. */
import { ExportOptions, type OptionsChoice, type OptionsDialect } from './export-options.js';
import { type ExportCounts, ExportStatistics } from './export-statistics.js';
import { type FlowRecord, type NatView, sourceEnd } from './flow-record.js';
import type { EncoderLosses, FlowEncoder, MessageRoom } from './message.js';
import { type Dialect, MessageWriter } from './message-writer.js';
import { ORIGINAL_SOURCE } from './pfsync-state.js';
import type { FlowTemplate, Profile } from './template.js';
import { COUNTERS } from './template-part.js';

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
  readonly #writer: MessageWriter;
  readonly #profile: Profile;
  readonly #nat: NatView;
  readonly #options: ExportOptions | undefined;
  readonly #statistics: ExportStatistics | undefined;
  readonly #forward = new ForwardRecord();
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
    this.#writer = writer;
    this.#profile = profile;
    this.#nat = options.nat;
    if (own !== undefined) this.#options = new ExportOptions(writer, own.dialect, own.choice, options.domain);
    if (counts !== undefined && options.domain !== 0) {
      this.#statistics = new ExportStatistics(room, dialect, options.domain, writer, counts);
    }
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
    const source = sourceEnd(flow, this.#nat);
    const template = this.#profile.select(flow, source);
    if (template.reverseAt < 0) this.#write(template, flow, source);
    else this.#addDirection(template, flow);
    return 1;
  }

  addNatEvent(flow: FlowRecord): void {
    const template = this.#profile.selectEvent?.(flow, ORIGINAL_SOURCE);
    if (template !== undefined) this.#write(template, flow, ORIGINAL_SOURCE);
  }

  flush(now: number): void {
    this.#writer.flush(now);
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

  #write(template: FlowTemplate, flow: FlowRecord, source: number): number {
    const writer = this.#writer;
    const at = writer.place(template, template.recordLength, flow.observed);
    template.write(writer.view, at, flow, source, writer.clock);
    return at;
  }

  /**
   * One record for both directions: a state's forward record is written with no packets in reverse, and its reply record,
   * which comes next if at all, fills those in where they lie. A reply without a forward record stands beside zeros.
   */
  #addDirection(template: FlowTemplate, flow: FlowRecord): void {
    const forward = this.#forward;
    const writer = this.#writer;
    if (flow.reply === 0) {
      const at = this.#write(template, flow, sourceEnd(flow, this.#nat));
      forward.set(flow, at + template.reverseAt, writer.messages);
      return;
    }
    if (forward.isOf(flow, writer.messages)) {
      COUNTERS.write(writer.view, forward.reverseAt, flow, 0, writer.clock);
      forward.messages = NOT_WRITTEN;
      return;
    }
    const { octetsHigh, octetsLow, packetsHigh, packetsLow } = flow;
    flow.reply = 0;
    flow.octetsHigh = flow.octetsLow = flow.packetsHigh = flow.packetsLow = 0;
    const source = sourceEnd(flow, this.#nat);
    const both = this.#profile.select(flow, source);
    const at = this.#write(both, flow, source);
    Object.assign(flow, { reply: 1, octetsHigh, octetsLow, packetsHigh, packetsLow });
    COUNTERS.write(writer.view, at + both.reverseAt, flow, 0, writer.clock);
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

const NOT_WRITTEN = -1;

/** Where the last forward record lies, and of which state it is. */
class ForwardRecord {
  reverseAt = 0;
  /** How many messages had left when it was written: once there are more, it has left too. */
  messages = NOT_WRITTEN;
  #idHigh = 0;
  #idLow = 0;
  #creatorId = 0;
  #start = 0;
  #end = 0;

  set(flow: FlowRecord, reverseAt: number, messages: number): void {
    this.reverseAt = reverseAt;
    this.messages = messages;
    this.#idHigh = flow.state.idHigh;
    this.#idLow = flow.state.idLow;
    this.#creatorId = flow.state.creatorId;
    this.#start = flow.start;
    this.#end = flow.end;
  }

  isOf({ state, start, end }: FlowRecord, messages: number): boolean {
    return (
      this.messages === messages &&
      this.#idLow === state.idLow &&
      this.#idHigh === state.idHigh &&
      this.#creatorId === state.creatorId &&
      this.#start === start &&
      this.#end === end
    );
  }
}
