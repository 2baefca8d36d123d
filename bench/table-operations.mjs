/**
 * The state table alone: nanoseconds for each insert, update and delete of random states among so many open ones, and its memory.
 * As in the program, the table is told of the records of a message together before they are taken one after the other.
 * node bench/table-operations.mjs [OPEN]: one line of JSON. Run it after `npm run build`; `npm run bench` bundles it, as the program is.
 */
import { Clock } from '../build/protocol/clock.js';
import { core, viewOf } from '../build/protocol/core.js';
import { STATE_V6 } from '../build/protocol/pfsync-layout.js';
import { CompressedUpdateView, StateKeyView } from '../build/protocol/pfsync-record.js';
import { StateRow } from '../build/protocol/pfsync-state.js';
import { StatePieces } from '../build/protocol/state-pieces.js';
import { StateTable } from '../build/src/state-table.js';
import { prepareForMuch } from '../build/src/v8-flags.js';

prepareForMuch();

const open = Number(process.argv[2] ?? '1000000');
const CREATOR = 0x0badcafe;
const NOW = 1_700_000_000_000;

// Where messages of a capture lie.
const record = viewOf(core.allocate(STATE_V6.size), STATE_V6.size);
for (let at = 0; at < STATE_V6.size; at++) record.setUint8(at, 0);
record.setUint8(STATE_V6.fields.family, 2);
record.setUint8(STATE_V6.fields.protocol, 6);
record.setUint8(STATE_V6.fields.direction, 1);
record.setInt32(STATE_V6.fields.creatorId, CREATOR);
const state = new StateRow();

/** Records of a message: about as many updates, or keys, as a packet holds. */
const UPDATES = 16;
const DELETES = 64;
const updates = new CompressedUpdateView();
const keys = new StateKeyView();
const octetsOfUpdates = new DataView(new ArrayBuffer(UPDATES * 84));
const octetsOfKeys = new DataView(new ArrayBuffer(DELETES * 12));
for (let n = 0; n < UPDATES; n++) {
  octetsOfUpdates.setInt32(84 * n + 72, CREATOR);
  octetsOfUpdates.setUint8(84 * n + 32, 4);
  octetsOfUpdates.setUint8(84 * n + 64, 4);
}
for (let n = 0; n < DELETES; n++) octetsOfKeys.setInt32(12 * n + 8, CREATOR);

const table = new StateTable();
const pieces = new StatePieces();
const clock = new Clock();

/** All ids in an order that differs with `step`: neighbours in time are none in memory. */
function forAll(step, use) {
  for (let n = 0, id = 0; n < open; n++, id = (id + step) % open) use(n, id);
}

function insertAll() {
  forAll(1, (_, id) => {
    record.setInt32(4, id);
    record.setInt32(24, id);
    record.setInt32(64, id);
    pieces.note(record, 0, STATE_V6.size, 1, STATE_V6, clock);
    pieces.read(state.row);
    table.insert(state, NOW + id, false);
  });
}

function updateAll(step) {
  forAll(step, (n, id) => {
    octetsOfUpdates.setInt32(84 * (n % UPDATES) + 4, id);
    octetsOfUpdates.setUint32(84 * (n % UPDATES) + 16, id + 1);
    if (n % UPDATES === UPDATES - 1) update(UPDATES, NOW + id);
  });
  update(open % UPDATES, NOW);
}

function update(count, now) {
  updates.read(octetsOfUpdates, 0, now, count, 84);
  for (let n = 0; n < count; n++) {
    const { idHigh, idLow, creatorId } = updates.select(n);
    table.expect(n, idHigh, idLow, creatorId);
  }
  table.fetch(count, false);
  for (let n = 0; n < count; n++) {
    const slot = table.findExpected(n);
    table.learnPeers(slot, updates.select(n));
    table.heard(slot, now, true);
  }
}

function deleteAll(step) {
  forAll(step, (n, id) => {
    octetsOfKeys.setInt32(12 * (n % DELETES) + 4, id);
    if (n % DELETES === DELETES - 1) remove(DELETES);
  });
  remove(open % DELETES);
}

function remove(count) {
  keys.read(octetsOfKeys, 0, NOW, count, 12);
  for (let n = 0; n < count; n++) {
    const { idHigh, idLow, creatorId } = keys.select(n);
    table.expect(n, idHigh, idLow, creatorId);
  }
  table.fetch(count, false);
  for (let n = 0; n < count; n++) table.remove(table.findExpected(n));
}

function nanoseconds(operation, step) {
  const began = performance.now();
  operation(step);
  return Math.round(((performance.now() - began) * 1e6) / open);
}

// Once to warm up, then as it is told. The steps are primes, so that each id comes once.
let told;
for (let round = 0; round < 3; round++) {
  const inserted = nanoseconds(insertAll, 1);
  const memory = { hot: table.hotOctets / open, all: table.octets / open };
  const updated = nanoseconds(updateAll, 7_368_787);
  const deleted = nanoseconds(deleteAll, 15_485_863);
  if (table.size !== 0) throw new Error(`${table.size} states are left`);
  told = {
    open,
    insert: inserted,
    update: updated,
    delete: deleted,
    octetsHot: memory.hot,
    octetsAll: memory.all,
  };
}
console.log(JSON.stringify(told));
