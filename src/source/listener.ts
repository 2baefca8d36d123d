/** Receives pfsync messages as UDP datagrams, one message each, with or without its IP header: what `--listen` does. */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { setImmediate } from 'node:timers/promises';
import { type Cidr, cidrMatcher, isLoopback } from '../cli/cidr.js';
import { StartError } from '../cli/errors.js';
import type { Endpoint } from '../cli/option-values.js';
import type { Log } from '../service/log.js';
import type { DatagramConsumer, NamesSource } from './consumer.js';

/** Octets of the kernel's receive buffer: as requested, and the least that is tried where the system allows less. */
const RECEIVE_BUFFER = 8 << 20;
const LEAST_BUFFER = 64 << 10;

/** Octets that are queued while the consumer is congested, and what a datagram counts beyond its length: empty ones take memory, too. */
const LONGEST_QUEUE = 16 << 20;
export const QUEUED_DATAGRAM = 128;

/** Senders that are counted one by one; all others are counted together. */
const MOST_SENDERS = 1024;

const LONGEST_DATAGRAM = 65535;

/** At the end the socket is empty after so many turns of the event loop without a datagram; the second is the limit of all turns. */
const SILENT_TURNS = 3;
const MOST_TURNS = 10_000;

export interface ListenerOptions {
  readonly endpoint: Endpoint;
  /** Senders whose datagrams are read; this machine's own when it is empty. */
  readonly allow: readonly Cidr[];
  readonly consumer: DatagramConsumer & NamesSource;
  readonly log: Log;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  readonly platform?: NodeJS.Platform;
  readonly mostSenders?: number;
  /** Octets that may be queued. */
  readonly longestQueue?: number;
}

export interface SenderCounters {
  datagrams: number;
  octets: number;
}

export interface ListenerCounters {
  received: number;
  /** Datagrams of senders that are not allowed. */
  refused: number;
  /** Datagrams that were dropped because the queue was full. */
  overflows: number;
}

export class Listener {
  readonly counters: ListenerCounters = { received: 0, refused: 0, overflows: 0 };
  /** By address. */
  readonly senders = new Map<string, SenderCounters>();
  /** Senders beyond the most that are counted one by one. */
  readonly otherSenders: SenderCounters = { datagrams: 0, octets: 0 };
  readonly #options: Required<ListenerOptions>;
  readonly #name: string;
  readonly #isAllowed: (address: string) => boolean;
  readonly #socket: Socket;
  readonly #octets = new Uint8Array(LONGEST_DATAGRAM);
  readonly #view = new DataView(this.#octets.buffer);
  #queue: { message: Uint8Array; time: number }[] = [];
  #queuedOctets = 0;
  /** Datagrams read from the socket, whatever became of them. */
  #read = 0;
  /** Passes the queue on; undefined while there is none. */
  #draining: Promise<void> | undefined;

