/** Flows as an IPFIX file, RFC 5655: messages back to back. */
import type { FlowRecord, NatView } from '../protocol/flow-record.js';
import { type IpfixProfile, ipfixEncoder } from '../protocol/ipfix.js';
import type { FlowEncoder, MessageRoom } from '../protocol/message.js';
import type { FlowSink } from './flow-sink.js';
import type { OutputFile } from './output-file.js';

/** The longest message that the length field can tell. */
const LONGEST_MESSAGE = 65_535;

export interface IpfixFileOptions {
  readonly nat: NatView;
  readonly domain: number;
  readonly profile: IpfixProfile;
}

export class IpfixFile implements FlowSink {
  readonly isCongested = false;
  readonly #file: OutputFile;
  readonly #encoder: FlowEncoder;

  constructor(file: OutputFile, { nat, domain, profile }: IpfixFileOptions) {
    this.#file = file;
    const templates = { nat, domain, refreshTime: Number.POSITIVE_INFINITY, refreshMessages: 0 };
    this.#encoder = ipfixEncoder(roomIn(file), profile, templates);
  }

  add(flow: FlowRecord): void {
    this.#encoder.add(flow);
  }

  flush(now: number): void {
    this.#encoder.flush(now);
    this.#file.flush();
  }

  /** After a rotation: the new file has to tell its templates again. */
  reopen(now: number): void {
    this.#encoder.flush(now);
    if (this.#file.reopen()) this.#encoder.restart();
  }

  async drained(): Promise<void> {}

  async close(now: number): Promise<void> {
    this.#encoder.flush(now);
    this.#file.close();
  }
}

function roomIn(file: OutputFile): MessageRoom {
  const octets = new Uint8Array(LONGEST_MESSAGE);
  return {
    view: new DataView(octets.buffer),
    send(length) {
      file.write(octets.subarray(0, length));
    },
  };
}
