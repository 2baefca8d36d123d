/**
 * A program: sends the datagrams of a file (each behind its length in two octets), over and over, to a port of 127.0.0.1.
 * Arguments: file, port, how many in all, how many a second.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';

const [file = '', port, count, rate] = process.argv.slice(2);
const total = Number(count);
const perMillisecond = Number(rate) / 1000;

const octets = readFileSync(file);
const datagrams: Uint8Array[] = [];
for (let at = 0; at < octets.length; ) {
  const length = octets.readUInt16BE(at);
  datagrams.push(octets.subarray(at + 2, at + 2 + length));
  at += 2 + length;
}

const socket = createSocket('udp4');
socket.connect(Number(port), '127.0.0.1');
await once(socket, 'connect');
socket.on('error', fail);

const start = performance.now();
let sent = 0;
let done = 0;

function fail(error: Error): never {
  process.stderr.write(`feed: ${error.message}\n`);
  process.exit(1);
}

function onSent(error: Error | null): void {
  if (error !== null) fail(error);
  if (++done === total) socket.close();
}

const timer = setInterval(() => {
  const due = Math.min(total, Math.ceil((performance.now() - start) * perMillisecond));
  while (sent < due) socket.send(datagrams[sent++ % datagrams.length]!, onSent);
  if (sent === total) clearInterval(timer);
}, 1);
