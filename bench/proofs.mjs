/**
 * What proofs and joins cost: the lives of forwarded connections through the pipeline, two states each, with so many open.
 * A state is inserted, has traffic at half its life (compressed update), is reported at three quarters (full update, as an
 * answer) and dies of age (compressed delete): its counters are proven final, unless the kernel is one that loses records.
 * node bench/proofs.mjs none|proofs|joins [OPEN [STEPS]]: one line of JSON; `joins` has proofs too. Run it after `npm run build`.
 */
import { importBundled } from './bundle.mjs';
import {
  COMPRESSED_DELETE,
  COMPRESSED_UPDATE,
  COMPRESSED_UPDATE_LENGTH,
  CREATOR,
  INSERT,
  KEY_LENGTH,
  packetOf,
  processorSeconds,
  RECORDS,
  UPDATE,
  writeState,
} from './messages.mjs';

const { INBOUND, openMemory, OUTBOUND, PEER_SEQLO, PEER_STATE, Pipeline, STATE_V6, Statistics, SYN_SENT } =
  await importBundled(
    'protocol/flow/pf-terms',
    'protocol/pfsync/layout',
    'src/observe/statistics',
    'src/pipeline',
  );

const VERSION = 6;
/** Records of a message. */
const COUNT = 4;
const FIRST_SECOND = 1_700_000_000;
/** Seconds of a life. pf's tcp.first, which begins anew with each packet, ends it. */
const LIFE = 240;
const TIMEOUT = 120;
const TCP_FIRST = 0;
/** Seconds of a life at the two messages in its middle. */
const TRAFFIC = LIFE - TIMEOUT;
const ANSWER = (TRAFFIC + LIFE) / 2;
/** By which an end's sequence number has advanced at its traffic. */
const ADVANCE = 5000;

const [mode = 'none', openText = '1000000', stepsText = '400000'] = process.argv.slice(2);
const steps = Number(stepsText);
/** Messages in a life. Two hold the halves of the same connections. */
const life = 2 * Math.round(Number(openText) / COUNT / 2);
const { size, ends, sourcePeer, destinationPeer } = STATE_V6;

/** By parity of their number: the even ones hold inbound states, the odd ones outbound states. */
const [inserts, updates] = [INSERT, UPDATE].map((action) =>
  [INBOUND, OUTBOUND].map((direction) => statesPacket(action, direction)),
);
const compressedUpdate = packetOf(VERSION, COMPRESSED_UPDATE, COMPRESSED_UPDATE_LENGTH, COUNT);
const compressedDelete = packetOf(VERSION, COMPRESSED_DELETE, KEY_LENGTH, COUNT);
for (let n = 0; n < COUNT; n++) {
  const at = RECORDS + n * COMPRESSED_UPDATE_LENGTH;
  writePeers(compressedUpdate.view, at + 8, at + 40, ADVANCE);
  compressedUpdate.view.setInt32(at + 72, CREATOR);
  compressedUpdate.view.setUint8(at + 80, TCP_FIRST);
  compressedDelete.view.setInt32(RECORDS + n * KEY_LENGTH + 8, CREATOR);
}

function statesPacket(action, direction) {
  const packet = packetOf(VERSION, action, size, COUNT);
  const isAnswer = action === UPDATE;
  for (let at = RECORDS; at < RECORDS + COUNT * size; at += size) {
    writeState(packet.view, at, STATE_V6, direction === INBOUND ? 'em0' : 'em1', direction);
    writePeers(packet.view, at + sourcePeer, at + destinationPeer, isAnswer ? ADVANCE : 0);
    packet.view.setUint8(at + STATE_V6.timeout, TCP_FIRST);
    packet.view.setInt32(at + STATE_V6.creation, isAnswer ? ANSWER : 0);
    packet.view.setInt32(at + STATE_V6.expire, isAnswer ? LIFE - ANSWER : TIMEOUT);
    if (isAnswer) packet.view.setInt32(at + STATE_V6.octets + 4, ADVANCE);
    for (let end = 0; end < 4; end++)
      packet.view.setUint16(at + ends[8 * direction + 4 + end], 40_000 + (end & 1));
  }
  return packet;
}

function writePeers(view, source, destination, advance) {
  for (const peer of [source, destination]) {
    view.setUint8(peer + PEER_STATE, SYN_SENT);
    view.setInt32(peer + PEER_SEQLO, 1000 + advance);
  }
}

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
  join: mode === 'joins',
  maxStates: 100_000_000,
  stateTimeout: 0,
  activeTimeout: 0,
};
const statistics = new Statistics();
const pipeline = new Pipeline(options, openMemory(new Map(), log), [sink], log, statistics);

/** A kernel that may lose records fills the checksum of the ruleset: nothing is proven then. */
if (mode === 'none') {
  for (const { view } of [...inserts, ...updates, compressedUpdate, compressedDelete]) view.setInt32(4, 1);
}

function take(packet, step) {
  packet.clock[0] = FIRST_SECOND;
  packet.clock[1] = Math.round((step * LIFE * 1000) / life);
  pipeline.packet(packet);
}

/** Takes the packet with the states of message `born`. */
function takeStates(packets, born, step) {
  const direction = (born & 1) === 0 ? INBOUND : OUTBOUND;
  const packet = packets[born & 1];
  const { view } = packet;
  for (let n = 0; n < COUNT; n++) {
    const at = RECORDS + n * size;
    const connection = (born >> 1) * COUNT + n;
    view.setInt32(at + 4, born * COUNT + n);
    for (let end = 0; end < 4; end++) view.setInt32(at + ends[8 * direction + end], connection + (end & 1));
  }
  take(packet, step);
}

function takeKeys(packet, length, born, step) {
  for (let n = 0; n < COUNT; n++) packet.view.setInt32(RECORDS + n * length + 4, born * COUNT + n);
  take(packet, step);
}

const traffic = Math.round((life * TRAFFIC) / LIFE);
const answer = Math.round((life * ANSWER) / LIFE);

function live(step) {
  takeStates(inserts, step, step);
  if (step >= traffic) takeKeys(compressedUpdate, COMPRESSED_UPDATE_LENGTH, step - traffic, step);
  if (step >= answer) takeStates(updates, step - answer, step);
  if (step >= life) takeKeys(compressedDelete, KEY_LENGTH, step - life, step);
}

for (let step = 0; step < life; step++) live(step);
const began = processorSeconds();
for (let step = life; step < life + steps; step++) live(step);
const ended = processorSeconds();
await pipeline.close('count');

const { states, counters, joins } = statistics;
const connections = (steps * COUNT) / 2;
const areProven = mode === 'none' ? counters.exact === 0 : counters.exact === statistics.flows;
const areJoined = mode === 'joins' ? states.joined === connections : flows === steps * COUNT;
console.log(
  JSON.stringify({
    mode,
    open: pipeline.tracker.table.size,
    isRight: states.ended === steps * COUNT && states.timedOut === 0 && areProven && areJoined,
    alone: joins.alone + joins.early,
    counters,
    statesPerSecond: Math.round((steps * COUNT) / (ended - began)),
    nanoseconds: Math.round(((ended - began) * 1e9) / (steps * COUNT)),
    residentMiB: Math.round(process.memoryUsage.rss() / 2 ** 20),
  }),
);
