/** The live sources: interfaces, datagrams and pfctl, opened together and ended together. What `-i` and `--listen` do. */

import { lookup } from 'node:dns/promises';
import { Listener } from './listener.js';
import { LiveCapture } from './live-capture.js';
import type { Log } from '../service/log.js';
import { monotonic } from '../service/monotonic.js';
import type { Options } from '../cli/option-table.js';
import { PFCTL, PfctlPoller } from './pfctl.js';
import type { Pipeline } from '../pipeline.js';
import { PrivilegedShells } from '../service/privileged-shell.js';
import { SelfFilter } from '../flow/self.js';

/** Share of `--hold` between two flushes: a record that just missed one still leaves in time. */
const FLUSHES = 0.9;

export class LiveSources {
  readonly #pipeline: Pipeline;
  readonly #captures: readonly LiveCapture[];
  readonly #listeners: readonly Listener[];
  readonly #poller: PfctlPoller | undefined;
  readonly #hold: number;
  #timer: NodeJS.Timeout | undefined;

  /** `rights`: ours stay as they are, or will be dropped, so that somebody else has to start tcpdump again. */
  constructor(options: Options, pipeline: Pipeline, log: Log, rights: 'kept' | 'dropped') {
    const { interfaces, captureFilter, listen, allow, hold } = options;
    const consumer = hold === 0 ? flushing(pipeline) : pipeline;
    const clock = monotonic;
    const spawn = rights === 'dropped' ? new PrivilegedShells().spawn : undefined;
    this.#pipeline = pipeline;
    this.#hold = hold;
    this.#captures = interfaces.map((interfaceName) => {
      const request = { interfaceName, filter: captureFilter, consumer, log, clock };
      return new LiveCapture(spawn === undefined ? request : { ...request, spawn });
    });
    this.#listeners = listen.map(
      (endpoint) => new Listener({ endpoint, allow, consumer, log, clock: Date.now }),
    );
    this.#poller = options.pfctl ? poller(options, pipeline, log) : undefined;
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
    if (this.#hold > 0) this.#timer = setInterval(() => this.#pipeline.flush(), this.#hold * 1000 * FLUSHES);
  }

  /** Takes in what has arrived already, and ends. */
  async stop(): Promise<void> {
    await this.#poller?.stop();
    await Promise.all([...this.#captures, ...this.#listeners].map((source) => source.stop()));
    clearInterval(this.#timer);
    this.count();
  }

  /** Asks for the kernel's drops, and brings the sources' counters into the statistics. */
  async askKernel(): Promise<void> {
    await Promise.all(this.#captures.map((capture) => capture.requestStatistics()));
    this.count();
  }

  count(): void {
    const { sources } = this.#pipeline.stats;
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

/** Knows the states of our own exports, by every address that the collectors' names stand for. */
export async function selfFilter({
  collectors,
  relay,
  excludeSelf,
}: Options): Promise<SelfFilter | undefined> {
  const ends = relay === undefined ? collectors : [...collectors, relay];
  if (!excludeSelf || ends.length === 0) return undefined;
  const filter = new SelfFilter();
  for (const { host, port } of ends) {
    // A name that nobody knows is the exporter's to complain of.
    const addresses = await lookup(host, { all: true }).catch(() => []);
    for (const { address } of addresses) filter.add(address, port);
  }
  return filter;
}

function poller(options: Options, pipeline: Pipeline, log: Log): PfctlPoller {
  return new PfctlPoller({
    command: options.pfctlCommand ?? PFCTL,
    interval: options.pfctlInterval,
    log,
    clock: Date.now,
    onCounters: (counters) => pipeline.told(counters, Date.now()),
  });
}

/** With `--hold 0` nothing waits to be filled up. */
function flushing(pipeline: Pipeline) {
  return {
    get source() {
      return pipeline.source;
    },
    set source(name: string) {
      pipeline.source = name;
    },
    packet(packet: Parameters<Pipeline['packet']>[0]) {
      pipeline.packet(packet);
      pipeline.flush();
    },
    datagram(view: DataView, length: number, time: number) {
      pipeline.datagram(view, length, time);
      pipeline.flush();
    },
    get isCongested() {
      return pipeline.isCongested;
    },
    drained: () => pipeline.drained(),
  };
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}
