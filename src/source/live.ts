/** The live sources: interfaces, datagrams and pfctl, opened together and closed together. What `-i`, `--listen` and `--pfctl` do. */
import { lookup } from 'node:dns/promises';
import type { Packet } from '../../protocol/capture/packet.js';
import type { Options } from '../cli/option-table.js';
import type { Endpoint } from '../cli/option-values.js';
import type { Log } from '../service/log.js';
import { monotonic } from '../service/monotonic.js';
import { PrivilegedShells } from '../service/privileged-shell.js';
import type { DatagramConsumer, Flushable, NamesSource, PacketConsumer } from './consumer.js';
import { Listener } from './listener.js';
import { LiveCapture } from './live-capture.js';
import { LossWatch } from './loss-watch.js';
import { PFCTL, PfctlPoller } from './pfctl.js';
import type { StateCounters } from './pfctl-text.js';

/** Milliseconds between two looks at what was lost: silence proves nothing then. */
const LOSS_CHECK = 10_000;

/** Share of `--hold` between two flushes: a record that just missed one still leaves in time. */
const FLUSHES = 0.9;

/** Where the input of live sources goes, and where they count what was lost. */
export interface LiveSourcesConsumer extends PacketConsumer, DatagramConsumer, NamesSource, Flushable {
  readonly statistics: { readonly sources: SourceCounters };
  /** Messages were lost before `time`, in milliseconds since the epoch. */
  lost(time: number): void;
  /** Counters of a state (valid during the call only) from a poll that began at `startedAt`. Whether the state is known. */
  reportCounters(counters: StateCounters, startedAt: number): boolean;
}

/** Sums over all live sources. */
export interface SourceCounters {
  /** Packets that the kernel had no room for, and those that tcpdump ended without reading. */
  kernelDrops: number;
  unread: number;
  /** Times that capturing went on with a new tcpdump. */
  restarts: number;
  /** Datagrams of senders that are not allowed, and those dropped because the queue was full. */
  refused: number;
  overflows: number;
  pfctlRuns: number;
  pfctlFailures: number;
}

export class LiveSources {
  readonly #consumer: LiveSourcesConsumer;
  readonly #captures: readonly LiveCapture[];
  readonly #listeners: readonly Listener[];
  readonly #poller: PfctlPoller | undefined;
  readonly #hold: number;
  #timer: NodeJS.Timeout | undefined;
  #lossTimer: NodeJS.Timeout | undefined;
  readonly #losses: LossWatch;

  /** `rights`: whether we keep ours, or will drop them, so that a shell has to keep those that tcpdump needs. */
  constructor(options: Options, consumer: LiveSourcesConsumer, log: Log, rights: 'kept' | 'dropped') {
    const { interfaces, captureFilter, listen, allow, hold } = options;
    const input = hold === 0 ? flushing(consumer) : consumer;
    const clock = monotonic;
    const spawn = rights === 'dropped' ? new PrivilegedShells().spawn : undefined;
    this.#consumer = consumer;
    this.#losses = new LossWatch((time) => consumer.lost(time));
    this.#hold = hold;
    this.#captures = interfaces.map((interfaceName) => {
      const request = { interfaceName, filter: captureFilter, consumer: input, log, clock };
      return new LiveCapture(spawn === undefined ? request : { ...request, spawn });
    });
    this.#listeners = listen.map(
      (endpoint) => new Listener({ endpoint, allow, consumer: input, log, clock: Date.now }),
    );
    this.#poller = options.pfctl ? poller(options, consumer, log) : undefined;
  }

  /** Resolves when everything is open. Throws a StartError; what is open by then is closed again. */
  async start(): Promise<void> {
    const opened: { stop(): Promise<void> }[] = [];
    try {
      for (const source of [...this.#listeners, ...this.#captures]) {
        await source.start();
        opened.push(source);
      }
    } catch (error) {
      await Promise.all(opened.map((source) => source.stop()));
      throw error;
    }
    this.#poller?.start();
    this.#lossTimer = setInterval(() => void this.#checkLosses(), LOSS_CHECK);
    if (this.#hold > 0) this.#timer = setInterval(() => this.#consumer.flush(), this.#hold * 1000 * FLUSHES);
  }

  /** Reads what has arrived already, and closes everything. */
  async stop(): Promise<void> {
    clearInterval(this.#lossTimer);
    await this.#poller?.stop();
    await Promise.all([...this.#captures, ...this.#listeners].map((source) => source.stop()));
    clearInterval(this.#timer);
    this.count();
  }

  async #checkLosses(): Promise<void> {
    await this.askKernel();
    this.#losses.check(this.#consumer.statistics.sources);
  }

  /** Requests the kernel's drop counters, and brings the counters of all sources into the statistics. */
  async askKernel(): Promise<void> {
    await Promise.all(this.#captures.map((capture) => capture.requestStatistics()));
    this.count();
  }

  /** Brings the counters of all sources into the statistics. */
  count(): void {
    const { sources } = this.#consumer.statistics;
    const captures = this.#captures.map(({ counters }) => counters);
    const listeners = this.#listeners.map(({ counters }) => counters);
    sources.kernelDrops = sum(captures.map(({ kernelDrops }) => kernelDrops));
    sources.unread = sum(captures.map(({ unread }) => unread));
    sources.restarts = sum(captures.map(({ restarts }) => restarts));
    sources.refused = sum(listeners.map(({ refused }) => refused));
    sources.overflows = sum(listeners.map(({ overflows }) => overflows));
    sources.pfctlRuns = this.#poller?.counters.runs ?? 0;
    sources.pfctlFailures = this.#poller?.counters.failures ?? 0;
  }
}

/** What of the options says where our own exports go. */
export interface OwnExports {
  readonly collectors: readonly Pick<Endpoint, 'host' | 'port'>[];
  readonly relay?: Pick<Endpoint, 'host' | 'port'>;
  /** Whether their states are to be left out. */
  readonly excludeSelf: boolean;
}

export interface OwnAddress {
  readonly address: string;
  readonly port: number;
}

/** Every address that the names of collectors and relay stand for. Empty when the states of our own exports are to be kept. */
export async function ownAddresses({ collectors, relay, excludeSelf }: OwnExports): Promise<OwnAddress[]> {
  if (!excludeSelf) return [];
  const ends = relay === undefined ? collectors : [...collectors, relay];
  const resolved = ends.map(async ({ host, port }) => {
    // That a name is unknown is reported where the export is opened.
    const addresses = await lookup(host, { all: true }).catch(() => []);
    return addresses.map(({ address }) => ({ address, port }));
  });
  return (await Promise.all(resolved)).flat();
}

function poller(options: Options, consumer: LiveSourcesConsumer, log: Log): PfctlPoller {
  return new PfctlPoller({
    command: options.pfctlCommand ?? PFCTL,
    interval: options.pfctlInterval,
    log,
    clock: Date.now,
    onCounters: (counters, startedAt) => consumer.reportCounters(counters, startedAt),
  });
}

/** With `--hold 0` no record waits for a datagram to be full. */
function flushing(consumer: LiveSourcesConsumer): PacketConsumer & DatagramConsumer & NamesSource {
  return {
    get source() {
      return consumer.source;
    },
    set source(name: string) {
      consumer.source = name;
    },
    packet(packet: Packet) {
      consumer.packet(packet);
      consumer.flush();
    },
    datagram(view: DataView, length: number, time: number) {
      consumer.datagram(view, length, time);
      consumer.flush();
    },
    get isCongested() {
      return consumer.isCongested;
    },
    drained: () => consumer.drained(),
  };
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}
