/**
 * Live: messages of six states each, in a network namespace, through pfflowd to a sink. Every state is at the collector, or in
 * a counter that says where it was lost.
 * node bench/live.mjs SOURCE TOOLS CAPTURE MESSAGES_PER_SECOND [MESSAGES]: one line of JSON. As root on Linux; TOOLS holds the
 * yardsticks `sink` and `tunfeed`, compiled. SOURCE is one of
 *     fast      an interface pfsync0, to which `tunfeed` writes the whole capture
 *     pfsync0   the same, to which the first messages of the capture are written over and over, MESSAGES in all
 *     ethernet  an Ethernet interface, in the same way; the capture is one of Ethernet
 *     listen    a port of --listen, in the same way
 */
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { feed, Injector } from '../build/test/peer/injector.js';
import { Namespace } from '../build/test/peer/namespace.js';

const PROGRAM = join(import.meta.dirname, '../dist/pfflowd.mjs');
const COLLECTOR = 29_996;
const LISTENER = 29_997;
const STATES = 6;
/** Seconds that tunfeed waits for its readers, and keeps the interface after its last frame. */
const BEFORE = 4;
const AFTER = 4;
/** Milliseconds in which the last messages come through: tcpdump hands a buffer that is not full on after a second. */
const LATENCY = 2000;
/** Messages that are fed over and over. */
const DIFFERENT = 500;
const TICKS = 100;

const [source, tools, capture, rateText, messagesText] = process.argv.slice(2);
const rate = Number(rateText);
const messages = Number(messagesText);
const folder = mkdtempSync(join(tmpdir(), 'pfflowd-live-'));
const within = new Namespace();

/** What pfflowd reads from, when it reads, and the feed: resolves to what was fed, in how many seconds. */
const SOURCES = {
  async fast() {
    const tunfeed = start(join(tools, 'tunfeed'), 'pfsync0', capture, STATES * rate, BEFORE, AFTER);
    await says(/up/, tunfeed);
    return {
      args: ['-i', 'pfsync0'],
      ready: /capturing on/,
      async feed() {
        await says(/\{"frames".*\}/, tunfeed, 120_000);
        const { frames, states, seconds } = JSON.parse(tunfeed.output.stderr.match(/\{.*\}/)[0]);
        return { fed: frames, states, seconds };
      },
    };
  },
  async pfsync0() {
    return injected(await Injector.ofTun(within, 'pfsync0'), 'pfsync0');
  },
  async ethernet() {
    within.addCable('sync0', 'sync1');
    return injected(await Injector.ofInterface(within, 'sync0'), 'sync1');
  },
  async listen() {
    return {
      args: ['--listen', `127.0.0.1:${LISTENER}`],
      ready: /listening/,
      feed: () => timed(() => feed(within, LISTENER, framesOf(capture), messages, rate, folder)),
    };
  },
};

function injected(injector, interfaceName) {
  return {
    args: ['-i', interfaceName],
    ready: /capturing on/,
    feed: () => timed(() => injector.feed(framesOf(capture), messages, rate, folder)),
    close: () => injector.close(),
  };
}

async function timed(feedAll) {
  const began = performance.now();
  await feedAll();
  return { fed: messages, states: messages * STATES, seconds: (performance.now() - began) / 1000 };
}

/** The first packets of a pcap file of this machine's byte order. */
function framesOf(file) {
  const octets = readFileSync(file);
  const frames = [];
  for (let at = 24; at < octets.length && frames.length < DIFFERENT; ) {
    const length = octets.readUInt32LE(at + 8);
    frames.push(octets.subarray(at + 16, at + 16 + length));
    at += 16 + length;
  }
  return frames;
}

function start(command, ...args) {
  const child = within.spawn([command, ...args.map(String)], { stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) {
    child[name].setEncoding('utf8').on('data', (text) => {
      output[name] += text;
    });
  }
  return { child, output, ended: once(child, 'close') };
}

async function says(pattern, { output }, limit = 10_000) {
  for (let waited = 0; !pattern.test(output.stderr); waited += 20) {
    if (waited > limit) throw new Error(`no ${pattern} came: ${output.stderr}`);
    await setTimeout(20);
  }
}

/** Seconds of processor time so far. */
function processorTime(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

try {
  const sink = start(join(tools, 'sink'), '-p', COLLECTOR, '-r', 1 << 29);
  await says(/ready/, sink);
  const { args, ready, feed: feedAll, close } = await SOURCES[source]();
  const options = ['-d', '--user', 'root', '-n', `127.0.0.1:${COLLECTOR}`, '--summary', 'json'];
  const pfflowd = start(process.execPath, PROGRAM, ...args, ...options);
  await says(ready, pfflowd);
  const before = processorTime(pfflowd.child.pid);
  const { fed, states, seconds } = await feedAll();
  await setTimeout(LATENCY);
  const used = processorTime(pfflowd.child.pid) - before;
  pfflowd.child.kill('SIGTERM');
  await pfflowd.ended;
  await close?.();
  sink.child.kill('SIGTERM');
  await sink.ended;
  const summary = JSON.parse(pfflowd.output.stderr.trim().split('\n').at(-1));
  const seen = JSON.parse(sink.output.stdout);
  const { kernelDrops = 0, unread = 0 } = summary.sources;
  const { ended } = summary.states;
  console.log(
    JSON.stringify({
      source,
      messagesPerSecond: Math.round(fed / seconds),
      fed: states,
      ended,
      lost: states - ended,
      kernelDrops: kernelDrops * STATES,
      unread: unread * STATES,
      recordsSent: summary.records,
      recordsSeen: seen.records,
      sinkDrops: seen.kernel_drops,
      processor: used / seconds,
      // A packet of somebody else's may be among those that the kernel dropped.
      isRight:
        ended <= states &&
        (source === 'listen' || states <= ended + (kernelDrops + unread) * STATES) &&
        seen.datagrams + seen.kernel_drops === summary.datagrams,
    }),
  );
} finally {
  within.remove();
  rmSync(folder, { recursive: true });
}
