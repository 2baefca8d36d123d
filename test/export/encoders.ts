/** Encoders that are open for samples of flows. */
import { type IpfixOptions, ipfixEncoder } from '../../protocol/export/ipfix.js';
import { netflow9Encoder } from '../../protocol/export/netflow9.js';
import type { TemplateOptions } from '../../protocol/export/template-message.js';
import { type Open, Room, type Sample, SampleRows } from '../peer/flow-sample.js';

export const OPTIONS: TemplateOptions = {
  nat: 'original',
  domain: 42,
  refreshTime: 30_000,
  refreshMessages: 0,
};

/** Options templates have this id and higher ones. */
export const FIRST_OPTIONS = 8192;

export function ipfix(options: Partial<IpfixOptions> = {}): Open {
  return (memory, room) => ipfixEncoder(memory, room, 'full', { ...OPTIONS, ...options });
}

export function pflow(options: Partial<IpfixOptions> = {}): Open {
  return (memory, room) => ipfixEncoder(memory, room, 'pflow', { ...OPTIONS, ...options });
}

export function v9(options: Partial<IpfixOptions> = {}): Open {
  return (memory, room) => netflow9Encoder(memory, room, { ...OPTIONS, ...options });
}

/** An encoder with its room. Each sample stands in the same row: an encoder keeps nothing of rows. */
export function opened(open: Open, length?: number) {
  const memory = new SampleRows(1);
  const room = new Room(length);
  const encoder = open(memory, room);
  const row = (sample: Sample) => {
    memory.count = 0;
    return memory.add(sample);
  };
  return {
    memory,
    room,
    encoder,
    add: (sample: Sample = {}) => encoder.add(row(sample), 1),
    addNatEvent: (sample: Sample) => encoder.addNatEvent?.(row(sample)),
  };
}

export type Opened = ReturnType<typeof opened>;
