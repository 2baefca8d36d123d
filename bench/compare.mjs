/** Compares two results of `npm run bench`: npm run bench:compare A.json B.json */
import { readFileSync } from 'node:fs';

const [before, after] = process.argv.slice(2).map((file) => JSON.parse(readFileSync(file, 'utf8')));
if (after === undefined) throw new Error('two files are wanted');
if (before.machine !== after.machine) console.log(`Not one machine: ${before.machine}; ${after.machine}`);
for (const [name, row] of Object.entries(after.rows)) {
  const old = before.rows[name]?.figure;
  if (old === undefined || row.figure === undefined) continue;
  const change = old === 0 ? '' : `${((row.figure / old - 1) * 100).toFixed(1)} %`;
  const figures = [old, row.figure].map((figure) => figure.toPrecision(4).padEnd(12)).join('');
  console.log(`${name.padEnd(12)}${row.what.padEnd(60)}${figures}${change}`);
}
