/** Where sources put what they read. Sources know these interfaces only; `src/pipeline.ts` satisfies all of them. */
import type { Packet } from '../../protocol/capture/packet.js';

/** Back-pressure: no more input is wanted while it is congested. */
export interface Congestible {
  readonly isCongested: boolean;
  /** Resolves when input is wanted again, after a bounded time in any case. */
  drained(): Promise<void>;
}

export interface PacketConsumer extends Congestible {
  /** Takes a captured packet, which is valid during the call only. */
  packet(packet: Packet): void;
}

export interface DatagramConsumer extends Congestible {
  /**
   * Takes a datagram that holds one pfsync message: `length` octets from the start of the view, which is valid during the
   * call only. `time` is its arrival, in milliseconds since the epoch.
   */
  datagram(view: DataView, length: number, time: number): void;
}

/** Names in its messages what the next input comes from: a file or an interface. */
export interface NamesSource {
  source: string;
}

/** Keeps records until a datagram is full, or until a flush. */
export interface Flushable {
  flush(): void;
}
