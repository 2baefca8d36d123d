/** IPFIX over TCP, RFC 7011 section 10.4. */
import { connect, isIP, type Socket, type TcpNetConnectOpts } from 'node:net';
import { StartError } from '../cli/errors.js';
import type { Endpoint } from '../cli/option-values.js';
import type { Log } from '../service/log.js';
import { CLOSED, type Connection } from './dialer.js';
import { type Pace, paceOf } from './pace.js';
import { StreamTransport } from './stream.js';
import type { StreamPolicy } from './stream-policy.js';

/** How long a connection is idle before the kernel asks whether the collector is still there. */
const KEEP_ALIVE = 30_000;

export interface StreamTransportOptions {
  /** As in `tcp://collector:4739`. */
  readonly name: string;
  readonly endpoint: Endpoint;
  readonly source: string | undefined;
  /** Flow records a second; 0 and undefined are no limit. */
  readonly rate: number | undefined;
  readonly policy: StreamPolicy;
  readonly log: Log;
}

/** For a conversion connects first, and throws a StartError when that fails. */
export function openTcp(options: StreamTransportOptions): Promise<StreamTransport> {
  return openStream(options, () => {
    const socket = connect(connectOptions(options));
    return { socket, established: established(socket) };
  });
}

function established(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('connect', resolve);
    socket.on('error', reject);
    socket.once('close', () => reject(new Error(CLOSED)));
  });
}

/**
 * For a conversion connects first, and throws a StartError when that fails; live connects in the background.
 */
export async function openStream(
  options: StreamTransportOptions,
  dial: () => Connection,
): Promise<StreamTransport> {
  const { name, rate, policy, log } = options;
  const pace: Pace | undefined = rate === undefined || rate === 0 ? undefined : paceOf(rate);
  const transport = new StreamTransport({ name, dial, policy, pace, log });
  if (policy.whenFull === 'drop') {
    transport.start();
    return transport;
  }
  await transport.open().catch((error: Error) => {
    throw new StartError(`${name}: ${error.message}`);
  });
  return transport;
}

/** The name is looked up at each attempt: a collector may move. */
export function connectOptions({ endpoint, source }: StreamTransportOptions): TcpNetConnectOpts {
  const { host, port } = endpoint;
  const family = endpoint.family || (source === undefined ? 0 : isIP(source));
  return {
    host,
    port,
    ...(family === 0 ? {} : { family }),
    ...(source === undefined ? {} : { localAddress: source }),
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE,
    // Blocks are whole: nothing is gained by waiting for more.
    noDelay: true,
  };
}
