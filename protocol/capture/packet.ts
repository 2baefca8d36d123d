/** What the capture formats share: the packet they fill, the window of octets they read from, and what they promise. */
/** Octets of the longest record or block that is read as one. A length beyond it is damage, however much memory there is. */
export const LONGEST_RECORD = 1 << 20;

/** One captured packet. Reused: it is valid until the next one is read. */
export class Packet {
  view: DataView = new DataView(new ArrayBuffer(0));
  start = 0;
  /** Where the captured octets end in `view`. */
  end = 0;
  /** Where the packet ended on the wire: later than `end` when the snaplen cut it, never earlier. */
  wireEnd = 0;
  linkType = 0;
  /** Capture time, whole milliseconds: seconds and milliseconds since the epoch, of which the sum counts. */
  readonly clock = new Float64Array(2);
  /** Counts from 1 in a capture. */
  number = 0;
}

/** The octets of a capture that are at hand: those from `at` to `end` are still to be read. */
export class CaptureWindow {
  readonly octets: Uint8Array;
  readonly view: DataView;
  /** A reader moves it, also beyond `end`: what lies between is to be passed over without being stored. */
  at = 0;
  end = 0;

  constructor(size: number) {
    this.octets = new Uint8Array(size);
    this.view = new DataView(this.octets.buffer);
  }
}

export interface CaptureReader {
  /** Packets read so far. */
  readonly packets: number;
  /** The first thing that is wrong with the capture, as a clause with the file for its subject. */
  readonly damage: string | undefined;
  /** True when the damage leaves no way to find the next packet. */
  readonly isOver: boolean;
  /** Fills `packet` with the next one. False when it is not whole in the window yet, or when the reading is over. */
  next(window: CaptureWindow, packet: Packet): boolean;
  /** What the octets are that are left when the input ends: `packet 813`. */
  unfinished(window: CaptureWindow): string;
}
