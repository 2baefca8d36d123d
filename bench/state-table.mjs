/**
 * States through the pipeline: with so many open, each step inserts five and deletes the five oldest.
 * node bench/state-table.mjs v6|v5-1400 [OPEN [STEPS]]: one line of JSON. Run it after `npm run build`.
 */
import { importBundled } from './bundle.mjs';
import {
  COMPRESSED_DELETE,
  CREATOR,
  INSERT,
  KEY_LENGTH,
  packetOf,
  processorSeconds,
  RECORDS,
  writeState,
} from './messages.mjs';

const { INBOUND, openMemory, Pipeline, STATE_V5_1400, STATE_V6, Statistics } = await importBundled(
  'protocol/flow/pf-terms',
  'protocol/pfsync/layout',
  'src/observe/statistics',
  'src/pipeline',
);

const COUNT = 5;
const FIRST_SECOND = 1_700_000_000;

const [version = 'v6', openText = '1000000', stepsText = '400000'] = process.argv.slice(2);
const open = Number(openText);
const steps = Number(stepsText);
const number = version === 'v6' ? 6 : 5;
const layout = version === 'v6' ? STATE_V6 : STATE_V5_1400;

const inserts = packetOf(number, INSERT, layout.size, COUNT);
const deletes = packetOf(number, COMPRESSED_DELETE, KEY_LENGTH, COUNT);
for (let n = 0; n < COUNT; n++) {
  writeState(inserts.view, RECORDS + n * layout.size, layout, 'em0', INBOUND);
  deletes.view.setInt32(RECORDS + n * KEY_LENGTH + 8, CREATOR);
}
const addresses = layout.ends.slice(8 * INBOUND, 8 * INBOUND + 4);

let flows = 0;
const sink = {
  isCongested: false,
  add(_first, count) {
    flows += count;
  },
  flush() {},
  async drained() {},
  async close() {},
};
const log = { limited: (_key, text) => console.error(text), warn: console.error };
const options = {
  direction: 'any',
  noUncounted: false,
  maxStates: 100_000_000,
  stateTimeout: 0,
  activeTimeout: 0,
};
const statistics = new Statistics();
const pipeline = new Pipeline(options, openMemory(new Map(), log), [sink], log, statistics);

let milliseconds = 0;
function take(packet) {
  packet.clock[0] = FIRST_SECOND;
  packet.clock[1] = milliseconds;
  pipeline.packet(packet);
}

let next = 0;
function insert() {
  const { view } = inserts;
  for (let at = RECORDS; at < RECORDS + COUNT * layout.size; at += layout.size, next++) {
    view.setInt32(at + 4, next);
    for (let end = 0; end < 4; end++) view.setInt32(at + addresses[end], next);
  }
  milliseconds++;
  take(inserts);
}

let oldest = 0;
function end() {
  for (let n = 0; n < COUNT; n++, oldest++) deletes.view.setInt32(RECORDS + n * KEY_LENGTH + 4, oldest);
  take(deletes);
}

const filling = processorSeconds();
while (next < open) insert();
const began = processorSeconds();
for (let step = 0; step < steps; step++) {
  insert();
  end();
}
const ended = processorSeconds();
pipeline.settle();

const { octets, size } = pipeline.tracker.table;
const isRight = size === open && statistics.states.ended === steps * COUNT && flows === steps * COUNT;
console.log(
  JSON.stringify({
    version,
    open: size,
    isRight,
    insertsPerSecond: Math.round(open / (began - filling)),
    statesPerSecond: Math.round((steps * COUNT) / (ended - began)),
    octetsPerState: Math.round(octets / size),
    residentMiB: Math.round(process.memoryUsage.rss() / 2 ** 20),
  }),
);
