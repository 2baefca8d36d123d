/** pfsync messages as UDP datagrams, one message each, with or without its IP header: what `--listen` does. */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { setImmediate } from 'node:timers/promises';
import { type Cidr, cidrMatcher, isLoopback } from '../cli/cidr.js';
import type { Log } from '../service/log.js';
import type { Endpoint } from '../cli/option-values.js';
import { StartError } from '../cli/errors.js';

/** What the kernel is asked to hold while we are busy; the least that BSD's search for an allowed size goes down to. */
const RECEIVE_BUFFER = 8 << 20;
const LEAST_BUFFER = 64 << 10;

/** Octets that may wait here while the collectors cannot take more. */
const MOST_WAITING = 16 << 20;

/** Senders that are counted each on its own; the others share one account. */
const MOST_SENDERS = 1024;

const LONGEST_DATAGRAM = 65535;

/** Turns of the event loop without a datagram after which the socket is empty, and how many are waited for at most. */
const SILENT_TURNS = 3;
const MOST_TURNS = 10_000;

/** Where messages go. `source` names for log messages what the next one comes from. */
export interface DatagramConsumer {
  source: string;
  /** `time` is the arrival, in milliseconds since the epoch. The view is valid during the call only. */
  datagram(view: DataView, length: number, time: number): void;
  readonly isCongested: boolean;
  drained(): Promise<void>;
}

export interface ListenerOptions {
  readonly endpoint: Endpoint;
  /** Senders that are heard. None given: those of this machine. */
  readonly allow: readonly Cidr[];
  readonly consumer: DatagramConsumer;
  readonly log: Log;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  readonly platform?: NodeJS.Platform;
  readonly mostSenders?: number;
  readonly mostWaiting?: number;
}

export interface SenderCounters {
  datagrams: number;
  octets: number;
}

export interface ListenerCounters {
  received: number;
  /** Datagrams of senders that are not allowed. */
  refused: number;
  /** Datagrams that came while too many were waiting already. */
  overflows: number;
}

export class Listener {
  readonly counters: ListenerCounters = { received: 0, refused: 0, overflows: 0 };
  /** By address. */
  readonly senders = new Map<string, SenderCounters>();
  /** Senders beyond the most that are counted each on its own. */
  readonly otherSenders: SenderCounters = { datagrams: 0, octets: 0 };
  readonly #options: Required<ListenerOptions>;
  readonly #name: string;
  readonly #isAllowed: (address: string) => boolean;
  readonly #socket: Socket;
  readonly #octets = new Uint8Array(LONGEST_DATAGRAM);
  readonly #view = new DataView(this.#octets.buffer);
  #waiting: { message: Uint8Array; time: number }[] = [];
  #waitingOctets = 0;
  /** Datagrams taken off the socket, whatever became of them. */
  #seen = 0;
  #catchingUp: Promise<void> | undefined;

  constructor(options: ListenerOptions) {
    this.#options = {
      platform: process.platform,
      mostSenders: MOST_SENDERS,
      mostWaiting: MOST_WAITING,
      ...options,
    };
    const { endpoint, allow } = options;
    this.#name = `--listen ${endpoint.family === 6 ? `[${endpoint.host}]` : endpoint.host}:${endpoint.port}`;
    this.#isAllowed = allow.length === 0 ? isLoopback : cidrMatcher(allow);
    this.#socket = createSocket(endpoint.family === 6 ? 'udp6' : 'udp4');
    this.#socket.on('message', (message, sender) => this.#received(message, sender));
  }

  /** Resolves when datagrams are received. Throws a StartError. */
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

  /** The port that the kernel chose, when none was asked for. */
  get port(): number {
    return this.#socket.address().port;
  }

  /** Takes in what has arrived already, then closes. */
  async stop(): Promise<void> {
    for (let silent = 0, turns = 0; silent < SILENT_TURNS && turns < MOST_TURNS; turns++) {
      const before = this.#seen;
      await setImmediate();
      silent = this.#seen === before ? silent + 1 : 0;
    }
    await this.#catchingUp;
    await new Promise<void>((resolve) => this.#socket.close(resolve));
  }

  #received(message: Uint8Array, { address }: RemoteInfo): void {
    this.#seen++;
    const { consumer, clock, mostWaiting, log } = this.#options;
    const sender = this.senders.get(address);
    if (sender === undefined && !this.#isAllowed(address)) {
      this.counters.refused++;
      log.limited(
        `${this.#name} refused`,
        () => `${this.#name}: a datagram of ${address}, which --allow does not name`,
      );
      return;
    }
    const account = sender ?? this.#accountOf(address);
    account.datagrams++;
    account.octets += message.length;
    if (this.#catchingUp === undefined && !consumer.isCongested) {
      this.#pass(message, clock());
      return;
    }
    if (this.#waitingOctets + message.length > mostWaiting) {
      this.counters.overflows++;
      log.limited(`${this.#name} full`, `${this.#name}: datagrams lost, because the collectors take no more`);
      return;
    }
    this.#waiting.push({ message, time: clock() });
    this.#waitingOctets += message.length;
    this.#catchingUp ??= this.#catchUp();
  }

  #accountOf(address: string): SenderCounters {
    if (this.senders.size >= this.#options.mostSenders) return this.otherSenders;
    const account = { datagrams: 0, octets: 0 };
    this.senders.set(address, account);
    return account;
  }

  #pass(message: Uint8Array, time: number): void {
    const { consumer } = this.#options;
    this.counters.received++;
    // One view for all: a new one for each datagram costs more than the copy.
    this.#octets.set(message);
    consumer.source = this.#name;
    consumer.datagram(this.#view, message.length, time);
  }

  async #catchUp(): Promise<void> {
    const { consumer } = this.#options;
    while (this.#waiting.length > 0) {
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const { message, time } of waiting) {
        if (consumer.isCongested) await consumer.drained();
        this.#waitingOctets -= message.length;
        this.#pass(message, time);
      }
    }
    this.#catchingUp = undefined;
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

/** What bounds a receive buffer. OpenBSD's bound is compiled in. */
const SETTINGS: Partial<Record<NodeJS.Platform, string>> = {
  linux: 'net.core.rmem_max',
  freebsd: 'kern.ipc.maxsockbuf',
};

/** Asks for as much as wanted and answers with what there is. Linux cuts silently, the others refuse what is too much. */
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
  // Linux doubles it for its own bookkeeping and tells the double, socket(7).
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
