/** What a run counted, from its first packet to its last. Only numbers: the summary and the log make text of them. */
import type { PROVENANCE } from '../../protocol/flow/terms.js';
import type { RecordKind } from '../../protocol/pfsync/action.js';

/** Counts under names that are few and known to the program, for what is rare. */
export class Tally {
  readonly #counts = new Map<string, number>();

  add(name: string, count = 1): void {
    if (count > 0) this.#counts.set(name, (this.#counts.get(name) ?? 0) + count);
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

const WORD = 2 ** 32;

/** An exact sum of any size: the lower 32 bits, and what is above them. */
export class Sum {
  #low = 0;
  #high = 0;

  /** Adds `low` and 2^32 times `high`: whole numbers below 2^52. */
  add(low: number, high: number): void {
    const sum = this.#low + low;
    const carried = Math.floor(sum / WORD);
    this.#low = sum - carried * WORD;
    this.#high += high + carried;
  }

  get value(): bigint {
    return (BigInt(this.#high) << 32n) + BigInt(this.#low);
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
  /** Ended states: exported, joined into another one's flow, or skipped. */
  ended = 0;
  exported = 0;
  joined = 0;
  /** In the table when it is looked at. */
  open = 0;
  /** Deletes of states never seen. */
  unknownDeletes = 0;
  /** Compressed updates of states never seen. */
  unknownUpdates = 0;
  /** Records of states that had ended already. */
  lateRecords = 0;
  /** Records of states that pf never synchronises, which a bulk update may show. */
  neverSynced = 0;
  /** Inserts and updates whose address family or direction pf does not write. */
  unreadable = 0;
  /** Ended because the table was full. */
  evicted = 0;
  /** Ended because no message had named them for longer than they can live, or than --state-timeout. */
  timedOut = 0;
}

/** What became of the halves of forwarded connections, with --join. */
export class JoinCounts {
  /** Connections of which both states reported exact counters that differ. */
  differing = 0;
  /** States whose other half did not come in time, and those that had to go alone because too many were waiting. */
  alone = 0;
  early = 0;
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

/** What --request-updates asked the firewalls for. */
export class RequestCounts {
  /** Messages sent, the states that they asked for, and those among them that asked for all states. */
  messages = 0;
  states = 0;
  bulk = 0;
  /** States whose counters did not come although they were requested several times. */
  unanswered = 0;
  /** States that could not be requested in time: too many others were more pressing. */
  notAsked = 0;
  /** Messages that the system did not send. */
  failures = 0;
}

/** Forwarded connections in a sample of the states, which have two states each. */
export class HalfCounts {
  /** States looked at, and how many of them found their other half among those before. */
  states = 0;
  pairs = 0;

  /** Whether most states are such halves. A few prove nothing. */
  get areMost(): boolean {
    return this.states >= 20 && 2 * this.pairs > this.states / 2;
  }
}

export class Statistics {
  packets = 0;
  pfsyncMessages = 0;
  /** Packets that were there to be read and were not, or not to their end; octets as captured, link headers left out where known. */
  readonly notRead = { packets: 0, octets: 0 };
  /** Records of actions that no pfsync we know of has. */
  unknownActions = 0;
  readonly ignored = new IgnoredPackets();
  readonly records = new RecordCounts();
  readonly sources = new SourceCounts();
  readonly states = new StateCounts();
  readonly halves = new HalfCounts();
  readonly joins = new JoinCounts();
  readonly requests = new RequestCounts();
  /** Flow records: one for each direction that a flow tells of. */
  flows = 0;
  /** The same by where their counters come from. */
  readonly counters: Record<(typeof PROVENANCE)[number], number> = {
    exact: 0,
    partial: 0,
    tcpseq: 0,
    none: 0,
  };
  /** Sums over the flows that have counters. */
  readonly octets = new Sum();
  readonly packetsCounted = new Sum();
  /** By reason: damaged packets, and states that ended without a flow. */
  readonly damaged = new Tally();
  readonly skipped = new Tally();
  readonly #versions = new Float64Array(256);

  /** Counts a message with this octet as its version. */
  addMessage(version: number): void {
    this.pfsyncMessages++;
    this.#versions[version]!++;
  }

  /** Messages by version. */
  get versions(): Record<string, number> {
    const versions: Record<string, number> = {};
    this.#versions.forEach((messages, version) => {
      if (messages > 0) versions[version] = messages;
    });
    return versions;
  }
}
