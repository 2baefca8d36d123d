/**
 * Passes pfsync messages on unchanged, one in each UDP datagram, to a `--listen` elsewhere: `--relay`. It is
 * a sink that takes no flows, so that a source pauses for it as for a collector, and the summary has what it
 * sent and lost.
 */
import { StartError } from '../cli/errors.js';
import type { Endpoint } from '../cli/option-values.js';
import type { RelayResult } from '../observe/summary.js';
import type { Log } from '../service/log.js';
import type { FlowSink } from '../sink/flow-sink.js';
import type { Transport } from '../sink/transport.js';
import { UNPACED } from './pace.js';
import { openUdp } from './udp.js';

/** What an IPv4 datagram of 65535 octets holds behind the IP and UDP headers. */
const LONGEST_MESSAGE = 65507;

/** Octets that may wait. A source that can pause does so long before. */
const QUEUE = 16 << 20;

export interface RelayOptions {
  readonly endpoint: Endpoint;
  readonly source?: string | undefined;
  readonly log: Log;
}

/** Looks the name up and opens the socket. Throws a StartError. */
export async function openRelay({ endpoint, source, log }: RelayOptions): Promise<Relay> {
  const host = endpoint.family === 6 ? `[${endpoint.host}]` : endpoint.host;
  const name = `${host}:${endpoint.port}`;
  const udp = { endpoint, source, maxMessage: LONGEST_MESSAGE, pace: UNPACED, queueOctets: QUEUE, log, name };
  try {
    return new Relay(await openUdp(udp), name, log);
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    throw new StartError(error.message.replace(/^-n /, '--relay '));
  }
}

export class Relay implements FlowSink {
  readonly #transport: Transport;
  readonly #name: string;
  readonly #log: Log;
  #tooLong = 0;

  constructor(transport: Transport, name: string, log: Log) {
    this.#transport = transport;
    this.#name = name;
    this.#log = log;
  }

  /** Sends a copy of the octets from `start` to `end`: one pfsync message. */
  message(view: DataView, start: number, end: number): void {
    const length = end - start;
    const transport = this.#transport;
    if (length > transport.longest) {
      this.#tooLong++;
      const what = `a message of ${length} octets fits no datagram`;
      this.#log.limited(`relay ${this.#name}`, `--relay ${this.#name}: ${what}`);
      return;
    }
    transport.send(new Uint8Array(view.buffer, view.byteOffset + start, length), length, 1);
  }

  get isCongested(): boolean {
    return this.#transport.isCongested;
  }

  drained(): Promise<void> {
    return this.#transport.drained();
  }

  /** Resolves when every message has been sent or is counted as lost. */
  close(): Promise<void> {
    return this.#transport.close();
  }

  add(): void {}

  flush(): void {}

  get result(): RelayResult {
    const { sent, lost, errors } = this.#transport;
    return {
      kind: 'relay',
      relay: this.#name,
      messages: sent.messages,
      octets: sent.octets,
      lostRecords: lost.messages + this.#tooLong,
      tooLong: this.#tooLong,
      errors,
    };
  }
}
