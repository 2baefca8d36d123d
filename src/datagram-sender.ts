/** The thread of `datagram-thread`: sends what it is asked for, one datagram after the other. */
import { createSocket } from 'node:dgram';
import { setImmediate } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { ANSWERED, type Batch, ERROR, type Shared, TAKEN } from './datagram-thread.js';

const { to, room, distance, lengths, outcome } = workerData as Shared;
const port = parentPort!;
const socket = createSocket(to.family === 6 ? 'udp6' : 'udp4');

let next = 0;
let end = 0;
let first = 0;
/** What came back since the last batch, and not from a call of send. */
let cameBack = 0;

socket.once('error', () => port.postMessage(false));
if (to.source === undefined) connect();
else socket.bind({ address: to.source, exclusive: true }, connect);

function connect(): void {
  socket.connect(to.port, to.address, (error?: Error) => {
    if (error instanceof Error) port.postMessage(false);
    else ready();
  });
}

function ready(): void {
  socket.removeAllListeners('error');
  socket.on('error', (error) => {
    cameBack = errnoOf(error);
  });
  socket.setSendBufferSize(to.sendBuffer);
  port.on('message', begin);
  port.postMessage(true);
}

async function begin(batch: Batch): Promise<void> {
  next = first = batch.first;
  end = first + batch.count;
  // A refusal by this machine of what was sent last is here by then.
  if (batch.count === 0) for (let turn = 0; turn < 2; turn++) await setImmediate();
  const error = cameBack;
  cameBack = 0;
  if (next === end || error !== 0) answer(error);
  else sendNext();
}

function sendNext(): void {
  socket.send(new Uint8Array(room, next * distance, lengths[next]), sent);
}

function sent(error: Error | null): void {
  if (error !== null) {
    answer(errnoOf(error));
    return;
  }
  next++;
  if (next < end) sendNext();
  else answer(0);
}

function answer(error: number): void {
  outcome[TAKEN] = next - first;
  outcome[ERROR] = error;
  const answered = Atomics.add(outcome, ANSWERED, 1) + 1;
  Atomics.notify(outcome, ANSWERED);
  port.postMessage(answered);
}

/** Node.js tells the system's errno as its negative. */
function errnoOf(error: NodeJS.ErrnoException): number {
  return Math.abs(error.errno ?? 1);
}
