/**
 * Keeps the code that V8 makes of the program in one kind of run: node keep-code.mjs PROGRAM KIND. A process of its own for each
 * kind: V8 remembers what it compiled before.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { devNull } from 'node:os';
import { join } from 'node:path';
import { cacheOf, compile, evaluate } from './build/src/code-cache.js';

const CAPTURE = join(import.meta.dirname, 'captures/v3_eth_full.pcap');

const [program, kind] = process.argv.slice(2);
const collector = createSocket('udp4');
collector.bind(0, '127.0.0.1');
await once(collector, 'listening');
const collectorAt = `127.0.0.1:${collector.address().port}`;
const options = {
  fixed: ['-v', '5', '-n', collectorAt],
  templates: ['-v', 'ipfix', '-n', collectorAt],
  text: ['--format', 'json', '-o', devNull],
}[kind];

const script = compile(program, kind);
const { run } = evaluate(script, program, createRequire(program));
// V8 takes code back under the flags alone that it was made under: none are set.
const noFlags = async () => {};
const status = await run(['-r', CAPTURE, '--summary', 'none', '--log-level', 'error', ...options], noFlags);
if (status === 0) writeFileSync(cacheOf(program, kind), script.createCachedData());
// What the run has listened to would keep this process waiting.
process.exit(status);
