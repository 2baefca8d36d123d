/**
 * Prints the frames that come in on an interface, one in hexadecimal a line, after a line `ready`: through a packet socket of
 * Linux, since not every machine has tcpdump. node frame-reader.js INTERFACE
 */
import { writeSync } from 'node:fs';
import koffi from 'koffi';

const AF_PACKET = 17;
const SOCK_RAW = 3;
/** ETH_P_ALL, in network order. */
const ALL = 0x0300;
const SOCKADDR_LL = 20;

const library = koffi.load(null);
const open = library.func('int socket(int, int, int)');
const bind = library.func('int bind(int, const void *, unsigned int)');
const receive = library.func('intptr_t recv(int, void *, size_t, int)');
const indexOf = library.func('unsigned int if_nametoindex(const char *)');

const socket = open(AF_PACKET, SOCK_RAW, ALL) as number;
const address = new DataView(new ArrayBuffer(SOCKADDR_LL));
address.setUint16(0, AF_PACKET, true);
address.setUint16(2, ALL, true);
address.setUint32(4, indexOf(process.argv[2]!) as number, true);
if (socket < 0 || bind(socket, new Uint8Array(address.buffer), SOCKADDR_LL) !== 0) {
  throw new Error(`no packet socket: errno ${koffi.errno()}`);
}
writeSync(1, 'ready\n');
const room = new Uint8Array(65_536);
for (;;) {
  const length = Number(receive(socket, room, room.length, 0));
  if (length < 0) throw new Error(`recv: errno ${koffi.errno()}`);
  writeSync(1, `${Buffer.from(room.subarray(0, length)).toString('hex')}\n`);
}
