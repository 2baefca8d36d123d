/**
 * pfsync messages, versions 2 to 6: header, action tables and the walk over the records.
 * Facts: if_pfsync.h of OpenBSD 3.5-2026, FreeBSD 6-15, NetBSD and DragonFly. The version octet does not name the layout
 * of a state (4 has two, 5 has four): the record sizes do, and they are found anew in each message.
 */
import {
  addressFamily,
  INBOUND,
  OUTBOUND,
  PEER_SEQLO,
  PEER_STATE,
  STATE_V2,
  STATE_V3,
  STATE_V4,
  STATE_V4_DRAGONFLY,
  STATE_V5_1301,
  STATE_V5_1400,
  STATE_V5_1500,
  STATE_V5_OPENBSD,
  STATE_V6,
  type StateLayout,
  StateView,
} from './pfsync-state.js';

/** What a message tells. Views are valid during the call only. */
export interface PfsyncHandler {
  insert(state: StateView): void;
  update(state: StateView): void;
  /** A full delete, with final counters. */
  delete(state: StateView): void;
  compressedUpdate(update: CompressedUpdateView): void;
  compressedDelete(key: StateKeyView): void;
  clear(clear: ClearView): void;
  bulkUpdate(status: BulkView): void;
  /** A state record whose address family or direction pf does not write. */
  unreadableState(action: StateAction): void;
  /** Records that say nothing about flows: acknowledgements, update requests, IPsec TDB updates. */
  otherRecord(kind: RecordKind): void;
  /** Records of an action that is not known, passed over by their length. */
  unknownRecords(version: number, action: number, count: number): void;
}

export type StateAction = 'insert' | 'update' | 'delete';
export type RecordKind =
  | StateAction
  | 'compressedUpdate'
  | 'compressedDelete'
  | 'clear'
  | 'bulkUpdate'
  | 'acknowledge'
  | 'updateRequest'
  | 'tdb';

/** How the walk over a message ended. All but `whole` are damage; the records before it have been handed on. */
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

/** A record at an offset of a message: the base of the small views. */
class RecordView {
  view: DataView = new DataView(new ArrayBuffer(0));
  at = 0;

  read(view: DataView, at: number): void {
    this.view = view;
    this.at = at;
  }
}

/** (id, creatorid): del_c in every version; ids and creator ids are opaque words. */
export class StateKeyView extends RecordView {
  get idHigh(): number {
    return this.view.getInt32(this.at);
  }
  get idLow(): number {
    return this.view.getInt32(this.at + 4);
  }
  get creatorId(): number {
    return this.view.getInt32(this.at + 8);
  }
}

/** upd_c: the same 81 octets in every version. */
export class CompressedUpdateView extends RecordView {
  get idHigh(): number {
    return this.view.getInt32(this.at);
  }
  get idLow(): number {
    return this.view.getInt32(this.at + 4);
  }
  get creatorId(): number {
    return this.view.getInt32(this.at + 72);
  }
  get sourceState(): number {
    return this.view.getUint8(this.at + 8 + PEER_STATE);
  }
  get destinationState(): number {
    return this.view.getUint8(this.at + 40 + PEER_STATE);
  }
  get sourceSeqlo(): number {
    return this.view.getUint32(this.at + 8 + PEER_SEQLO);
  }
  get destinationSeqlo(): number {
    return this.view.getUint32(this.at + 40 + PEER_SEQLO);
  }
  get timeout(): number {
    return this.view.getUint8(this.at + 80);
  }
}

/** clr: every state of one creator, or those of one interface. */
export class ClearView extends RecordView {
  /** Offset of the interface name: 16 octets, NUL padded; empty for all interfaces. */
  get interfaceNameAt(): number {
    return this.at;
  }
  get creatorId(): number {
    return this.view.getInt32(this.at + 16);
  }
}

/** bus: the start or the end of a bulk transfer. */
export class BulkView extends RecordView {
  get creatorId(): number {
    return this.view.getInt32(this.at);
  }
  get isStart(): boolean {
    return this.view.getUint8(this.at + 8) === 1;
  }
}

