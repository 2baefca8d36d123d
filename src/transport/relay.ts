/**
 * Passes pfsync messages on as they came, one UDP datagram each, to a `--listen` elsewhere: what `--relay` does.
 * It is a sink that takes no flows, so that a source pauses for it as for a collector.
 */

import { StartError } from '../cli/errors.js';
import type { Endpoint } from '../cli/option-values.js';
import type { Log } from '../service/log.js';
import type { FlowSink } from '../sink/flow-sink.js';
import type { Transport } from '../sink/transport.js';
import { UNPACED } from './pace.js';
import { openUdp } from './udp.js';

/** What an IPv4 datagram of 65535 octets holds behind the IP and UDP headers. */
const LONGEST_MESSAGE = 65507;

export interface RelayResult {
  readonly name: string;
  /** Messages and octets handed to the network. */
  readonly messages: number;
  readonly octets: number;
  readonly lostMessages: number;
  /** Messages that no datagram holds. */
  readonly tooLong: number;
  readonly errors: number;
}

export interface RelayOptions {
  readonly endpoint: Endpoint;
  readonly source?: string | undefined;
  readonly log: Log;
}

/** Resolves the name and opens the socket. Throws a StartError. */
export async function openRelay({ endpoint, source, log }: RelayOptions): Promise<Relay> {
  const host = endpoint.family === 6 ? `[${endpoint.host}]` : endpoint.host;
  const name = `${host}:${endpoint.port}`;
  try {
    const transport = await openUdp({
      endpoint,
      source,
      maxMessage: LONGEST_MESSAGE,
      pace: UNPACED,
      log,
      name,
    });
    return new Relay(transport, name, log);
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

  /** Sends the octets from `start` to `end`, which are copied. */
  message(view: DataView, start: number, end: number): void {
    const length = end - start;
    const transport = this.#transport;
    if (length > transport.longest) {
      this.#tooLong++;
      this.#log.limited(
        `relay ${this.#name}`,
        `--relay ${this.#name}: a message of ${length} octets fits no datagram`,
      );
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

  /** Resolves when every message has left or is counted as lost. */
  close(): Promise<void> {
    return this.#transport.close();
  }

  add(): void {}

  flush(): void {}

  get result(): RelayResult {
    const { sent, lost, errors } = this.#transport;
    return {
      name: this.#name,
      messages: sent.messages,
      octets: sent.octets,
      lostMessages: lost.messages,
      tooLong: this.#tooLong,
      errors,
    };
  }
}
