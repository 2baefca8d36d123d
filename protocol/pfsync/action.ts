/**
 * Actions of every pfsync version: what their records are, how long each is, and which layout a state has. The version
 * octet does not name the layout (4 has two, 5 has four): the record sizes do, and they are found anew in each message.
 * Facts: if_pfsync.h of OpenBSD 3.5-2026, FreeBSD 6-15, NetBSD and DragonFly.
 */
import { addressFamily, INBOUND, OUTBOUND } from '../flow/pf-terms.js';
import {
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
} from './layout.js';

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

/** One action: what its records are and how long each is. A state's layout comes with it. */
export interface Action {
  readonly kind: RecordKind;
  readonly size: number;
  readonly state?: StateLayout;
}

function states(kind: StateAction, state: StateLayout): Action {
  return { kind, size: state.size, state };
}

export type ActionTable = readonly (Action | undefined)[];

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

export const OLD_CLEAR = 0;
export const OLD_BULK_UPDATE = 9;

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
export const ACTIONS_V3 = oldActions(STATE_V3);
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
export const ACTIONS_V6 = newActions(undefined, [
  [6, states('delete', STATE_V6)],
  [13, states('insert', STATE_V6)],
  [14, states('update', STATE_V6)],
  [15, { kind: 'tdb', size: 52 }],
]);

export const SUBHEADER = 4;
/** Subheader action that ends a version 5 message. */
export const END_OF_FILE = 12;

/** Behind the end-of-file action of OpenBSD 4.5: room for an HMAC that was never computed. */
const STRAY_OCTETS = 20;

/** Version 4 has two states; the one whose records fill the message is it, else the one whose second record looks like a state. */
export function oldActionTable(
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
export function actionsOfVersion5(view: DataView, at: number, end: number, messageEnd: number): ActionTable {
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
    // No kernel announces no records: what looks so are zeros inside a record of another size.
    if (action === undefined || count === 0) return false;
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
