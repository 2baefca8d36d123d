/**
 * Many datagrams in one system call, through koffi: sendmmsg(2), and UDP_SEGMENT (udp(7), Linux 4.18), which lets the
 * kernel cut datagrams of one length out of a single message. On the wire they are what so many calls of send(2) give.
 */

import { octetsAt } from '../../protocol/core.js';
import type { MessagePlace } from '../../protocol/export/message-place.js';
import { pause } from '../pause.js';
import { monotonic } from '../service/monotonic.js';
import { DatagramPlaces } from './datagram-places.js';
import { loadKoffi } from './koffi.js';

const AF_INET = 2;
const AF_INET6 = 10;
/** SOCK_DGRAM | SOCK_CLOEXEC */
const DATAGRAMS = 2 | 0o2000000;
const SOL_SOCKET = 1;
const SO_ERROR = 4;
const SO_SNDBUF = 7;
const SO_SNDTIMEO = 21;
const SOL_UDP = 17;
const UDP_SEGMENT = 103;

const EINTR = 4;
const EIO = 5;
const EINVAL = 22;
const EMSGSIZE = 90;

/** A device that takes nothing must not stop the program for longer. Seconds. */
const LONGEST_SEND = 1n;

const SOCKADDR_IN = 16;
const SOCKADDR_IN6 = 28;
const IOVEC = 16;
/** mmsghdr: a msghdr, and the octets sent. */
const MMSGHDR = 64;
const MSG_VECTOR = 16;
const MSG_VECTORS = 24;
const MSG_CONTROL = 32;
const MSG_CONTROL_LENGTH = 40;
const MSG_SENT = 56;
/** CMSG_SPACE and CMSG_LEN of the 16 bits that UDP_SEGMENT takes. */
const CMSG_SPACE = 24;
const CMSG_LEN = 18;

/** What one message may hold: the kernel's UDP_MAX_SEGMENTS, and an IP packet with its headers. */
const MOST_SEGMENTS = 64;
const MOST_OCTETS = 65_000;

export interface BatchAddress {
  readonly family: 4 | 6;
  readonly address: string;
  readonly port: number;
  readonly source: string | undefined;
  readonly sendBuffer: number;
}

/** Room for datagrams, and the socket that sends any run of them. */
export interface DatagramBatch {
  readonly count: number;
  /** Datagrams of one length are sent as one message where they follow each other. */
  readonly cutsRuns: boolean;
  /** Where a datagram is made. */
  place(slot: number): MessagePlace;
  /** A datagram of so many octets is ready in its place. */
  made(slot: number, length: number): void;
  lengthOf(slot: number): number;
  /**
   * Sends the `count` datagrams from `first` on; the answer is how many of them the system took. When that is 0, `error`
   * tells why. As with send(2), the error concerns the first datagram alone.
   */
  send(first: number, count: number): number;
  /** An errno of the system. */
  readonly error: number;
  /**
   * The same on a thread beside the program. `done` is called with how many datagrams the system took; until then nothing
   * else may be sent, and the datagrams must be left alone. Where it took less than all, `send` finds out why.
   */
  sendAside(first: number, count: number, done: (datagrams: number) => void): void;
  /** Whether all that was given to `sendAside` last has left. */
  readonly isAsideOver: boolean;
  /** Waits for the end of `sendAside` where the event loop cannot turn, and answers what `done` will be called with. */
  awaitAside(): number;
  /** What has come back since the last call, as an errno; 0 is nothing. */
  pendingError(): number;
  close(): void;
}

/** Undefined where this cannot be done: no koffi, another system, an address that the kernel does not take. */
export function openBatch(to: BatchAddress, count: number, size: number): DatagramBatch | undefined {
  const system = loadSystem();
  const socket = system && openSocket(system, to);
  return socket === undefined ? undefined : new KernelBatch(system!, socket, count, size);
}

/** For `count` datagrams of up to `size` octets. */
class KernelBatch implements DatagramBatch {
  readonly cutsRuns = true;
  readonly count: number;
  readonly #places: DatagramPlaces;
  readonly #system: System;
  readonly #socket: number;
  readonly #lengths: Int32Array;
  readonly #vectors: DataView;
  readonly #vectorsAddress: number;
  readonly #messages: DataView;
  readonly #messageOctets: Uint8Array;
  readonly #controls: DataView;
  /** Messages of the call that was made aside last. */
  #aside = 0;
  /** Datagrams that a message may hold; 1 where the kernel or the device does not cut messages up. */
  #segments: number;