  constructor(options: ListenerOptions) {
    this.#options = {
      platform: process.platform,
      mostSenders: MOST_SENDERS,
      longestQueue: LONGEST_QUEUE,
      ...options,
    };
    const { endpoint, allow } = options;
    this.#name = `--listen ${endpoint.family === 6 ? `[${endpoint.host}]` : endpoint.host}:${endpoint.port}`;
    this.#isAllowed = allow.length === 0 ? isLoopback : cidrMatcher(allow);
    this.#socket = createSocket(endpoint.family === 6 ? 'udp6' : 'udp4');
    this.#socket.on('message', (message, sender) => this.#received(message, sender));
  }

  /** Resolves when the socket is open. Throws a StartError. */
  async start(): Promise<void> {
    const { endpoint, log } = this.#options;
    const socket = this.#socket;
    await new Promise<void>((resolve, reject) => {
      socket.once('error', (error) => {
        socket.close();
        reject(new StartError(`${this.#name}: ${reason(error)}`));
      });
      socket.bind({ address: endpoint.host, port: endpoint.port, exclusive: true }, resolve);
    });
    socket.removeAllListeners('error');
    socket.on('error', (error) => log.limited(this.#name, `${this.#name}: ${error.message}`));
    this.#enlargeBuffer();
    log.info(`listening on ${endpoint.host}, port ${this.port}`);
  }

  /** The port of the socket: the kernel chose it when the endpoint's is 0. */
  get port(): number {
    return this.#socket.address().port;
  }

  /** Reads what has arrived already, and closes the socket. */
  async stop(): Promise<void> {
    for (let silent = 0, turns = 0; silent < SILENT_TURNS && turns < MOST_TURNS; turns++) {
      const before = this.#read;
      await setImmediate();
      silent = this.#read === before ? silent + 1 : 0;
    }
    await this.#draining;
    await new Promise<void>((resolve) => this.#socket.close(resolve));
  }

  #received(message: Uint8Array, { address }: RemoteInfo): void {
    this.#read++;
    const { consumer, clock, longestQueue, log } = this.#options;
    const known = this.senders.get(address);
    if (known === undefined && !this.#isAllowed(address)) {
      this.counters.refused++;
      log.limited(
        `${this.#name} refused`,
        () => `${this.#name}: a datagram of ${address}, which --allow does not name`,
      );
      return;
    }
    const sender = known ?? this.#addSender(address);
    sender.datagrams++;
    sender.octets += message.length;
    if (this.#draining === undefined && !consumer.isCongested) {
      this.#passOn(message, clock());
      return;
    }
    const octets = message.length + QUEUED_DATAGRAM;
    if (this.#queuedOctets + octets > longestQueue) {
      this.counters.overflows++;
      log.limited(`${this.#name} full`, `${this.#name}: datagrams lost, because the collectors take no more`);
      return;
    }
    this.#queue.push({ message, time: clock() });
    this.#queuedOctets += octets;
    this.#draining ??= this.#drain();
  }

  #addSender(address: string): SenderCounters {
    if (this.senders.size >= this.#options.mostSenders) return this.otherSenders;
    const sender = { datagrams: 0, octets: 0 };
    this.senders.set(address, sender);
    return sender;
  }

  #passOn(message: Uint8Array, time: number): void {
    const { consumer } = this.#options;
    this.counters.received++;
    // One view for all datagrams: a new one for each costs more than the copy.
    this.#octets.set(message);
    consumer.source = this.#name;
    consumer.datagram(this.#view, message.length, time);
  }

  async #drain(): Promise<void> {
    const { consumer } = this.#options;
    while (this.#queue.length > 0) {
      const queue = this.#queue;
      this.#queue = [];
      for (const { message, time } of queue) {
        if (consumer.isCongested) await consumer.drained();
        this.#queuedOctets -= message.length + QUEUED_DATAGRAM;
        this.#passOn(message, time);
      }
    }
    this.#draining = undefined;
  }

  #enlargeBuffer(): void {
    const { platform, log } = this.#options;
    const given = enlargeReceiveBuffer(this.#socket, platform);
    if (given >= RECEIVE_BUFFER) return;
    const setting = SETTINGS[platform];
    const remedy =
      setting === undefined ? 'it allows no more' : `raise ${setting} to ${RECEIVE_BUFFER} at least`;
    log.warn(`${this.#name}: the kernel gives a receive buffer of ${given >> 10} KiB only: ${remedy}`);
  }
}

/** The setting that limits a receive buffer. OpenBSD's limit is compiled in. */
const SETTINGS: Partial<Record<NodeJS.Platform, string>> = {
  linux: 'net.core.rmem_max',
  freebsd: 'kern.ipc.maxsockbuf',
};

/** Enlarges the buffer as far as the system allows, and returns its size. Linux cuts the size silently, other systems refuse one that is too large. */
function enlargeReceiveBuffer(socket: Socket, platform: NodeJS.Platform): number {
  for (let wanted = RECEIVE_BUFFER; wanted >= LEAST_BUFFER; wanted /= 2) {
    try {
      socket.setRecvBufferSize(wanted);
      break;
    } catch {
      // The next smaller one.
    }
  }
  const given = socket.getRecvBufferSize();
  // Linux doubles the size for its own bookkeeping, and returns the double: socket(7).
  return platform === 'linux' ? given / 2 : given;
}

function reason(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return 'another program listens there already';
    case 'EADDRNOTAVAIL':
      return 'no interface of this machine has that address';
    case 'EACCES':
      return 'permission denied: ports below 1024 need root';
    default:
      return error.message;
  }
}
