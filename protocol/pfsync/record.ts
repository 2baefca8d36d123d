/** The small records of pfsync messages, read where they lie: compressed updates and deletes, clears, bulk status. */
import { PEER_SEQLO, PEER_STATE } from '../flow/pf-terms.js';

/** Records of one kind that follow each other in a message, looked at one at a time: the base of the views below. */
class RecordView {
  view: DataView = new DataView(new ArrayBuffer(0));
  /** Capture time of their message: seconds and milliseconds since the epoch, of which the sum counts. */
  clock: Float64Array = new Float64Array(2);
  /** Where the record at hand begins. */
  at = 0;
  count = 0;
  #first = 0;
  #stride = 0;

  /** Shows the first of `count` records, `stride` octets apart. */
  show(view: DataView, at: number, clock: Float64Array, count = 1, stride = 0): void {
    this.view = view;
    this.at = at;
    this.clock = clock;
    this.count = count;
    this.#first = at;
    this.#stride = stride;
  }

  /** Shows record number `n`. */
  select(n: number): this {
    this.at = this.#first + n * this.#stride;
    return this;
  }
}

/** (id, creatorid): del_c in every version. Identifiers are opaque octets, read as words of this machine, as rows have them. */
export class StateKeyView extends RecordView {
  get idFirst(): number {
    return this.view.getInt32(this.at, true);
  }
  get idSecond(): number {
    return this.view.getInt32(this.at + 4, true);
  }
  get creatorId(): number {
    return this.view.getInt32(this.at + 8, true);
  }
}

/** upd_c: the same 81 octets in every version. */
export class CompressedUpdateView extends RecordView {
  get idFirst(): number {
    return this.view.getInt32(this.at, true);
  }
  get idSecond(): number {
    return this.view.getInt32(this.at + 4, true);
  }
  get creatorId(): number {
    return this.view.getInt32(this.at + 72, true);
  }
  get sourceState(): number {
    return this.view.getUint8(this.at + 8 + PEER_STATE);
  }
  get destinationState(): number {
    return this.view.getUint8(this.at + 40 + PEER_STATE);
  }
  get sourceSeqlo(): number {
    return this.view.getInt32(this.at + 8 + PEER_SEQLO);
  }
  get destinationSeqlo(): number {
    return this.view.getInt32(this.at + 40 + PEER_SEQLO);
  }
  get timeout(): number {
    return this.view.getUint8(this.at + 80);
  }
}

/** clr: every state of one creator, or those of one interface. */
export class ClearView extends RecordView {
  /** Offset of the interface name: 16 octets, ended by a NUL if shorter; empty for all interfaces. */
  get interfaceNameAt(): number {
    return this.at;
  }
  get creatorId(): number {
    return this.view.getInt32(this.at + 16, true);
  }
}

/** bus: the start or the end of a bulk transfer. */
export class BulkView extends RecordView {
  get creatorId(): number {
    return this.view.getInt32(this.at, true);
  }
  get isStart(): boolean {
    return this.view.getUint8(this.at + 8) === 1;
  }
}
