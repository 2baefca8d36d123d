/**
 * From a captured packet down to the pfsync message in it: link types (tcpdump.org/linktypes), VLAN tags, IPv4
 * (RFC 791) and IPv6 (RFC 8200) up to protocol 240.
 */

import { addressFamily } from '../flow/pf-terms.js';
import type { Packet } from './packet.js';

/** Only `pfsync` sets the payload. `truncated`: the packet is shorter than its own headers. */
export type LinkVerdict = 'pfsync' | 'other' | 'fragment' | 'truncated' | 'unknownLinkType';

/** Where a pfsync message stands in its packet's view. Reused. */
export class Payload {
  start = 0;
  /** Where its captured octets end. */
  end = 0;
  /** Where it ended on the wire, by the length in the IP header where there is one: link padding is excluded, what the snaplen cut is included. */
  wireEnd = 0;
  /** A number of the firewall that sent it, from the source address of its IP header; 0 where there is none, as on a tap. */
  sender = 0;
  /** Where that source address stands in the packet's view, of which family it is, and the TTL or hop limit; else 0. */
  senderAt = 0;
  senderFamily: 0 | 4 | 6 = 0;
  hopLimit = 0;
}

const LINK_NULL = 0;
const LINK_ETHERNET = 1;
/** DLT_RAW; in files of OpenBSD DLT_LOOP. */
const LINK_RAW_12 = 12;
const LINK_RAW_14 = 14;
const LINK_PFSYNC_18 = 18;
const LINK_RAW = 101;
const LINK_LOOP = 108;
const LINK_LINUX_SLL = 113;
const LINK_PFSYNC_121 = 121;
const LINK_IPV4 = 228;
const LINK_IPV6 = 229;
const LINK_PFSYNC = 246;
const LINK_LINUX_SLL2 = 276;

const ETHERNET_HEADER = 14;
const SLL_HEADER = 16;
const SLL2_HEADER = 20;
const FAMILY_HEADER = 4;
const TAG = 4;
const MOST_TAGS = 16;

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const ETHERTYPE_VLAN = 0x8100;
const ETHERTYPE_QINQ = 0x88a8;
const ETHERTYPE_QINQ_OLD = 0x9100;

const PROTOCOL_PFSYNC = 240;
const IPV4_HEADER = 20;
const IPV4_PROTOCOL = 9;
/** The more-fragments flag and the fragment offset. */
const IPV4_FRAGMENT = 0x3fff;
const IPV4_TTL = 8;
const IPV4_SOURCE = 12;

const IPV6_HEADER = 40;
const IPV6_NEXT_HEADER = 6;
const IPV6_HOP_LIMIT = 7;
const IPV6_SOURCE = 8;
const IPV6_HOP_BY_HOP = 0;
const IPV6_ROUTING = 43;
const IPV6_FRAGMENT = 44;
const IPV6_AUTHENTICATION = 51;
const IPV6_DESTINATION = 60;
const MOST_EXTENSIONS = 16;

/** The highest known version of pfsync. A first octet above it may begin an IP header (0x45 to 0x6f). */
const HIGHEST_VERSION = 6;

