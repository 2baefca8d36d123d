/** NetFlow version 9, RFC 3954: 32-bit uptimes, a sequence that counts export packets. */
import type { FlowMemory } from '../flow/rows.js';
import type { FlowEncoder, MessageRoom } from './message.js';
import { BOOT, HEADER } from './message-time.js';
import type { Dialect } from './message-writer.js';
import { netflow9Options } from './options.js';
import { fullProfile } from './profile.js';
import { type TemplateOptions, templateEncoder } from './template-message.js';

const NETFLOW9: Dialect = {
  headerLength: 20,
  templateSetId: 0,
  optionsTemplateSetId: 1,
  sequenceOf: 'messages',
  alignsSets: true,
  writeHeader(view, message, times) {
    // The time has no fraction here: rounding it up, with the uptime, keeps the boot exact and no end in the future.
    const seconds = Math.ceil(times[HEADER]! / 1000);
    view.setUint16(0, 9);
    view.setUint16(2, message.records);
    view.setUint32(4, seconds * 1000 - times[BOOT]!);
    view.setUint32(8, seconds);
    view.setUint32(12, message.sequence);
    view.setUint32(16, message.domain);
  },
  writeScopes(view, at, scopes, fields) {
    view.setUint16(at, 4 * scopes);
    view.setUint16(at + 2, 4 * fields);
  },
};

export function netflow9Encoder(
  memory: FlowMemory,
  room: MessageRoom,
  options: TemplateOptions,
): FlowEncoder {
  const profile = fullProfile({
    uptimes: true,
    // Its collectors need not know paddingOctets, and one at least gives up a template for it.
    pads: false,
    // ICMP_TYPE (RFC 3954, section 8). In v9 not all of its collectors know an element of IPv6 alone.
    icmpTypes: { 4: 'icmpTypeCodeIPv4', 6: 'icmpTypeCodeIPv4' },
    postNat: options.nat === 'original',
    biflow: false,
    // 148 in v9 makes nfdump take a flow for an event of a Cisco firewall, of unknown time.
    flowId: false,
  });
  // The sequence counts datagrams: options disturb no collector's arithmetic, and are always sent.
  const own = { dialect: netflow9Options(), choice: { names: true, sampling: true } };
  return templateEncoder(memory, room, NETFLOW9, profile, options, { options: own });
}
