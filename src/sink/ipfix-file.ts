/** Flows as an IPFIX file, RFC 5655: messages back to back. */
import type { OptionsChoice } from '../../protocol/export/options.js';
import type { ExportCounts } from '../../protocol/export/statistics.js';
import type { NatView } from '../../protocol/flow/terms.js';
import type { FlowRecord, FlowRows } from '../../protocol/flow/flow-record.js';
import { type IpfixProfile, ipfixEncoder } from '../../protocol/export/ipfix.js';
import type { FlowEncoder, MessageRoom } from '../../protocol/export/message.js';
import type { FlowSink } from './flow-sink.js';
import type { OutputFile } from './output-file.js';

/** The longest message that the length field can tell. */
const LONGEST_MESSAGE = 65_535;

export interface IpfixFileOptions {
  readonly nat: NatView;
  readonly domain: number;
  readonly profile: IpfixProfile;
  readonly biflow: boolean;
  readonly announce: OptionsChoice;
  /** What is told at the end; undefined: nothing. */
  readonly counts: ExportCounts | undefined;
}

export class IpfixFile implements FlowSink {
  readonly isCongested = false;
  readonly #file: OutputFile;
  readonly #encoder: FlowEncoder;

  constructor(file: OutputFile, { profile, counts, ...options }: IpfixFileOptions) {
    this.#file = file;
    this.#encoder = ipfixEncoder(roomIn(file), profile, {
      ...options,
      refreshTime: Number.POSITIVE_INFINITY,
      refreshMessages: 0,
      ...(counts === undefined ? {} : { counts }),
    });
  }

  add(flows: FlowRows): void {
    this.#encoder.add(flows);
  }

  addNatEvent(event: FlowRecord): void {
    this.#encoder.addNatEvent?.(event);
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
    this.#encoder.end(now);
    this.#file.close();
  }
}

function roomIn(file: OutputFile): MessageRoom {
  return {
    longest: LONGEST_MESSAGE,
    send(octets, length) {
      file.write(octets.subarray(0, length));
    },
  };
}