/** One action: what its records are and how long each is. A state's layout comes with it. */
interface Action {
  readonly kind: RecordKind;
  readonly size: number;
  readonly state?: StateLayout;
}

function states(kind: StateAction, state: StateLayout): Action {
  return { kind, size: state.size, state };
}

type ActionTable = readonly (Action | undefined)[];

/** Versions 2-4: one action for the whole message. 6 and 7 (fragments) were never sent. */
function oldActions(state: StateLayout): ActionTable {
  return [
    { kind: 'clear', size: 24 },
    states('insert', state),
    states('update', state),
    states('delete', state),
    { kind: 'compressedUpdate', size: 88 },
    { kind: 'compressedDelete', size: 16 },
    undefined,
    undefined,
    { kind: 'updateRequest', size: 16 },
    { kind: 'bulkUpdate', size: 16 },
    { kind: 'tdb', size: 48 },
  ];
}

const OLD_CLEAR = 0;
const OLD_BULK_UPDATE = 9;

/** Actions 0 to 11 of versions 5 and 6; 6 is accepted by some kernels and sent by none. */
function newActions(
  state: StateLayout | undefined,
  more: readonly (readonly [number, Action])[],
): ActionTable {
  const table: (Action | undefined)[] = [
    { kind: 'clear', size: 20 },
    state && states('insert', state),
    { kind: 'acknowledge', size: 12 },
    state && states('update', state),
    { kind: 'compressedUpdate', size: 84 },
    { kind: 'updateRequest', size: 12 },
    state && states('delete', state),
    { kind: 'compressedDelete', size: 12 },
    undefined,
    undefined,
    { kind: 'bulkUpdate', size: 12 },
    { kind: 'tdb', size: 48 },
  ];
  for (const [number, action] of more) table[number] = action;
  return table;
}

const ACTIONS_V2 = oldActions(STATE_V2);
const ACTIONS_V3 = oldActions(STATE_V3);
const ACTIONS_V4 = oldActions(STATE_V4);
const ACTIONS_V4_DRAGONFLY = oldActions(STATE_V4_DRAGONFLY);
const FREEBSD_14 = [
  [13, states('insert', STATE_V5_1400)],
  [14, states('update', STATE_V5_1400)],
  [15, states('insert', STATE_V5_1500)],
  [16, states('update', STATE_V5_1500)],
] as const;
const ACTIONS_V5_FREEBSD = newActions(STATE_V5_1301, FREEBSD_14);
const ACTIONS_V5_OPENBSD = newActions(STATE_V5_OPENBSD, []);
const ACTIONS_V6 = newActions(undefined, [
  [6, states('delete', STATE_V6)],
  [13, states('insert', STATE_V6)],
  [14, states('update', STATE_V6)],
  [15, { kind: 'tdb', size: 52 }],
]);

const OLD_HEADER = 4;
const HEADER = 20;
const SUBHEADER = 4;
/** Subheader action that ends a version 5 message. */
const END_OF_FILE = 12;

/** Behind the end-of-file action of OpenBSD 4.5: room for an HMAC that was never computed. */
const STRAY_OCTETS = 20;

/** Octets that must be there to tell the version of a message. */
const SHORTEST_HEADER = 4;

