/**
 * The way through the house: packet, link, pfsync message, state, flow, sinks. The only file that knows all stages.
 */
import { Clock } from '../protocol/capture/clock.js';
import type { FlowRows } from '../protocol/flow/flow-record.js';
import { type LinkVerdict, locateInIp, locatePfsync, Payload } from '../protocol/capture/link.js';
import type { Packet } from '../protocol/capture/packet.js';
import { PfsyncReader, type Verdict } from '../protocol/pfsync/message.js';
import type { PacketConsumer } from './source/capture-file.js';
import { type FilterOptions, StateFilter } from './flow/filter.js';
import { FlowMapper } from './flow/mapper.js';
import type { FlowSink } from './sink/flow-sink.js';
import { InterfaceTable } from '../protocol/flow/interface.js';
import type { Log } from './service/log.js';
import { printable } from './service/log.js';
import { NatEvents } from './flow/nat-events.js';
import type { StateCounters } from './source/pfctl-text.js';
import { StateTracker, type TrackerOptions } from './state/tracker.js';
import { Stats } from './observe/statistics.js';

export interface PipelineOptions extends FilterOptions, TrackerOptions {
  readonly ifmap: ReadonlyMap<string, number>;
  /** Tell the sinks when translated states appear and end. */
  readonly natEvents?: boolean;
  /** States do not wait for others of their kind: what is told of them stands in order with everything else in the log. */
  readonly atOnce?: boolean;
  /** Is shown each pfsync message, from `start` to `end`, before it is read. */
  readonly onMessage?: (view: DataView, start: number, end: number) => void;
}

export class Pipeline implements PacketConsumer {
  readonly tracker: StateTracker;
  /** For messages: the file or the interface that packets come from. */
  source = '';
  readonly #stats: Stats;
  readonly #sinks: readonly FlowSink[];
  readonly #log: Log;
  readonly #reader: PfsyncReader;
  readonly #payload = new Payload();
  /** For what is not a packet of a capture. */
  readonly #clock = new Clock();
  readonly #atOnce: boolean;
  readonly #onMessage: PipelineOptions['onMessage'];

  constructor(options: PipelineOptions, sinks: readonly FlowSink[], log: Log, stats = new Stats()) {
    this.#stats = stats;
    const interfaces = new InterfaceTable(options.ifmap, (one, other, index) => {
      const names = `${printable(one)} and ${printable(other)}`;
      log.limited('interfaces', `interfaces ${names} share the derived index ${index}: give --ifmap`);
    });
    const emit = sinks.length === 1 ? sendTo(sinks[0]!) : sendToAll(sinks);
    const filter = new StateFilter(options);
    const mapper = new FlowMapper(filter, stats, emit);
    const observer = options.natEvents ? new NatEvents(filter, sinks) : undefined;
    this.tracker = new StateTracker(interfaces, mapper, stats, options, observer);
    this.#reader = new PfsyncReader(this.tracker);
    this.#sinks = sinks;
    this.#log = log;
    this.#atOnce = options.atOnce === true || this.tracker.expires;
    this.#onMessage = options.onMessage;
  }

  /** A captured packet of any link type. */
  packet(packet: Packet): void {
    this.#stats.packets++;
    this.#reader.clock = packet.clock;
    const verdict = locatePfsync(packet, this.#payload);
    if (verdict === 'pfsync') this.#message(packet.view, packet.number, packet.octetsStay);
    else this.#countIgnored(verdict, packet.number, packet.end - packet.start);
  }

  octetsLeave(): void {
    this.#reader.readNoted();
  }

  /** A datagram that holds one pfsync message, with or without its IP header. `time` is its arrival. */
  datagram(view: DataView, length: number, time: number): void {
    this.#stats.packets++;
    this.#setClock(time);
    const verdict = locateInIp(view, 0, length, length, this.#payload);
    if (verdict === 'pfsync') this.#message(view, this.#stats.packets, false);
    else this.#countIgnored(verdict, this.#stats.packets, length);
  }

  /** Asked after each packet: an iterator would be garbage until V8 has compiled it away. */
  get isCongested(): boolean {
    const sinks = this.#sinks;
    for (let n = 0; n < sinks.length; n++) if (sinks[n]!.isCongested) return true;
    return false;
  }

  async drained(): Promise<void> {
    for (const sink of this.#sinks) await sink.drained();
  }

  /** What was counted, up to the last packet. */
  get stats(): Stats {
    this.settle();
    return this.#stats;
  }

  /** The data's clock: when the last packet was captured, in milliseconds since the epoch. */
  get time(): number {
    return this.#reader.clock.time;
  }

  /** pfctl told a state's counters at `now`. The answer is whether the state is known. */
  told(counters: StateCounters, now: number): boolean {
    this.settle();
    this.#setClock(Math.max(this.time, now));
    return this.tracker.told(counters, this.time);
  }

  /** What was read is with the sinks, and all counters tell of the same moment. */
  settle(): void {
    this.#reader.handOn();
    this.#stats.states.open = this.tracker.table.size;
  }

  /** What waits to be filled up leaves now. */
  flush(): void {
    this.settle();
    for (const sink of this.#sinks) sink.flush(this.time);
  }

  /** Ends the run: open states as asked, then everything out. */
  async close(openStates: 'flush' | 'count'): Promise<void> {
    this.#reader.handOn();
    if (openStates === 'flush') this.tracker.flushOpen(this.time);
    this.settle();
    await Promise.all(this.#sinks.map((sink) => sink.close(this.time)));
  }

  #setClock(time: number): void {
    this.#clock.time = time;
    this.#reader.clock = this.#clock;
  }

  #message(view: DataView, number: number, octetsStay: boolean): void {
    const { start, end, wireEnd } = this.#payload;
    this.#onMessage?.(view, start, end);
    if (end > start) this.#stats.addMessage(view.getUint8(start));
    else this.#stats.pfsyncMessages++;
    const verdict = this.#reader.read(view, start, end, wireEnd);
    if (verdict !== 'whole') this.#countDamage(verdict, number, end - start);
    if (this.#atOnce) this.#reader.handOn();
    else if (!octetsStay) this.#reader.readNoted();
    if (this.tracker.expires) this.tracker.expire(this.time);
  }

  #countDamage(verdict: Exclude<Verdict, 'whole'>, number: number, octets: number): void {
    this.#countNotRead(octets);
    this.#stats.damaged.add(verdict);
    this.#log.limited(verdict, () => `${printable(this.source)}: packet ${number}: ${MEANING[verdict]}`);
  }

  #countIgnored(verdict: Exclude<LinkVerdict, 'pfsync'>, number: number, octets: number): void {
    const { ignored, damaged } = this.#stats;
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
    this.#stats.notRead.packets++;
    this.#stats.notRead.octets += octets;
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
  lengthField: 'the pfsync header tells another length',
};

function sendTo(sink: FlowSink): (flows: FlowRows) => void {
  return (flows) => sink.add(flows);
}

function sendToAll(sinks: readonly FlowSink[]): (flows: FlowRows) => void {
  return (flows) => {
    for (const sink of sinks) sink.add(flows);
  };
}
