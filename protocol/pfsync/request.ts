/**
 * Update requests of pfsync versions 5 and 6: the firewall answers each with a full update of the state, and a request for
 * nobody's state with a bulk update. Facts: pfsync_in_ureq of if_pfsync.c. Versions 2 to 4 have requests too, but neither
 * the counters nor the time to live in their answers prove anything: they are not written.
 */
import { END_OF_FILE, SUBHEADER } from './action.js';

export type RequestVersion = 5 | 6;

const HEADER = 20;
const UPDATE_REQUEST = 5;
/** id and creatorid. */
const RECORD = 12;
/** The longest IP packet in an Ethernet frame. */
const LONGEST_PACKET = 1500;

/** The same for both versions, although only version 5 ends with an action of its own. */
function mostIn(ipHeader: number): number {
  return Math.floor((LONGEST_PACKET - ipHeader - HEADER - 2 * SUBHEADER) / RECORD);
}

/** Requests that fit into one message over IPv4 and over IPv6. */
export const MOST_REQUESTS = { 4: mostIn(20), 6: mostIn(40) } as const;

/** Whether requests can be written for a firewall that speaks this version. */
export function hasRequests(version: number): version is RequestVersion {
  return version === 5 || version === 6;
}

/** One message, filled with one request after the other and used again. */
export class RequestMessage {
  readonly #octets = new Uint8Array(LONGEST_PACKET);
  readonly #view = new DataView(this.#octets.buffer);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Adds the request for a state; its key as words of rows have it. The caller stops at MOST_REQUESTS. */
  add(idFirst: number, idSecond: number, creatorId: number): void {
    const at = HEADER + SUBHEADER + RECORD * this.#count++;
    this.#view.setInt32(at, idFirst, true);
    this.#view.setInt32(at + 4, idSecond, true);
    this.#view.setInt32(at + 8, creatorId, true);
  }

  /** Adds the request for all states. */
  addBulk(): void {
    this.add(0, 0, 0);
  }

  clear(): void {
    this.#count = 0;
  }

  /** The message in the version of the firewall that gets it, valid until the next `add`, which begins a new one. */
  finish(version: RequestVersion): Uint8Array {
    const view = this.#view;
    const end = HEADER + SUBHEADER + RECORD * this.#count;
    const length = version === 5 ? end + SUBHEADER : end;
    view.setUint8(0, version);
    view.setUint16(2, length);
    view.setUint8(HEADER, UPDATE_REQUEST);
    // Words of a record; version 5 has no such field.
    view.setUint8(HEADER + 1, version === 6 ? RECORD / 4 : 0);
    view.setUint16(HEADER + 2, this.#count);
    if (version === 5) {
      view.setUint8(end, END_OF_FILE);
      view.setUint8(end + 1, 0);
      view.setUint16(end + 2, 1);
    }
    this.clear();
    return this.#octets.subarray(0, length);
  }
}
