/**
 * A capture through the whole pipeline, every message thrown away: reading, decoding and encoding without a network.
 * node bench/decode-encode.mjs CAPTURE [v1|v5|v9|ipfix]: one line of JSON. Run it after `npm run build`.
 */
import { statSync } from 'node:fs';
import { PerformanceObserver } from 'node:perf_hooks';
import { importBundled } from './bundle.mjs';

const {
  convert,
  Delivered,
  Exporter,
  ipfixEncoder,
  netflow1Encoder,
  netflow5Encoder,
  netflow9Encoder,
  openMemory,
  Pipeline,
  Statistics,
  summaryJson,
} = await importBundled(
  'protocol/export/ipfix',
  'protocol/export/netflow1',
  'protocol/export/netflow5',
  'protocol/export/netflow9',
  'src/observe/statistics',
  'src/observe/summary',
  'src/pipeline',
  'src/sink/exporter',
  'src/sink/transport',
  'src/source/conversion',
);

/** The part of a run in which the heap gets warm. Collections behind it are those of the steady state. */
const WARM = 0.1;

/** A transport without a network. Messages are only counted. */
class Nowhere {
  longest = 1472;
  sent = new Delivered();
  lost = new Delivered();
  errors = 0;
  isDown = false;
  isCongested = false;

  send(_octets, length, records) {
    this.sent.add(records, length);
  }

  async drained() {}

  async close() {}
}

const templates = { nat: 'original', domain: 42, refreshTime: 30_000, refreshMessages: 0 };
const ENCODERS = {
  v1: (memory, room) => netflow1Encoder(memory, room, 'inside'),
  v5: (memory, room) => netflow5Encoder(memory, room, 'inside', 42),
  v9: (memory, room) => netflow9Encoder(memory, room, templates),
  ipfix: (memory, room) => ipfixEncoder(memory, room, 'full', templates),
};

const [capture, format = 'v5'] = process.argv.slice(2);
const version = format === 'ipfix' ? 10 : Number(format.slice(1));

const collections = [];
new PerformanceObserver((list) => collections.push(...list.getEntries())).observe({ entryTypes: ['gc'] });

const warn = (_key, text) => console.error(typeof text === 'function' ? text() : text);
const log = { limited: warn, warn: (text) => warn('', text), error: (text) => warn('', text) };
const memory = openMemory(new Map(), log);
const nowhere = new Nowhere();
const exporter = new Exporter(memory, ENCODERS[format](memory, nowhere), nowhere, {
  name: 'nowhere',
  version,
  direction: 'any',
  log,
});
const statistics = new Statistics();
const options = {
  direction: 'any',
  noUncounted: false,
  maxStates: 10_000_000,
  stateTimeout: 0,
  activeTimeout: 0,
};
const pipeline = new Pipeline(options, memory, [exporter], log, statistics);

const cpu = process.cpuUsage();
const began = performance.now();
await convert(
  { reads: [capture], hold: 1, progress: 'never' },
  pipeline,
  log,
  new AbortController().signal,
  () => {},
);
await pipeline.close('count');
const ended = performance.now();
const { user, system } = process.cpuUsage(cpu);
await new Promise((resolve) => setTimeout(resolve, 20));
const steady = collections.filter(
  ({ startTime }) => startTime > began + (ended - began) * WARM && startTime < ended,
);

const summary = JSON.parse(summaryJson(statistics, [exporter.result]).replace(/:(\d{16,})/g, ':"$1"'));
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
    megabytesPerSecond: Math.round(statSync(capture).size / 1e6 / wall),
    collections: collections.length,
    steadyCollections: steady.length,
    summary,
  }),
);
