/** The small records of pfsync messages, read where they lie: compressed updates and deletes, clears, bulk status. */
import { PEER_SEQLO, PEER_STATE } from './pf-terms.js';

/** Records that are handed on at once at most. */
export const MOST_RECORDS = 64;

/** Records of one kind that follow each other in a message, looked at one at a time: the base of the small views. */
class RecordView {
  view: DataView = new DataView(new ArrayBuffer(0));
  /** Capture time of their message, in milliseconds since the epoch. */
  time = 0;
  /** Where the record at hand begins. */
  at = 0;
  count = 0;
  #first = 0;
  #stride = 0;

  /** Shows the first of `count` records, `stride` octets apart, of a message of this time. */
  read(view: DataView, at: number, time: number, count = 1, stride = 0): void {
    this.view = view;
    this.at = at;
    this.time = time;
    this.count = count;
    this.#first = at;
    this.#stride = stride;
  }

  /** Shows the record that has so many before it. */
  select(n: number): this {
    this.at = this.#first + n * this.#stride;
    return this;
  }
}

/** (id, creatorid): del_c in every version; ids and creator ids are opaque words. */
export class StateKeyView extends RecordView {
  get idHigh(): number {
    return this.view.getInt32(this.at);
  }
  get idLow(): number {
    return this.view.getInt32(this.at + 4);
  }
  get creatorId(): number {
    return this.view.getInt32(this.at + 8);
  }
}

/** upd_c: the same 81 octets in every version. */
export class CompressedUpdateView extends RecordView {
  get idHigh(): number {
    return this.view.getInt32(this.at);
  }
  get idLow(): number {
    return this.view.getInt32(this.at + 4);
  }
  get creatorId(): number {
    return this.view.getInt32(this.at + 72);
  }
  get sourceState(): number {
    return this.view.getUint8(this.at + 8 + PEER_STATE);
  }
  get destinationState(): number {
    return this.view.getUint8(this.at + 40 + PEER_STATE);
  }
  get sourceSeqlo(): number {
    return this.view.getUint32(this.at + 8 + PEER_SEQLO);
  }
  get destinationSeqlo(): number {
    return this.view.getUint32(this.at + 40 + PEER_SEQLO);
  }
  get timeout(): number {
    return this.view.getUint8(this.at + 80);
  }
}

/** clr: every state of one creator, or those of one interface. */
export class ClearView extends RecordView {
  /** Offset of the interface name: 16 octets, NUL padded; empty for all interfaces. */
  get interfaceNameAt(): number {
    return this.at;
  }
  get creatorId(): number {
    return this.view.getInt32(this.at + 16);
  }
}

/** bus: the start or the end of a bulk transfer. */
export class BulkView extends RecordView {
  get creatorId(): number {
    return this.view.getInt32(this.at);
  }
  get isStart(): boolean {
    return this.view.getUint8(this.at + 8) === 1;
  }
}
