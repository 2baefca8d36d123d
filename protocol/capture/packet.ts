/** What the readers of capture formats share: the packet they fill and the window of octets they read from. */

/** Octets of the longest record or block that is read whole. A greater length is damage: no writer makes such records. */
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

/** Buffered octets of a capture: those from `at` to `end` are still to be read. */
export class CaptureWindow {
  readonly octets: Uint8Array;
  readonly view: DataView;
  /** A reader advances it, also beyond `end`: the octets between are to be skipped as they arrive. */
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
  /** The first fault of the capture, as a clause with the file as its subject. */
  readonly damage: string | undefined;
  /** True when the next packet cannot be found because of the damage. */
  readonly isOver: boolean;
  /** Fills `packet` with the next one. False when the window does not hold all of it yet, or when `isOver`. */
  next(window: CaptureWindow, packet: Packet): boolean;
  /** What the octets left in the window at the end of the input belong to: `packet 813`. */
  unfinished(window: CaptureWindow): string;
}
