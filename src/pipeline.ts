/**
 * The way through the house: packet, link, pfsync message, state, flow, sinks. The only file that knows all stages.
 *
 *     packet ─▶ locatePfsync ─▶ PfsyncReader ─▶ StateTracker ─▶ flowMapper ─▶ [join] ─▶ [filter] ─▶ outlet ─▶ sinks
 */
import { type LinkVerdict, locateInIp, locatePfsync, Payload } from '../protocol/capture/link.js';
import type { Packet } from '../protocol/capture/packet.js';
import { InterfaceTable } from '../protocol/flow/interface.js';
import { type FlowConsumer, type FlowMemory, FlowRows, RowRange } from '../protocol/flow/rows.js';
import { TagTable } from '../protocol/flow/tags.js';
import { PfsyncReader, type Verdict } from '../protocol/pfsync/message.js';
import { printable } from './cli/printable.js';
import { type FilterOptions, StateFilter } from './flow/filter.js';
import { type JoinStage, joinStage } from './flow/join.js';
import { flowMapper } from './flow/mapper.js';
import { NatEvents } from './flow/nat-events.js';
import { outlet } from './flow/outlet.js';
import type { Statistics } from './observe/statistics.js';
import type { Log } from './service/log.js';
import type { FlowSink } from './sink/flow-sink.js';
import type { StateCounters } from './source/pfctl-text.js';
import { countersReader } from './state/printed.js';
import { StateTracker, type TrackerOptions } from './state/tracker.js';
import { FirewallAddresses } from './transport/firewall-addresses.js';

export interface PipelineOptions extends FilterOptions, TrackerOptions {
  /** Make one flow of the two states of a forwarded connection. */
  readonly join?: boolean;
  /** Report to the sinks when translations begin and end. */
  readonly natEvents?: boolean;
  /** Hand on the states of each message by itself, so that a log has everything in order. */
  readonly atOnce?: boolean;
  /** Gets each pfsync message, from `start` to `end`, before it is read. */
  readonly onMessage?: (view: DataView, start: number, end: number) => void;
  /** Milliseconds that a congested sink may hold up the source at a time; the rest is dropped and counted. Without it: for ever. */
  readonly patience?: number;
}

/** Rows of a batch: states that are read together, states that end together, flows that were joined. */
const BATCH = 128;
const EVENT_ROW = 2 * BATCH;
const JOINED_ROWS = EVENT_ROW + 1;

/** The memory that the stages and the sinks share. `ifmap` gives interfaces their ifIndex. */
export function openMemory(ifmap: ReadonlyMap<string, number>, log: Log): FlowMemory {
  const interfaces = new InterfaceTable(ifmap, {
    collision(one, other, index) {
      const names = `${printable(one)} and ${printable(other)}`;
      log.limited('interfaces', `interfaces ${names} share the derived index ${index}: give --ifmap`);
    },
    full(names) {
      log.warn(`more than ${names} interface names: states of further ones are shown without an interface`);
    },
  });
  return { rows: new FlowRows(), interfaces, tags: new TagTable() };
}

export class Pipeline {
  readonly tracker: StateTracker;
  /** Whom updates can be requested of; undefined where none are. */
  readonly firewalls: FirewallAddresses | undefined;
  /** For messages: the file or the interface that packets come from. */
  source = '';
  readonly #statistics: Statistics;
  readonly #sinks: readonly FlowSink[];
  readonly #log: Log;
  readonly #reader: PfsyncReader;
  readonly #payload = new Payload();
  /** For what is not a packet of a capture. */
  readonly #clock = new Float64Array(2);
  readonly #atOnce: boolean;
  readonly #onMessage: PipelineOptions['onMessage'];
  readonly #patience: number;
  /** A sink did not drain within `patience`: it holds up nothing until it has. */
  #isImpatient = false;
  readonly #readCounters = countersReader();
  readonly #join: JoinStage | undefined;

