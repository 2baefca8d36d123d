/** Where messages are made: in the core's memory, and best where they will leave from. */
import { allocate, octetsAt, viewOf } from './core.js';
import type { MessageRoom } from './message.js';

export class MessagePlace {
  /** Address in the core's memory. */
  readonly at: number;
  readonly view: DataView;

  constructor(at: number, octets: number) {
    this.at = at;
    this.view = viewOf(at, octets);
  }
}

export interface MessagePlaces {
  /** Where the next message is made: `longest` octets, which nobody else writes to. After a message it is another one. */
  readonly place: MessagePlace;
  /** Takes the first `length` octets of `place` as a message of `records` flow records. */
  sendPlaced(length: number, records: number): void;
}

/** For a room that has no places: messages are made in one of their own, and copied. */
class CopiedMessages implements MessagePlaces {
  readonly place: MessagePlace;
  readonly #octets: Uint8Array;
  readonly #room: MessageRoom;

  constructor(room: MessageRoom) {
    this.place = new MessagePlace(allocate(room.longest, this), room.longest);
    this.#octets = octetsAt(this.place.at, room.longest);
    this.#room = room;
  }

  sendPlaced(length: number, records: number): void {
    this.#room.send(this.#octets, length, records);
  }
}

export function placesIn(room: MessageRoom): MessagePlaces {
  return room.places ?? new CopiedMessages(room);
}
