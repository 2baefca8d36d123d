/** IPFIX, RFC 7011: absolute times, a sequence that counts data records. */
import type { FlowEncoder, MessageRoom } from './message.js';
import { fullProfile, pflowProfile, TIMES } from './template.js';
import { type Dialect, TemplateMessageEncoder, type TemplateOptions } from './template-message.js';

export type IpfixProfile = 'full' | 'pflow';

const IPFIX: Dialect = {
  headerLength: 16,
  templateSetId: 2,
  sequenceOf: 'records',
  writeHeader(view, message) {
    view.setUint16(0, 10);
    view.setUint16(2, message.length);
    view.setUint32(4, Math.floor(message.time / 1000));
    view.setUint32(8, message.sequence);
    view.setUint32(12, message.domain);
  },
};

export function ipfixEncoder(
  room: MessageRoom,
  profile: IpfixProfile,
  options: TemplateOptions,
): FlowEncoder {
  const templates =
    profile === 'pflow'
      ? pflowProfile()
      : fullProfile(TIMES, { postNat: options.nat === 'original', estimate: true });
  return new TemplateMessageEncoder(room, IPFIX, templates, options);
}
