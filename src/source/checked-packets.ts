/**
 * Passes packets on, and warns once of each mistake in how a capture was made that costs its states: a link type that holds
 * no pfsync messages, and a snaplen that cuts them.
 */
import { locatePfsync, Payload } from '../../protocol/capture/link.js';
import { LINK_PFLOG, linkTypeText } from '../../protocol/capture/link-type.js';
import type { Packet } from '../../protocol/capture/packet.js';
import type { PacketConsumer } from './consumer.js';

/** Stands for no packet yet. Readers use -1 for an unknown interface. */
const NO_LINK_TYPE = -2;

export class CheckedPackets implements PacketConsumer {
  readonly #consumer: PacketConsumer;
  readonly #warn: (message: string) => void;
  readonly #payload = new Payload();
  #linkType = NO_LINK_TYPE;
  #hasReadable = false;
  #hasUnreadable = false;
  #hasWarnedOfLinkType = false;
  #hasWarnedOfSnaplen = false;

  constructor(consumer: PacketConsumer, warn: (message: string) => void) {
    this.#consumer = consumer;
    this.#warn = warn;
  }

  /** Whether there were packets, and none of a link type that can hold pfsync messages. */
  get allUnreadable(): boolean {
    return this.#hasUnreadable && !this.#hasReadable;
  }

  packet(packet: Packet): void {
    if (packet.linkType !== this.#linkType) this.#checkLinkType(packet);
    if (packet.wireEnd > packet.end && !this.#hasWarnedOfSnaplen) this.#checkSnaplen(packet);
    this.#consumer.packet(packet);
  }

  get isCongested(): boolean {
    return this.#consumer.isCongested;
  }

  drained(): Promise<void> {
    return this.#consumer.drained();
  }

  #checkLinkType(packet: Packet): void {
    const { linkType } = packet;
    this.#linkType = linkType;
    if (locatePfsync(packet, this.#payload) !== 'unknownLinkType') {
      this.#hasReadable = true;
      return;
    }
    this.#hasUnreadable = true;
    // What the reader could not find out is damage, which it reports.
    if (linkType < 0 || this.#hasWarnedOfLinkType) return;
    this.#hasWarnedOfLinkType = true;
    this.#warn(`link type ${linkTypeText(linkType)}: ${linkTypeRemedy(linkType)}`);
  }

  #checkSnaplen(packet: Packet): void {
    const verdict = locatePfsync(packet, this.#payload);
    const isCut = verdict === 'pfsync' && this.#payload.wireEnd > this.#payload.end;
    if (!isCut && verdict !== 'truncated') return;
    this.#hasWarnedOfSnaplen = true;
    const captured = packet.end - packet.start;
    this.#warn(
      `packet ${packet.number} is cut to ${captured} octets by the snaplen: capture with tcpdump -s 65535`,
    );
  }
}

function linkTypeRemedy(linkType: number): string {
  if (linkType === LINK_PFLOG) return 'a capture of pflog0 holds packets, not states: capture pfsync0';
  return 'no pfsync messages can be found in it: capture pfsync0, or the interface that syncs the firewalls';
}