  constructor(system: System, { number, canSegment }: BatchSocket, count: number, size: number) {
    this.#system = system;
    this.#socket = number;
    this.#segments = canSegment ? MOST_SEGMENTS : 1;
    this.#lengths = new Int32Array(count);
    this.count = count;
    this.#places = new DatagramPlaces(count, size);
    const { first, distance } = this.#places;
    // Memory of an ArrayBuffer never moves: what points at it is written once.
    this.#vectors = new DataView(new ArrayBuffer(count * IOVEC));
    this.#messages = new DataView(new ArrayBuffer(count * MMSGHDR));
    this.#messageOctets = new Uint8Array(this.#messages.buffer);
    this.#controls = new DataView(new ArrayBuffer(count * CMSG_SPACE));
    this.#vectorsAddress = system.addressOf(new Uint8Array(this.#vectors.buffer));
    const roomAddress = system.addressOf(octetsAt(first, count * distance));
    const controlsAddress = system.addressOf(new Uint8Array(this.#controls.buffer));
    for (let slot = 0; slot < count; slot++) {
      const control = slot * CMSG_SPACE;
      writePointer(this.#vectors, slot * IOVEC, roomAddress + slot * distance);
      writePointer(this.#messages, slot * MMSGHDR + MSG_CONTROL, controlsAddress + control);
      this.#controls.setInt32(control, CMSG_LEN, true);
      this.#controls.setInt32(control + 8, SOL_UDP, true);
      this.#controls.setInt32(control + 12, UDP_SEGMENT, true);
    }
  }

  place(slot: number): MessagePlace {
    return this.#places.at(slot);
  }

  made(slot: number, length: number): void {
    this.#lengths[slot] = length;
    this.#vectors.setInt32(slot * IOVEC + 8, length, true);
  }

  lengthOf(slot: number): number {
    return this.#lengths[slot]!;
  }

  send(first: number, count: number): number {
    const messages = this.#writeMessages(first, count);
    const taken = this.#system.sendMessages(this.#socket, this.#messageOctets, messages, 0);
    if (taken < 0) return this.#refused() ? this.send(first, count) : 0;
    return this.#datagramsIn(taken);
  }

  sendAside(first: number, count: number, done: (datagrams: number) => void): void {
    const messages = this.#writeMessages(first, count);
    for (let message = 0; message < messages; message++) {
      this.#messages.setInt32(message * MMSGHDR + MSG_SENT, 0, true);
    }
    this.#aside = messages;
    const { sendMessages } = this.#system;
    sendMessages.async(this.#socket, this.#messageOctets, messages, 0, (_error: unknown, taken: number) =>
      done(this.#datagramsIn(taken)),
    );
  }

  /**
   * The kernel notes each message that it took. Where it refuses one, the others stay without a note: then this waits for as
   * long as sending may last.
   */
  awaitAside(): number {
    const last = (this.#aside - 1) * MMSGHDR + MSG_SENT;
    const deadline = monotonic() + 1000 * Number(LONGEST_SEND) * this.#aside;
    while (this.#messages.getInt32(last, true) === 0 && monotonic() < deadline) pause(1);
    let taken = 0;
    while (taken < this.#aside && this.#messages.getInt32(taken * MMSGHDR + MSG_SENT, true) > 0) taken++;
    return this.#datagramsIn(taken);
  }

  get isAsideOver(): boolean {
    return this.#messages.getInt32((this.#aside - 1) * MMSGHDR + MSG_SENT, true) !== 0;
  }

  get error(): number {
    return this.#system.error();
  }

  pendingError(): number {
    const error = new Int32Array(1);
    this.#system.getOption(this.#socket, SOL_SOCKET, SO_ERROR, error, Int32Array.of(4));
    return error[0]!;
  }

  close(): void {
    this.#places.release();
    this.#system.close(this.#socket);
  }

  /** Whether it is worth another try. Devices that do not cut messages up answer EIO. */
  #refused(): boolean {
    const { error } = this;
    if (error === EINTR) return true;
    const wasSegmented = this.#messages.getInt32(MSG_VECTORS, true) > 1;
    if (!wasSegmented || !(error === EIO || error === EINVAL || error === EMSGSIZE)) return false;
    this.#segments = 1;
    return true;
  }

  #writeMessages(first: number, count: number): number {
    const end = first + count;
    let messages = 0;
    for (let at = first; at < end; messages++) at += this.#writeMessage(messages, at, end);
    return messages;
  }

  /** Datagrams of the first messages; of none where their number is an error. */
  #datagramsIn(messages: number): number {
    let datagrams = 0;
    for (let message = 0; message < messages; message++) {
      datagrams += this.#messages.getInt32(message * MMSGHDR + MSG_VECTORS, true);
    }
    return datagrams;
  }

  /** One message of datagrams of one length, of which the last may be shorter. The answer is how many they are. */
  #writeMessage(message: number, first: number, end: number): number {
    const length = this.#lengths[first]!;
    const most = Math.min(
      end,
      first + Math.max(1, Math.min(this.#segments, Math.floor(MOST_OCTETS / length))),
    );
    let next = first + 1;
    while (next < most && this.#lengths[next] === length) next++;
    if (next < most && this.#lengths[next]! < length) next++;
    const at = message * MMSGHDR;
    writePointer(this.#messages, at + MSG_VECTOR, this.#vectorsAddress + first * IOVEC);
    this.#messages.setInt32(at + MSG_VECTORS, next - first, true);
    this.#messages.setInt32(at + MSG_CONTROL_LENGTH, next - first > 1 ? CMSG_SPACE : 0, true);
    this.#controls.setUint16(message * CMSG_SPACE + 16, length, true);
    return next - first;
  }
}

interface BatchSocket {
  readonly number: number;
  /** The kernel knows UDP_SEGMENT. An older one would take it for nothing, and send one datagram of many. */
  readonly canSegment: boolean;
}

/** What is asked of the C library. */
type System = NonNullable<ReturnType<typeof loadSystem>>;

function loadSystem() {
  const koffi = loadKoffi();
  if (koffi === undefined) return undefined;
  try {
    const library = koffi.load(null);
    return {
      socket: library.func('int socket(int, int, int)'),
      bind: library.func('int bind(int, const void *, unsigned int)'),
      connect: library.func('int connect(int, const void *, unsigned int)'),
      setOption: library.func('int setsockopt(int, int, int, const void *, unsigned int)'),
      getOption: library.func('int getsockopt(int, int, int, void *, void *)'),
      sendMessages: library.func('int sendmmsg(int, void *, unsigned int, int)'),
      parseAddress: library.func('int inet_pton(int, const char *, void *)'),
      close: library.func('int close(int)'),
      addressOf: (octets: Uint8Array) => Number(koffi.address(octets)),
      error: () => koffi.errno(),
    };
  } catch {
    return undefined;
  }
}

function openSocket(system: System, to: BatchAddress): BatchSocket | undefined {
  const number = system.socket(to.family === 4 ? AF_INET : AF_INET6, DATAGRAMS, 0);
  if (number < 0) return undefined;
  const source = to.source === undefined ? undefined : socketAddress(system, to.family, to.source, 0);
  const peer = socketAddress(system, to.family, to.address, to.port);
  const isBound =
    to.source === undefined || (source !== undefined && system.bind(number, source, source.length) === 0);
  if (!isBound || peer === undefined || system.connect(number, peer, peer.length) !== 0) {
    system.close(number);
    return undefined;
  }
  system.setOption(number, SOL_SOCKET, SO_SNDBUF, Int32Array.of(to.sendBuffer), 4);
  system.setOption(number, SOL_SOCKET, SO_SNDTIMEO, BigInt64Array.of(LONGEST_SEND, 0n), 16);
  const canSegment =
    system.getOption(number, SOL_UDP, UDP_SEGMENT, new Int32Array(1), Int32Array.of(4)) === 0;
  return { number, canSegment };
}

/** A sockaddr_in or sockaddr_in6; undefined for an address with a scope. */
function socketAddress(system: System, family: 4 | 6, address: string, port: number): Uint8Array | undefined {
  const octets = new Uint8Array(family === 4 ? SOCKADDR_IN : SOCKADDR_IN6);
  const view = new DataView(octets.buffer);
  const number = family === 4 ? AF_INET : AF_INET6;
  view.setUint16(0, number, true);
  view.setUint16(2, port);
  const at = octets.subarray(family === 4 ? 4 : 8);
  return system.parseAddress(number, address, at) === 1 ? octets : undefined;
}

function writePointer(to: DataView, at: number, address: number): void {
  to.setUint32(at, address, true);
  to.setUint32(at + 4, address / 2 ** 32, true);
}
