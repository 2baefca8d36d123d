/** pfsync messages, versions 2 to 6: their headers, and the walk over their records. */
import type { FlowMemory, RowRange } from '../flow/rows.js';
import {
  ACTIONS_V3,
  ACTIONS_V6,
  type Action,
  actionsOfVersion5,
  END_OF_FILE,
  OLD_BULK_UPDATE,
  OLD_CLEAR,
  oldActionTable,
  type RecordKind,
  type StateAction,
  SUBHEADER,
} from './action.js';
import type { StateLayout } from './layout.js';
import { BulkView, ClearView, CompressedUpdateView, StateKeyView } from './record.js';
import { type StateReader, stateReader } from './state-reader.js';

/** What messages report. Views and rows are valid during the call only; rows that are not readable report nothing. */
export interface PfsyncHandler {
  /**
   * What follows comes from this sender, in messages of this version. `losesRecords`: of a kernel that may lose records
   * (OpenBSD before 7.4, which fills the 16 octets behind the header's length).
   */
  source(sender: number, version: number, losesRecords: boolean): void;
  /** States of one kind: rows of the reader's range. */
  insert(first: number, count: number): void;
  update(first: number, count: number): void;
  /** Full deletes, with final counters. */
  delete(first: number, count: number): void;
  compressedUpdate(updates: CompressedUpdateView): void;
  compressedDelete(keys: StateKeyView): void;
  clear(clear: ClearView): void;
  bulkUpdate(status: BulkView): void;
  /** State records whose address family or direction pf does not write. */
  unreadableStates(action: StateAction, count: number): void;
  /** Records that say nothing about flows: acknowledgements, update requests, IPsec TDB updates. */
  otherRecord(kind: RecordKind): void;
  /** Records of an unknown action, passed over by their length. */
  unknownRecords(version: number, action: number, count: number): void;
}

/** How the walk over a message ended. All but `whole` are damage; the records before it are handed on all the same. */
export type Verdict =
  | 'whole'
  | 'emptyPacket'
  | 'headerTruncated'
  | 'unknownVersion'
  | 'unknownAction'
  | 'recordTruncated'
  | 'recordLength'
  | 'countZero'
  | 'lengthField';

const OLD_HEADER = 4;
const HEADER = 20;
/** Where version 5 and 6 have the checksum of the ruleset, 16 octets. */
const CHECKSUM = 4;

/** Octets that must be there to tell the version of a message. */
const SHORTEST_HEADER = 4;

/**
 * Reads messages one after the other; its views are reused. States of one kind are gathered, also those of messages that
 * follow each other, and handed on when the range is full, when a record of another kind comes, or by `handOn`.
 */
export class PfsyncReader {
  /** Capture time of the message that is read: seconds and milliseconds since the epoch, of which the sum counts. */
  clock = new Float64Array(2);
  readonly #handler: PfsyncHandler;
  readonly #states: RowRange;
  readonly #readStates: StateReader;
  #kind: StateAction = 'delete';
  #sender = -1;
  #version = 0;
  #losesRecords = false;
  readonly #updates = new CompressedUpdateView();
  readonly #keys = new StateKeyView();
  readonly #clear = new ClearView();
  readonly #bulk = new BulkView();

  /** States are read into `range` of the memory. */
  constructor(memory: FlowMemory, range: RowRange, handler: PfsyncHandler) {
    this.#handler = handler;
    this.#states = range;
    this.#readStates = stateReader(memory);
  }

  /**
   * Walks the message in `view` from `start` to `end`. `wireEnd` is where it ended on the wire: later than `end` when the
   * capture's snaplen cut it. `sender` is a number of the firewall that sent it; 0 where all messages come from one. Every
   * whole record goes to the handler, also those before a damaged place.
   */
  read(view: DataView, start: number, end: number, wireEnd: number, sender: number): Verdict {
    if (end <= start) return 'emptyPacket';
    if (end - start < SHORTEST_HEADER) return 'headerTruncated';
    const version = view.getUint8(start);
    const losesRecords = version === 6 && end - start >= HEADER && hasChecksum(view, start + CHECKSUM);
    if (sender !== this.#sender || version !== this.#version || losesRecords !== this.#losesRecords) {
      this.#setSource(sender, version, losesRecords);
    }
    if (version >= 2 && version <= 4) return this.#readOld(view, start, end, wireEnd, version);
    if (version === 5 || version === 6) return this.#readRegions(view, start, end, wireEnd, version);
    return 'unknownVersion';
  }

