/**
 * Sends pfsync messages as IP packets of protocol 240, through koffi: Node.js has no raw sockets. The constants are those of
 * sys/socket.h and netinet/in.h of each system.
 */
import { getSystemErrorName } from 'node:util';
import { StartError } from '../cli/errors.js';
import { isUnicast } from './firewall-addresses.js';

export interface RawAddress {
  readonly family: 4 | 6;
  /** Wire: 4 or 16 octets. */
  readonly octets: Uint8Array;
  /** Where a link-local address is. */
  readonly interfaceName: string;
}

export interface RawSocket {
  /** Sends one message. Returns the name of the system's error, as in `EHOSTUNREACH`; undefined where it took the packet. */
  send(to: RawAddress, message: Uint8Array): string | undefined;
  close(): void;
}

const PFSYNC = 240;
/** pfsync takes no packet that came through a router. */
const HOP_LIMIT = 255;

const SOCK_RAW = 3;
const AF_INET = 2;
const IPPROTO_IP = 0;
const IPPROTO_IPV6 = 41;
const SOCKADDR_IN = 16;
const SOCKADDR_IN6 = 28;

interface System {
  readonly AF_INET6: number;
  readonly SOCK_CLOEXEC: number;
  readonly SOL_SOCKET: number;
  readonly SO_RCVBUF: number;
  readonly IP_TTL: number;
  readonly IPV6_UNICAST_HOPS: number;
  readonly MSG_DONTWAIT: number;
  /** A sockaddr begins with its length in one octet and the family in another, in place of the family in two. */
  readonly hasLength: boolean;
}

const BSD = {
  SOL_SOCKET: 0xffff,
  SO_RCVBUF: 0x1002,
  IP_TTL: 4,
  IPV6_UNICAST_HOPS: 4,
  MSG_DONTWAIT: 0x80,
  hasLength: true,
};

const SYSTEMS: Partial<Record<NodeJS.Platform, System>> = {
  linux: {
    AF_INET6: 10,
    SOCK_CLOEXEC: 0o2000000,
    SOL_SOCKET: 1,
    SO_RCVBUF: 8,
    IP_TTL: 2,
    IPV6_UNICAST_HOPS: 16,
    MSG_DONTWAIT: 0x40,
    hasLength: false,
  },
  freebsd: { ...BSD, AF_INET6: 28, SOCK_CLOEXEC: 0x1000_0000 },
  openbsd: { ...BSD, AF_INET6: 24, SOCK_CLOEXEC: 0x8000 },
};

/** Little-endian, as the structures below are written. */
const ARCHITECTURES = ['x64', 'arm64'];

/** Opens the sockets of both families. IPv6 may be missing: then sending to it fails. Rejects with a StartError. */
export async function openRawSocket(): Promise<RawSocket> {
  const system = SYSTEMS[process.platform];
  if (system === undefined || !ARCHITECTURES.includes(process.arch)) {
    throw new StartError('--request-updates: it works on Linux, FreeBSD and OpenBSD, on amd64 and arm64');
  }
  const library = await loadLibrary();
  const four = openFamily(library, system, 4);
  if (typeof four === 'string') throw new StartError(`--request-updates: no raw socket: ${inWords(four)}`);
  return new KernelSocket(library, system, four, openFamily(library, system, 6));
}

class KernelSocket implements RawSocket {
  readonly #library: Library;
  readonly #system: System;
  /** Descriptors by family, or the names of the errors in their place. */
  readonly #sockets: Readonly<Record<4 | 6, number | string>>;

  constructor(library: Library, system: System, four: number, six: number | string) {
    this.#library = library;
    this.#system = system;
    this.#sockets = { 4: four, 6: six };
  }

  send(to: RawAddress, message: Uint8Array): string | undefined {
    const socket = this.#sockets[to.family];
    if (typeof socket === 'string') return socket;
    // A group's members would all answer, and take in each other's answers.
    if (!isUnicast(to.octets)) return 'EADDRNOTAVAIL';
    const address = this.#socketAddress(to);
    const { MSG_DONTWAIT } = this.#system;
    const { sendTo } = this.#library;
    const sent = sendTo(socket, message, message.length, MSG_DONTWAIT, address, address.length);
    return sent < 0 ? this.#library.errorName() : undefined;
  }

  close(): void {
    for (const socket of Object.values(this.#sockets)) {
      if (typeof socket === 'number') this.#library.close(socket);
    }
  }

  /** sockaddr_in or sockaddr_in6. */
  #socketAddress({ family, octets, interfaceName }: RawAddress): Uint8Array {
    const { AF_INET6, hasLength } = this.#system;
    const number = family === 4 ? AF_INET : AF_INET6;
    const address = new Uint8Array(family === 4 ? SOCKADDR_IN : SOCKADDR_IN6);
    if (hasLength) address.set([address.length, number]);
    else address.set([number, 0]);
    address.set(octets, family === 4 ? 4 : 8);
    if (isLinkLocal(octets)) {
      new DataView(address.buffer).setUint32(24, this.#library.interfaceIndex(interfaceName), true);
    }
    return address;
  }
}

type Library = Awaited<ReturnType<typeof loadLibrary>>;

async function loadLibrary() {
  try {
    const { default: koffi } = await import('koffi');
    const library = koffi.load(null);
    return {
      socket: library.func('int socket(int, int, int)'),
      setOption: library.func('int setsockopt(int, int, int, const void *, unsigned int)'),
      sendTo: library.func('intptr_t sendto(int, const void *, size_t, int, const void *, unsigned int)'),
      interfaceIndex: library.func('unsigned int if_nametoindex(const char *)'),
      close: library.func('int close(int)'),
      errorName: () => getSystemErrorName(-koffi.errno()),
    };
  } catch {
    throw new StartError('--request-updates: it needs the optional package koffi: npm install koffi');
  }
}

/** Returns the descriptor, or the name of the error. */
function openFamily(library: Library, system: System, family: 4 | 6): number | string {
  const { AF_INET6, SOCK_CLOEXEC, SOL_SOCKET, SO_RCVBUF, IP_TTL, IPV6_UNICAST_HOPS } = system;
  const socket = library.socket(family === 4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC, PFSYNC);
  if (socket < 0) return library.errorName();
  const [level, option] = family === 4 ? [IPPROTO_IP, IP_TTL] : [IPPROTO_IPV6, IPV6_UNICAST_HOPS];
  if (library.setOption(socket, level, option, Int32Array.of(HOP_LIMIT), 4) !== 0) {
    const error = library.errorName();
    library.close(socket);
    return error;
  }
  // The kernel queues what comes in of the protocol. Nobody reads it: tcpdump does.
  library.setOption(socket, SOL_SOCKET, SO_RCVBUF, Int32Array.of(1), 4);
  return socket;
}

function inWords(error: string): string {
  if (error !== 'EPERM' && error !== 'EACCES') return error;
  return process.platform === 'linux' ? 'it needs root or CAP_NET_RAW' : 'it needs root';
}

function isLinkLocal(octets: Uint8Array): boolean {
  return octets.length === 16 && octets[0] === 0xfe && (octets[1]! & 0xc0) === 0x80;
}
