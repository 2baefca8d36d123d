/** States of any pfsync version: in rows of one shape, which the core reads (`state-pieces`), and looked at there. */
import { allocate, viewOf, wordsAt } from './core.js';
import {
  ADDRESS,
  ADDRESSES,
  AGE,
  CREATOR,
  DESTINATION_SEQLO,
  DESTINATION_STATE,
  DIRECTION,
  EXPIRE,
  FAMILY,
  ICMP_TYPE,
  ID,
  INTERFACE_NAME,
  IS_TRANSLATED,
  OCTETS,
  PACKETS,
  PORTS,
  PROTOCOL,
  REPLY_COUNTERS,
  ROW,
  RULE,
  SOURCE_SEQLO,
  SOURCE_STATE,
  TIMEOUT,
  TRANSLATED_FAMILY,
  TRANSLATED_PROTOCOL,
} from './flow-row.js';
import { OCTETS_HIGH, PACKETS_HIGH, DIRECTION as VOLUME_DIRECTION, type Volume } from './volume.js';

/**
 * The address family behind a sender's af number: 4, 6, or 0 when it is neither.
 * AF_INET is 2 everywhere; AF_INET6 is 24 (OpenBSD, NetBSD), 28 (FreeBSD, DragonFly), 30 (macOS) or 10 (Linux).
 */
export function addressFamily(af: number): 4 | 6 | 0 {
  if (af === 2) return 4;
  return af === 24 || af === 28 || af === 30 || af === 10 ? 6 : 0;
}

/** Whether pf's ports of this protocol are ports: those of ICMP are an id and a type, others have none. */
export function hasPorts(protocol: number): boolean {
  return protocol === 6 || protocol === 17 || protocol === 132;
}

const NAME_LENGTH = 16;

/** A state in a row of the core's memory: the same row again and again, filled anew. */
export class StateRow {
  /** The row's address. */
  readonly row: number;
  readonly view: DataView;
  readonly words: Int32Array;
  #name = '';
  #nameWords: readonly [number, number, number, number] = [0, 0, 0, 0];

  /** Without an address the row is one of its own. */
  constructor(row?: number) {
    this.row = row ?? allocate(ROW, this);
    this.view = viewOf(this.row, ROW);
    this.words = wordsAt(this.row, ROW / 4);
  }

  get isReadable(): boolean {
    return this.family !== 0;
  }

  get idHigh(): number {
    return this.view.getInt32(ID);
  }

  get idLow(): number {
    return this.view.getInt32(ID + 4);
  }

  get creatorId(): number {
    return this.view.getInt32(CREATOR);
  }

  /** Seconds since the state was made, when the record was packed. */
  get age(): number {
    return this.view.getUint32(AGE, true);
  }

  /** Seconds left to live; 0 at a natural end and always in versions 2 and 3. */
  get expire(): number {
    return this.view.getUint32(EXPIRE, true);
  }

  /** Number of the rule that made the state; -1 for none. */
  get rule(): number {
    return this.view.getInt32(RULE, true);
  }

  /** As pf counts them; see `pf-terms`. */
  get direction(): number {
    return this.view.getUint8(DIRECTION);
  }

  get timeout(): number {
    return this.view.getUint8(TIMEOUT);
  }

  /** Families of the original and of the translated addresses: 4 or 6. */
  get family(): number {
    return this.view.getUint8(FAMILY);
  }

  get translatedFamily(): number {
    return this.view.getUint8(TRANSLATED_FAMILY);
  }

  get protocol(): number {
    return this.view.getUint8(PROTOCOL);
  }

  get translatedProtocol(): number {
    return this.view.getUint8(TRANSLATED_PROTOCOL);
  }

  get sourceState(): number {
    return this.view.getUint8(SOURCE_STATE);
  }

  get destinationState(): number {
    return this.view.getUint8(DESTINATION_STATE);
  }

  get sourceSeqlo(): number {
    return this.view.getUint32(SOURCE_SEQLO, true);
  }

  get destinationSeqlo(): number {
    return this.view.getUint32(DESTINATION_SEQLO, true);
  }

  /** Type of the ICMP message that opened the state; -1 where that is not certain. */
  get icmpType(): number {
    return this.view.getInt16(ICMP_TYPE, true);
  }

  /** Whether NAT, rdr or af-to changed an address or a port on the way. */
  get isTranslated(): boolean {
    return this.view.getUint8(IS_TRANSLATED) !== 0;
  }

  /** Empty where the state belongs to no interface. */
  get interfaceName(): string {
    const { words } = this;
    const [first, second, third, fourth] = this.#nameWords;
    const at = INTERFACE_NAME / 4;
    const isSame =
      words[at] === first && words[at + 1] === second && words[at + 2] === third && words[at + 3] === fourth;
    if (isSame) return this.#name;
    this.#nameWords = [words[at]!, words[at + 1]!, words[at + 2]!, words[at + 3]!];
    this.#name = nameAt(this.view, INTERFACE_NAME);
    return this.#name;
  }

  /** Offset in `view` of an end's address: 4 octets in IPv4, 16 in IPv6. */
  addressAt(end: number): number {
    return ADDRESSES + ADDRESS * end;
  }

  port(end: number): number {
    return this.view.getUint16(PORTS + 2 * end);
  }

  /** Whether any counter is above 0. */
  get isCounted(): boolean {
    const { words } = this;
    for (let word = OCTETS / 4; word < (OCTETS + 2 * REPLY_COUNTERS) / 4; word++) {
      if (words[word] !== 0) return true;
    }
    return false;
  }

  /** Copies the counters of both directions. */
  readVolume(volume: Volume): void {
    for (let direction = 0; direction < 2; direction++) {
      const at = VOLUME_DIRECTION * direction;
      readCounter(this.view, OCTETS + REPLY_COUNTERS * direction, volume, at + OCTETS_HIGH);
      readCounter(this.view, PACKETS + REPLY_COUNTERS * direction, volume, at + PACKETS_HIGH);
    }
  }

  writeVolume(volume: Volume): void {
    for (let direction = 0; direction < 2; direction++) {
      const at = VOLUME_DIRECTION * direction;
      writeCounter(this.view, OCTETS + REPLY_COUNTERS * direction, volume, at + OCTETS_HIGH);
      writeCounter(this.view, PACKETS + REPLY_COUNTERS * direction, volume, at + PACKETS_HIGH);
    }
  }
}

/** A name of at most 16 octets, NUL padded. */
export function nameAt(view: DataView, at: number): string {
  let name = '';
  for (let i = 0; i < NAME_LENGTH; i++) {
    const octet = view.getUint8(at + i);
    if (octet === 0) break;
    name += String.fromCharCode(octet);
  }
  return name;
}

/** A counter of a row, and its words in a volume from the high one on. */
export function readCounter(view: DataView, at: number, volume: Volume, high: number): void {
  volume[high] = view.getInt32(at);
  volume[high + 1] = view.getInt32(at + 4);
}

export function writeCounter(view: DataView, at: number, volume: Volume, high: number): void {
  view.setInt32(at, volume[high]!);
  view.setInt32(at + 4, volume[high + 1]!);
}