  constructor(
    options: PipelineOptions,
    memory: FlowMemory,
    sinks: readonly FlowSink[],
    log: Log,
    statistics: Statistics,
  ) {
    const { rows } = memory;
    this.#statistics = statistics;
    this.#sinks = sinks;
    this.#log = log;
    const filter = new StateFilter(rows, options);
    const last = outlet(memory, statistics, sendTo(sinks));
    this.#join = options.join
      ? joinStage(memory, new RowRange(rows, JOINED_ROWS, BATCH), statistics, last)
      : undefined;
    const mapper = flowMapper(memory, filter, statistics, this.#join ?? last);
    const observer = options.natEvents ? new NatEvents(memory, EVENT_ROW, filter, sinks) : undefined;
    const ended = new RowRange(rows, BATCH, BATCH);
    this.tracker = new StateTracker(memory, ended, mapper, statistics, options, observer);
    this.firewalls = options.requests && new FirewallAddresses();
    this.#reader = new PfsyncReader(memory, new RowRange(rows, 0, BATCH), this.tracker);
    this.#atOnce = options.atOnce === true || this.tracker.expires;
    this.#onMessage = options.onMessage;
    this.#patience = options.patience ?? Number.POSITIVE_INFINITY;
  }

  /** Takes a captured packet of any link type. */
  packet(packet: Packet): void {
    this.#statistics.packets++;
    this.#reader.clock = packet.clock;
    const verdict = locatePfsync(packet, this.#payload);
    if (verdict === 'pfsync') {
      this.firewalls?.learn(this.#payload, packet.view, this.source);
      this.#message(packet.view, packet.number);
    } else {
      this.#countIgnored(verdict, packet.number, packet.end - packet.start);
    }
  }

  /** Takes a datagram that holds one pfsync message, with or without its IP header. `time` is its arrival. */
  datagram(view: DataView, length: number, time: number): void {
    this.#statistics.packets++;
    this.#setClock(time);
    const verdict = locateInIp(view, 0, length, length, this.#payload);
    if (verdict === 'pfsync') this.#message(view, this.#statistics.packets);
    else this.#countIgnored(verdict, this.#statistics.packets, length);
  }

  /** True while the source should pause until `drained` resolves. */
  get isCongested(): boolean {
    return this.tracker.isEnding || this.#areSinksCongested();
  }

  /** Ends what a clear has left to end, as fast as the sinks take it. */
  async drained(): Promise<void> {
    await this.#untilDrained();
    while (this.tracker.isEnding) {
      this.tracker.endSome();
      if (this.#areSinksCongested()) await this.#untilDrained();
    }
  }

  /** What was counted, up to the last packet. */
  get statistics(): Statistics {
    this.settle();
    return this.#statistics;
  }

  /** The data's clock: when the last packet was captured, in milliseconds since the epoch. */
  get time(): number {
    const { clock } = this.#reader;
    return clock[0]! * 1000 + clock[1]!;
  }

  /** Takes a state's counters as pfctl printed them in a poll that began at `startedAt`. Returns whether the state is open. */
  reportCounters(counters: StateCounters, startedAt: number): boolean {
    this.settle();
    return this.tracker.reportCounters(this.#readCounters(counters), startedAt);
  }

  /** Messages were lost before this moment of the data's clock. */
  lost(time: number): void {
    this.tracker.lost(time);
  }

  /** Hands on what was read: then all counts are of the same moment. */
  settle(): void {
    this.#reader.handOn();
    this.#statistics.states.open = this.tracker.table.size;
  }

  /** Sends what waits to be filled up. */
  flush(): void {
    this.settle();
    this.#join?.expire(this.time);
    for (const sink of this.#sinks) sink.flush(this.time);
  }

  /** Ends the run: `flush` reports the open states, `count` only counts them. Resolves when every sink is closed. */
  async close(openStates: 'flush' | 'count'): Promise<void> {
    this.settle();
    await this.drained();
    if (openStates === 'flush') {
      this.tracker.beginFlush(this.time);
      await this.drained();
    }
    this.settle();
    this.#join?.flush();
    await Promise.all(this.#sinks.map((sink) => sink.close(this.time)));
  }

  #setClock(time: number): void {
    this.#clock[0] = 0;
    this.#clock[1] = time;
    this.#reader.clock = this.#clock;
  }

  #message(view: DataView, number: number): void {
    const { start, end, wireEnd, sender } = this.#payload;
    this.#onMessage?.(view, start, end);
    if (end > start) this.#statistics.addMessage(view.getUint8(start));
    else this.#statistics.pfsyncMessages++;
    const verdict = this.#reader.read(view, start, end, wireEnd, sender);
    if (verdict !== 'whole') this.#countDamage(verdict, number, view, start, end);
    if (this.#atOnce) this.#reader.handOn();
    if (this.tracker.expires) this.tracker.expire(this.time);
    if (this.tracker.isOverdueDue(this.#reader.clock)) {
      this.#reader.handOn();
      this.tracker.beginOverdue(this.time);
    }
  }

  #areSinksCongested(): boolean {
    const sinks = this.#sinks;
    let isCongested = false;
    for (let n = 0; n < sinks.length; n++) if (sinks[n]!.isCongested) isCongested = true;
    if (!isCongested) this.#isImpatient = false;
    return isCongested && !this.#isImpatient;
  }

  async #untilDrained(): Promise<void> {
    const drained = Promise.all(this.#sinks.map((sink) => sink.drained()));
    if (this.#patience === Number.POSITIVE_INFINITY) {
      await drained;
      return;
    }
    let timer: NodeJS.Timeout | undefined;
    const tooLong = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        this.#isImpatient = true;
        resolve();
      }, this.#patience);
    });
    await Promise.race([drained, tooLong]);
    clearTimeout(timer);
  }

  #countDamage(
    verdict: Exclude<Verdict, 'whole'>,
    number: number,
    view: DataView,
    start: number,
    end: number,
  ): void {
    this.#countNotRead(end - start);
    this.tracker.lost(this.time);
    this.#statistics.damaged.add(verdict);
    this.#log.limited(verdict, () => {
      const version = verdict === 'unknownVersion' ? ` (${view.getUint8(start)})` : '';
      return `${printable(this.source)}: packet ${number}: ${MEANING[verdict]}${version}`;
    });
  }

  #countIgnored(verdict: Exclude<LinkVerdict, 'pfsync'>, number: number, octets: number): void {
    const { ignored, damaged } = this.#statistics;
    if (verdict !== 'other') this.#countNotRead(octets);
    if (verdict === 'other') ignored.otherTraffic++;
    else if (verdict === 'fragment') ignored.fragments++;
    else if (verdict === 'unknownLinkType') ignored.unknownLinkTypes++;
    else {
      damaged.add('frameTruncated');
      const where = `${printable(this.source)}: packet ${number}`;
      this.#log.limited('frameTruncated', () => `${where}: shorter than the headers in front of pfsync`);
    }
  }

  #countNotRead(octets: number): void {
    this.#statistics.notRead.packets++;
    this.#statistics.notRead.octets += octets;
  }
}

const MEANING: Record<Exclude<Verdict, 'whole'>, string> = {
  emptyPacket: 'no pfsync message in it',
  headerTruncated: 'ends inside the pfsync header',
  unknownVersion: 'a pfsync version that is not known',
  unknownAction: 'a pfsync action that is not known, and what follows it',
  recordTruncated: 'ends before its last pfsync record',
  recordLength: 'pfsync records shorter than their kind',
  countZero: 'a pfsync message of no records',
  lengthField: 'the length in the pfsync header is another',
};

function sendTo(sinks: readonly FlowSink[]): FlowConsumer {
  const [first] = sinks;
  if (first !== undefined && sinks.length === 1) return first;
  return {
    add(start, count) {
      for (const sink of sinks) sink.add(start, count);
    },
  };
}
