/** What a run counted, from its first packet to its last. Only numbers: the summary and the log make text of them. */
import { allocate, core, viewOf } from '../../protocol/core.js';
import type { PROVENANCE } from '../../protocol/flow/terms.js';
import type { FlowRecord } from '../../protocol/flow/flow-record.js';
import type { RecordKind } from '../../protocol/pfsync/action.js';
import { HalfDetector } from '../flow/halves.js';

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
    return Object.values(this.toObject()).reduce((total, count) => total + count, 0);
  }

  toObject(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }
}

/** What the core counts, and where it does: numbers, 64-bit floats each, in the order of `FlowCounts` in `assembly/flow`. */
const STATES = { ended: 0, exported: 8 };
const SKIPPED = { direction: 16, noPackets: 24, self: 32, uncounted: 40 };
const FLOWS = 48;
const PROVENANCES = { exact: 56, partial: 64, tcpseq: 72, none: 80 };
/** Sums: their lower 32 bits, and behind them what is above. */
const OCTETS = 88;
const PACKETS = 104;
const LENGTH = 120;

/** States that ended without a flow, by reason: those that the core skipped, and others. */
class SkipTally extends Tally {
  readonly #core: Readonly<Record<string, number>>;

  constructor(core: Readonly<Record<string, number>>) {
    super();
    this.#core = core;
  }

  override count(name: string): number {
    return super.count(name) + (this.#core[name] ?? 0);
  }

  override toObject(): Record<string, number> {
    const counted = Object.entries(this.#core).filter(([, count]) => count > 0);
    return { ...Object.fromEntries(counted), ...super.toObject() };
  }
}

/** Numbers in the core's memory under names, to be read and set. */
function numbersAt<Name extends string>(
  view: DataView,
  places: Readonly<Record<Name, number>>,
): Record<Name, number> {
  const numbers = {};
  for (const [name, at] of Object.entries<number>(places)) {
    Object.defineProperty(numbers, name, {
      enumerable: true,
      get: () => view.getFloat64(at, true),
      set: (number: number) => view.setFloat64(at, number, true),
    });
  }
  return numbers as Record<Name, number>;
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

export interface StateCounts {
  /** Ended states: the exported ones and those skipped. */
  ended: number;
  exported: number;
  /** In the table when it is looked at. */
  open: number;
  /** Deletes of states never seen. */
  unknownDeletes: number;
  /** Compressed updates of states never seen. */
  unknownUpdates: number;
  /** Inserts and updates whose address family or direction pf does not write. */
  unreadable: number;
  /** Ended because the table was full. */
  evicted: number;
  /** Ended because nothing was heard of them for too long. */
  timedOut: number;
}

const NO_STATES = { open: 0, unknownDeletes: 0, unknownUpdates: 0, unreadable: 0, evicted: 0, timedOut: 0 };

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

export class Stats {
  packets = 0;
  pfsyncMessages = 0;
  /** Packets that were there to be read and were not, or not to their end; octets as captured, link headers left out where known. */
  readonly notRead = { packets: 0, octets: 0 };
  /** Records of actions that no pfsync we know of has. */
  unknownActions = 0;
  /** Address of what the core counts. */
  readonly flowCounts = allocate(LENGTH, this);
  readonly #core = viewOf(this.flowCounts, LENGTH);
  readonly ignored = new IgnoredPackets();
  readonly records = new RecordCounts();
  readonly sources = new SourceCounts();
  readonly states: StateCounts = Object.assign(numbersAt(this.#core, STATES), NO_STATES);
  /** Forwarded connections, which have two states. */
  readonly halves = new HalfDetector();
  /** Flows by where their counters come from. */
  readonly counters: Record<(typeof PROVENANCE)[number], number> = numbersAt(this.#core, PROVENANCES);
  /** By reason: damaged packets, and states that ended without a flow. */
  readonly damaged = new Tally();
  readonly skipped: Tally = new SkipTally(numbersAt(this.#core, SKIPPED));
  readonly #versions: number[] = Array(256).fill(0);

  /** A message with this octet as its version. */
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

  /** A flow that goes to the collectors and writers. */
  addFlow(flow: FlowRecord): void {
    core.countFlows(this.flowCounts, flow.row, 1);
  }

  get flows(): number {
    return this.#core.getFloat64(FLOWS, true);
  }

  set flows(flows: number) {
    this.#core.setFloat64(FLOWS, flows, true);
  }

  /** Sums over the flows that have counters; payloads told by TCP sequence numbers are not octets of packets. */
  get octets(): bigint {
    return sumAt(this.#core, OCTETS);
  }

  get packetsCounted(): bigint {
    return sumAt(this.#core, PACKETS);
  }
}

function sumAt(view: DataView, at: number): bigint {
  return (view.getBigUint64(at + 8, true) << 32n) + view.getBigUint64(at, true);
}
