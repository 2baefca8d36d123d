/**
 * Many datagrams in one system call, through koffi: sendmmsg(2), and UDP_SEGMENT (udp(7), Linux 4.18), with
 * which the kernel cuts datagrams of one length out of a single message. On the wire they are what so many
 * calls of send(2) give. The calls are made on koffi's threads, while this one fills the next block.
 */
import { getSystemErrorName } from 'node:util';
import { monotonic } from '../service/monotonic.js';
import {
  type DatagramSender,
  REFUSED,
  SEND_BUFFER,
  type SendReport,
  type UdpAddress,
} from './datagram-sender.js';
import { BLOCK_MESSAGES, type Block } from './message-queue.js';

/** Those on which Linux's structures and constants are the ones below: 64 bits, little-endian. */
const ARCHITECTURES = ['x64', 'arm64', 'riscv64', 'loong64'];

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
/** What devices answer that do not cut messages up. */
const NO_SEGMENTS = [5 /* EIO */, 22 /* EINVAL */, 90 /* EMSGSIZE */];

/** How long a device may take nothing before a message counts as failed. Seconds. */
const LONGEST_SEND = 1;

const SOCKADDR_IN = 16;
const SOCKADDR_IN6 = 28;
const IOVEC = 16;
const IOVEC_LENGTH = 8;
/** struct mmsghdr: a msghdr, and the octets sent. */
const MMSGHDR = 64;
const MSG_IOV = 16;
const MSG_IOVLEN = 24;
const MSG_CONTROL = 32;
const MSG_CONTROLLEN = 40;
/** CMSG_SPACE and CMSG_LEN of the 16 bits of UDP_SEGMENT, and where they stand. */
const CMSG_SPACE = 24;
const CMSG_LEN = 18;
const CMSG_DATA = 16;

/** What one message may hold: the kernel's UDP_MAX_SEGMENTS, and an IP packet with its headers. */
const MOST_SEGMENTS = 64;
const MOST_OCTETS = 65_000;

/**
 * Resolves to undefined without koffi, on other systems, and where the kernel does not connect to the
 * address.
 */
export async function openBatch(to: UdpAddress, report: SendReport): Promise<DatagramSender | undefined> {
  const system = await loadSystem();
  const socket = system && openSocket(system, to);
  return socket === undefined ? undefined : new BatchSender(system!, socket, report);
}

class BatchSender implements DatagramSender {
  readonly #system: System;
  readonly #socket: number;
  readonly #report: SendReport;
  /** Datagrams that a message may hold; 1 where the kernel or the device does not cut messages up. */
  #segments: number;
  readonly #headers = new DataView(new ArrayBuffer(BLOCK_MESSAGES * MMSGHDR));
  readonly #headerOctets = new Uint8Array(this.#headers.buffer);
  readonly #vectors = new DataView(new ArrayBuffer(BLOCK_MESSAGES * IOVEC));
  readonly #controls = new DataView(new ArrayBuffer(BLOCK_MESSAGES * CMSG_SPACE));
  /** Datagrams in each message of the call. */
  readonly #datagrams = new Int32Array(BLOCK_MESSAGES);
  #messages = 0;
  /** What is left of the run. */
  #block: Block | undefined;
  #first = 0;
  #end = 0;
  /** The first message met a refusal of an earlier one, and is being sent again. */
  #isSecondTry = false;
  /** The last call stopped before its end, because of an error that sendmmsg does not report. */
  #isErrorUnknown = false;
  #callTime = 0;

