/**
 * A capture through the whole pipeline, every message thrown away: reading, decoding and encoding without a network.
 * node bench/decode-encode.mjs CAPTURE [v1|v5|v9|ipfix]: one line of JSON. Run it after `npm run build`.
 */
import { PerformanceObserver } from 'node:perf_hooks';
import { ipfixEncoder } from '../build/protocol/ipfix.js';
import { netflow1Encoder } from '../build/protocol/netflow1.js';
import { netflow5Encoder } from '../build/protocol/netflow5.js';
import { netflow9Encoder } from '../build/protocol/netflow9.js';
import { readCapture } from '../build/src/capture-file.js';
import { Exporter } from '../build/src/exporter.js';
import { Log } from '../build/src/log.js';
import { Pipeline } from '../build/src/pipeline.js';
import { summaryJson } from '../build/src/summary.js';
import { Delivered } from '../build/src/transport.js';
import { prepareForMuch } from '../build/src/v8-flags.js';

prepareForMuch();

/** A transport without a network. Messages are only counted. */
class Nowhere {
  longest = 1472;
  sent = new Delivered();
  lost = new Delivered();
  errors = 0;
  isCongested = false;
  likesRuns = true;

  send(_octets, length, records) {
    this.sent.add(records, length);
  }

  async drained() {}

  async close() {}
}

const templates = { nat: 'original', domain: 42, refreshTime: 30_000, refreshMessages: 0 };
const ENCODERS = {
  v1: (room) => netflow1Encoder(room, 'inside'),
  v5: (room) => netflow5Encoder(room, 'inside', 42),
  v9: (room) => netflow9Encoder(room, templates),
  ipfix: (room) => ipfixEncoder(room, 'full', templates),
};

const [capture, format = 'v5'] = process.argv.slice(2);

// The heap is warm after the first tenth: a collection behind it is one of the steady state.
const collections = [];
new PerformanceObserver((list) => collections.push(...list.getEntries())).observe({ entryTypes: ['gc'] });

const log = new Log({
  level: 'warn',
  format: 'text',
  timestamps: false,
  priorities: false,
  stream: process.stderr,
  now: Date.now,
});
const nowhere = new Nowhere();
const exporter = new Exporter(ENCODERS[format](nowhere), nowhere, {
  name: 'nowhere',
  version: format === 'ipfix' ? 10 : Number(format.slice(1)),
  estimate: false,
  noUncounted: false,
  isPflow: false,
  direction: 'any',
  log,
});
const options = {
  direction: 'any',
  noUncounted: false,
  maxStates: 10_000_000,
  ifmap: new Map(),
  stateTimeout: 0,
  activeTimeout: 0,
};
const pipeline = new Pipeline(options, [exporter], log);

const cpu = process.cpuUsage();
const began = performance.now();
const { octets } = await readCapture(capture, pipeline, {});
await pipeline.close('count');
const ended = performance.now();
const { user, system } = process.cpuUsage(cpu);
await new Promise((resolve) => setTimeout(resolve, 20));
const steady = collections.filter(
  ({ startTime }) => startTime > began + (ended - began) / 10 && startTime < ended,
);

const summary = JSON.parse(summaryJson(pipeline.stats, [exporter.result]));
const wall = (ended - began) / 1000;
console.log(
  JSON.stringify({
    format,
    wall,
    user: user / 1e6,
    sys: system / 1e6,
    states: summary.states.ended,
    records: summary.records,
    statesPerSecond: Math.round(summary.states.ended / wall),
    megabytesPerSecond: Math.round(octets / 1e6 / wall),
    collections: collections.length,
    steadyCollections: steady.length,
    summary,
  }),
);
