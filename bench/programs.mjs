/** The programs that rows measure: pfflowd, the yardsticks and the measurements of this folder. What they count is checked each time. */
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, fsyncSync, openSync, readFileSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

export const PROGRAM = join(import.meta.dirname, '../dist/pfflowd.mjs');
const YARDSTICKS = ['genv3', 'floor', 'sink', 'tunfeed'];
const PORT = 29_995;

/** A row that cannot be measured here. */
export class LeftOut extends Error {}
/** A run that lost or invented something. */
export class Void extends Error {}

/** Compiles the yardsticks of `sources` into `folder`. False where a source or a compiler is missing. */
export function compile(sources, folder) {
  try {
    for (const name of YARDSTICKS) {
      execFileSync('cc', ['-O3', '-w', '-o', join(folder, name), join(sources, `${name}.c`)], {
        stdio: ['ignore', 'ignore', 'ignore'],
      });
    }
    return true;
  } catch {
    return false;
  }
}

/** What rows run. The yardsticks are in `folder`, and so are the captures. */
export function programs(folder) {
  /** Captures, with the manifest of what is in them, by their number of states and link type. */
  const captures = new Map();
  const tool = (name) => join(folder, name);

  async function captureOf(states, linkType = 246) {
    const name = `${states}-${linkType}`;
    const known = captures.get(name);
    if (known !== undefined) return known;
    const { bavail, bsize } = statfsSync(folder);
    if (bavail * bsize < states * 250 + 2 ** 30)
      throw new LeftOut(`no room for a capture of ${states} states`);
    const file = join(folder, `${name}.pcap`);
    const args = ['-w', file, '-n', states, '-r', '100000', '-s', '5', '-L', linkType];
    const { stderr } = await run(tool('genv3'), args);
    const capture = { file, manifest: exact(stderr) };
    captures.set(name, capture);
    // The system would go on writing for a minute, on the processors that are measured.
    writeBack(file);
    // Brings it into the page cache.
    execFileSync('cat', [file], { stdio: ['ignore', 'ignore', 'ignore'] });
    return capture;
  }

  /** Runs `send` against a fresh sink; the result has what the sink saw. */
  async function withSink(send) {
    const sink = spawn(tool('sink'), ['-p', PORT], { stdio: ['ignore', 'pipe', 'pipe'] });
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
    checkSink(
      result.seen,
      summary.records + (version === 10 ? SAMPLING_RECORDS : 0),
      summary.datagrams,
      manifest,
    );
    return result;
  }

  async function json({ file, manifest }) {
    const args = ['-r', file, '--format', 'json', '-o', '/dev/null', '--summary', 'json'];
    const result = await run(process.execPath, [PROGRAM, ...args]);
    checkSums(exact(result.stderr.trim().split('\n').at(-1)), manifest, 'flows only');
    return result;
  }

  async function floor(mode, { file, manifest }) {
    const send = () => run(tool('floor'), [mode, file, PORT]);
    const result = mode === 'cpu' ? await send() : await withSink(send);
    const counts = exact(result.stdout);
    if (mode !== 'cpu') checkSink(result.seen, counts.records, counts.datagrams, manifest);
    return { ...result, ...counts };
  }

  async function decodeEncode({ file, manifest }) {
    const result = await measurement('decode-encode', file, 'v5');
    checkSums(result.summary, manifest);
    return result;
  }

  /** A measurement of this folder, in a process of its own: the object that it prints. */
  async function measurement(name, ...args) {
    const { stdout } = await run(process.execPath, [join(import.meta.dirname, `${name}.mjs`), ...args]);
    const result = exact(stdout);
    if (result.isRight === false) throw new Void(`what it counted is wrong: ${stdout}`);
    return result;
  }

  /** Live, from one of the sources of live.mjs. A row without the rights for a network namespace is left out. */
  async function live(source, { file }, rate, messages) {
    if (process.getuid?.() !== 0) throw new LeftOut('a network namespace takes root');
    return measurement('live', source, folder, file, rate, messages ?? 0);
  }

  return { captureOf, convert, json, floor, decodeEncode, measurement, live };
}

function writeBack(file) {
  const descriptor = openSync(file, 'r');
  fsyncSync(descriptor);
  closeSync(descriptor);
}

/** Parses JSON and keeps sums beyond 2^53 as their digits. */
function exact(text) {
  return JSON.parse(text.replace(/:(\d{16,})/g, ':"$1"'));
}

/** Runs a program to its end: seconds of wall time, and the most memory (MiB) it had resident where it is watched. */
export async function run(program, args, { isWatched = false } = {}) {
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

/** The highest so far; 0 where the system does not say. */
function residentOf(pid) {
  try {
    return Number(/VmHWM:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

/** Options records of the flows' own domain, which the sink counts: that nothing is sampled is said so often. */
const SAMPLING_RECORDS = 3;

/** `records` that were sent are counted too, unless nothing was. */
function checkSums(summary, manifest, extent = 'sent') {
  same('flows', summary.flows, manifest.flows);
  if (extent === 'sent') same('records', summary.records, manifest.flows);
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

function same(what, got, expected) {
  if (String(got) !== String(expected)) throw new Void(`${what}: ${got}, and not ${expected}`);
}