/** Reads messages one after the other; its views are reused. */
export class PfsyncReader {
  readonly #handler: PfsyncHandler;
  readonly #state = new StateView();
  readonly #update = new CompressedUpdateView();
  readonly #key = new StateKeyView();
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
    const whole = Math.min(count, Math.floor((end - at) / stride));
    if (action.state !== undefined) {
      for (let i = 0; i < whole; i++)
        this.#readState(view, at + i * stride, action.kind as StateAction, action.state);
    } else {
      for (let i = 0; i < whole; i++) this.#readRecord(view, at + i * stride, action.kind);
    }
    return whole < count ? 'recordTruncated' : 'whole';
  }

  #readState(view: DataView, at: number, kind: StateAction, layout: StateLayout): void {
    const state = this.#state;
    if (!state.read(view, at, layout)) this.#handler.unreadableState(kind);
    else if (kind === 'delete') this.#handler.delete(state);
    else if (kind === 'insert') this.#handler.insert(state);
    else this.#handler.update(state);
  }

  #readRecord(view: DataView, at: number, kind: RecordKind): void {
    const handler = this.#handler;
    switch (kind) {
      case 'compressedUpdate':
        this.#update.read(view, at);
        handler.compressedUpdate(this.#update);
        break;
      case 'compressedDelete':
        this.#key.read(view, at);
        handler.compressedDelete(this.#key);
        break;
      case 'clear':
        this.#clear.read(view, at);
        handler.clear(this.#clear);
        break;
      case 'bulkUpdate':
        this.#bulk.read(view, at);
        handler.bulkUpdate(this.#bulk);
        break;
      default:
        handler.otherRecord(kind);
    }
  }
}

/** Version 4 has two states; the one whose records fill the message is it, else the one whose second record looks like a state. */
function oldActionTable(
  view: DataView,
  at: number,
  end: number,
  wireEnd: number,
  version: number,
  count: number,
): ActionTable {
  if (version === 2) return ACTIONS_V2;
  if (version === 3) return ACTIONS_V3;
  const octets = wireEnd - at;
  if (octets === count * STATE_V4_DRAGONFLY.size) return ACTIONS_V4_DRAGONFLY;
  if (octets === count * STATE_V4.size) return ACTIONS_V4;
  return looksLikeState(view, at + STATE_V4_DRAGONFLY.size, end, STATE_V4_DRAGONFLY)
    ? ACTIONS_V4_DRAGONFLY
    : ACTIONS_V4;
}

/**
 * Version 5: records have no length on the wire, and a state is 240 octets from OpenBSD, 242 from FreeBSD. Only the right
 * size leads from subheader to subheader to the end-of-file action. `messageEnd` is what the header tells: where the
 * captured octets end before it, a last region that leaves just that action its room is as good.
 */
function actionsOfVersion5(view: DataView, at: number, end: number, messageEnd: number): ActionTable {
  if (endsAtEndOfFile(view, at, end, messageEnd, ACTIONS_V5_FREEBSD)) return ACTIONS_V5_FREEBSD;
  if (endsAtEndOfFile(view, at, end, messageEnd, ACTIONS_V5_OPENBSD)) return ACTIONS_V5_OPENBSD;
  if (endsAtEndOfFile(view, at, end, messageEnd - STRAY_OCTETS, ACTIONS_V5_OPENBSD))
    return ACTIONS_V5_OPENBSD;
  // None does in a damaged message: look for a second state where an OpenBSD one would be.
  const second = at + SUBHEADER + STATE_V5_OPENBSD.size;
  return looksLikeState(view, second, end, STATE_V5_OPENBSD) ? ACTIONS_V5_OPENBSD : ACTIONS_V5_FREEBSD;
}

function endsAtEndOfFile(
  view: DataView,
  start: number,
  end: number,
  messageEnd: number,
  actions: ActionTable,
): boolean {
  let at = start;
  while (at + SUBHEADER <= end) {
    const number = view.getUint8(at);
    const count = view.getUint16(at + 2);
    if (number === END_OF_FILE) return count === 1;
    const action = actions[number];
    if (action === undefined) return false;
    at += SUBHEADER + count * action.size;
  }
  return end < messageEnd && at + SUBHEADER === messageEnd;
}

function looksLikeState(view: DataView, at: number, end: number, layout: StateLayout): boolean {
  if (at + layout.size > end) return false;
  const direction = view.getUint8(at + layout.direction);
  const family = addressFamily(view.getUint8(at + layout.family));
  return family !== 0 && (direction === INBOUND || direction === OUTBOUND);
}
