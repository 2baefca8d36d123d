/** The thread of `datagram-thread`: sends runs of datagrams through node:dgram, and notes what became of each. */
import { createSocket } from 'node:dgram';
import { setImmediate } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { ANSWERED, CAME_BACK, type Run, type ThreadRoom } from './datagram-outcome.js';

const room = workerData as ThreadRoom;
const port = parentPort!;
const socket = createSocket(room.family === 6 ? 'udp6' : 'udp4');

/** Those on their way. */
let left = 0;
/** An errno that came back, and not from a call of send. */
let cameBack = 0;

/** By slot: the octets that were sent last, and what is called at the end of a send. */
const octets = Array.from(room.lengths, (_, slot) => octetsOf(slot, 0));
const ends = Array.from(room.lengths, (_, slot) => (error: Error | null) => {
  room.errors[slot] = error === null ? 0 : errnoOf(error);
  if (--left === 0) answer();
});

socket.once('error', () => port.postMessage(false));
if (room.source === undefined) connect();
else socket.bind({ address: room.source, exclusive: true }, connect);

function connect(): void {
  socket.connect(room.port, room.address, (error?: Error) => {
    if (error instanceof Error) port.postMessage(false);
    else serve();
  });
}

function serve(): void {
  socket.removeAllListeners('error');
  socket.on('error', (error) => {
    cameBack = errnoOf(error);
  });
  socket.setSendBufferSize(room.sendBuffer);
  port.on('message', (run: Run) => void (run.count === 0 ? tellCameBack() : send(run)));
  port.postMessage(true);
}

function send({ first, count }: Run): void {
  let slot = first;
  left = count;
  if (cameBack !== 0) {
    // As with send(2): the next datagram stands for the one that was refused.
    const error = Object.assign(new Error(), { errno: cameBack });
    cameBack = 0;
    ends[slot++]!(error);
  }
  for (; slot < first + count; slot++) {
    const length = room.lengths[slot]!;
    if (octets[slot]!.length !== length) octets[slot] = octetsOf(slot, length);
    socket.send(octets[slot]!, ends[slot]!);
  }
}

/** A refusal by this machine of what was sent last is here after two turns. */
async function tellCameBack(): Promise<void> {
  for (let turn = 0; turn < 2; turn++) await setImmediate();
  room.outcome[CAME_BACK] = cameBack;
  answer();
}

function answer(): void {
  const answered = Atomics.add(room.outcome, ANSWERED, 1) + 1;
  Atomics.notify(room.outcome, ANSWERED);
  port.postMessage(answered);
}

function octetsOf(slot: number, length: number): Uint8Array {
  return new Uint8Array(room.memory, room.first + slot * room.distance, length);
}

/** Node.js tells the system's errno as its negative. */
function errnoOf(error: NodeJS.ErrnoException): number {
  return Math.abs(error.errno ?? 1);
}
