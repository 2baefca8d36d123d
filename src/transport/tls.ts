/**
 * IPFIX over TLS 1.2 and newer, RFC 7011 section 11: the collector's certificate is verified, ours is shown
 * on demand.
 */
import { isIP } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { CLOSED } from './dialer.js';
import type { StreamTransport } from './stream.js';
import { connectOptions, openStream, type StreamTransportOptions } from './tcp.js';
import { readTlsSettings, type TlsFiles } from './tls-settings.js';

export interface TlsOptions extends StreamTransportOptions {
  readonly files: TlsFiles;
  /** The name that the collector's certificate must have; undefined: the endpoint's host. */
  readonly serverName: string | undefined;
}

/** How long to wait for a TLS 1.3 collector to refuse our certificate. Milliseconds. */
const REFUSAL_LIMIT = 1000;

/** Reads the files first. For a conversion connects, too. Throws a StartError. */
export async function openTls(options: TlsOptions): Promise<StreamTransport> {
  const { endpoint, serverName } = options;
  const secureContext = await readTlsSettings(options.files);
  // Loaded here, not with the program: most runs do without TLS.
  const { checkServerIdentity, connect } = await import('node:tls');
  const name = serverName ?? endpoint.host;
  return openStream(options, () => {
    const socket = connect({
      ...connectOptions(options),
      secureContext,
      minVersion: 'TLSv1.2',
      // An address is no server name (RFC 6066), but certificates may have it.
      servername: isIP(name) === 0 ? name : '',
      checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate),
      // Whatever NODE_TLS_REJECT_UNAUTHORIZED says.
      rejectUnauthorized: true,
    });
    return { socket, established: accepted(socket) };
  });
}

/**
 * In TLS 1.3 the handshake ends on our side before the collector has seen our certificate, and what is
 * written before it refuses that is lost. A session ticket means that it has accepted; so does a while
 * without a refusal.
 */
function accepted(socket: TLSSocket): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const acceptance = new Promise<void>((resolve) => {
    const isTls13 = () => socket.getProtocol() === 'TLSv1.3';
    socket.once('session', () => {
      // Not at once: OpenSSL is still reading, and a record written in the middle of that is broken.
      if (isTls13()) setImmediate(resolve);
    });
    socket.once('secureConnect', () => {
      if (!isTls13()) return resolve();
      timer = setTimeout(resolve, REFUSAL_LIMIT);
      socket.resume();
    });
  });
  const failure = new Promise<never>((_resolve, reject) => {
    socket.on('error', (error) => {
      reject(socket.authorizationError ? new Error(`certificate refused: ${error.message}`) : error);
    });
    socket.once('close', () => reject(new Error(CLOSED)));
  });
  return Promise.race([acceptance, failure]).finally(() => clearTimeout(timer));
}
