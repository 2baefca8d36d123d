/**
 * The end of a cable, for a process in a namespace: prints the frames that come in on an interface, one in hexadecimal a line,
 * after a line `ready`, and sends out the frames that it reads, written in the same way. Through a packet socket of Linux, since
 * not every machine has socat and tcpdump. node frame-port.js INTERFACE
 */
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import koffi from 'koffi';

const AF_PACKET = 17;
const SOCK_RAW = 3;
/** ETH_P_ALL, in network order. */
const ALL = 0x0300;
const SOCKADDR_LL = 20;
/** Where a received frame's sockaddr_ll has its kind, and that of a frame which this machine sent. */
const KIND = 10;
const PACKET_OUTGOING = 4;

const library = koffi.load(null);
const open = library.func('int socket(int, int, int)');
const bind = library.func('int bind(int, const void *, unsigned int)');
const send = library.func('intptr_t send(int, const void *, size_t, int)');
const receive = library.func('intptr_t recvfrom(int, void *, size_t, int, void *, void *)');
const indexOf = library.func('unsigned int if_nametoindex(const char *)');

const socket = open(AF_PACKET, SOCK_RAW, ALL) as number;
const address = new DataView(new ArrayBuffer(SOCKADDR_LL));
address.setUint16(0, AF_PACKET, true);
address.setUint16(2, ALL, true);
address.setUint32(4, indexOf(process.argv[2]!) as number, true);
if (socket < 0 || bind(socket, new Uint8Array(address.buffer), SOCKADDR_LL) !== 0) {
  throw new Error(`no packet socket: errno ${koffi.errno()}`);
}

const room = new Uint8Array(65_536);
const from = new Uint8Array(SOCKADDR_LL);

function next(): void {
  receive.async(
    socket,
    room,
    room.length,
    0,
    from,
    Int32Array.of(SOCKADDR_LL),
    (_: unknown, result: number) => {
      const length = Number(result);
      if (length < 0) throw new Error(`recvfrom: errno ${koffi.errno()}`);
      if (from[KIND] !== PACKET_OUTGOING) {
        writeSync(1, `${Buffer.from(room.subarray(0, length)).toString('hex')}\n`);
      }
      next();
    },
  );
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const frame = Buffer.from(line, 'hex');
    if (Number(send(socket, frame, frame.length, 0)) !== frame.length) {
      throw new Error(`send: errno ${koffi.errno()}`);
    }
  })
  .on('close', () => process.exit());
next();
writeSync(1, 'ready\n');
