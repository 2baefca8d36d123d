/** pfsync messages, versions 2 to 6: their headers, and the walk over their records. */

import { Clock } from './clock.js';
import { FlowBatch, type FlowRows } from './flow-record.js';
import { ROW } from './flow-row.js';
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
} from './pfsync-action.js';
import type { StateLayout } from './pfsync-layout.js';
import { BulkView, ClearView, CompressedUpdateView, MOST_RECORDS, StateKeyView } from './pfsync-record.js';
import { StatePieces } from './state-pieces.js';

/**
 * What messages tell, up to MOST_RECORDS at once of what comes in numbers. Views and rows are valid during the call only; each
 * knows the time of its message, and rows that are not readable tell nothing.
 */
export interface PfsyncHandler {
  insert(states: FlowRows): void;
  update(states: FlowRows): void;
  /** Full deletes, with final counters. */
  delete(states: FlowRows): void;
  compressedUpdate(updates: CompressedUpdateView): void;
  compressedDelete(keys: StateKeyView): void;
  clear(clear: ClearView): void;
  bulkUpdate(status: BulkView): void;
  /** State records whose address family or direction pf does not write. */
  unreadableStates(action: StateAction, count: number): void;
  /** Records that say nothing about flows: acknowledgements, update requests, IPsec TDB updates. */
  otherRecord(kind: RecordKind): void;
  /** Records of an action that is not known, passed over by their length. */
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

/** Octets that must be there to tell the version of a message. */
const SHORTEST_HEADER = 4;

/**
 * Reads messages one after the other; its views are reused. States of one kind are handed on together, also those of messages
 * that follow each other, as soon as there are MOST_RECORDS of them or something else is told. Who cannot wait calls `handOn`.
 * What lies in the core's memory is read then: who puts other octets in its place calls `readNoted` before.
 */
export class PfsyncReader {
  /** Tells the capture time of the messages that are read next. */
  clock = new Clock();
  readonly #handler: PfsyncHandler;
  /** States that wait, all of one kind, and how many of them cannot be read. */
  readonly #states = new FlowBatch(MOST_RECORDS);
  readonly #pieces = new StatePieces();
  #kind: StateAction = 'delete';
  #unreadable = 0;
  readonly #updates = new CompressedUpdateView();
  readonly #keys = new StateKeyView();
  readonly #clear = new ClearView();
  readonly #bulk = new BulkView();

  constructor(handler: PfsyncHandler) {
    this.#handler = handler;
  }

  /**
   * Walks the message in `view` from `start` to `end`. `wireEnd` is where it ended on the wire: later than `end` when the
   * capture's snaplen cut it. Every whole record goes to the handler, also those before a damaged place.
   */
  read(view: DataView, start: number, end: number, wireEnd: number): Verdict {
    if (end <= start) return 'emptyPacket';
    if (end - start < SHORTEST_HEADER) return 'headerTruncated';
    const version = view.getUint8(start);
    if (version >= 2 && version <= 4) return this.#readOld(view, start, end, wireEnd, version);
    if (version === 5 || version === 6) return this.#readRegions(view, start, end, wireEnd, version);
    return 'unknownVersion';
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
      this.#readStates(view, at, stride, whole, action.kind as StateAction, action.state);
    } else {
      this.handOn();
      this.#readSmall(view, at, stride, whole, action.kind);
    }
    return whole < count ? 'recordTruncated' : 'whole';
  }

  #readStates(
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
    if (!this.#pieces.takes(layout, stride)) this.readNoted();
    for (let done = 0; done < count; ) {
      const some = Math.min(count - done, MOST_RECORDS - states.count);
      const canWait = this.#pieces.note(view, at + done * stride, stride, some, layout, this.clock);
      states.count += some;
      done += some;
      if (!canWait) this.readNoted();
      if (states.count === MOST_RECORDS) this.handOn();
    }
  }

  /** Reads the states that are only noted yet, of the octets as they are now. */
  readNoted(): void {
    const { row, count } = this.#states;
    const pieces = this.#pieces;
    this.#unreadable += pieces.read(row + (count - pieces.records) * ROW);
  }

  /** Hands on the states that wait for others of their kind. */
  handOn(): void {
    const states = this.#states;
    if (states.count === 0) return;
    this.readNoted();
    const handler = this.#handler;
    try {
      if (this.#unreadable > 0) handler.unreadableStates(this.#kind, this.#unreadable);
      if (this.#kind === 'delete') handler.delete(states);
      else if (this.#kind === 'insert') handler.insert(states);
      else handler.update(states);
    } finally {
      states.count = 0;
      this.#unreadable = 0;
    }
  }

  #readCompressed(
    view: DataView,
    at: number,
    stride: number,
    count: number,
    kind: 'compressedUpdate' | 'compressedDelete',
  ): void {
    const records = kind === 'compressedUpdate' ? this.#updates : this.#keys;
    const { time } = this.clock;
    for (let done = 0; done < count; done += MOST_RECORDS) {
      records.read(view, at + done * stride, time, Math.min(count - done, MOST_RECORDS), stride);
      if (kind === 'compressedUpdate') this.#handler.compressedUpdate(this.#updates);
      else this.#handler.compressedDelete(this.#keys);
    }
  }

  /** Records that are no states. */
  #readSmall(view: DataView, at: number, stride: number, count: number, kind: RecordKind): void {
    if (kind === 'compressedUpdate' || kind === 'compressedDelete') {
      this.#readCompressed(view, at, stride, count, kind);
    } else {
      for (let i = 0; i < count; i++) this.#readRecord(view, at + i * stride, kind);
    }
  }

  #readRecord(view: DataView, at: number, kind: RecordKind): void {
    const handler = this.#handler;
    switch (kind) {
      case 'clear':
        this.#clear.read(view, at, this.clock.time);
        handler.clear(this.#clear);
        break;
      case 'bulkUpdate':
        this.#bulk.read(view, at, this.clock.time);
        handler.bulkUpdate(this.#bulk);
        break;
      default:
        handler.otherRecord(kind);
    }
  }
}
