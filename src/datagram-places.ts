/** Memory for datagrams that wait to be sent, in the core's: there they are made. */
import { core, takeMemory } from '../protocol/core.js';
import { MessagePlace } from '../protocol/message-place.js';

export class DatagramPlaces {
  /** Address of the first datagram, and octets from one to the next. */
  readonly first: number;
  readonly distance: number;
  /** By slot, from their first use on. */
  readonly #places: (MessagePlace | undefined)[];
  readonly #size: number;

  /** For `count` datagrams of up to `size` octets. */
  constructor(count: number, size: number) {
    this.distance = (size + 3) & ~3;
    this.first = takeMemory(count * this.distance);
    this.#places = Array(count);
    this.#size = size;
  }

  at(slot: number): MessagePlace {
    const known = this.#places[slot];
    if (known !== undefined) return known;
    const place = new MessagePlace(this.first + slot * this.distance, this.#size);
    this.#places[slot] = place;
    return place;
  }

  release(): void {
    core.release(this.first);
  }
}
