/** Flows as an IPFIX file, RFC 5655: messages back to back. */
import { type IpfixOptions, type IpfixProfile, ipfixEncoder } from '../../protocol/export/ipfix.js';
import type { FlowEncoder } from '../../protocol/export/message.js';
import type { FlowMemory } from '../../protocol/flow/rows.js';
import type { OutputResult } from '../observe/summary.js';
import type { Output } from './flow-sink.js';
import type { OutputFile } from './output-file.js';

/** The length field of a message has 16 bits. */
const LONGEST_MESSAGE = 65_535;

export interface IpfixFileOptions extends Omit<IpfixOptions, 'refreshTime' | 'refreshMessages'> {
  readonly profile: IpfixProfile;
}

export class IpfixFile implements Output {
  readonly #file: OutputFile;
  readonly #encoder: FlowEncoder;

  constructor(memory: FlowMemory, file: OutputFile, { profile, ...options }: IpfixFileOptions) {
    const room = {
      longest: LONGEST_MESSAGE,
      keepsTemplates: true,
      send: (octets: Uint8Array, length: number, records: number) => file.send(octets, length, records),
    };
    this.#file = file;
    this.#encoder = ipfixEncoder(memory, room, profile, {
      ...options,
      refreshTime: Number.POSITIVE_INFINITY,
      refreshMessages: 0,
    });
  }

  begin(): void {
    this.#file.begin();
  }

  withdraw(): void {
    this.#file.withdraw();
  }

  add(first: number, count: number): void {
    this.#encoder.add(first, count);
  }

  addNatEvent(row: number): void {
    this.#encoder.addNatEvent?.(row);
  }

  flush(now: number): void {
    this.#encoder.flush(now);
  }

  get isCongested(): boolean {
    return this.#file.isCongested;
  }

  drained(): Promise<void> {
    return this.#file.drained();
  }

  get isGone(): boolean {
    return this.#file.isGone;
  }

  get result(): OutputResult {
    return this.#file.result;
  }

  /** A new file needs the templates. */
  reopen(now: number): void {
    this.#encoder.flush(now);
    if (this.#file.reopen()) this.#encoder.restart();
  }

  close(now: number): Promise<void> {
    this.#encoder.end(now);
    return this.#file.close();
  }
}
