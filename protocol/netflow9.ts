/** NetFlow version 9, RFC 3954: 32-bit uptimes, a sequence that counts export packets. */
import type { FlowEncoder, MessageRoom } from './message.js';
import { fullProfile, UPTIMES } from './template.js';
import { type Dialect, TemplateMessageEncoder, type TemplateOptions } from './template-message.js';

const NETFLOW9: Dialect = {
  headerLength: 20,
  templateSetId: 0,
  sequenceOf: 'messages',
  writeHeader(view, message) {
    // The time has no fraction here: rounding it up, with the uptime, keeps the boot exact and no end in the future.
    const seconds = Math.ceil(message.time / 1000);
    view.setUint16(0, 9);
    view.setUint16(2, message.records);
    view.setUint32(4, message.uptime + seconds * 1000 - message.time);
    view.setUint32(8, seconds);
    view.setUint32(12, message.sequence);
    view.setUint32(16, message.domain);
  },
};

export function netflow9Encoder(room: MessageRoom, options: TemplateOptions): FlowEncoder {
  const profile = fullProfile(UPTIMES, { postNat: options.nat === 'original', estimate: false });
  return new TemplateMessageEncoder(room, NETFLOW9, profile, options);
}
