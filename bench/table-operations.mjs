/**
 * The state table alone: nanoseconds for each insert, update and delete of random states among so many open ones, and its memory.
 * As in the program, the records of a message are announced to the table before they are taken one after the other.
 * node bench/table-operations.mjs [OPEN]: one line of JSON. Run it after `npm run build`.
 */
import { importBundled } from './bundle.mjs';
import { CREATOR, processorSeconds, writeState } from './messages.mjs';

const {
  CompressedUpdateView,
  FlowRows,
  FROM_INSERT,
  INBOUND,
  InterfaceTable,
  STATE_V6,
  StateKeyView,
  stateReader,
  StateTable,
  TagTable,
} = await importBundled(
  'protocol/flow/interface',
  'protocol/flow/pf-terms',
  'protocol/flow/rows',
  'protocol/flow/tags',
  'protocol/flow/terms',
  'protocol/pfsync/layout',
  'protocol/pfsync/record',
  'protocol/pfsync/state-reader',
  'src/state/table',
);

const NOW = 1_700_000_000_000;
/** Records of a message: about as many updates, or keys, as a packet holds. */
const UPDATES = 16;
const DELETES = 64;
const UPDATE_LENGTH = 84;
const KEY_LENGTH = 12;
/** The first round warms up, the last one counts. */
const ROUNDS = 3;
/** Primes that no number of states is a multiple of: each id comes once, and neighbours in time are none in memory. */
const UPDATE_STEP = 7_368_787;
const DELETE_STEP = 15_485_863;

const open = Number(process.argv[2] ?? '1000000');

const rows = new FlowRows(1);
const readStates = stateReader({ rows, interfaces: new InterfaceTable(new Map()), tags: new TagTable() });
const table = new StateTable(rows);
const clock = new Float64Array(2);

const record = new DataView(new ArrayBuffer(STATE_V6.size));
writeState(record, 0, STATE_V6, 'em0', INBOUND);
const updates = new CompressedUpdateView();
const updateRecords = new DataView(new ArrayBuffer(UPDATES * UPDATE_LENGTH));
for (let n = 0; n < UPDATES; n++) {
  updateRecords.setInt32(UPDATE_LENGTH * n + 72, CREATOR);
  updateRecords.setUint8(UPDATE_LENGTH * n + 32, 4);
  updateRecords.setUint8(UPDATE_LENGTH * n + 64, 4);
}
const keys = new StateKeyView();
const keyRecords = new DataView(new ArrayBuffer(DELETES * KEY_LENGTH));
for (let n = 0; n < DELETES; n++) keyRecords.setInt32(KEY_LENGTH * n + 8, CREATOR);

/** All ids, in an order that differs with `step`. */
function forAll(step, use) {
  for (let n = 0, id = 0; n < open; n++, id = (id + step) % open) use(n, id);
}

function insertAll() {
  forAll(1, (_, id) => {
    record.setInt32(4, id);
    record.setInt32(24, id);
    record.setInt32(64, id);
    readStates(STATE_V6, record, 0, STATE_V6.size, 1, clock, 0);
    table.now[0] = NOW + id;
    table.insert(0, FROM_INSERT, 0);
  });
}

function updateAll() {
  forAll(UPDATE_STEP, (n, id) => {
    updateRecords.setInt32(UPDATE_LENGTH * (n % UPDATES) + 4, id);
    updateRecords.setUint32(UPDATE_LENGTH * (n % UPDATES) + 16, id + 1);
    table.now[0] = NOW + id;
    if (n % UPDATES === UPDATES - 1) update(UPDATES);
  });
  update(open % UPDATES);
}

function update(count) {
  updates.show(updateRecords, 0, clock, count, UPDATE_LENGTH);
  announce(updates, count, false);
  for (let n = 0; n < count; n++) {
    const slot = table.findExpected(n);
    const { sourceState, destinationState, timeout, sourceSeqlo, destinationSeqlo } = updates.select(n);
    table.learnPeers(slot, sourceState, destinationState, timeout, sourceSeqlo, destinationSeqlo);
    table.hearTraffic(slot);
  }
}

function deleteAll() {
  forAll(DELETE_STEP, (n, id) => {
    keyRecords.setInt32(KEY_LENGTH * (n % DELETES) + 4, id);
    if (n % DELETES === DELETES - 1) remove(DELETES);
  });
  remove(open % DELETES);
}

function remove(count) {
  keys.show(keyRecords, 0, clock, count, KEY_LENGTH);
  announce(keys, count, true);
  for (let n = 0; n < count; n++) table.remove(table.findExpected(n));
}

function announce(records, count, isWhole) {
  for (let n = 0; n < count; n++) {
    const { idFirst, idSecond, creatorId } = records.select(n);
    table.expect(n, idFirst, idSecond, creatorId);
  }
  table.prefetch(count, isWhole);
}

function nanoseconds(operation) {
  const began = processorSeconds();
  operation();
  return Math.round(((processorSeconds() - began) * 1e9) / open);
}

let result;
for (let round = 0; round < ROUNDS; round++) {
  const insert = nanoseconds(insertAll);
  const octetsHot = table.hotOctets / open;
  const octetsAll = table.octets / open;
  const update = nanoseconds(updateAll);
  const remove = nanoseconds(deleteAll);
  if (table.size !== 0) throw new Error(`${table.size} states are left`);
  result = { open, insert, update, delete: remove, octetsHot, octetsAll };
}
console.log(JSON.stringify(result));
