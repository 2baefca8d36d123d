/** What a run counted, from its first packet to its last. Only numbers: the summary and the log make text of them. */
import type { FlowRecord } from '../protocol/flow-record.js';
import { EXACT, NONE, PARTIAL, type PROVENANCE, TCPSEQ } from '../protocol/flow-terms.js';
import type { RecordKind } from '../protocol/pfsync-action.js';
import { DIRECTION, OCTETS_HIGH, PACKETS_HIGH, type Volume } from '../protocol/volume.js';
import { HalfDetector } from './halves.js';

/** Counts under names that are few and known to the program, for what is rare. */
export class Tally {
  readonly #counts = new Map<string, number>();

  add(name: string, count = 1): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + count);
  }

  count(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  get total(): number {
    let total = 0;
    for (const count of this.#counts.values()) total += count;
    return total;
  }

  toObject(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }
}

/** The sum of unsigned 64-bit integers, exact. */
export class ExactSum {
  #low = 0;
  #high = 0;
  /** What the two have held before. */
  #carried = 0n;

  /** Adds a counter of both directions; `high` is its high word. */
  add(volume: Volume, high: number): void {
    const low = high + 1;
    this.#high += (volume[high]! >>> 0) + (volume[DIRECTION + high]! >>> 0);
    this.#low += (volume[low]! >>> 0) + (volume[DIRECTION + low]! >>> 0);
    // While both are exact, below 2^53, with room for two words more.
    if (this.#low + this.#high >= 2 ** 52) this.#carry();
  }

  get value(): bigint {
    return this.#carried + (BigInt(this.#high) << 32n) + BigInt(this.#low);
  }

  #carry(): void {
    this.#carried = this.value;
    this.#low = 0;
    this.#high = 0;
  }
}

/** Packets that hold no pfsync message we can read. */
export class IgnoredPackets {
  otherTraffic = 0;
  fragments = 0;
  unknownLinkTypes = 0;
}

/** Records of pfsync messages. */
export class RecordCounts implements Record<RecordKind, number> {
  insert = 0;
  update = 0;
  delete = 0;
  compressedUpdate = 0;
  compressedDelete = 0;
  clear = 0;
  bulkUpdate = 0;
  acknowledge = 0;
  updateRequest = 0;
  tdb = 0;
}

export class StateCounts {
  /** Ended states: the exported ones and those skipped. */
  ended = 0;
  exported = 0;
  /** In the table when it is looked at. */
  open = 0;
  /** Deletes of states never seen. */
  unknownDeletes = 0;
  /** Compressed updates of states never seen. */
  unknownUpdates = 0;
  /** Inserts and updates whose address family or direction pf does not write. */
  unreadable = 0;
  /** Ended because the table was full. */
  evicted = 0;
  /** Ended because nothing was heard of them for too long. */
  timedOut = 0;
}

/** What the live sources counted. */
export class SourceCounts {
  /** Packets that the kernel had no room for, and those it had that tcpdump ended without reading. */
  kernelDrops = 0;
  unread = 0;
  /** Times that capturing went on with a new tcpdump. */
  restarts = 0;
  /** Datagrams of senders that are not allowed, and those that came while too many were waiting. */
  refused = 0;
  overflows = 0;
  pfctlRuns = 0;
  pfctlFailures = 0;
}

export class ProvenanceCounts implements Record<(typeof PROVENANCE)[number], number> {
  exact = 0;
  partial = 0;
  tcpseq = 0;
  none = 0;
}

export class Stats {
  packets = 0;
  pfsyncMessages = 0;
  /** Packets that were there to be read and were not, or not to their end; octets as captured, link headers left out where known. */
  readonly notRead = { packets: 0, octets: 0 };
  /** Records of actions that no pfsync we know of has. */
  unknownActions = 0;
  flows = 0;
  readonly ignored = new IgnoredPackets();
  readonly records = new RecordCounts();
  readonly sources = new SourceCounts();
  readonly states = new StateCounts();
  /** Forwarded connections, which have two states. */
  readonly halves = new HalfDetector();
  /** Flows by where their counters come from. */
  readonly counters = new ProvenanceCounts();
  /** By reason: damaged packets, and states that ended without a flow. */
  readonly damaged = new Tally();
  readonly skipped = new Tally();
  readonly #versions = new Float64Array(256);
  readonly #octets = new ExactSum();
  readonly #packetsCounted = new ExactSum();

  /** A message with this octet as its version. */
  addMessage(version: number): void {
    this.pfsyncMessages++;
    this.#versions[version]!++;
  }

  /** Messages by version. */
  get versions(): Record<string, number> {
    const versions: Record<string, number> = {};
    for (const [version, messages] of this.#versions.entries()) {
      if (messages > 0) versions[version] = messages;
    }
    return versions;
  }

  /** A flow that goes to the collectors and writers. */
  addFlow({ counters, records, volume }: FlowRecord): void {
    this.flows += records;
    if (counters === EXACT) this.counters.exact += records;
    else if (counters === PARTIAL) this.counters.partial += records;
    else if (counters === TCPSEQ) this.counters.tcpseq += records;
    else if (counters === NONE) this.counters.none += records;
    this.#octets.add(volume, OCTETS_HIGH);
    this.#packetsCounted.add(volume, PACKETS_HIGH);
  }

  /** Sums over the flows that have counters; payloads told by TCP sequence numbers are not octets of packets. */
  get octets(): bigint {
    return this.#octets.value;
  }

  get packetsCounted(): bigint {
    return this.#packetsCounted.value;
  }
}
