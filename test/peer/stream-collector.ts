/** A TCP or TLS listener for tests: cuts each connection's octets into IPFIX messages by their length, and decodes them. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { Collector } from './collector.js';

/** One connection: its own templates and sequence. */
export class StreamSession {
  readonly collector = new Collector();
  readonly lengths: number[] = [];
  /** Undefined while it is open; then how it ended. */
  end: 'whole' | 'reset' | undefined;
  #rest: Buffer = Buffer.alloc(0);

  take(octets: Buffer): void {
    this.#rest = this.#rest.length === 0 ? octets : Buffer.concat([this.#rest, octets]);
    while (this.#rest.length >= 4) {
      const length = this.#rest.readUInt16BE(2);
      if (length < 16) throw new Error(`a message of ${length} octets`);
      if (this.#rest.length < length) return;
      this.lengths.push(length);
      this.collector.decode(this.#rest.subarray(0, length));
      this.#rest = this.#rest.subarray(length);
    }
  }

  /** Octets of a message that did not come whole. */
  get unfinished(): number {
    return this.#rest.length;
  }
}

export interface StreamCollectorOptions {
  /** 0: an ephemeral one. */
  readonly port?: number;
  readonly tls?: TlsOptions;
  /** What to do with a connection instead of reading it. */
  readonly onConnection?: (socket: Socket) => void;
}

export class StreamCollector {
  readonly sessions: StreamSession[] = [];
  readonly sockets: Socket[] = [];
  /** Of TLS clients that were not let in. */
  readonly refusals: string[] = [];
  readonly #server: Server;
  readonly #open = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
  }

  static async listen({
    port = 0,
    tls,
    onConnection,
  }: StreamCollectorOptions = {}): Promise<StreamCollector> {
    const server =
      tls === undefined
        ? createServer({ allowHalfOpen: true })
        : createTlsServer({ ...tls, allowHalfOpen: true });
    const collector = new StreamCollector(server);
    server.on('connection', (socket) => collector.#own(socket));
    server.on('tlsClientError', (error) => collector.refusals.push(error.message));
    server.on(tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
      collector.sockets.push(socket);
      if (onConnection === undefined) collector.#read(socket);
      else onConnection(socket);
    });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return collector;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Flows of all sessions. */
  get flows() {
    return this.sessions.flatMap(({ collector }) => collector.flows);
  }

  get errors(): string[] {
    return this.sessions.flatMap(({ collector }) => collector.errors);
  }

  /** Ends all connections with a reset. */
  reset(): void {
    for (const socket of this.#open) socket.resetAndDestroy();
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#open) socket.destroy();
    await closed;
  }

  #own(socket: Socket): void {
    this.#open.add(socket);
    socket.on('error', () => {}); // The session says how it ended.
    socket.on('close', () => this.#open.delete(socket));
  }

  #read(socket: Socket): void {
    const session = new StreamSession();
    this.sessions.push(session);
    socket.on('data', (octets: Buffer) => session.take(octets));
    socket.on('end', () => {
      session.end = 'whole';
      socket.end();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      session.end ??= 'reset';
    });
  }
}

/** Waits until it is so; fails after the time limit, which nothing that works comes near. */
export async function until(isSo: () => boolean, what: string, limitMs = 5000): Promise<void> {
  for (let waited = 0; !isSo(); waited += 2) {
    if (waited > limitMs) throw new Error(`waited in vain: ${what}`);
    await sleep(2);
  }
}
