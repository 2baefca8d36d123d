/**
 * The state table alone: nanoseconds for each insert, update and delete of random states among so many open ones, and its memory.
 * node bench/table-operations.mjs [OPEN]: one line of JSON. Run it after `npm run build`; `npm run bench` bundles it, as the program is.
 */
import { core, viewOf } from '../build/protocol/core.js';
import { STATE_V6 } from '../build/protocol/pfsync-layout.js';
import { CompressedUpdateView } from '../build/protocol/pfsync-record.js';
import { StateRow } from '../build/protocol/pfsync-state.js';
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

const octets = new DataView(new ArrayBuffer(84));
octets.setInt32(72, CREATOR);
octets.setUint8(32, 4);
octets.setUint8(64, 4);
const update = new CompressedUpdateView();

const table = new StateTable();

/** A permutation of 0 to `open` - 1, other each time: neighbours in time are none in memory. */
function* shuffled(step) {
  for (let n = 0, id = 0; n < open; n++, id = (id + step) % open) yield id;
}

function insert(id) {
  record.setInt32(4, id);
  record.setInt32(24, id);
  record.setInt32(64, id);
  state.read(record, 0, STATE_V6);
  table.insert(state, NOW + id, false);
}

function change(id) {
  octets.setInt32(4, id);
  octets.setUint32(16, id + 1);
  update.read(octets, 0);
  const slot = table.find(update.idHigh, update.idLow, update.creatorId);
  table.learnPeers(slot, update);
  table.heard(slot, NOW + id, true);
}

function remove(id) {
  table.remove(table.find(0, id, CREATOR));
}

function nanoseconds(operation, step) {
  const began = performance.now();
  for (const id of shuffled(step)) operation(id);
  return Math.round(((performance.now() - began) * 1e6) / open);
}

// Once to warm up, then as it is told. The steps are primes, so that each id comes once.
let told;
for (let round = 0; round < 3; round++) {
  const inserted = nanoseconds(insert, 1);
  const memory = { hot: table.hotOctets / open, all: table.octets / open };
  const updated = nanoseconds(change, 7_368_787);
  const deleted = nanoseconds(remove, 15_485_863);
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
