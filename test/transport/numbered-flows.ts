/** Numbered flows, encoded as IPFIX, for tests of what carries the messages. */
import { type IpfixProfile, ipfixEncoder } from '../../protocol/export/ipfix.js';
import type { FlowEncoder, MessageRoom } from '../../protocol/export/message.js';
import { NO_COUNTS } from '../../protocol/export/statistics.js';
import { SampleRows } from '../peer/flow-sample.js';
import { NOW, type NumberedSample, numbered } from '../peer/flow-samples.js';

export interface NumberedFlow extends NumberedSample {
  /** IP protocol; TCP unless given. */
  readonly protocol?: number;
}

export class NumberedFlows {
  readonly encoder: FlowEncoder;
  readonly #samples = new SampleRows(1);

  /** `open` makes the encoder over the memory; IPFIX with everything that it can announce by default. */
  constructor(room: MessageRoom, open: IpfixProfile | ((samples: SampleRows) => FlowEncoder) = 'full') {
    const samples = this.#samples;
    this.encoder = typeof open === 'string' ? everything(samples, room, open) : open(samples);
  }

  add({ protocol = 6, ...sample }: NumberedFlow): void {
    const { state, ...rest } = numbered(sample);
    this.#samples.count = 0;
    const row = this.#samples.add({ ...rest, state: { ...state, proto: protocol, protoAfter: protocol } });
    this.encoder.add(row, 1);
  }

  /** Flows of so many numbers, from `first` on. */
  addMany(count: number, first = 0): void {
    for (let i = 0; i < count; i++) this.add({ number: first + i });
  }

  flush(now = NOW): void {
    this.encoder.flush(now);
  }

  end(now = NOW): void {
    this.encoder.end(now);
  }
}

function everything(samples: SampleRows, room: MessageRoom, profile: IpfixProfile): FlowEncoder {
  return ipfixEncoder(samples, room, profile, {
    nat: 'original',
    domain: 42,
    refreshTime: 30_000,
    refreshMessages: 0,
    announce: { names: true, sampling: true },
    counts: NO_COUNTS,
  });
}
