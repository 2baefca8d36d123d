/**
 * Sends messages through the program's raw socket, from inside a namespace, and prints what the socket said to each: a JSON
 * array. node request-sender.js '[{"address":"c0000209","message":"0600...","interfaceName":"sync0"}, ...]': octets in hexadecimal.
 */
import { openRawSocket } from '../../src/transport/raw-socket.js';

interface Sending {
  readonly address: string;
  readonly message: string;
  readonly interfaceName: string;
}

const sendings = JSON.parse(process.argv[2]!) as Sending[];
const socket = await openRawSocket();
const results = sendings.map(({ address, message, interfaceName }) => {
  const octets = Buffer.from(address, 'hex');
  const family = octets.length === 4 ? 4 : 6;
  return socket.send({ family, octets, interfaceName }, Buffer.from(message, 'hex')) ?? 'sent';
});
socket.close();
process.stdout.write(JSON.stringify(results));
