/** IPFIX, RFC 7011: absolute times, a sequence that counts data records. */
import type { FlowMemory } from '../flow/rows.js';
import type { FlowEncoder, MessageRoom } from './message.js';
import { HEADER } from './message-time.js';
import type { Dialect } from './message-writer.js';
import { ipfixOptions, type OptionsChoice } from './options.js';
import { fullProfile, pflowProfile } from './profile.js';
import type { ExportCounts } from './statistics.js';
import { type TemplateOptions, templateEncoder } from './template-message.js';

export type IpfixProfile = 'full' | 'pflow';

const IPFIX: Dialect = {
  headerLength: 16,
  templateSetId: 2,
  optionsTemplateSetId: 3,
  sequenceOf: 'records',
  alignsSets: false,
  writeHeader(view, message, times) {
    view.setUint16(0, 10);
    view.setUint16(2, message.length);
    view.setUint32(4, Math.floor(times[HEADER]! / 1000));
    view.setUint32(8, message.sequence);
    view.setUint32(12, message.domain);
  },
  writeScopes(view, at, scopes, fields) {
    view.setUint16(at, scopes + fields);
    view.setUint16(at + 2, scopes);
  },
};

const NOTHING: OptionsChoice = { names: false, sampling: false };

/** The full profile's choices; none of them is for `pflow`, which is what pflow(4) sends and nothing else. */
export interface IpfixOptions extends TemplateOptions {
  readonly biflow?: boolean;
  readonly announce?: OptionsChoice;
  readonly counts?: ExportCounts;
}

export function ipfixEncoder(
  memory: FlowMemory,
  room: MessageRoom,
  profile: IpfixProfile,
  options: IpfixOptions,
): FlowEncoder {
  if (profile === 'pflow') return templateEncoder(memory, room, IPFIX, pflowProfile(), options);
  const { nat, announce = NOTHING, counts, biflow = false } = options;
  const full = fullProfile({
    uptimes: false,
    pads: true,
    icmpTypes: { 4: 'icmpTypeCodeIPv4', 6: 'icmpTypeCodeIPv6' },
    postNat: nat === 'original',
    biflow,
    flowId: true,
  });
  return templateEncoder(memory, room, IPFIX, full, options, {
    options: { dialect: ipfixOptions(), choice: announce },
    ...(counts === undefined ? {} : { counts }),
  });
}