/** Finds the pfsync message of a packet, and sets `payload` to it. */
export function locatePfsync(packet: Packet, payload: Payload): LinkVerdict {
  const { view, start, end, wireEnd, linkType } = packet;
  switch (linkType) {
    case LINK_PFSYNC:
    case LINK_PFSYNC_18:
    case LINK_PFSYNC_121:
      return locateInIp(view, start, end, wireEnd, payload);
    case LINK_ETHERNET:
      if (end - start < ETHERNET_HEADER) return 'truncated';
      return inEthertype(
        view,
        start + ETHERNET_HEADER,
        end,
        wireEnd,
        view.getUint16(start + ETHERNET_HEADER - 2),
        payload,
      );
    case LINK_LINUX_SLL:
      if (end - start < SLL_HEADER) return 'truncated';
      return inEthertype(
        view,
        start + SLL_HEADER,
        end,
        wireEnd,
        view.getUint16(start + SLL_HEADER - 2),
        payload,
      );
    case LINK_LINUX_SLL2:
      if (end - start < SLL2_HEADER) return 'truncated';
      return inEthertype(view, start + SLL2_HEADER, end, wireEnd, view.getUint16(start), payload);
    case LINK_NULL:
    case LINK_LOOP:
      return inFamily(view, start, end, wireEnd, linkType === LINK_NULL, payload);
    case LINK_RAW:
    case LINK_RAW_12:
    case LINK_RAW_14:
      return inRaw(view, start, end, wireEnd, linkType === LINK_RAW_12, payload);
    case LINK_IPV4:
      return inIpv4(view, start, end, wireEnd, payload);
    case LINK_IPV6:
      return inIpv6(view, start, end, wireEnd, payload);
    default:
      return 'unknownLinkType';
  }
}

/**
 * Finds the message in what a pfsync interface or a datagram holds: the bare message, or (OpenBSD 7.4 and later) its IP
 * packet. Anything else counts as a message, so that its unknown version is reported.
 */
export function locateInIp(
  view: DataView,
  start: number,
  end: number,
  wireEnd: number,
  payload: Payload,
): LinkVerdict {
  if (end > start) {
    const first = view.getUint8(start);
    if (first > HIGHEST_VERSION) {
      if (first >> 4 === 4 && protocolAt(view, start + IPV4_PROTOCOL, end) === PROTOCOL_PFSYNC)
        return inIpv4(view, start, end, wireEnd, payload);
      if (first >> 4 === 6 && protocolAt(view, start + IPV6_NEXT_HEADER, end) === PROTOCOL_PFSYNC)
        return inIpv6(view, start, end, wireEnd, payload);
    }
  }
  return found(payload, start, end, wireEnd);
}

/** A raw capture holds IP packets, or bare messages when a TUN device took the place of pfsync0. */
function inRaw(
  view: DataView,
  start: number,
  end: number,
  wireEnd: number,
  mayBeLoop: boolean,
  payload: Payload,
): LinkVerdict {
  if (end === start) return 'truncated';
  const first = view.getUint8(start);
  if (first >> 4 === 4) return inIpv4(view, start, end, wireEnd, payload);
  if (first >> 4 === 6) return inIpv6(view, start, end, wireEnd, payload);
  if (first > HIGHEST_VERSION) return 'other';
  if (first !== 0) return found(payload, start, end, wireEnd);
  return mayBeLoop ? inFamily(view, start, end, wireEnd, false, payload) : 'other';
}

/** BSD's loopback header: an address family in four octets; DLT_NULL has it in the byte order of the capturing machine. */
function inFamily(
  view: DataView,
  start: number,
  end: number,
  wireEnd: number,
  eitherOrder: boolean,
  payload: Payload,
): LinkVerdict {
  const at = start + FAMILY_HEADER;
  if (at > end) return 'truncated';
  const family = view.getUint32(start);
  const swapped = eitherOrder && family > 0xffff;
  switch (addressFamily(swapped ? view.getUint32(start, true) : family)) {
    case 4:
      return inIpv4(view, at, end, wireEnd, payload);
    case 6:
      return inIpv6(view, at, end, wireEnd, payload);
    default:
      return 'other';
  }
}

/** `type` is the ethertype, `at` what follows it: a VLAN tag when the ethertype is one, else the packet. */
function inEthertype(
  view: DataView,
  at: number,
  end: number,
  wireEnd: number,
  type: number,
  payload: Payload,
): LinkVerdict {
  for (let tags = 0; isTag(type); tags++) {
    if (tags === MOST_TAGS) return 'other';
    if (at + TAG > end) return 'truncated';
    type = view.getUint16(at + 2);
    at += TAG;
  }
  if (type === ETHERTYPE_IPV4) return inIpv4(view, at, end, wireEnd, payload);
  if (type === ETHERTYPE_IPV6) return inIpv6(view, at, end, wireEnd, payload);
  return 'other';
}