  /** Hands on the states that were gathered. */
  handOn(): void {
    const { first, count } = this.#states;
    if (count === 0) return;
    this.#states.count = 0;
    const handler = this.#handler;
    if (this.#kind === 'delete') handler.delete(first, count);
    else if (this.#kind === 'insert') handler.insert(first, count);
    else handler.update(first, count);
  }

  /** States that were gathered belong to the source before. */
  #setSource(sender: number, version: number, losesRecords: boolean): void {
    this.handOn();
    this.#sender = sender;
    this.#version = version;
    this.#losesRecords = losesRecords;
    this.#handler.source(sender, version, losesRecords);
  }

  #readOld(view: DataView, start: number, end: number, wireEnd: number, version: number): Verdict {
    const number = view.getUint8(start + 2);
    // CLR and BUS are sent with a count of 0 although one record follows.
    const count = number === OLD_CLEAR || number === OLD_BULK_UPDATE ? 1 : view.getUint8(start + 3);
    const header = version === 2 ? OLD_HEADER : this.#oldHeader(wireEnd - start, number, count);
    if (end - start < header) return 'headerTruncated';
    const actions = oldActionTable(view, start + header, end, wireEnd, version, count);
    const action = actions[number];
    if (action === undefined) return 'unknownAction';
    if (count === 0) return 'countZero';
    return this.#readRecords(view, start + header, end, count, action, action.size);
  }

  /** Early version 3 (OpenBSD 3.9) may lack the ruleset checksum: then only a header of 4 octets fits the length. */
  #oldHeader(length: number, number: number, count: number): number {
    const size = ACTIONS_V3[number]?.size;
    return size !== undefined && length - HEADER !== count * size && length - OLD_HEADER === count * size
      ? OLD_HEADER
      : HEADER;
  }

  #readRegions(view: DataView, start: number, end: number, wireEnd: number, version: number): Verdict {
    if (end - start < HEADER) return 'headerTruncated';
    const length = view.getUint16(start + 2);
    if (length < HEADER) return 'lengthField';
    const stop = Math.min(end, start + length);
    const actions =
      version === 6 ? ACTIONS_V6 : actionsOfVersion5(view, start + HEADER, stop, start + length);
    let at = start + HEADER;
    while (at + SUBHEADER <= stop) {
      const number = view.getUint8(at);
      const words = view.getUint8(at + 1);
      const count = view.getUint16(at + 2);
      if (version === 5 && number === END_OF_FILE) return start + length > wireEnd ? 'lengthField' : 'whole';
      const action = actions[number];
      const size = version === 6 && words !== 0 ? 4 * words : action?.size;
      if (size === undefined) return 'unknownAction';
      at += SUBHEADER;
      if (action === undefined) {
        this.#handler.unknownRecords(version, number, count);
      } else if (size < action.size) {
        return 'recordLength';
      } else {
        const verdict = this.#readRecords(view, at, stop, count, action, size);
        if (verdict !== 'whole') return verdict;
      }
      at += count * size;
    }
    if (start + length > wireEnd) return 'lengthField';
    return version === 6 && at === start + length ? 'whole' : 'recordTruncated';
  }

  #readRecords(
    view: DataView,
    at: number,
    end: number,
    count: number,
    action: Action,
    stride: number,
  ): Verdict {
    const whole = count * stride <= end - at ? count : Math.floor((end - at) / stride);
    if (action.state !== undefined) {
      this.#gather(view, at, stride, whole, action.kind as StateAction, action.state);
    } else if (whole > 0) {
      this.handOn();
      this.#readSmall(view, at, stride, whole, action.kind);
    }
    return whole < count ? 'recordTruncated' : 'whole';
  }

  #gather(
    view: DataView,
    at: number,
    stride: number,
    count: number,
    kind: StateAction,
    layout: StateLayout,
  ): void {
    const states = this.#states;
    if (kind !== this.#kind) this.handOn();
    this.#kind = kind;
    for (let done = 0; done < count; ) {
      const some = Math.min(count - done, states.capacity - states.count);
      const from = at + done * stride;
      const unreadable = this.#readStates(
        layout,
        view,
        from,
        stride,
        some,
        this.clock,
        states.first + states.count,
      );
      if (unreadable > 0) this.#handler.unreadableStates(kind, unreadable);
      states.count += some;
      done += some;
      if (states.count === states.capacity) this.handOn();
    }
  }

  /** Records that are no states. */
  #readSmall(view: DataView, at: number, stride: number, count: number, kind: RecordKind): void {
    const handler = this.#handler;
    switch (kind) {
      case 'compressedUpdate':
        this.#updates.show(view, at, this.clock, count, stride);
        handler.compressedUpdate(this.#updates);
        break;
      case 'compressedDelete':
        this.#keys.show(view, at, this.clock, count, stride);
        handler.compressedDelete(this.#keys);
        break;
      case 'clear':
        for (let i = 0; i < count; i++) {
          this.#clear.show(view, at + i * stride, this.clock);
          handler.clear(this.#clear);
        }
        break;
      case 'bulkUpdate':
        for (let i = 0; i < count; i++) {
          this.#bulk.show(view, at + i * stride, this.clock);
          handler.bulkUpdate(this.#bulk);
        }
        break;
      default:
        for (let i = 0; i < count; i++) handler.otherRecord(kind);
    }
  }
}

function hasChecksum(view: DataView, at: number): boolean {
  return (view.getInt32(at) | view.getInt32(at + 4) | view.getInt32(at + 8) | view.getInt32(at + 12)) !== 0;
}
