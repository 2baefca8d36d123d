/** UDP ports of 127.0.0.1 on which nobody listens. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';

const HOST = '127.0.0.1';

export interface ClosedPort {
  readonly port: number;
  /** The port is free for a listener. */
  open(): Promise<void>;
}

/** Nobody else can have the port until then: a socket that is connected elsewhere has it, for which others get refusals. */
export async function closedPort(): Promise<ClosedPort> {
  const socket = createSocket('udp4');
  socket.bind(0, HOST);
  await once(socket, 'listening');
  const { port } = socket.address();
  // Its own port: nothing else can send from there.
  socket.connect(port, HOST);
  await once(socket, 'connect');
  socket.unref();
  return {
    port,
    async open() {
      socket.close();
      await once(socket, 'close');
    },
  };
}