  constructor(system: System, { number, canSegment }: BatchSocket, report: SendReport) {
    this.#system = system;
    this.#socket = number;
    this.#report = report;
    this.#segments = canSegment ? MOST_SEGMENTS : 1;
    // The memory of an ArrayBuffer does not move: what points at it is written once.
    const vectors = system.addressOf(this.#vectors.buffer);
    const controls = system.addressOf(this.#controls.buffer);
    for (let message = 0; message < BLOCK_MESSAGES; message++) {
      const header = message * MMSGHDR;
      const control = message * CMSG_SPACE;
      writePointer(this.#headers, header + MSG_IOV, vectors + message * IOVEC);
      this.#headers.setInt32(header + MSG_IOVLEN, 1, true);
      writePointer(this.#headers, header + MSG_CONTROL, controls + control);
      this.#controls.setInt32(control, CMSG_LEN, true);
      this.#controls.setInt32(control + 8, SOL_UDP, true);
      this.#controls.setInt32(control + 12, UDP_SEGMENT, true);
    }
  }

  send(block: Block, first: number, count: number): void {
    this.#block = block;
    this.#first = first;
    this.#end = first + count;
    this.#call();
  }

  poll(): void {
    const error = new Int32Array(1);
    this.#system.getOption(this.#socket, SOL_SOCKET, SO_ERROR, error, Int32Array.of(4));
    if (error[0] !== 0) this.#report.refused(nameOf(error[0]!));
  }

  close(): void {
    this.#system.close(this.#socket);
  }

  #call(): void {
    this.#writeMessages();
    this.#callTime = monotonic();
    this.#system.sendMessages.async(this.#socket, this.#headerOctets, this.#messages, 0, this.#returned);
  }

  /** Made once: a callback for each call would be garbage. `messages` is what sendmmsg returns. */
  readonly #returned = (_error: unknown, messages: number): void => {
    if (messages > 0) this.#taken(messages);
    else this.#notTaken(this.#system.error());
    if (this.#first < this.#end) this.#call();
    else this.#report.ended();
  };

  #taken(messages: number): void {
    // The error came in place of the message that is now sent: it was the refusal of one before.
    if (this.#isErrorUnknown) this.#report.refused(REFUSED);
    this.#isSecondTry = false;
    for (let message = 0; message < messages; message++) {
      const datagrams = this.#datagrams[message]!;
      this.#report.taken(this.#first, datagrams);
      this.#first += datagrams;
    }
    // A device that took nothing for so long is no refusal.
    const isLate = monotonic() - this.#callTime >= 1000 * LONGEST_SEND;
    this.#isErrorUnknown = messages < this.#messages && !isLate;
  }

  /** The error is that of the first message alone. */
  #notTaken(error: number): void {
    const datagrams = this.#datagrams[0]!;
    const name = nameOf(error);
    this.#isErrorUnknown = false;
    if (error === EINTR) return;
    if (datagrams > 1 && NO_SEGMENTS.includes(error)) {
      this.#segments = 1;
      return;
    }
    if (name === REFUSED) this.#report.refused(name);
    if (name === REFUSED && !this.#isSecondTry) {
      this.#isSecondTry = true;
      return;
    }
    this.#isSecondTry = false;
    this.#report.failed(this.#first, datagrams, name);
    this.#first += datagrams;
  }

  /** The rest of the run, as messages. */
  #writeMessages(): void {
    const blockAddress = this.#system.addressOf(this.#block!.octets.buffer);
    let messages = 0;
    for (let at = this.#first; at < this.#end; messages++)
      at += this.#writeMessage(messages, at, blockAddress);
    this.#messages = messages;
  }

  /** One message of datagrams of one length, of which the last may be shorter. Returns their number. */
  #writeMessage(message: number, first: number, blockAddress: number): number {
    const block = this.#block!;
    const start = block.startOf(first);
    const length = block.lengthOf(first);
    const most = Math.max(1, Math.min(this.#segments, Math.floor(MOST_OCTETS / length)));
    const end = Math.min(this.#end, first + most);
    let next = first + 1;
    while (next < end && block.lengthOf(next) === length) next++;
    if (next < end && block.lengthOf(next) < length) next++;
    const datagrams = next - first;
    const vector = message * IOVEC;
    writePointer(this.#vectors, vector, blockAddress + start);
    this.#vectors.setInt32(vector + IOVEC_LENGTH, block.ends[next - 1]! - start, true);
    this.#headers.setInt32(message * MMSGHDR + MSG_CONTROLLEN, datagrams > 1 ? CMSG_SPACE : 0, true);
    this.#controls.setUint16(message * CMSG_SPACE + CMSG_DATA, length, true);
    this.#datagrams[message] = datagrams;
    return datagrams;
  }
}

interface BatchSocket {
  readonly number: number;
  /** The kernel has UDP_SEGMENT. An older one would ignore it, and send one datagram of many. */
  readonly canSegment: boolean;
}

/** Functions of the C library. */
type System = NonNullable<Awaited<ReturnType<typeof loadSystem>>>;

async function loadSystem() {
  if (process.platform !== 'linux' || !ARCHITECTURES.includes(process.arch)) return undefined;
  try {
    const { default: koffi } = await import('koffi');
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
      addressOf: (memory: ArrayBuffer) => Number(koffi.address(memory)),
      error: () => koffi.errno(),
    };
  } catch {
    return undefined;
  }
}

function openSocket(system: System, to: UdpAddress): BatchSocket | undefined {
  const { family, address, port, source } = to;
  const number = system.socket(family === 4 ? AF_INET : AF_INET6, DATAGRAMS, 0);
  if (number < 0) return undefined;
  const from = source === undefined ? undefined : socketAddress(system, family, source, 0);
  const peer = socketAddress(system, family, address, port);
  const isBound =
    source === undefined || (from !== undefined && system.bind(number, from, from.length) === 0);
  if (!isBound || peer === undefined || system.connect(number, peer, peer.length) !== 0) {
    system.close(number);
    return undefined;
  }
  system.setOption(number, SOL_SOCKET, SO_SNDBUF, Int32Array.of(SEND_BUFFER), 4);
  system.setOption(number, SOL_SOCKET, SO_SNDTIMEO, BigInt64Array.of(BigInt(LONGEST_SEND), 0n), 16);
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

function nameOf(error: number): string {
  return getSystemErrorName(-error);
}
