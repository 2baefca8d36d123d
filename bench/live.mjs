/**
 * Live, at full speed: messages of six states on an interface pfsync0 in a network namespace, through tcpdump and pfflowd to a
 * sink. Every state is at the collector, or in a counter that says where it was lost.
 * node bench/live.mjs TOOLS CAPTURE [STATES_PER_SECOND]: one line of JSON. As root on Linux; TOOLS holds tunfeed and sink, compiled.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const PROGRAM = join(dirname(dirname(fileURLToPath(import.meta.url))), 'dist/pfflowd.js');
const PORT = 29_996;
const STATES = 6;
/** Seconds that tunfeed waits for its readers, and keeps the interface after its last frame. */
const BEFORE = 4;
const AFTER = 4;
const TICKS = 100;

const [tools, capture, rate = '600000'] = process.argv.slice(2);
const namespace = `pfflowd-bench-${process.pid}`;
const within = ['netns', 'exec', namespace];

function start(command, ...args) {
  const child = spawn('ip', [...within, command, ...args.map(String)], { stdio: ['ignore', 'pipe', 'pipe'] });
  const told = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) {
    child[name].setEncoding('utf8').on('data', (text) => {
      told[name] += text;
    });
  }
  return { child, told, ended: once(child, 'close') };
}

async function says(pattern, { told }, limit = 10_000) {
  for (let waited = 0; !pattern.test(told.stderr); waited += 20) {
    if (waited > limit) throw new Error(`waited in vain for ${pattern}: ${told.stderr}`);
    await setTimeout(20);
  }
}

/** Seconds of processor time so far. */
function processorTime(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

execFileSync('ip', ['netns', 'add', namespace]);
try {
  execFileSync('ip', [...within, 'ip', 'link', 'set', 'lo', 'up']);
  const sink = start(join(tools, 'sink'), '-p', PORT, '-r', 1 << 29);
  await says(/ready/, sink);
  const feed = start(join(tools, 'tunfeed'), 'pfsync0', capture, rate, BEFORE, AFTER);
  await says(/up/, feed);
  const options = ['-d', '--user', 'root', '-i', 'pfsync0', '-n', `127.0.0.1:${PORT}`, '--summary', 'json'];
  const pfflowd = start(process.execPath, PROGRAM, ...options);
  await says(/capturing on/, pfflowd);
  const began = processorTime(pfflowd.child.pid);
  await says(/\{"frames".*\}/, feed, 120_000);
  // tcpdump hands a buffer that is not full on after a second.
  await setTimeout(2000);
  const used = processorTime(pfflowd.child.pid) - began;
  pfflowd.child.kill('SIGTERM');
  await pfflowd.ended;
  sink.child.kill('SIGTERM');
  await Promise.all([sink.ended, feed.ended]);
  const fed = JSON.parse(feed.told.stderr.match(/\{.*\}/)[0]);
  const summary = JSON.parse(pfflowd.told.stderr.trim().split('\n').at(-1));
  const seen = JSON.parse(sink.told.stdout);
  const { kernelDrops, unread } = summary.sources;
  console.log(
    JSON.stringify({
      messagesPerSecond: Math.round(fed.frames / fed.seconds),
      fed: fed.states,
      ended: summary.states.ended,
      lost: fed.states - summary.states.ended,
      kernelDrops: kernelDrops * STATES,
      unread: unread * STATES,
      recordsSent: summary.records,
      recordsSeen: seen.records,
      sinkDrops: seen.kernel_drops,
      processor: used / fed.seconds,
      // A packet of somebody else's may be among those that the kernel dropped.
      isRight:
        summary.states.ended <= fed.states &&
        fed.states <= summary.states.ended + (kernelDrops + unread) * STATES &&
        seen.datagrams + seen.kernel_drops === summary.datagrams,
    }),
  );
} finally {
  execFileSync('ip', ['netns', 'delete', namespace]);
}
