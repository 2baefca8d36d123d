/**
 * The speed of the built program against C programs that do the least that must be done, in one run on one machine.
 * npm run bench -- [--tools DIR] [--runs N] [--rows NAME,...] [--states N] [--out FILE]
 * Each row's programs take turns; the table tells medians. A run that loses or invents a record voids its row.
 */
import { execFileSync, spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { bundle } from './bundle.mjs';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const PROGRAM = join(ROOT, 'dist/pfflowd.js');
const YARDSTICKS = ['genv3', 'floor', 'sink', 'tunfeed'];
const PORT = 29_995;

const { values: given } = parseArgs({
  options: {
    tools: { type: 'string', default: process.env.PFFLOWD_BENCH_TOOLS ?? join(ROOT, '../shared/tools') },
    runs: { type: 'string', default: '7' },
    rows: { type: 'string' },
    states: { type: 'string', default: '5000000' },
    out: { type: 'string', default: join(ROOT, 'build/bench.json') },
  },
});
const runs = Number(given.runs);
const folder = mkdtempSync(join(tmpdir(), 'pfflowd-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

/** The yardsticks, compiled; undefined where their source or a compiler is missing. */
const tools = compile();

function compile() {
  try {
    for (const name of YARDSTICKS) {
      execFileSync('cc', ['-O3', '-w', '-o', join(folder, name), join(given.tools, `${name}.c`)]);
    }
    return Object.fromEntries(YARDSTICKS.map((name) => [name, join(folder, name)]));
  } catch {
    return undefined;
  }
}

/** Captures by their number of states, with the manifest of what is in them. */
const captures = new Map();

async function captureOf(states) {
  const known = captures.get(states);
  if (known !== undefined) return known;
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize < states * 250 + 2 ** 30) throw new LeftOut(`no room for a capture of ${states} states`);
  const file = join(folder, `${states}.pcap`);
  const { stderr } = await run(tools.genv3, ['-w', file, '-n', states, '-r', '100000', '-s', '5']);
  const capture = { file, manifest: exact(stderr) };
  captures.set(states, capture);
  writeBack(file);
  readFileSyncInPieces(file);
  return capture;
}

/** The system would go on writing for a minute, on the processors that are measured. */
function writeBack(file) {
  const descriptor = openSync(file, 'r');
  fsyncSync(descriptor);
  closeSync(descriptor);
}

/** Brings the file into the page cache. */
function readFileSyncInPieces(file) {
  execFileSync('cat', [file], { stdio: ['ignore', 'ignore', 'ignore'] });
}

class LeftOut extends Error {}
class Void extends Error {}

/** Parses JSON and keeps sums beyond 2^53 as their digits. */
function exact(text) {
  return JSON.parse(text.replace(/:(\d{16,})/g, ':"$1"'));
}

/**
 * Runs a program to its end: seconds of wall time, and the most memory it had resident where it is watched. To look at it each 50 ms
 * takes 1 ms of 100.
 */
async function run(program, args, { isWatched = false } = {}) {
  const began = performance.now();
  const child = spawn(program, args.map(String), { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  let resident = 0;
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  const look = () => {
    resident = Math.max(resident, residentOf(child.pid));
  };
  const watch = isWatched ? setInterval(look, 50) : undefined;
  const [status, wall] = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => resolve([code, (performance.now() - began) / 1000]));
  });
  clearInterval(watch);
  if (!child.stdout.closed) await new Promise((resolve) => child.on('close', resolve));
  if (status !== 0) throw new Void(`${program} ended with ${status}: ${stderr.slice(0, 200)}`);
  return { wall, stdout, stderr, resident };
}

/** MiB; 0 where the system does not tell. */
function residentOf(pid) {
  try {
    return Number(/VmHWM:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

/** Runs `send` against a fresh sink; the answer has what the sink saw. */
async function withSink(send) {
  const sink = spawn(tools.sink, ['-p', PORT], { stdio: ['ignore', 'pipe', 'pipe'] });
  let seen = '';
  sink.stdout.on('data', (text) => {
    seen += text;
  });
  await new Promise((resolve, reject) => {
    sink.stderr.once('data', resolve);
    sink.once('exit', () => reject(new Void('the sink did not start')));
  });
  try {
    const result = await send();
    await setTimeout(200);
    sink.kill('SIGTERM');
    await new Promise((resolve) => sink.once('close', resolve));
    return { ...result, seen: exact(seen) };
  } finally {
    sink.kill('SIGKILL');
  }
}

/** The program over UDP; `flags` are Node's. */
async function convert({ file, manifest }, version, { flags = [], isWatched = false } = {}) {
  const args = ['-r', file, '-v', version, '-n', `127.0.0.1:${PORT}`, '--rate', 0, '--summary', 'json'];
  // The sink knows one observation domain: the exporter's own statistics have another.
  const own = version === 10 ? ['--no-export-stats'] : [];
  const result = await withSink(() =>
    run(process.execPath, [...flags, PROGRAM, ...args, ...own], { isWatched }),
  );
  const summary = exact(result.stderr.trim().split('\n').at(-1));
  checkSums(summary, manifest);
  checkSink(result.seen, summary.records, summary.datagrams, manifest);
  return result;
}

async function floor(mode, { file, manifest }) {
  const send = () => run(tools.floor, [mode, file, PORT]);
  const result = mode === 'cpu' ? await send() : await withSink(send);
  const told = exact(result.stdout);
  if (mode !== 'cpu') checkSink(result.seen, told.records, told.datagrams, manifest);
  return { ...result, told };
}

function checkSums(summary, manifest) {
  same('flows', summary.flows, manifest.flows);
  same('records', summary.records, manifest.flows);
  same('octets', summary.octets, manifest.sum_bytes);
  same('packets', summary.packetsCounted, manifest.sum_packets);
}

/** What the sink misses equals what the kernel says it dropped; without drops the sums are the manifest's. */
function checkSink(seen, records, datagrams, manifest) {
  same('datagrams of the sink', seen.datagrams + seen.kernel_drops, datagrams);
  if (seen.kernel_drops > 0) return;
  same('records of the sink', seen.records, records);
  same('octets of the sink', seen.sum_octets, manifest.sum_bytes);
  same('packets of the sink', seen.sum_packets, manifest.sum_packets);
}

function same(what, got, wanted) {
  if (String(got) !== String(wanted)) throw new Void(`${what}: ${got}, and not ${wanted}`);
}

async function decodeEncode({ file, manifest }) {
  const { stdout } = await run(process.execPath, [bundle('decode-encode'), file, 'v5']);
  const told = exact(stdout);
  checkSums(told.summary, manifest);
  return told;
}

/** A measurement that several rows have their figures from: it is made once in each turn. */
function shared(measurement) {
  const turns = [];
  return (turn) => {
    turns[turn] ??= measurement();
    return turns[turn];
  };
}

/** A row without the rights for a network namespace is left out. */
const live = shared(async () => {
  if (process.getuid?.() !== 0) throw new LeftOut('a network namespace takes root');
  const { file } = await captureOf(states);
  const { stdout } = await run(process.execPath, [join(ROOT, 'bench/live.mjs'), folder, file]);
  const told = JSON.parse(stdout);
  if (!told.isRight) throw new Void(`states that nobody counts: ${stdout}`);
  return told;
});

async function stateTable(version) {
  const { stdout } = await run(process.execPath, [bundle('state-table'), version]);
  const told = JSON.parse(stdout);
  if (!told.isRight) throw new Void('states were lost');
  return told.statesPerSecond;
}

const tableOperations = shared(async () => {
  const { stdout } = await run(process.execPath, [bundle('table-operations')]);
  return JSON.parse(stdout);
});

/** Nanoseconds of an operation of the state table. */
function tableOperation(name, what) {
  return {
    what,
    ours: async (turn) => (await tableOperations(turn))[name],
    most: [300, 300],
    needs: 'nothing',
  };
}

async function text({ file, manifest }) {
  const args = ['-r', file, '--format', 'json', '-o', '/dev/null', '--summary', 'json'];
  const result = await run(process.execPath, [PROGRAM, ...args]);
  same('flows', exact(result.stderr.trim().split('\n').at(-1)).flows, manifest.flows);
  return result.wall;
}

const states = Number(given.states);
const wallOf = ({ wall }) => wall;
const NO_ADDONS = ['--no-addons'];

/**
 * A row measures `ours` and its `rival` in turns and makes one figure of their medians, which is good below or above two
 * limits. A row without rival is its own figure.
 */
const ROWS = {
  dgram: {
    what: 'v5 over UDP, node:dgram: wall / floor sendto',
    ours: async () => wallOf(await convert(await captureOf(states), 5, { flags: NO_ADDONS })),
    rival: async () => wallOf(await floor('sendto', await captureOf(states))),
    most: [1.7, 1.4],
  },
  batch: {
    what: 'v5 over UDP, koffi: wall / floor sendto',
    ours: async () => wallOf(await convert(await captureOf(states), 5)),
    rival: async () => wallOf(await floor('sendto', await captureOf(states))),
    most: [0.6, 0.4],
  },
  ipfix: {
    what: 'IPFIX over UDP, koffi: wall / our v5',
    ours: async () => wallOf(await convert(await captureOf(states), 10)),
    rival: async () => wallOf(await convert(await captureOf(states), 5)),
    most: [1.8, 1.4],
  },
  decode: {
    what: 'decode + v5 encode: states/s / floor cpu',
    ours: async () => (await decodeEncode(await captureOf(states))).statesPerSecond,
    rival: async () => (await floor('cpu', await captureOf(states))).told.states_per_s,
    least: [0.28, 0.4],
  },
  collections: {
    what: 'decode + v5 encode: collections in the steady state',
    ours: async () => (await decodeEncode(await captureOf(states))).steadyCollections,
    most: [0, 0],
  },
  'table-v6': {
    what: 'v6, a million open: states/s',
    ours: () => stateTable('v6'),
    least: [1_500_000, 3_000_000],
    needs: 'nothing',
  },
  'table-1400': {
    what: 'FreeBSD 1400, a million open: states/s',
    ours: () => stateTable('v5-1400'),
    least: [1_500_000, 3_000_000],
    needs: 'nothing',
  },
  insert: tableOperation('insert', 'state table, a million open: ns for an insert'),
  update: tableOperation('update', 'the same: ns for an update of a random state'),
  delete: tableOperation('delete', 'the same: ns for a delete of a random state'),
  json: {
    what: 'JSON lines to /dev/null: flows/s / our v5',
    ours: async () => 1 / (await text(await captureOf(states))),
    rival: async () => 1 / wallOf(await convert(await captureOf(states), 5)),
    least: [0.25, 0.5],
  },
  live: {
    what: 'live, 100,000 messages/s of six states: states lost',
    ours: async (turn) => (await live(turn)).lost,
    most: [0, 0],
  },
  'live-cpu': {
    what: 'the same: our processors in use',
    ours: async (turn) => (await live(turn)).processor,
    most: [0.5, 0.5],
  },
  start: {
    what: '10,000 states: milliseconds beyond the start-up of node',
    ours: async () => 1000 * wallOf(await convert(await captureOf(10_000), 5)),
    rival: async () => 1000 * wallOf(await run(process.execPath, ['-e', '0'])),
    figure: (ours, rival) => ours - rival,
    most: [40, 20],
  },
  memory: {
    what: 'MiB resident',
    ours: async () => (await convert(await captureOf(states), 5, { isWatched: true })).resident,
    most: [80, 60],
  },
  growth: {
    what: 'seconds a state, 20 to 5 million / 5 to 0.5 million',
    ours: async () => ((await timeOf(20_000_000)) - (await timeOf(5_000_000))) / 15e6,
    rival: async () => ((await timeOf(5_000_000)) - (await timeOf(500_000))) / 4.5e6,
    most: [1.1, 1.1],
  },
};

async function timeOf(count) {
  return wallOf(await convert(await captureOf(count), 5));
}

async function measure(row) {
  if (tools === undefined && row.needs !== 'nothing') throw new LeftOut(`no yardsticks in ${given.tools}`);
  const ours = [];
  const rival = [];
  for (let turn = 0; turn < runs; turn++) {
    ours.push(await row.ours(turn));
    if (row.rival !== undefined) rival.push(await row.rival());
  }
  const medians = { ours: median(ours), rival: row.rival && median(rival) };
  const ratio = row.figure ?? ((one, other) => one / other);
  const figure = row.rival === undefined ? medians.ours : ratio(medians.ours, medians.rival);
  return { ...medians, figure, verdict: verdictOn(figure, row), runs: { ours, rival } };
}

function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function verdictOn(figure, { most, least }) {
  const [target, stretch] = most ?? least;
  const isGood = (limit) => (most === undefined ? figure >= limit : figure <= limit);
  if (isGood(stretch)) return 'stretch';
  return isGood(target) ? 'target' : 'missed';
}

const chosen = given.rows?.split(',') ?? Object.keys(ROWS);
for (const name of chosen)
  if (!(name in ROWS)) throw new Error(`no row ${name}: ${Object.keys(ROWS).join(', ')}`);
if (!existsSync(PROGRAM)) throw new Error('run npm run build first');
const machine = `${cpus().length} x ${cpus()[0]?.model}, node ${process.version}`;
const report = { date: new Date().toISOString(), machine, runs, states, rows: {} };
console.log(`${report.date}  ${machine}  medians of ${runs}`);
for (const name of chosen) {
  const row = ROWS[name];
  let result;
  try {
    result = await measure(row);
  } catch (error) {
    if (!(error instanceof LeftOut || error instanceof Void)) throw error;
    result = { verdict: error instanceof Void ? 'void' : 'left out', reason: error.message };
  }
  report.rows[name] = { what: row.what, limits: row.most ?? row.least, ...result };
  console.log(line(name, report.rows[name]));
}
writeFileSync(given.out, `${JSON.stringify(report, undefined, 2)}\n`);

function line(name, { what, ours, rival, figure, limits, verdict, reason }) {
  const head = `${name.padEnd(12)}${what.padEnd(56)}`;
  if (figure === undefined) return `${head}${verdict}: ${reason}`;
  const both = `${short(ours)} / ${rival === undefined ? '-' : short(rival)}`;
  return `${head}${both.padEnd(26)}${short(figure).padEnd(12)}${limits.map(short).join(' | ').padEnd(24)}${verdict}`;
}

function short(number) {
  return Math.abs(number) >= 1000
    ? Math.round(number).toLocaleString('en')
    : String(Number(number.toPrecision(3)));
}