function inIpv4(view: DataView, at: number, end: number, wireEnd: number, payload: Payload): LinkVerdict {
  if (at + IPV4_HEADER > end) return 'truncated';
  const first = view.getUint8(at);
  if (first >> 4 !== 4 || view.getUint8(at + IPV4_PROTOCOL) !== PROTOCOL_PFSYNC) return 'other';
  if ((view.getUint16(at + 6) & IPV4_FRAGMENT) !== 0) return 'fragment';
  const start = at + 4 * (first & 0x0f);
  // With segmentation offload the length is still 0 when the packet is captured.
  const total = view.getUint16(at + 2);
  const ipEnd = total === 0 ? wireEnd : at + total;
  if (start < at + IPV4_HEADER || start > end || start > ipEnd) return 'truncated';
  found(payload, start, Math.min(end, ipEnd), ipEnd);
  payload.sender = view.getInt32(at + IPV4_SOURCE);
  payload.senderAt = at + IPV4_SOURCE;
  payload.senderFamily = 4;
  payload.hopLimit = view.getUint8(at + IPV4_TTL);
  return 'pfsync';
}

function inIpv6(view: DataView, at: number, end: number, wireEnd: number, payload: Payload): LinkVerdict {
  let start = at + IPV6_HEADER;
  if (start > end) return 'truncated';
  if (view.getUint8(at) >> 4 !== 6) return 'other';
  const length = view.getUint16(at + 4);
  const ipEnd = length === 0 ? wireEnd : start + length;
  const captured = Math.min(end, ipEnd);
  let next = view.getUint8(at + IPV6_NEXT_HEADER);
  for (let headers = 0; isExtension(next); headers++) {
    if (headers === MOST_EXTENSIONS) return 'other';
    if (start + 8 > captured) return 'truncated';
    const kind = next;
    const octets = view.getUint8(start + 1);
    next = view.getUint8(start);
    if (kind === IPV6_FRAGMENT) {
      return next === PROTOCOL_PFSYNC || isExtension(next) ? 'fragment' : 'other';
    }
    start += kind === IPV6_AUTHENTICATION ? 4 * (octets + 2) : 8 * (octets + 1);
  }
  if (next !== PROTOCOL_PFSYNC) return 'other';
  if (start > captured) return 'truncated';
  found(payload, start, captured, ipEnd);
  payload.sender = hashOf(view, at + IPV6_SOURCE);
  payload.senderAt = at + IPV6_SOURCE;
  payload.senderFamily = 6;
  payload.hopLimit = view.getUint8(at + IPV6_HOP_LIMIT);
  return 'pfsync';
}

function found(payload: Payload, start: number, end: number, wireEnd: number): 'pfsync' {
  payload.start = start;
  payload.end = end;
  payload.wireEnd = wireEnd;
  payload.sender = 0;
  payload.senderAt = 0;
  payload.senderFamily = 0;
  payload.hopLimit = 0;
  return 'pfsync';
}

/** A number for an IPv6 address, enough to tell the two of a pair of firewalls apart. */
function hashOf(view: DataView, at: number): number {
  let hash = 0;
  for (let word = 0; word < 4; word++) hash = Math.imul(hash, 31) + view.getInt32(at + 4 * word);
  return hash | 0;
}

/** -1 when the octet was not captured. */
function protocolAt(view: DataView, at: number, end: number): number {
  return at < end ? view.getUint8(at) : -1;
}

function isTag(type: number): boolean {
  return type === ETHERTYPE_VLAN || type === ETHERTYPE_QINQ || type === ETHERTYPE_QINQ_OLD;
}

function isExtension(header: number): boolean {
  return (
    header === IPV6_HOP_BY_HOP ||
    header === IPV6_ROUTING ||
    header === IPV6_FRAGMENT ||
    header === IPV6_AUTHENTICATION ||
    header === IPV6_DESTINATION
  );
}
