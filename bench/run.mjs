/**
 * The speed of the built program against C programs that do the least that must be done, in one run on one machine: README.md.
 * npm run bench -- [--tools DIR] [--runs N] [--rows NAME,...] [--states N] [--out FILE]
 * Each row's programs take turns. A run that loses or invents a record voids its row.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { compile, LeftOut, PROGRAM, programs, Void } from './programs.mjs';
import { rowsOf } from './rows.mjs';

const ROOT = join(import.meta.dirname, '..');

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
const states = Number(given.states);
const folder = mkdtempSync(join(tmpdir(), 'pfflowd-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

const hasYardsticks = compile(given.tools, folder);
const rows = rowsOf(programs(folder), states);
const chosen = given.rows?.split(',') ?? Object.keys(rows);
for (const name of chosen)
  if (!(name in rows)) throw new Error(`no row ${name}: ${Object.keys(rows).join(', ')}`);
if (!existsSync(PROGRAM)) throw new Error('run npm run build first');

const machine = `${cpus().length} x ${cpus()[0]?.model}, node ${process.version}`;
const report = { date: new Date().toISOString(), machine, runs, states, rows: {} };
console.log(`${report.date}  ${machine}  medians of ${runs}`);
for (const name of chosen) {
  const { what, most, least } = rows[name];
  report.rows[name] = { what, most, least, ...(await resultOf(rows[name])) };
  console.log(line(name, report.rows[name]));
  writeFileSync(given.out, `${JSON.stringify(report, undefined, 2)}\n`);
}

async function resultOf(row) {
  try {
    if (!hasYardsticks && row.needs !== 'nothing') throw new LeftOut(`no yardsticks in ${given.tools}`);
    return await measure(row);
  } catch (error) {
    if (!(error instanceof LeftOut || error instanceof Void)) throw error;
    return { verdict: error instanceof Void ? 'void' : 'left out', reason: error.message };
  }
}

async function measure(row) {
  const ours = [];
  const rival = [];
  for (let turn = 0; turn < Math.min(runs, row.turns ?? runs); turn++) {
    ours.push(await row.ours(turn));
    if (row.rival !== undefined) rival.push(await row.rival(turn));
  }
  const middle = row.of === 'largest' ? (numbers) => Math.max(...numbers) : median;
  const one = { ours: middle(ours), rival: row.rival && middle(rival) };
  const ratio = row.figure ?? ((our, other) => our / other);
  const figure = row.rival === undefined ? one.ours : ratio(one.ours, one.rival);
  return { ...one, figure, verdict: isMet(figure, row) ? 'met' : 'missed', runs: { ours, rival } };
}

function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function isMet(figure, { most, least }) {
  return most === undefined ? figure >= least : figure <= most;
}

function line(name, { what, ours, rival, figure, most, least, verdict, reason }) {
  const head = `${name.padEnd(12)}${what.padEnd(60)}`;
  if (figure === undefined) return `${head}${verdict}: ${reason}`;
  const both = `${short(ours)} / ${rival === undefined ? '-' : short(rival)}`;
  const bound = most === undefined ? `at least ${short(least)}` : `at most ${short(most)}`;
  return `${head}${both.padEnd(26)}${short(figure).padEnd(12)}${bound.padEnd(20)}${verdict}`;
}

function short(number) {
  return Math.abs(number) >= 1000
    ? Math.round(number).toLocaleString('en')
    : String(Number(number.toPrecision(3)));
}
