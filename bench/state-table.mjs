/**
 * States through reader, state table and flow mapper: with so many open, each step inserts five and deletes the five oldest.
 * node bench/state-table.mjs v6|v5-1400 [OPEN [STEPS]]: one line of JSON. Run it after `npm run build`.
 */
import { core, viewOf } from '../build/protocol/core.js';
import { PfsyncReader } from '../build/protocol/pfsync.js';
import { STATE_V5_1400, STATE_V6 } from '../build/protocol/pfsync-layout.js';
import { StateFilter } from '../build/src/filter.js';
import { FlowMapper } from '../build/src/flow.js';
import { InterfaceTable } from '../build/src/interface.js';
import { StateTracker } from '../build/src/state-tracker.js';
import { Stats } from '../build/src/stats.js';
import { prepareForMuch } from '../build/src/v8-flags.js';

prepareForMuch();

const [version = 'v6', openText = '1000000', stepsText = '400000'] = process.argv.slice(2);
const open = Number(openText);
const steps = Number(stepsText);
const layout = version === 'v6' ? STATE_V6 : STATE_V5_1400;
const number = version === 'v6' ? 6 : 5;

const INSERT = 13;
const COMPRESSED_DELETE = 7;
const KEY_LENGTH = 12;
const COUNT = 5;
const CREATOR = 0x0badcafe;

/** A message of COUNT records; version 5 ends with an action of its own. */
function message(action, size) {
  const length = 20 + 4 + COUNT * size + (number === 5 ? 4 + 20 : 0);
  // Where messages of a capture lie.
  const view = viewOf(core.allocate(length), length);
  for (let at = 0; at < length; at++) view.setUint8(at, 0);
  view.setUint8(0, number);
  view.setUint16(2, length);
  view.setUint8(20, action);
  view.setUint8(21, number === 6 ? size / 4 : 0);
  view.setUint16(22, COUNT);
  if (number === 5) {
    view.setUint8(24 + COUNT * size, 12);
    view.setUint16(24 + COUNT * size + 2, 1);
  }
  return view;
}

const inserts = message(INSERT, layout.size);
const deletes = message(COMPRESSED_DELETE, KEY_LENGTH);
for (let i = 0; i < COUNT; i++) {
  const at = 24 + i * layout.size;
  for (const [offset, octet] of [...'em0'].entries()) {
    inserts.setUint8(at + layout.fields.interfaceName + offset, octet.charCodeAt(0));
  }
  inserts.setUint8(at + layout.fields.family, 2);
  inserts.setUint8(at + layout.fields.protocol, 6);
  inserts.setUint8(at + layout.fields.direction, 1);
  inserts.setInt32(at + layout.fields.creatorId, CREATOR);
  deletes.setInt32(24 + i * KEY_LENGTH + 8, CREATOR);
}

let flows = 0;
const stats = new Stats();
const filter = new StateFilter({ direction: 'any', noUncounted: false });
const mapper = new FlowMapper(filter, stats, (ended) => {
  flows += ended.flow(0).records;
});
const tracker = new StateTracker(new InterfaceTable(new Map()), mapper, stats, {
  maxStates: 100_000_000,
  stateTimeout: 0,
  activeTimeout: 0,
});
const reader = new PfsyncReader(tracker);

const ends = layout.ends.inbound.slice(0, 4);

let next = 0;
function insert() {
  for (let i = 0; i < COUNT; i++, next++) {
    const at = 24 + i * layout.size;
    inserts.setInt32(at + 4, next);
    for (let end = 0; end < 4; end++) inserts.setInt32(at + ends[end], next);
  }
  reader.clock.time += 1;
  reader.read(inserts, 0, inserts.byteLength, inserts.byteLength);
  reader.readNoted();
}

let oldest = 0;
function end() {
  for (let i = 0; i < COUNT; i++, oldest++) deletes.setInt32(24 + i * KEY_LENGTH + 4, oldest);
  reader.read(deletes, 0, deletes.byteLength, deletes.byteLength);
}

const filled = performance.now();
while (next < open) insert();
const began = performance.now();
for (let step = 0; step < steps; step++) {
  insert();
  end();
}
const ended = performance.now();

const { octets, size } = tracker.table;
const isRight = size === open && stats.states.ended === steps * COUNT && flows === steps * COUNT;
console.log(
  JSON.stringify({
    version,
    open: size,
    isRight,
    insertsPerSecond: Math.round((open / (began - filled)) * 1000),
    statesPerSecond: Math.round(((steps * COUNT) / (ended - began)) * 1000),
    octetsPerState: Math.round(octets / size),
    residentMiB: Math.round(process.memoryUsage.rss() / 2 ** 20),
  }),
);
